import type { MeasureKind, Quantiles } from '../../../domain/measure.ts';
import type { PublishedGroup } from '../../../domain/ports/result-store.ts';
import { jsonValue, plainText, type Column } from './table.ts';

export interface MeasureColumn {
  readonly name: string;
  readonly kind: MeasureKind;
}

/** A column of results, and how it reads its value from a group. */
export interface ResultColumn extends Column {
  readonly value: (group: PublishedGroup) => unknown;
}

const quantileNames = ['p50', 'p90', 'p95', 'p99'] as const satisfies readonly (keyof Quantiles)[];
const everyQuantile = [
  'count',
  'min',
  ...quantileNames,
  'max',
] as const satisfies readonly (keyof Quantiles)[];

/** The columns that a person wants: a quantile measure shows its middle and its tail. */
export function tableColumns(measures: readonly MeasureColumn[]): ResultColumn[] {
  return resultColumns(measures, quantileNames);
}

/** Every value there is, for other programs to read. */
export function allColumns(measures: readonly MeasureColumn[]): ResultColumn[] {
  return resultColumns(measures, everyQuantile);
}

/** The rows of `tableColumns` or `allColumns`. */
export function resultRows(
  columns: readonly ResultColumn[],
  groups: readonly PublishedGroup[],
): readonly (readonly unknown[])[] {
  return groups.map((group) => columns.map((column) => column.value(group)));
}

/**
 * Results as CSV (RFC 4180, lines ended by `\n`): a header, then a line per group, made as they are read.
 * Quantile measures take a column per quantile (`delay.p50`); findings are JSON.
 */
export async function* resultsAsCsv(
  measures: readonly MeasureColumn[],
  groups: AsyncIterable<PublishedGroup> | Iterable<PublishedGroup>,
): AsyncGenerator<string> {
  const columns = allColumns(measures);
  yield csvLine(columns.map(({ title }) => title));
  for await (const group of groups) yield csvLine(columns.map((column) => column.value(group)));
}

/** Results as one JSON array with a group on each line, so that both `JSON.parse` and line by line tools read it. */
export async function* resultsAsJson(
  groups: AsyncIterable<PublishedGroup> | Iterable<PublishedGroup>,
): AsyncGenerator<string> {
  let before = '[\n';
  for await (const { group, measures, findings } of groups) {
    yield before + JSON.stringify({ group, measures, findings }, jsonValue);
    before = ',\n';
  }
  yield before === '[\n' ? '[]\n' : '\n]\n';
}

/** One line of CSV, ended by `\n`. */
export function csvLine(values: readonly unknown[]): string {
  return values.map((value) => csvField(plainText(value))).join(',') + '\n';
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

function resultColumns(
  measures: readonly MeasureColumn[],
  quantiles: readonly (keyof Quantiles)[],
): ResultColumn[] {
  const ofMeasures = measures.flatMap(({ name, kind }): ResultColumn[] =>
    kind === 'quantiles'
      ? quantiles.map((quantile) => ({
          title: `${name}.${quantile}`,
          align: 'right',
          value: (group) => quantileOf(group.measures[name], quantile),
        }))
      : [{ title: name, align: 'right', value: (group) => group.measures[name] }],
  );
  return [
    { title: 'group', value: (group) => group.group },
    ...ofMeasures,
    {
      title: 'findings',
      format: (value) => (Array.isArray(value) ? value.map(({ kind }) => String(kind)).join(', ') : ''),
      value: (group) => group.findings,
    },
  ];
}

function quantileOf(value: unknown, quantile: keyof Quantiles): unknown {
  return typeof value === 'object' && value !== null ? (value as Partial<Quantiles>)[quantile] : null;
}
