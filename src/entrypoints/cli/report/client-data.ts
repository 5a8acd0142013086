import type { MeasureKind } from '../../../domain/measure.ts';
import type { PublishedGroup } from '../../../domain/ports/result-store.ts';
import type { ProgressSample, ReportPageData } from '../run-report.ts';
import { columnDecimals } from '../terminal/format.ts';
import { allColumns } from '../terminal/results-table.ts';
import { jsonValue } from '../terminal/table.ts';
import { printable } from '../terminal/text.ts';

/** What the script of the page works with. Values stand by column: names once, and small. */
export interface ClientData {
  readonly groups: readonly string[];
  /** Groups of the generation, of which the page shows the largest. */
  readonly groupsInAll: number;
  readonly columns: readonly ClientColumn[];
  readonly measures: readonly ClientMeasure[];
  /** By group; as `kind: message`. */
  readonly findings: readonly (readonly ClientFinding[])[];
  readonly throughput: Throughput;
}

export interface ClientColumn {
  readonly title: string;
  /** `null`: it holds text. */
  readonly decimals: number | null;
  /** By group. */
  readonly values: readonly (number | string | null)[];
}

export interface ClientMeasure {
  readonly name: string;
  readonly kind: MeasureKind;
  /** Its columns, by number: one, or for quantiles `count`, `min`, `p50`, `p90`, `p95`, `p99`, `max`. */
  readonly columns: readonly number[];
}

export interface ClientFinding {
  readonly kind: string;
  readonly severity: string;
  readonly message: string;
}

/** Rates between the samples; `seconds` is where each stretch ends. */
export interface Throughput {
  readonly seconds: readonly number[];
  readonly rowsPerSecond: readonly number[];
  /** Messages. */
  readonly appliedPerSecond: readonly number[];
  readonly megabytesPerSecond: readonly number[];
}

/** Characters of JSON that groups may take, so that a page stays small whatever the measures and names. */
const MAX_GROUPS_JSON = 200_000;
const MAX_NAME_LENGTH = 120;
const MAX_MESSAGE_LENGTH = 200;
const MAX_FINDINGS_OF_GROUP = 3;
/** Points of a chart over time: more than a chart has room for helps nobody. */
const MAX_POINTS = 160;

export function clientData({ report, samples, measures, groups }: ReportPageData): ClientData {
  const [, ...columns] = allColumns(measures).slice(0, -1);
  const kept = groupsWithin(
    MAX_GROUPS_JSON,
    groups.map((group) => ({
      name: clipped(group.group, MAX_NAME_LENGTH),
      values: columns.map((column) => plainValue(column.value(group))),
      findings: findingsOf(group),
    })),
  );
  let nextColumn = 0;
  return {
    groups: kept.map(({ name }) => name),
    groupsInAll: Math.max(report.groups, groups.length),
    columns: columns.map(({ title }, at) => {
      const values = kept.map((group) => group.values[at]!);
      const numeric = values.every((value) => typeof value !== 'string');
      return { title: printable(title), decimals: numeric ? columnDecimals(values) : null, values };
    }),
    measures: measures.map(({ name, kind }) => ({
      name: printable(name),
      kind,
      columns: Array.from({ length: kind === 'quantiles' ? 7 : 1 }, () => nextColumn++),
    })),
    findings: kept.map((group) => group.findings),
    throughput: throughputOf(samples),
  };
}

/** Rates over stretches of about the same length, at most `MAX_POINTS` of them. */
export function throughputOf(samples: readonly ProgressSample[]): Throughput {
  const seconds: number[] = [];
  const rowsPerSecond: number[] = [];
  const appliedPerSecond: number[] = [];
  const megabytesPerSecond: number[] = [];
  const end = samples.at(-1)?.seconds ?? 0;
  // Shorter stretches show how results arrive in pieces, not how fast the run is.
  const stretch = Math.max(end / MAX_POINTS, Math.min(0.5, end / 20));
  let start = { seconds: 0, rows: 0, applied: 0, bytes: 0 };
  for (const [at, { seconds: now, counters }] of samples.entries()) {
    const passed = now - start.seconds;
    // What is left over at the end would be a stretch too short to measure: it is left out.
    if (passed <= 0 || (passed < stretch * 0.999 && (at < samples.length - 1 || seconds.length > 0)))
      continue;
    const rows = counters.rowsRead ?? 0;
    const bytes = counters.bytesRead ?? 0;
    const applied = counters.applied ?? 0;
    seconds.push(rounded(now));
    rowsPerSecond.push(Math.round((rows - start.rows) / passed));
    appliedPerSecond.push(Math.round((applied - start.applied) / passed));
    megabytesPerSecond.push(rounded((bytes - start.bytes) / passed / 1_000_000));
    start = { seconds: now, rows, applied, bytes };
  }
  return { seconds, rowsPerSecond, appliedPerSecond, megabytesPerSecond };
}

interface ClientGroup {
  readonly name: string;
  readonly values: readonly (number | string | null)[];
  readonly findings: readonly ClientFinding[];
}

function groupsWithin(limit: number, groups: readonly ClientGroup[]): ClientGroup[] {
  let taken = 0;
  const kept: ClientGroup[] = [];
  for (const group of groups) {
    taken += JSON.stringify(group).length;
    if (taken > limit && kept.length > 0) break;
    kept.push(group);
  }
  return kept;
}

function findingsOf({ findings }: PublishedGroup): ClientFinding[] {
  return findings.slice(0, MAX_FINDINGS_OF_GROUP).map(({ kind, severity = 'info', message }) => ({
    kind: clipped(kind, MAX_NAME_LENGTH),
    severity,
    message: clipped(message, MAX_MESSAGE_LENGTH),
  }));
}

/** Six digits of a fraction are more than a sketch knows and a chart shows; whole numbers stay exact. */
function plainValue(value: unknown): number | string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return null;
    if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
    return Number.isInteger(value) ? value : Number(value.toPrecision(6));
  }
  return clipped(typeof value === 'string' ? value : JSON.stringify(value, jsonValue), MAX_NAME_LENGTH);
}

function clipped(text: string, length: number): string {
  return printable(text.length > length ? `${text.slice(0, length)}…` : text);
}

function rounded(value: number): number {
  return Number(value.toPrecision(5));
}
