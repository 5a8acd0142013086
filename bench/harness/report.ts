import type { Case, Contender, Measured, Turn } from './contender.ts';
import type { Rounds } from './measure.ts';
import { spreadOf, type Spread } from './statistics.ts';

export interface ContenderReport {
  readonly name: string;
  /** Amount a second on the clock, and a second of CPU time. */
  readonly perSecond: Spread;
  readonly perCpuSecond: Spread;
  /** The first contender's speed over this one's, round by round: on the clock, and by CPU time. */
  readonly firstOverThis: { readonly wall: Spread; readonly cpu: Spread };
  readonly wallSeconds: Spread;
  readonly cpuSeconds: Spread;
  readonly peakMebibytes: Spread;
  readonly counts: Measured['counts'];
}

export interface GoalReport {
  readonly says: string;
  readonly value: Spread;
  readonly reached: boolean;
}

export interface CaseReport extends Pick<Case, 'title' | 'unit'> {
  readonly name: string;
  readonly contenders: readonly ContenderReport[];
  readonly goals: readonly GoalReport[];
}

export function reportOf(
  name: string,
  { title, unit, contenders, goals, whole = false }: Case,
  rounds: Rounds,
): CaseReport {
  const turns = new Map(
    contenders.map((contender) => [
      contender.name,
      (rounds.get(contender.name) ?? []).map((measured) => turnOf(contender, measured, whole)),
    ]),
  );
  const first = turns.get(contenders[0]?.name ?? '') ?? [];
  const reports = [...turns].map(([contender, own]) => contenderReport(contender, own, first));
  return {
    name,
    title,
    unit,
    contenders: reports,
    goals: goals.map(({ says, value, atLeast = -Infinity, atMost = Infinity }) => {
      const values = spreadOf(first.map((_, round) => value((of) => turns.get(of)?.[round] as Turn)));
      return { says, value: values, reached: values.median >= atLeast && values.median <= atMost };
    }),
  };
}

function turnOf({ amount }: Contender, measured: Measured, whole: boolean): Turn {
  const { wallMs, cpuMs } = whole ? { wallMs: measured.wholeWallMs, cpuMs: measured.wholeCpuMs } : measured;
  return { measured, wall: (amount * 1_000) / wallMs, cpu: (amount * 1_000) / cpuMs };
}

function contenderReport(name: string, turns: readonly Turn[], first: readonly Turn[]): ContenderReport {
  const over = (by: 'wall' | 'cpu') =>
    spreadOf(turns.map((turn, round) => (first[round] as Turn)[by] / turn[by]));
  const measured = turns.map((turn) => turn.measured);
  return {
    name,
    perSecond: spreadOf(turns.map(({ wall }) => wall)),
    perCpuSecond: spreadOf(turns.map(({ cpu }) => cpu)),
    firstOverThis: { wall: over('wall'), cpu: over('cpu') },
    wallSeconds: spreadOf(measured.map(({ wallMs }) => wallMs / 1_000)),
    cpuSeconds: spreadOf(measured.map(({ cpuMs }) => cpuMs / 1_000)),
    peakMebibytes: spreadOf(measured.map(({ peakBytes }) => peakBytes / 2 ** 20)),
    counts: measured.at(-1)?.counts ?? {},
  };
}

export function renderReport({ name, title, unit, contenders, goals }: CaseReport): string {
  const rows = contenders.map((one) => [
    one.name,
    shown(one.perSecond.median),
    shown(one.perCpuSecond.median),
    ratio(one.firstOverThis.wall),
    ratio(one.firstOverThis.cpu),
    one.wallSeconds.median.toFixed(2),
    one.cpuSeconds.median.toFixed(2),
    one.peakMebibytes.max.toFixed(0),
  ]);
  const head = [unit, 'a second', 'a CPU s', 'first / this', '… by CPU', 'seconds', 'CPU s', 'peak MiB'];
  const told = goals.map(
    ({ says, value, reached }) =>
      `  ${reached ? '✓' : '✗'} ${says}: ${shown(value.median)} (${shown(value.min)} to ${shown(value.max)})`,
  );
  return [`${name}: ${title}`, ...aligned([head, ...rows]), ...told, ''].join('\n');
}

function ratio({ median, min, max }: Spread): string {
  return `${shown(median)} (${shown(min)} to ${shown(max)})`;
}

function shown(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  );
}
