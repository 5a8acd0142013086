import { errorCatalogue, type ErrorCode } from '../../../domain/error-codes.ts';
import type { BalanceLine, ReportPageData } from '../run-report.ts';
import {
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercentage,
  formatPlural,
} from '../terminal/format.ts';
import type { ClientData } from './client-data.ts';
import { html, type Html } from './html.ts';

const nothing = html``;

export function headerSection({ report, startedAt, build, sluiceVersion }: ReportPageData): Html {
  const [tone, verdict] = verdictOf(report);
  return html`<header>
    <div class="title">
      <h1><bdi>${report.pipeline}</bdi> <span class="version">v${report.version}</span></h1>
      <p class="verdict ${tone}">${verdict}</p>
    </div>
    <p class="facts">
      ${timeOf(startedAt)} · took ${formatDuration(report.seconds)} · run <code>${report.run}</code> · build
      <code>${build.slice(0, 12)}</code> · Sluice ${sluiceVersion}
    </p>
    ${report.complete ? nothing : todo(report)}
    <dl class="figures">
      ${figures(report).map(
        ([name, value, more, state = '']) =>
          html`<div class="${state}">
            <dt>${name}</dt>
            <dd>${value}</dd>
            <dd class="more">${more}</dd>
          </div>`,
      )}
    </dl>
  </header>`;
}

function verdictOf(report: ReportPageData['report']): readonly [string, string] {
  if (!report.complete) return ['bad', '✗ Not complete'];
  return report.failed.total === 0
    ? ['good', '✓ Complete']
    : ['warn', `✓ Complete, ${formatPlural(report.failed.total, 'open failure')}`];
}

function todo({ refused }: ReportPageData['report']): Html {
  if (refused.total === 0)
    return html`<p class="notice">
      Some planned objects are not complete. Start the same command again: it goes on where this run ended.
    </p>`;
  return html`<div class="notice">
    <p>${formatPlural(refused.total, 'object was', 'objects were')} left as found:</p>
    <ul>
      ${Object.entries(refused.byCode).map(
        ([code, count]) =>
          html`<li><code>${code}</code> ${formatCount(count)} – ${withCode(adviceOn(code))}</li>`,
      )}
    </ul>
  </div>`;
}

type Figure = readonly [name: string, value: string, more: string, state?: string];

function figures(report: ReportPageData['report']): Figure[] {
  const { seconds } = report;
  const share = report.bytesTotal > 0 ? report.bytesRead / report.bytesTotal : Number.NaN;
  return [
    [
      'rows read',
      formatCount(report.rowsRead),
      seconds > 0 ? `${formatCount(report.rowsRead / seconds)} rows/s` : '',
    ],
    [
      'data read',
      formatBytes(report.bytesRead),
      [
        report.bytesTotal > 0
          ? `${share <= 1 ? `${formatPercentage(share, 0)} of` : 'of'} ${formatBytes(report.bytesTotal)}`
          : '',
        seconds > 0 ? formatByteRate(report.bytesRead / seconds) : '',
      ]
        .filter((part) => part !== '')
        .join(' · '),
    ],
    [
      'messages applied',
      formatCount(report.applied),
      `${formatPlural(report.duplicates, 'duplicate')} dropped`,
    ],
    ['groups', formatCount(report.groups), ''],
    ['findings', formatCount(report.findings), ''],
    [
      'open failures',
      formatCount(report.failed.total),
      report.failed.total === 0 ? '' : formatPlural(Object.keys(report.failed.byCode).length, 'code'),
      report.failed.total === 0 ? '' : 'bad',
    ],
  ];
}

