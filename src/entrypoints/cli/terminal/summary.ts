import { errorCatalogue, type ErrorCode } from '../../../domain/error-codes.ts';
import type { Finding } from '../../../domain/pipeline.ts';
import type { BalanceLine, RunReport } from '../run-report.ts';
import {
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercentage,
  formatPlural,
} from './format.ts';
import { createStyle, type Style } from './style.ts';
import { renderTable, type Column } from './table.ts';
import { cutToWidth, padToWidth, printable, widthOf } from './text.ts';

export interface RunSummary {
  readonly report: RunReport;
  readonly balance: readonly BalanceLine[];
  /** The groups that stand at the end; left out where there are none. */
  readonly groups?: {
    /** What they are: `The 10 groups with the most flights`. */
    readonly title: string;
    readonly columns: readonly Column[];
    readonly rows: readonly (readonly unknown[])[];
  };
  /** The gravest findings, of as many as the report counts. */
  readonly topFindings?: readonly Finding[];
  /** Commands and files to look at next, each with what it is for. */
  readonly next?: readonly { readonly text: string; readonly purpose: string }[];
}

export interface SummaryOptions {
  /** Columns of the terminal. */
  readonly width: number;
  /** Default `false`. */
  readonly color?: boolean;
}

/** A name, a text, and how its lines are marked: after they are broken, so that no colour runs over. */
type Pair = readonly [name: string, text: string, mark?: ((line: string) => string) | undefined];

