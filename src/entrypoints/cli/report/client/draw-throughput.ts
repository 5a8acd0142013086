import type { Chart, ChartClass, PageElement, Palette } from './browser.ts';
import type { Formats } from './formats.ts';

export interface Line {
  readonly unit: string;
  readonly values: readonly number[];
  readonly color: string;
  /** What is below the line; `transparent` fills nothing. */
  readonly soft: string;
}

/** Lines over time. */
export function drawThroughput(
  ChartJs: ChartClass,
  canvas: PageElement,
  seconds: readonly number[],
  lines: readonly Line[],
  palette: Palette,
  formats: Formats,
): Chart {
  const axis = { color: palette.faint, maxRotation: 0, autoSkipPadding: 16 };
  return new ChartJs(canvas, {
    type: 'line',
    data: {
      datasets: lines.map(({ unit, values, color, soft }) => ({
        label: unit,
        data: seconds.map((second, at) => ({ x: second, y: values[at]! })),
        borderColor: color,
        backgroundColor: soft,
        borderWidth: 2,
        fill: 'origin',
        cubicInterpolationMode: 'monotone',
        pointRadius: 0,
        pointHitRadius: 12,
        pointBackgroundColor: color,
      })),
    },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: 'index', intersect: false },
      plugins: {
        legend: {
          display: lines.length > 1,
          position: 'top',
          align: 'start',
          // A line stands for itself, not the field below it.
          labels: { color: palette.text, usePointStyle: true, pointStyle: 'line', padding: 14 },
        },
        tooltip: {
          displayColors: lines.length > 1,
          callbacks: {
            title: (items: readonly { parsed: { x: number } }[]) => `after ${items[0]?.parsed.x ?? 0} s`,
            label: (item: { parsed: { y: number }; dataset: { label: string } }) =>
              `${item.parsed.y >= 1_000 ? formats.count(item.parsed.y) : formats.short(item.parsed.y)} ${item.dataset.label}`,
          },
        },
      },
      scales: {
        x: {
          type: 'linear',
          min: 0,
          max: seconds.at(-1) ?? 1,
          grid: { display: false },
          border: { color: palette.grid },
          ticks: {
            ...axis,
            includeBounds: false,
            callback: (value: number) => `${Number(value.toPrecision(4))} s`,
          },
        },
        y: {
          beginAtZero: true,
          border: { display: false },
          grid: { color: palette.grid },
          ticks: { ...axis, maxTicksLimit: 6, callback: (value: number) => formats.short(value) },
        },
      },
    },
  });
}
