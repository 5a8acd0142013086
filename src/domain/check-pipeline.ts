import { columnNames, columnTypes, type Columns } from './columns.ts';
import { DomainError } from './errors.ts';
import { defaultLimits } from './limits.ts';
import type { Mask } from './mask.ts';
import { measureKinds, type Measures } from './measure.ts';
import type { AnyPipeline, CsvOptions } from './pipeline.ts';
import { parseWhere } from './predicate.ts';

const fields = {
  'a pipeline': [
    'name',
    'version',
    'source',
    'transform',
    'partitionBy',
    'analyze',
    'partitions',
    'frames',
    'limits',
    'mask',
  ],
  source: ['format', 'compression', 'csv', 'columns', 'where', 'schema', 'id', 'time'],
  analyze: ['groupBy', 'measures', 'findings', 'flag'],
} as const;

/**
 * What is declared under a name that nobody reads would be left undone in silence: masking above all.
 *
 * @throws DomainError `E_PIPELINE_INVALID`, naming the field
 */
export function checkFields(declaration: object): void {
  const { source, analyze } = declaration as { readonly source?: unknown; readonly analyze?: unknown };
  demandFields(declaration, 'a pipeline', '');
  if (typeof source === 'object' && source !== null) demandFields(source, 'source', 'source.');
  if (typeof analyze === 'object' && analyze !== null) demandFields(analyze, 'analyze', 'analyze.');
}

function demandFields(declared: object, of: keyof typeof fields, prefix: string): void {
  const known: readonly string[] = fields[of];
  for (const name of Object.keys(declared))
    demand(known.includes(name), `${prefix}${name}`, `is no field of ${of}; there are ${known.join(', ')}`);
}

/**
 * Types do not hold at run time: a pipeline may be JavaScript.
 *
 * @throws DomainError `E_PIPELINE_INVALID` (`E_WHERE_INVALID` for the predicate), naming the field
 */
export function checkPipeline(pipeline: AnyPipeline): void {
  const { name, version, source, analyze, partitions } = pipeline;
  demand(
    typeof name === 'string' && /^[\w-]{1,64}$/.test(name),
    'name',
    'must be 1 to 64 letters, digits, - or _',
  );
  demandWhole(version, 'version');
  demandObject(source, 'source');
  checkSource(source);
  demandOneOf(pipeline.frames, ['packed', 'json'], 'frames');
  demandFunction(pipeline.transform, 'transform');
  demandOptionalFunction(pipeline.partitionBy, 'partitionBy');
  demandWhole(partitions, 'partitions');
  demand(partitions <= 4096, 'partitions', 'must be at most 4,096');
  for (const [limit, value] of Object.entries(pipeline.limits)) {
    demand(
      Object.hasOwn(defaultLimits, limit),
      `limits.${limit}`,
      `is no limit; there are ${Object.keys(defaultLimits).join(', ')}`,
    );
    demandWhole(value, `limits.${limit}`);
  }
  if (pipeline.mask !== undefined) checkMask(pipeline.mask, source.columns);
  demandObject(analyze, 'analyze');
  demandFunction(analyze.groupBy, 'analyze.groupBy');
  demandOptionalFunction(analyze.findings, 'analyze.findings');
  demandOptionalFunction(analyze.flag, 'analyze.flag');
  checkMeasures(analyze.measures as Measures);
}

function checkSource(source: AnyPipeline['source']): void {
  demandOneOf(source.format, ['csv', 'jsonl', 'json', 'parquet'], 'source.format');
  demandOneOf(source.compression, ['none', 'gzip', 'zstd'], 'source.compression');
  demandOptionalFunction(source.id, 'source.id');
  demandOptionalFunction(source.time, 'source.time');
  demand(
    source.time === undefined || source.id !== undefined,
    'source.time',
    'needs source.id: the time of a message is part of what names it',
  );
  if (source.csv !== undefined) checkCsv(source.csv);
  if (source.columns !== undefined) checkColumns(source.columns);
  if (source.where !== undefined) parseWhere(source.where);
  if (source.schema !== undefined) {
    const standard: unknown = source.schema['~standard'];
    demand(
      typeof standard === 'object' && standard !== null,
      'source.schema',
      'must follow Standard Schema (zod, valibot, arktype)',
    );
  }
}

