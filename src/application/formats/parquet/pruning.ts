import type { ColumnMetaData } from 'hyparquet';
import { hashParquetValue, readBloomFilter, sbbfContains } from 'hyparquet/src/bloom.js';
import { castTo } from '../../../domain/cast.ts';
import { columnType, type Columns, type ColumnType } from '../../../domain/columns.ts';
import {
  comparerWith,
  knowledgeOfValue,
  possibleOutcomes,
  type ColumnKnowledge,
  type ElementaryTest,
} from '../../../domain/predicate.ts';
import type { ObjectBytes, ReadOptions } from '../decoder.ts';
import { readRange } from './byte-reading.ts';
import type { ParquetFile, StoredGroup } from './footer.ts';
import { isFlat, type ColumnNode, type Leaf } from './schema.ts';
import { checkThrift } from './thrift-check.ts';
import { millisecondsOf, numberOrBigint, type ComparisonKind } from './values.ts';

/** Larger filters than this are not read. In bytes. */
const MAX_BLOOM_BYTES = 4 * 1024 * 1024;
/** A filter whose length the footer does not tell: its header is within these bytes. */
const BLOOM_HEADER_BYTES = 64;

/**
 * Whether a row group may hold a row that `where` keeps, by its statistics and then, where equality is asked for, by
 * its bloom filters. Says no only where decoding and filtering would keep no row.
 *
 * @param neededBytes stored bytes of the columns that would be read: filters that cost more are left alone
 */
export async function mayHoldMatches(
  object: ObjectBytes,
  file: ParquetFile,
  group: StoredGroup,
  options: Pick<ReadOptions, 'columns' | 'where' | 'pathColumns'>,
  neededBytes: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { where } = options;
  if (where === undefined) return true;
  const known = new Map<string, ColumnKnowledge | undefined>();
  const equalities = new Set<string>();
  const outcome = possibleOutcomes(where, (column) => {
    if (!known.has(column)) known.set(column, knowledgeOf(file, group, column, options));
    const knowledge = known.get(column);
    return knowledge && ((test) => (noteEquality(test, column, equalities), knowledge(test)));
  });
  if (!outcome.pass) return false;
  const filtered = await withBloomFilters(
    object,
    file,
    group,
    equalities,
    options.columns,
    known,
    neededBytes,
    signal,
  );
  return filtered === undefined || possibleOutcomes(where, (column) => filtered.get(column)).pass;
}

function noteEquality(test: ElementaryTest, column: string, equalities: Set<string>): void {
  if (test.operator === '$eq' && test.operand !== null) equalities.add(column);
}

/** `undefined`: nothing is known. */
function knowledgeOf(
  file: ParquetFile,
  group: StoredGroup,
  column: string,
  options: Pick<ReadOptions, 'columns' | 'pathColumns'>,
): ColumnKnowledge | undefined {
  const declared = columnType(options.columns, column);
  if (Object.hasOwn(options.pathColumns, column)) return knowledgeOfPath(column, declared, options);
  const node = file.columns.get(column);
  if (node === undefined) return knowledgeOfValue(null);
  const metadata = flatMetadataOf(group, node);
  if (metadata === undefined) return undefined;
  const leaf = node.leaves[0]!;
  return keepsMeaning(leaf.kind.comparison, declared)
    ? knowledgeOfStatistics(leaf, metadata, group.rows, declared)
    : undefined;
}

function knowledgeOfPath(
  column: string,
  declared: ColumnType | undefined,
  options: Pick<ReadOptions, 'pathColumns'>,
): ColumnKnowledge | undefined {
  const value = options.pathColumns[column];
  try {
    return knowledgeOfValue(declared === undefined ? value : castTo(declared, column)(value));
  } catch {
    // Each row will be a fault, which pruning must not hide.
    return undefined;
  }
}

export function flatMetadataOf(group: StoredGroup, node: ColumnNode): ColumnMetaData | undefined {
  return isFlat(node) ? group.stored.columns[node.leaves[0]!.index]?.meta_data : undefined;
}

/** Whether rows hold the stored values themselves, also after the cast to the declared type, if they can be cast. */
function keepsMeaning(kind: ComparisonKind, declared: ColumnType | undefined): boolean {
  if (declared === undefined) return true;
  switch (kind) {
    case 'integer':
      return declared === 'number' || declared === 'integer' || declared === 'bigint';
    case 'float':
    case 'decimal':
      return declared === 'number';
    case 'time':
      return declared === 'timestamp';
    case 'text':
      return declared === 'string';
    case 'boolean':
      return declared === 'boolean';
    case 'none':
      return false;
  }
}

interface Bounds {
  /** How stored values lie to an operand: below, at or above 0; `NaN`: no value of this column compares with it. */
  readonly least: (operand: NonNullOperand) => number;
  readonly greatest: (operand: NonNullOperand) => number;
  /** Whether all values lie within, and both ends are values. */
  readonly exact: boolean;
}

