import type { Chart, ChartClass, PageElement, Palette } from './browser.ts';
import type { Formats } from './formats.ts';

/** One line over time, filled softly. */
export function drawThroughput(
  ChartJs: ChartClass,
  canvas: PageElement,
  series: {
    readonly seconds: readonly number[];
    readonly values: readonly number[];
    readonly unit: string;
    readonly color: string;
    readonly soft: string;
  },
  palette: Palette,
  formats: Formats,
): Chart {
  const { seconds, values, unit, color, soft } = series;
  const points = seconds.map((second, at) => ({ x: second, y: values[at]! }));
  const axis = { color: palette.faint, maxRotation: 0, autoSkipPadding: 16 };
  return new ChartJs(canvas, {
    type: 'line',
    data: {
      datasets: [
        {
          label: unit,
          data: points,
          borderColor: color,
          backgroundColor: soft,
          borderWidth: 2,
          fill: 'origin',
          tension: 0.25,
          cubicInterpolationMode: 'monotone',
          pointRadius: 0,
          pointHitRadius: 12,
          pointBackgroundColor: color,
        },
      ],
    },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: 'index', intersect: false },
      plugins: {
        legend: { display: false },
        tooltip: {
          displayColors: false,
          callbacks: {
            title: (items: readonly { parsed: { x: number } }[]) => `after ${items[0]?.parsed.x ?? 0} s`,
            label: (item: { parsed: { y: number } }) =>
              `${item.parsed.y >= 1_000 ? formats.count(item.parsed.y) : formats.short(item.parsed.y)} ${unit}`,
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
          ticks: { ...axis, callback: (value: number) => `${Number(value.toPrecision(4))} s` },
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