export function groupsSection(client: ClientData): Html {
  const shown = client.groups.length;
  // Of quantile measures there is the most to see, and of the groups that count most it says the most.
  const chartable = client.measures.filter(({ columns }) => columns.some((at) => isNumeric(client, at)));
  if (shown === 0)
    return html`<section>
      <h2>Results by group</h2>
      <p class="empty">There are no groups: no message was applied.</p>
    </section>`;
  const first = Math.max(
    0,
    client.measures.findIndex(({ kind }) => kind === 'quantiles'),
  );
  const counting = client.measures.find(({ kind }) => kind === 'count')?.columns[0];
  const order = counting ?? client.measures[first]?.columns.at(0) ?? 0;
  const some = shown < client.groupsInAll;
  const amounts = [10, 20, 30, 50].filter((amount, at) => at === 0 || amount < shown * 1.5);
  const chosenAmount = amounts.includes(20) ? 20 : amounts[0]!;
  return html`<section aria-labelledby="groups-title">
    <h2 id="groups-title">Results by group</h2>
    ${some ? html`<p class="hint">The ${formatCount(shown)} largest of ${formatCount(client.groupsInAll)} groups; <code>sluice results</code> gives them all.</p>` : nothing}
    ${
      chartable.length === 0
        ? nothing
        : html`<form class="controls" autocomplete="off">
              <label
                >Show
                <select id="measure">
                  ${client.measures.map(({ name, columns }, at) =>
                    columns.some((column) => isNumeric(client, column))
                      ? html`<option value="${at}" ${at === first ? html` selected` : nothing}>
                          ${name}
                        </option>`
                      : nothing,
                  )}
                </select></label
              >
              <label
                >of the
                <select id="amount">
                  ${amounts.map(
                    (amount) =>
                      html`<option value="${amount}" ${amount === chosenAmount ? html` selected` : nothing}>
                        ${amount}
                      </option>`,
                  )}
                </select></label
              >
              <label
                >groups with the
                <select id="direction">
                  ${['highest', 'lowest'].map((word) => html`<option>${word}</option>`)}
                </select></label
              >
              <label
                ><span class="hidden">order by</span
                ><select id="order">
                  ${client.columns.map(({ title, decimals }, at) =>
                    decimals === null
                      ? nothing
                      : html`<option value="${at}" ${at === order ? html` selected` : nothing}>
                          ${title}
                        </option>`,
                  )}
                </select></label
              >
            </form>
            <p id="groups-caption" class="printed"></p>
            <div id="groups-box" class="chart"><canvas id="groups-chart" role="img"></canvas></div>`
    }
    <div class="controls">
      <label
        >Search
        <input
          id="groups-search"
          type="search"
          placeholder="group or finding"
          autocomplete="off"
          spellcheck="false"
      /></label>
      <span id="groups-status" class="hint" role="status"></span>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="All measures by group">
      <table id="groups-table"></table>
    </div>
    <button id="groups-more" type="button" hidden></button>
  </section>`;
}

function isNumeric(client: ClientData, column: number): boolean {
  return client.columns[column]?.decimals !== null;
}

export function throughputSection({ throughput }: ClientData): Html {
  const peak = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), 0);
  const chart = (id: string, title: string, summary: string) =>
    html`<figure>
      <figcaption>${title} <span class="hint">peak ${summary}</span></figcaption>
      <div class="chart time">
        <canvas id="${id}" role="img" aria-label="${title} over time, peak ${summary}"></canvas>
      </div>
    </figure>`;
  return html`<section>
    <h2>Throughput</h2>
    ${
      throughput.seconds.length < 2
        ? html`<p class="empty">The run was too short to show over time.</p>`
        : html`<div class="pair">
            ${chart('rows-chart', 'Rows and messages a second', `${formatCount(peak(throughput.rowsPerSecond))} rows`)}
            ${chart('bytes-chart', 'Megabytes a second', formatByteRate(peak(throughput.megabytesPerSecond) * 1_000_000))}
          </div>`
    }
  </section>`;
}