type NonNullOperand = NonNullable<ElementaryTest['operand']>;

const nothingPasses = { pass: false, fail: true };

function knowledgeOfStatistics(
  leaf: Leaf,
  metadata: ColumnMetaData,
  rows: number,
  declared: ColumnType | undefined,
): ColumnKnowledge {
  const nulls = leaf.maxDefinition === 0 ? 0 : numberOf(metadata.statistics?.null_count);
  const mayBeNull = nulls !== 0;
  const mayBeThere = nulls !== rows;
  const bounds = boundsOf(leaf, metadata, declared);
  return (test) => {
    if (test.operand === null) return { pass: mayBeNull, fail: mayBeThere };
    if (!mayBeThere) return nothingPasses;
    if (bounds === undefined) return { pass: true, fail: true };
    const least = bounds.least(test.operand);
    const greatest = bounds.greatest(test.operand);
    if (Number.isNaN(least) || Number.isNaN(greatest)) return nothingPasses;
    const mayFail = mayBeNull || !bounds.exact;
    switch (test.operator) {
      case '$eq':
        return { pass: least <= 0 && greatest >= 0, fail: mayFail || least !== 0 || greatest !== 0 };
      case '$lt':
        return { pass: least < 0, fail: mayFail || greatest >= 0 };
      case '$lte':
        return { pass: least <= 0, fail: mayFail || greatest > 0 };
      case '$gt':
        return { pass: greatest > 0, fail: mayFail || least <= 0 };
      case '$gte':
        return { pass: greatest >= 0, fail: mayFail || least < 0 };
    }
  };
}

function numberOf(count: bigint | undefined): number | undefined {
  return count === undefined ? undefined : Number(count);
}

function boundsOf(
  leaf: Leaf,
  metadata: ColumnMetaData,
  declared: ColumnType | undefined,
): Bounds | undefined {
  const { comparison } = leaf.kind;
  const { statistics } = metadata;
  if (statistics === undefined || comparison === 'none') return undefined;
  // The older pair was ordered as signed bytes or numbers, whatever the type: it is right for signed numbers alone.
  const { min_value: min = legacy(statistics.min, leaf), max_value: max = legacy(statistics.max, leaf) } =
    statistics;
  if (min === undefined || max === undefined) return undefined;
  if (comparison === 'text') return textBounds(min, max);
  const [least, greatest] = [valueOf(min, leaf, -1, declared), valueOf(max, leaf, 1, declared)];
  if (least === undefined || greatest === undefined) return undefined;
  // Bounds in the wrong order are damaged.
  if (!(least <= greatest)) return undefined;
  return {
    least: (operand) => comparerWith(operand)(least),
    greatest: (operand) => comparerWith(operand)(greatest),
    // NaN is not in the bounds of floats; those of decimals are widened.
    exact: comparison === 'integer' || comparison === 'time' || comparison === 'boolean',
  };
}

function legacy<T>(bound: T, { element, kind }: Leaf): T | undefined {
  const { converted_type: converted, logical_type: logical } = element;
  const unsigned = converted?.startsWith('UINT_') || (logical?.type === 'INTEGER' && !logical.isSigned);
  return kind.comparison === 'text' || element.type === 'FIXED_LEN_BYTE_ARRAY' || unsigned
    ? undefined
    : bound;
}

/** Statistics of decimals come as doubles that were rounded twice; this is far more than that, relatively. */
const DECIMAL_SLACK = 1e-12;
const MS_PER_DAY = 86_400_000;

/** A bound as rows would hold it; `undefined` where it cannot be relied on. */
function valueOf(
  bound: unknown,
  { kind, element }: Leaf,
  direction: -1 | 1,
  declared: ColumnType | undefined,
): number | bigint | boolean | Date | undefined {
  switch (kind.comparison) {
    case 'boolean':
      return typeof bound === 'boolean' ? bound : undefined;
    case 'integer': {
      if (typeof bound !== 'number' && typeof bound !== 'bigint') return undefined;
      // The cast rounds big ones; rounding keeps their order.
      return declared === 'number' ? Number(bound) : numberOrBigint(BigInt(bound));
    }
    case 'float':
      return typeof bound === 'number' && !Number.isNaN(bound) ? bound : undefined;
    case 'decimal':
      // INT32, INT64 and byte arrays are scaled by hyparquet only where the older annotation is there too.
      if (typeof bound !== 'number' || element.converted_type !== 'DECIMAL') return undefined;
      return bound + direction * Math.abs(bound) * DECIMAL_SLACK;
    case 'time': {
      const time = new Date(timeOf(bound, kind.name));
      return Number.isNaN(time.getTime()) ? undefined : time;
    }
    default:
      return undefined;
  }
}

function timeOf(bound: unknown, name: string): number {
  if (typeof bound !== 'number' && typeof bound !== 'bigint') return Number.NaN;
  if (name === 'date') return Number(bound) * MS_PER_DAY;
  return millisecondsOf(
    bound,
    name === 'timestamp(ns)' ? 'NANOS' : name === 'timestamp(us)' ? 'MICROS' : 'MILLIS',
  );
}