/** What stands at the end of a run, as lines, each ended by a newline. */
export function renderRunSummary(summary: RunSummary, { width, color = false }: SummaryOptions): string {
  const style = createStyle(color);
  const { report, balance, groups, topFindings = [], next = [] } = summary;
  const blocks = [
    [headline(report, style), ...aligned(figures(report, style), width, style)],
    balanceLines(balance, width, style),
    todoLines(report, width, style),
    groups === undefined || groups.rows.length === 0
      ? []
      : [
          style.strong(printable(groups.title)),
          '',
          renderTable(groups.columns, groups.rows, { width, color }).trimEnd(),
        ],
    findingLines(topFindings, report.findings, width, style),
    next.length === 0
      ? []
      : aligned(
          next.map(({ text, purpose }) => [purpose, printable(text)]),
          width,
          style,
        ),
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join('\n')}\n`)
    .join('\n');
}

/**
 * The balance as lines: `✓ rows  3,000,000 = pruned 0 + filtered 1,234 + failed 0 + transformed 2,998,766`. Parts that
 * do not fit the width go on in the next line.
 */
export function renderBalance(
  balance: readonly BalanceLine[],
  { width, color = false }: SummaryOptions,
): string {
  return balanceLines(balance, width, createStyle(color))
    .map((line) => `${line}\n`)
    .join('');
}

function headline(report: RunReport, style: Style): string {
  const name = `${printable(report.pipeline)} v${report.version}`;
  const verdict = report.complete
    ? style.good(report.failed.total === 0 ? 'complete' : 'complete, with failures')
    : style.bad('not complete');
  return [
    style.strong(name),
    verdict,
    formatDuration(report.seconds),
    style.faint(`run ${printable(report.run)}`),
  ].join(style.faint(' · '));
}

function figures(report: RunReport, style: Style): Pair[] {
  const share = report.bytesTotal > 0 ? ` of ${formatBytes(report.bytesTotal)}${shareOf(report)}` : '';
  const figure: Pair[] = [
    [
      'read',
      `${formatBytes(report.bytesRead)}${share}${perSecond(report, report.bytesRead, formatByteRate)}`,
    ],
    [
      'rows',
      formatCount(report.rowsRead) +
        perSecond(report, report.rowsRead, (rate) => `${formatCount(rate)}/s`) +
        leftOut(report),
    ],
    [
      'work',
      `${formatPlural(report.objects, 'object')} · ${formatPlural(report.tasks, 'task')} · ${formatPlural(report.sections, 'section')} sent`,
    ],
    [
      'messages',
      `${formatCount(report.messages)} in ${formatPlural(report.frames, 'frame')} (${formatBytes(report.frameBytes)})`,
    ],
    ['applied', `${formatCount(report.applied)} · ${formatPlural(report.duplicates, 'duplicate')} dropped`],
    ['results', `${formatPlural(report.groups, 'group')} · ${formatPlural(report.findings, 'finding')}`],
    ['failures', tally(report.failed), report.failed.total > 0 ? style.bad : undefined],
  ];
  if (report.refused.total > 0) figure.push(['left alone', tally(report.refused), style.bad]);
  return figure;
}

/** More than everything is read where metadata is looked at more than once: no share then. */
function shareOf({ bytesRead, bytesTotal }: RunReport): string {
  return bytesRead <= bytesTotal ? ` (${formatPercentage(bytesRead / bytesTotal)})` : '';
}

/** What the predicate spared. */
function leftOut(report: RunReport): string {
  const parts = [
    report.rowsPruned > 0 ? `${formatCount(report.rowsPruned)} pruned` : '',
    report.rowsFiltered > 0 ? `${formatCount(report.rowsFiltered)} filtered` : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? '' : ` · ${parts.join(' · ')}`;
}

function perSecond({ seconds }: RunReport, amount: number, format: (rate: number) => string): string {
  return seconds > 0 && amount > 0 ? ` · ${format(amount / seconds)}` : '';
}

/** `12 open: E_SCHEMA 10, E_TRANSFORM 2`, the most frequent first. */
function tally({ total, byCode }: RunReport['failed']): string {
  if (total === 0) return '0';
  const codes = Object.entries(byCode)
    .toSorted(([codeA, a], [codeB, b]) => b - a || (codeA < codeB ? -1 : 1))
    .map(([code, count]) => `${printable(code)} ${formatCount(count)}`);
  return [formatCount(total), ...codes].join(' · ');
}

function balanceLines(balance: readonly BalanceLine[], width: number, style: Style): string[] {
  const label = Math.max(0, ...balance.map((line) => widthOf(printable(line.label))));
  const whole = Math.max(0, ...balance.map((line) => formatCount(line.whole.value).length));
  return balance.flatMap((line) => {
    const mark = line.balanced ? style.good('✓') : style.bad('✗');
    const name = padToWidth(printable(line.label), label, 'left');
    const start = `${mark} ${name}  ${formatCount(line.whole.value).padStart(whole)} `;
    const lines: string[] = [];
    let current = start;
    for (const [at, part] of line.parts.entries()) {
      const text = `${at === 0 ? (line.balanced ? '=' : '≠') : '+'} ${printable(part.label)} ${formatCount(part.value)}`;
      if (at > 0 && widthOf(current) + widthOf(text) > width) {
        lines.push(current.trimEnd());
        current = ' '.repeat(widthOf(start));
      }
      current += `${text} `;
    }
    lines.push(current.trimEnd());
    if (!line.balanced) {
      const difference = line.whole.value - line.parts.reduce((sum, part) => sum + part.value, 0);
      lines.push(
        style.bad(
          `  ${' '.repeat(label)}  not balanced: ${difference === 0 ? 'an object is under way, or wrong by itself' : `${formatCount(Math.abs(difference))} ${difference > 0 ? 'missing' : 'too many'}`}`,
        ),
      );
    }
    return lines;
  });
}

function findingLines(findings: readonly Finding[], total: number, width: number, style: Style): string[] {
  if (findings.length === 0) return [];
  const marks = { critical: style.bad, warning: style.strong, info: undefined };
  return [
    style.strong(
      total > findings.length
        ? `${formatCount(findings.length)} of ${formatPlural(total, 'finding')}`
        : 'Findings',
    ),
    ...aligned(
      findings.map(({ severity = 'info', message }) => [severity, printable(message), marks[severity]]),
      width,
      style,
    ),
  ];
}

/** What is missing, and what to do about it. */
function todoLines(report: RunReport, width: number, style: Style): string[] {
  const todos: [string, string][] = [];
  for (const code of Object.keys(report.refused.byCode)) todos.push([code, remedyOf(code)]);
  // What has an open failure does not get better by starting again.
  if (!report.complete && report.refused.total + report.failed.total === 0)
    todos.push(['not complete', 'Start the same command again: it goes on where this run ended.']);
  for (const code of Object.keys(report.failed.byCode).slice(0, 5)) todos.push([code, remedyOf(code)]);
  if (todos.length === 0) return [];
  return [
    style.strong('What to do'),
    ...aligned(
      todos.map(([code, text]) => [printable(code), text]),
      width,
      style,
    ),
  ];
}

function remedyOf(code: string): string {
  if (!Object.hasOwn(errorCatalogue, code))
    return 'A code of the pipeline. Fix its code, then `sluice failures redrive <pipeline file>`.';
  const { meaning, remedy } = errorCatalogue[code as ErrorCode];
  return `${meaning} ${remedy}`;
}

/** Pairs as two columns, the first one faint; what is too long goes on in the second column. */
function aligned(pairs: readonly Pair[], width: number, style: Style): string[] {
  const label = Math.max(...pairs.map(([name]) => widthOf(name)));
  const indent = ' '.repeat(label + 4);
  return pairs.flatMap(([name, text, mark = (line) => line]) =>
    wrapped(text, Math.max(16, width - indent.length)).map((line, at) =>
      at === 0 ? `  ${style.faint(padToWidth(name, label, 'left'))}  ${mark(line)}` : indent + mark(line),
    ),
  );
}

/** Lines of at most `width` columns, broken at spaces; a word that is wider is cut. */
function wrapped(text: string, width: number): string[] {
  if (widthOf(text) <= width) return [text];
  const lines: string[] = [];
  let current = '';
  for (const word of text.split(' ')) {
    const longer = current === '' ? word : `${current} ${word}`;
    if (widthOf(longer) <= width) {
      current = longer;
      continue;
    }
    if (current !== '') lines.push(current);
    current = widthOf(word) <= width ? word : cutToWidth(word, width);
  }
  return [...lines, current];
}