export function balanceSection({ balance }: ReportPageData): Html {
  const balanced = balance.every((line) => line.balanced);
  return html`<section>
    <h2>
      Reconciliation
      ${
        balance.length === 0
          ? nothing
          : html`<span class="verdict ${balanced ? 'good' : 'bad'}"
              >${balanced ? '✓ Balanced' : '✗ Not balanced'}</span
            >`
      }
    </h2>
    ${balance.length === 0 ? html`<p class="empty">Nothing was planned, so there is nothing to balance.</p>` : html`<p class="hint">Every row and every message comes to exactly one end.</p>`}
    ${balance.map(balanceFigure)}
  </section>`;
}

/** Names of parts that have a colour of their own; others take turns. */
const partColors: Readonly<Record<string, string>> = {
  transformed: 'done',
  applied: 'done',
  pruned: 'spared',
  filtered: 'sieved',
};
const otherColors = ['other-1', 'other-2', 'other-3'] as const;

/** Two bars below each other, the whole and its parts: where they balance they end at the same place. */
function balanceFigure({ label, whole, parts, balanced }: BalanceLine): Html {
  const sum = parts.reduce((total, { value }) => total + value, 0);
  const scale = Math.max(whole.value, sum);
  const difference = whole.value - sum;
  let from = 0;
  const pieces = parts.map((part, at) => {
    const color = colorOf(part.label, at);
    const width = scale === 0 ? 0 : (part.value / scale) * 1_000;
    const piece = { ...part, color, from, width };
    from += width;
    return piece;
  });
  const verdict = balanced
    ? html`<span class="verdict good">✓ balanced</span>`
    : html`<span class="verdict bad"
        >✗
        ${
          difference === 0
            ? 'not balanced'
            : `${formatCount(Math.abs(difference))} ${difference > 0 ? 'missing' : 'too many'}`
        }</span
      >`;
  const equation = parts.map(({ label: name, value }) => `${name} ${formatCount(value)}`).join(' + ');
  return html`<figure class="balance">
    <figcaption><strong>${label}</strong> ${verdict}</figcaption>
    ${
      scale === 0
        ? nothing
        : html`<svg
            viewBox="0 0 1000 46"
            preserveAspectRatio="none"
            role="img"
            aria-label="${whole.label} ${formatCount(whole.value)} ${balanced ? 'equals' : 'does not equal'} ${equation}"
          >
            <rect class="track" x="0" y="0" width="1000" height="46" />
            <rect
              class="whole"
              x="0"
              y="0"
              width="${number(scale === 0 ? 0 : (whole.value / scale) * 1_000)}"
              height="14"
            />
            ${pieces
              .filter(({ value }) => value > 0)
              .map(
                ({ color, from: x, width }) =>
                  // What is there is seen, however small.
                  html`<rect
                    class="${color}"
                    x="${number(Math.min(x, 1_000 - Math.max(width, 3)))}"
                    y="18"
                    width="${number(Math.max(width, 3))}"
                    height="28"
                  />`,
              )}
          </svg>`
    }
    <ul class="legend">
      <li><i class="whole"></i>${whole.label} <b>${formatCount(whole.value)}</b> ${balanced ? '=' : '≠'}</li>
      ${pieces.map(
        ({ label: name, value, color }, at) =>
          html`<li>
            ${at === 0 ? nothing : html`<span class="plus">+</span>`}<i class="${color}"></i>${name}
            <b>${formatCount(value)}</b>${
              whole.value > 0 && value > 0
                ? html` <span class="hint">${formatPercentage(value / whole.value)}</span>`
                : nothing
            }
          </li>`,
      )}
    </ul>
  </figure>`;
}

function colorOf(label: string, at: number): string {
  if (/fail|open|redriven/.test(label)) return /settled|closed|redriven/.test(label) ? 'other-1' : 'failed';
  return Object.hasOwn(partColors, label) ? partColors[label]! : otherColors[at % otherColors.length]!;
}