function checkColumns(columns: Columns): void {
  demandObject(columns, 'source.columns');
  const names = Array.isArray(columns) ? (columns as readonly unknown[]) : Object.keys(columns);
  demand(names.length > 0, 'source.columns', 'must name a column; leave it out to read all');
  demand(new Set(names).size === names.length, 'source.columns', 'names a column twice');
  for (const name of names) demand(typeof name === 'string', 'source.columns', 'must hold names');
  if (Array.isArray(columns)) return;
  for (const [name, type] of Object.entries(columns))
    demandOneOf(type, columnTypes, `source.columns.${name}`);
}

function checkCsv(csv: CsvOptions): void {
  demandObject(csv, 'source.csv');
  const { delimiter, quote, header } = csv;
  if (delimiter !== undefined)
    demand(isOneByte(delimiter), 'source.csv.delimiter', 'must be one ASCII character, no line end');
  if (quote !== undefined && quote !== false) {
    demand(isOneByte(quote), 'source.csv.quote', 'must be one ASCII character, no line end, or false');
    demand(quote !== (delimiter ?? ','), 'source.csv.quote', 'must differ from the delimiter');
  }
  if (Array.isArray(header)) {
    demand(
      header.length > 0 && header.every((name) => typeof name === 'string'),
      'source.csv.header',
      'must hold names',
    );
    demand(new Set(header).size === header.length, 'source.csv.header', 'names a column twice');
  } else demandOneOf(header, [true, false], 'source.csv.header');
  demandOneOf(csv.multiline, [true, false], 'source.csv.multiline');
  demandOneOf(csv.ragged, ['fail', 'pad'], 'source.csv.ragged');
}

function checkMask(mask: Mask, columns: Columns | undefined): void {
  demandObject(mask, 'mask');
  for (const [list, paths] of Object.entries(mask) as [string, unknown][]) {
    demandOneOf(list, ['rows', 'messages'], 'mask: each list');
    if (paths === undefined) continue;
    demand(
      Array.isArray(paths) && paths.every((path) => typeof path === 'string' && path !== ''),
      `mask.${list}`,
      'must hold names of fields',
    );
  }
  if (columns === undefined) return;
  const names = columnNames(columns);
  for (const path of mask.rows ?? []) {
    demand(
      names.some((name) => path === name || path.startsWith(`${name}.`)),
      `mask.rows: ${path}`,
      `is no column; there are ${names.join(', ')}`,
    );
  }
}

function isOneByte(text: unknown): boolean {
  return (
    typeof text === 'string' &&
    text.length === 1 &&
    text > '\0' &&
    text < '\u0080' &&
    text !== '\r' &&
    text !== '\n'
  );
}

function checkMeasures(measures: Measures): void {
  demandObject(measures, 'analyze.measures');
  for (const [name, measure] of Object.entries(measures)) {
    const field = `analyze.measures.${name}`;
    demand(name !== '', 'analyze.measures', 'has a measure without a name');
    demand(measureKinds.includes(measure?.kind), field, 'must be made by count(), sum(), … of sluice');
    if (measure.kind !== 'count') demandFunction(measure.of, field);
  }
}

function demandFunction(value: unknown, field: string): void {
  demand(typeof value === 'function', field, 'must be a function');
}

function demandOptionalFunction(value: unknown, field: string): void {
  if (value !== undefined) demandFunction(value, field);
}

function demandObject(value: unknown, field: string): void {
  demand(
    typeof value === 'object' && value !== null,
    field,
    value === undefined ? 'is missing' : 'must be an object',
  );
}

function demandWhole(value: unknown, field: string): void {
  demand(Number.isSafeInteger(value) && (value as number) >= 1, field, 'must be a whole number from 1');
}

function demandOneOf(value: unknown, allowed: readonly unknown[], field: string): void {
  demand(value === undefined || allowed.includes(value), field, `must be one of ${allowed.join(', ')}`);
}

function demand(holds: boolean, field: string, problem: string): void {
  if (!holds) throw new DomainError(`${field} ${problem}`, { code: 'E_PIPELINE_INVALID' });
}
