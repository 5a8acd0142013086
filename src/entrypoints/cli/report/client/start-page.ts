import type { ClientData } from '../client-data.ts';
import type { Browser, Chart, ChartClass, PageElement, Palette } from './browser.ts';
import type { drawGroups } from './draw-groups.ts';
import type { drawThroughput, Line } from './draw-throughput.ts';
import type { createFormats } from './formats.ts';
import type { createGroupsTable } from './groups-table.ts';

export interface PageParts {
  readonly createFormats: typeof createFormats;
  readonly createGroupsTable: typeof createGroupsTable;
  readonly drawGroups: typeof drawGroups;
  readonly drawThroughput: typeof drawThroughput;
}

/** Fills the page in: charts, and the table of groups. Draws again whenever the colours change, and for paper. */
export function startPage(browser: Browser, ChartJs: ChartClass, parts: PageParts): void {
  const { document } = browser;
  const element = (id: string) => document.getElementById(id);
  const data: ClientData = JSON.parse(element('data')?.textContent ?? '{}');
  const formats = parts.createFormats();
  const charts = new Map<string, Chart>();

  const palette = (): Palette => {
    const style = browser.getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
    return {
      text: color('text'),
      faint: color('faint'),
      grid: color('line'),
      range: color('range'),
      surface: color('surface'),
      first: color('first'),
      firstSoft: color('first-soft'),
      second: color('second'),
      secondSoft: color('second-soft'),
      third: color('third'),
    };
  };

  const draw = (id: string, make: (canvas: PageElement) => Chart): void => {
    const canvas = element(id);
    if (canvas === null) return;
    charts.get(id)?.destroy();
    charts.set(id, make(canvas));
  };

  const measure = element('measure');
  const order = element('order');
  const direction = element('direction');
  const amount = element('amount');
  const box = element('groups-box');

  function drawAllGroups(): void {
    if (measure === null || order === null || direction === null || amount === null || box === null) return;
    const chosen = data.measures[Number(measure.value)];
    const by = data.columns[Number(order.value)];
    if (chosen === undefined || by === undefined) return;
    const sign = direction.value === 'lowest' ? 1 : -1;
    const rows = [...data.groups.keys()]
      .filter((row) => typeof by.values[row] === 'number')
      .sort((a, b) => sign * (Number(by.values[a]) - Number(by.values[b])))
      .slice(0, Number(amount.value));
    const isRange = chosen.columns.length > 1;
    box.style.height = `${Math.max(1, rows.length) * 24 + (isRange ? 76 : 44)}px`;
    const caption = element('groups-caption');
    if (caption !== null)
      caption.textContent = `${chosen.name}: the ${rows.length} groups with the ${direction.value} ${by.title}`;
    const first = rows.length === 0 ? '' : `, ${data.groups[rows[0]!]} first`;
    element('groups-chart')?.setAttribute(
      'aria-label',
      `${chosen.name} of ${rows.length} groups, ${direction.value} ${by.title}${first}; the table below has the numbers`,
    );
    draw('groups-chart', (canvas) =>
      parts.drawGroups(
        ChartJs,
        canvas,
        { names: data.groups, rows, columns: data.columns, measure: chosen.columns },
        palette(),
        formats,
      ),
    );
  }

  function drawAll(): void {
    const colors = palette();
    ChartJs.defaults.font.family = browser
      .getComputedStyle(document.documentElement)
      .getPropertyValue('font-family');
    ChartJs.defaults.font.size = 12;
    ChartJs.defaults.color = colors.text;
    const { seconds, rowsPerSecond, appliedPerSecond, megabytesPerSecond } = data.throughput;
    if (seconds.length > 1) {
      const charted: readonly (readonly [string, readonly Line[]])[] = [
        [
          'rows-chart',
          [
            { unit: 'rows read/s', values: rowsPerSecond, color: colors.first, soft: colors.firstSoft },
            {
              unit: 'messages applied/s',
              values: appliedPerSecond,
              color: colors.third,
              soft: 'transparent',
            },
          ],
        ],
        [
          'bytes-chart',
          [{ unit: 'MB/s', values: megabytesPerSecond, color: colors.second, soft: colors.secondSoft }],
        ],
      ];
      for (const [id, lines] of charted)
        draw(id, (canvas) => parts.drawThroughput(ChartJs, canvas, seconds, lines, colors, formats));
    }
    drawAllGroups();
  }

  for (const control of [measure, order, direction, amount])
    control?.addEventListener('change', drawAllGroups);
  browser.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  browser.addEventListener('beforeprint', () => {
    document.documentElement.classList.add('paper');
    drawAll();
  });
  browser.addEventListener('afterprint', () => {
    document.documentElement.classList.remove('paper');
    drawAll();
  });
  parts.createGroupsTable(document, data, formats);
  drawAll();
  document.documentElement.classList.add('drawn');
}
