import type { ClientColumn } from '../client-data.ts';
import type { Chart, ChartClass, PageElement, Palette } from './browser.ts';
import type { Formats } from './formats.ts';

export interface GroupsView {
  readonly names: readonly string[];
  /** Rows of the columns, in the order in which they are drawn. */
  readonly rows: readonly number[];
  readonly columns: readonly ClientColumn[];
  /** The columns of the measure: one, or seven for quantiles. */
  readonly measure: readonly number[];
}

/** Bars for a measure of one value; for quantiles the range from p50 to p99, with p50, p95 and p99 marked. */
export function drawGroups(
  ChartJs: ChartClass,
  canvas: PageElement,
  view: GroupsView,
  palette: Palette,
  formats: Formats,
): Chart {
  const { names, rows, columns, measure } = view;
  const column = (at: number) => columns[measure[at]!]!;
  const numbers = (at: number) =>
    rows.map((row) => {
      const value = column(at).values[row];
      return typeof value === 'number' ? value : null;
    });
  // Where in `measure` the quantiles stand.
  const p50 = 2;
  const p95 = 4;
  const p99 = 5;
  const isRange = measure.length > 1;
  const marks = (label: string, at: number, color: string, pointStyle: string) => ({
    type: 'line',
    label,
    data: numbers(at),
    showLine: false,
    pointStyle,
    pointRadius: 6,
    pointHoverRadius: 7,
    pointBackgroundColor: color,
    pointBorderColor: palette.surface,
    pointBorderWidth: 1,
    backgroundColor: color,
    borderColor: color,
  });
  const low = isRange ? numbers(p50) : [];
  const high = isRange ? numbers(p99) : [];
  const datasets = isRange
    ? [
        marks('p50, the median', p50, palette.first, 'circle'),
        marks('p95', p95, palette.second, 'rectRot'),
        marks('p99', p99, palette.third, 'triangle'),
        {
          type: 'bar',
          label: 'p50 to p99',
          data: low.map((from, at) => (from === null || high[at] === null ? null : [from, high[at]])),
          backgroundColor: palette.range,
          borderRadius: 3,
          barThickness: 6,
        },
      ]
    : [
        {
          type: 'bar',
          label: column(0).title,
          data: numbers(0),
          backgroundColor: palette.first,
          borderRadius: 3,
          maxBarThickness: 16,
        },
      ];
  const clip = (name: string) => {
    const characters = Array.from(new Intl.Segmenter('en').segment(name), ({ segment }) => segment);
    return characters.length > 22 ? `${characters.slice(0, 21).join('')}…` : name;
  };
  return new ChartJs(canvas, {
    type: 'bar',
    data: { labels: rows.map((row) => names[row]), datasets },
    options: {
      indexAxis: 'y',
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: 'index', axis: 'y', intersect: false },
      plugins: {
        legend: {
          display: isRange,
          position: 'top',
          align: 'start',
          labels: { usePointStyle: true, color: palette.text, boxHeight: 8, padding: 16 },
          // Taking a part of the range away would leave a picture that says something else.
          onClick: () => undefined,
        },
        tooltip: {
          displayColors: false,
          // One tooltip for the group, with all its values.
          filter: (item: { datasetIndex: number }) => item.datasetIndex === 0,
          callbacks: {
            label: (item: { dataIndex: number }) =>
              measure.map((number) => {
                const { title, decimals, values } = columns[number]!;
                return `${title}: ${formats.value(values[rows[item.dataIndex]!], decimals)}`;
              }),
          },
        },
      },
      scales: {
        x: {
          position: 'top',
          border: { display: false },
          grid: { color: palette.grid },
          ticks: {
            color: palette.faint,
            maxRotation: 0,
            autoSkipPadding: 16,
            callback: (value: number) => formats.short(value),
          },
        },
        y: {
          border: { color: palette.grid },
          grid: { display: false },
          ticks: {
            color: palette.text,
            autoSkip: false,
            callback: (_value: number, at: number) => clip(names[rows[at]!] || '(empty)'),
          },
        },
      },
    },
  });
}