export function failuresSection({ failures, report }: ReportPageData): Html {
  const most = failures.reduce((largest, { count }) => Math.max(largest, count), 0);
  const sorted = failures.toSorted((a, b) => b.count - a.count);
  return html`<section>
    <h2>Open failures by code</h2>
    ${
      failures.length === 0
        ? html`<p class="empty good">
            ${report.complete ? '✓ None: every row and message was processed.' : 'None so far.'}
          </p>`
        : html`<ul class="failures">
            ${sorted.map(
              ({ code, stage, count, example }) =>
                html`<li>
                  <div class="bar-line">
                    <span><code class="code">${code}</code> <span class="hint">in ${stage}</span></span
                    ><b>${formatCount(count)}</b>
                  </div>
                  ${bar(count, most, 'failed')}
                  <p class="advice">${withCode(adviceOn(code))}</p>
                  <dl class="example">
                    <dt>example</dt>
                    <dd><code>${example.position}</code><br /><bdi>${example.message}</bdi></dd>
                    <dt>show all</dt>
                    <dd>
                      <code class="command">${listCommand(report.generation, code)}</code>
                    </dd>
                  </dl>
                </li>`,
            )}
          </ul>`
    }
  </section>`;
}

export function findingsSection({ findingsByKind }: ReportPageData): Html {
  const most = findingsByKind.reduce((largest, { count }) => Math.max(largest, count), 0);
  const sorted = findingsByKind.toSorted((a, b) => b.count - a.count);
  return html`<section>
    <h2>Findings by kind</h2>
    ${
      findingsByKind.length === 0
        ? html`<p class="empty">None.</p>`
        : html`<ul class="failures">
            ${sorted.map(
              ({ kind, severity, count }) =>
                html`<li>
                  <div class="bar-line">
                    <span
                      ><bdi>${kind}</bdi>
                      <span class="badge ${severityClass(severity)}">${severity}</span></span
                    ><b>${formatCount(count)}</b>
                  </div>
                  ${bar(count, most, severityClass(severity))}
                </li>`,
            )}
          </ul>`
    }
  </section>`;
}

export function detailsSection({ report, build, balance }: ReportPageData): Html {
  const facts: readonly (readonly [string, string])[] = [
    ['generation', report.generation],
    ['run', report.run],
    ['build', build],
    ['objects', formatCount(report.objects)],
    ['tasks', formatCount(report.tasks)],
    ['sections sent', formatCount(report.sections)],
    ['rows pruned, filtered', `${formatCount(report.rowsPruned)}, ${formatCount(report.rowsFiltered)}`],
    ['messages made', formatCount(report.messages)],
    ['frames', `${formatCount(report.frames)}, ${formatBytes(report.frameBytes)} packed`],
  ];
  return html`<section class="details">
    <h2>This run</h2>
    <dl>
      ${facts.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
    ${balance.length === 0 ? nothing : html`<p class="hint">Counts here and at the top are of this run alone; the reconciliation is of all runs over the planned objects.</p>`}
  </section>`;
}

function bar(value: number, most: number, color: string): Html {
  const width = value > 0 ? Math.max(6, (value / most) * 1_000) : 0;
  return html`<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="track" x="0" y="0" width="1000" height="10" />
    <rect class="${color}" x="0" y="0" width="${number(width)}" height="10" />
  </svg>`;
}

function adviceOn(code: string): string {
  if (!Object.hasOwn(errorCatalogue, code)) return 'A code of the pipeline itself.';
  const { meaning, remedy } = errorCatalogue[code as ErrorCode];
  return `${meaning} ${remedy}`;
}

/** Text with `code` in it. */
function withCode(text: string): readonly Html[] {
  return text.split('`').map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}

function severityClass(severity: string): string {
  return severity === 'critical' || severity === 'warning' ? severity : 'info';
}

function listCommand(generation: string, code: string): string {
  return `sluice failures list --generation ${shellWord(generation)} --code ${shellWord(code)}`;
}

/** Ready for a shell, whatever it holds. */
function shellWord(text: string): string {
  return /^[\w@.:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function timeOf(at: number): Html {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return nothing;
  const iso = date.toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`;
}

function number(value: number): string {
  return String(Number(value.toFixed(2)));
}
