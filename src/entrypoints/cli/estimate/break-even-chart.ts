import type { BreakEven, Comparison } from './servers.ts';

const WIDTH = 760;
const HEIGHT = 440;
const PLOT = { left: 78, right: 24, top: 54, bottom: 58 };

/** Readable on light and on dark: the page's own colours where it says which it has. */
const STYLE = [
  'text{font:13px system-ui,sans-serif;fill:#24292f}',
  '.title{font-size:15px;font-weight:600}',
  '.faint{fill:#57606a}',
  '.grid{stroke:#d0d7de;stroke-width:1}',
  '.line{fill:none;stroke-width:2.5;stroke-linejoin:round}',
  '.serverless{stroke:#0969da}.servers{stroke:#bc4c00;stroke-dasharray:7 4}',
  'text.serverless{stroke:none;fill:#0969da}text.servers{stroke:none;fill:#bc4c00}',
  '.mark{stroke:#57606a;stroke-width:1.5;stroke-dasharray:2 3}.dot{fill:#24292f}',
  '.back{fill:#ffffff}',
  '@media (prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}.grid{stroke:#3d444d}.back{fill:#0d1117}.dot{fill:#e6edf3}.mark{stroke:#9198a1}',
  '.serverless{stroke:#58a6ff}.servers{stroke:#f0883e}text.serverless{fill:#58a6ff}text.servers{fill:#f0883e}}',
].join('');

/**
 * What both ways cost a month over messages a day, both axes logarithmic, as an SVG that stands by itself.
 *
 * @param region and `asOf` stand below the title: whose prices, and of which day
 */
export function drawBreakEven(
  { points, messagesPerDay }: BreakEven,
  { region, asOf }: { readonly region: string; readonly asOf: string },
): string {
  const costs = points.flatMap((point) => [point.serverlessUsdPerMonth, point.serversUsdPerMonth]);
  const x = scaleOf(
    points.map((point) => point.messagesPerDay),
    PLOT.left,
    WIDTH - PLOT.right,
  );
  const y = scaleOf(costs, HEIGHT - PLOT.bottom, PLOT.top);
  const pathOf = (cost: (point: Comparison) => number) =>
    points
      .map(
        (point, index) =>
          `${index === 0 ? 'M' : 'L'}${at(x.of(point.messagesPerDay))} ${at(y.of(cost(point)))}`,
      )
      .join('');
  const last = points.at(-1);
  const label = (name: string, text: string, cost: number, above: number) =>
    `<text class="${name}" x="${at(WIDTH - PLOT.right - 6)}" y="${at(y.of(cost) + above)}" text-anchor="end">${text}</text>`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="title">`,
    `<title id="title">${titleOf(messagesPerDay)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="back" width="${WIDTH}" height="${HEIGHT}"/>`,
    `<text class="title" x="${PLOT.left}" y="24">Serverless or servers: dollars a month over messages a day</text>`,
    `<text class="faint" x="${PLOT.left}" y="43">${region}, list prices of ${asOf}, without the database, which both need</text>`,
    ...x.ticks.map((tick) => gridLine(x.of(tick), PLOT.top, x.of(tick), HEIGHT - PLOT.bottom)),
    ...y.ticks.map((tick) => gridLine(PLOT.left, y.of(tick), WIDTH - PLOT.right, y.of(tick))),
    ...x.ticks.map(
      (tick) =>
        `<text class="faint" x="${at(x.of(tick))}" y="${HEIGHT - PLOT.bottom + 20}" text-anchor="middle">${short(tick)}</text>`,
    ),
    ...y.ticks.map(
      (tick) =>
        `<text class="faint" x="${PLOT.left - 8}" y="${at(y.of(tick) + 4)}" text-anchor="end">$${short(tick)}</text>`,
    ),
    `<text class="faint" x="${at((PLOT.left + WIDTH - PLOT.right) / 2)}" y="${HEIGHT - 12}" text-anchor="middle">messages a day</text>`,
    `<text class="faint" x="18" y="${at((PLOT.top + HEIGHT - PLOT.bottom) / 2)}" text-anchor="middle" transform="rotate(-90 18 ${at((PLOT.top + HEIGHT - PLOT.bottom) / 2)})">dollars a month</text>`,
    `<path class="line servers" d="${pathOf((point) => point.serversUsdPerMonth)}"/>`,
    `<path class="line serverless" d="${pathOf((point) => point.serverlessUsdPerMonth)}"/>`,
    ...(last === undefined
      ? []
      : [
          label('serverless', 'functions, queues, stream', last.serverlessUsdPerMonth, -10),
          label('servers', 'servers, always on', last.serversUsdPerMonth, 44),
        ]),
    ...markOf(messagesPerDay, points, x, y),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

function titleOf(messagesPerDay: number | null): string {
  return messagesPerDay === null
    ? 'Servers are nowhere cheaper than functions'
    : `Servers are cheaper than functions from ${short(messagesPerDay)} messages a day on`;
}

function markOf(messagesPerDay: number | null, points: readonly Comparison[], x: Scale, y: Scale): string[] {
  const point = points.find((each) => messagesPerDay !== null && each.messagesPerDay >= messagesPerDay);
  if (messagesPerDay === null || point === undefined) return [];
  const at_ = x.of(messagesPerDay);
  const height = y.of(point.serversUsdPerMonth);
  // On the side where there is room for it.
  const anchor = at_ > WIDTH / 2 ? 'end' : 'start';
  return [
    `<line class="mark" x1="${at(at_)}" y1="${PLOT.top}" x2="${at(at_)}" y2="${HEIGHT - PLOT.bottom}"/>`,
    `<circle class="dot" cx="${at(at_)}" cy="${at(height)}" r="4"/>`,
    `<text x="${at(at_ + (anchor === 'end' ? -8 : 8))}" y="${PLOT.top + 16}" text-anchor="${anchor}">break-even: ${short(messagesPerDay)} a day</text>`,
  ];
}

interface Scale {
  of(value: number): number;
  readonly ticks: readonly number[];
}

/** From whole powers of ten to whole powers of ten. */
function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    of: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
  };
}

function gridLine(x1: number, y1: number, x2: number, y2: number): string {
  return `<line class="grid" x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}"/>`;
}

function at(position: number): string {
  return String(Math.round(position * 10) / 10);
}

const UNITS = [
  [1e9, 'bn'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** `60M`, `1.3bn`. */
function short(value: number): string {
  for (const [size, unit] of UNITS)
    if (value >= size * 0.9995) return `${Number((value / size).toPrecision(3))}${unit}`;
  return String(Number(value.toPrecision(3)));
}
