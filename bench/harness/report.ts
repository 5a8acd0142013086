import type { Case, Contender, Goal, Measured } from './contender.ts';
import type { Rounds } from './measure.ts';
import { spreadOf, type Spread } from './statistics.ts';

export interface ContenderReport {
  readonly name: string;
  /** Amount a second on the clock, and a second of CPU time. */
  readonly perSecond: Spread;
  readonly perCpuSecond: Spread;
  readonly wallSeconds: Spread;
  readonly cpuSeconds: Spread;
  readonly peakMebibytes: Spread;
  readonly counts: Measured['counts'];
}

export interface GoalReport extends Goal {
  /** Round by round, the speed of the one over that of the other. */
  readonly ratio: Spread;
  readonly reached: boolean;
}

export interface CaseReport {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly contenders: readonly ContenderReport[];
  readonly goals: readonly GoalReport[];
}

export function reportOf({ name, title, unit, contenders, goals }: Case, rounds: Rounds): CaseReport {
  const amounts = new Map(contenders.map((contender) => [contender.name, contender.amount]));
  const speeds = (of: string, by: Goal['by']): number[] =>
    (rounds.get(of) ?? []).map(
      ({ wallMs, cpuMs }) => (amounts.get(of) as number) / ((by === 'wall' ? wallMs : cpuMs) / 1_000),
    );
  return {
    name,
    title,
    unit,
    contenders: contenders.map((contender) =>
      contenderReport(contender, rounds.get(contender.name) ?? [], speeds),
    ),
    goals: goals.map((goal) => {
      const others = speeds(goal.over, goal.by);
      const ratio = spreadOf(
        speeds(goal.of, goal.by).map((speed, round) => speed / (others[round] as number)),
      );
      return { ...goal, ratio, reached: ratio.median >= goal.atLeast };
    }),
  };
}

function contenderReport(
  { name }: Contender,
  measured: readonly Measured[],
  speeds: (of: string, by: Goal['by']) => number[],
): ContenderReport {
  return {
    name,
    perSecond: spreadOf(speeds(name, 'wall')),
    perCpuSecond: spreadOf(speeds(name, 'cpu')),
    wallSeconds: spreadOf(measured.map(({ wallMs }) => wallMs / 1_000)),
    cpuSeconds: spreadOf(measured.map(({ cpuMs }) => cpuMs / 1_000)),
    peakMebibytes: spreadOf(measured.map(({ peakBytes }) => peakBytes / 2 ** 20)),
    counts: measured.at(-1)?.counts ?? {},
  };
}

export function renderReport({ title, unit, contenders, goals }: CaseReport): string {
  const first = contenders[0];
  const rows = contenders.map((one) => [
    one.name,
    shown(one.perSecond.median),
    `${shown(one.perSecond.min)} to ${shown(one.perSecond.max)}`,
    shown(one.perCpuSecond.median),
    `${((first?.perSecond.median ?? 0) / one.perSecond.median).toFixed(2)} ×`,
    one.wallSeconds.median.toFixed(2),
    one.cpuSeconds.median.toFixed(2),
    one.peakMebibytes.max.toFixed(0),
  ]);
  const head = ['', `${unit}/s`, 'min to max', '/CPU s', 'slower by', 'seconds', 'CPU s', 'peak MiB'];
  const told = goals.map(
    ({ says, ratio, reached }) =>
      `  ${reached ? '✓' : '✗'} ${says}: ${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`,
  );
  return [title, ...aligned([head, ...rows]), ...told, ''].join('\n');
}

function shown(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths =
    rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
      )
      .join('  '),
  );
}