/** Bounds of text may be cut within a character, so they are compared as bytes; that order is the one of code points. */
function textBounds(min: unknown, max: unknown): Bounds | undefined {
  if (!(min instanceof Uint8Array) || !(max instanceof Uint8Array) || Buffer.compare(min, max) > 0)
    return undefined;
  const compareTo = (bound: Uint8Array) => (operand: NonNullOperand) => {
    if (typeof operand !== 'string') return Number.NaN;
    return Buffer.compare(bound, Buffer.from(operand));
  };
  const [least, greatest] = [compareTo(min), compareTo(max)];
  return {
    // Half a surrogate pair has no bytes: nothing is said of it.
    least: (operand) => (isHalf(operand) ? -1 : least(operand)),
    greatest: (operand) => (isHalf(operand) ? 1 : greatest(operand)),
    exact: false,
  };
}

function isHalf(operand: NonNullOperand): boolean {
  return typeof operand === 'string' && !operand.isWellFormed();
}

/** What is known with the bloom filters of the columns that equality is asked of; `undefined` where there are none. */
async function withBloomFilters(
  object: ObjectBytes,
  file: ParquetFile,
  group: StoredGroup,
  columns: ReadonlySet<string>,
  declared: Columns | undefined,
  known: ReadonlyMap<string, ColumnKnowledge | undefined>,
  neededBytes: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ColumnKnowledge | undefined> | undefined> {
  const all = new Map(known);
  let found = false;
  for (const column of columns) {
    const knowledge = known.get(column);
    const node = file.columns.get(column);
    const metadata = node && flatMetadataOf(group, node);
    if (knowledge === undefined || node === undefined || metadata === undefined) continue;
    const contains = await bloomFilterOf(
      object,
      node.leaves[0]!,
      metadata,
      columnType(declared, column),
      neededBytes,
      signal,
    );
    if (contains === undefined) continue;
    found = true;
    all.set(column, (test) => {
      const possible = knowledge(test);
      if (test.operator !== '$eq' || test.operand === null || contains(test.operand)) return possible;
      return { pass: false, fail: possible.fail };
    });
  }
  return found ? all : undefined;
}

async function bloomFilterOf(
  object: ObjectBytes,
  leaf: Leaf,
  metadata: ColumnMetaData,
  declared: ColumnType | undefined,
  neededBytes: number,
  signal: AbortSignal,
): Promise<((operand: NonNullOperand) => boolean) | undefined> {
  const { comparison } = leaf.kind;
  if (comparison !== 'text' && comparison !== 'integer' && comparison !== 'float') return undefined;
  const start = Number(metadata.bloom_filter_offset ?? 0);
  const length = await bloomLength(object, start, metadata.bloom_filter_length, signal);
  const end = start + length;
  if (!(start > 0 && length > 0 && length <= Math.min(MAX_BLOOM_BYTES, neededBytes) && end <= object.size))
    return undefined;
  const bytes = await readRange(object, { start, end }, signal);
  try {
    checkThrift(bytes, 0);
    const filter = readBloomFilter({
      view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      offset: 0,
    });
    if (filter === undefined) return undefined;
    return (operand) => {
      // -0 and 0 are equal and have different hashes.
      if (operand === 0 && comparison === 'float') return true;
      // A cast to a number rounds what is stored: the operand has another hash than what it equals.
      if (declared === 'number' && comparison === 'integer' && !Number.isSafeInteger(Number(operand)))
        return true;
      const hash = hashParquetValue(hashable(operand, leaf), leaf.element);
      return hash === undefined || sbbfContains(filter.blocks, hash);
    };
  } catch {
    // A damaged filter prunes nothing; the rows may be sound.
    return undefined;
  }
}

async function bloomLength(
  object: ObjectBytes,
  start: number,
  declared: number | undefined,
  signal: AbortSignal,
): Promise<number> {
  if (declared !== undefined || !(start > 0 && start < object.size)) return declared ?? 0;
  const range = { start, end: Math.min(object.size, start + BLOOM_HEADER_BYTES) };
  const head = await readRange(object, range, signal);
  // The first field of the header is the number of bytes after it: 0x15, then a zigzag number of base 128.
  if (head[0] !== 0x15) return 0;
  let value = 0;
  let at = 1;
  do value += (head[at]! & 0x7f) * 2 ** (7 * (at - 1));
  while (at < 5 && head[at++]! >= 0x80);
  return value / 2 + BLOOM_HEADER_BYTES;
}

/** Whole numbers as they hash: INT32 as numbers, INT64 as bigints. */
function hashable(operand: NonNullOperand, { element }: Leaf): unknown {
  if (typeof operand === 'number' && element.type === 'INT64' && Number.isInteger(operand))
    return BigInt(operand);
  if (typeof operand === 'bigint' && element.type === 'INT32') return Number(operand);
  return operand;
}
