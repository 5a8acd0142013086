import type { ErrorCode } from '../../../domain/error-codes.ts';
import { isDomainError } from '../../../domain/errors.ts';
import type { Row } from '../../../domain/row.ts';
import type { SectionRange } from '../../../domain/section.ts';
import type { Decoder, ObjectBytes, ReadOptions, RowBatch, RowFault, SectionEnd } from '../decoder.ts';
import { generateRowMaker } from '../row-factory.ts';
import { createRowShaper, type RowShaper } from '../row-shaper.ts';
import { openParquet, type ParquetFile, type StoredGroup } from './footer.ts';
import { GroupReader, storedBytesOf, type ColumnBlock } from './group-reader.ts';
import { mayHoldMatches } from './pruning.ts';
import { typeNameOf, type ColumnNode } from './schema.ts';
import { SectionPlan } from './sections.ts';
import { INVALID_TEXT, INVALID_TIME, TOO_LARGE } from './values.ts';

/** Rows that are decoded, and handed on, at once. */
const BATCH_ROWS = 1000;

/** Rows to read again that are further apart are read one after the other, where the pages between them can be left out. */
const NEAR_ROWS = 20_000;

/** Reads Parquet: by row groups and columns, without those that nobody needs. */
export const parquetDecoder: Decoder = {
  format: 'parquet',

  async layout(object, options, signal) {
    const file = await openParquet(object, options.columns, signal);
    const { lastSection, groupStarts } = planOf(file, options);
    return { lastSection, splittable: true, groupStarts };
  },

  async *read(object, range, _start, options, signal) {
    const file = await openParquet(object, options.columns, signal);
    const rows = rowMaker(file, options);
    yield* readSections(object, file, range, rows, options, signal);
  },

  async *readAt(object, coordinates, options, signal) {
    const file = await openParquet(object, options.columns, signal);
    const everyRow = { ...options, where: undefined };
    yield* readSingleRows(object, file, coordinates, rowMaker(file, everyRow), options, signal);
  },

  async *findStarts(object, sections, options, signal) {
    const file = await openParquet(object, options.columns, signal);
    const plan = planOf(file, options);
    for (const section of sections) yield { section, start: plan.rowsOf(section).start };
  },

  async describe(object, options, signal) {
    const file = await openParquet(object, options.columns, signal);
    const { row_groups: groups, created_by: writer, metadata_length: footer } = file.metadata;
    const chunks = groups.flatMap((group) => group.columns.flatMap((column) => column.meta_data ?? []));
    const codecs = [
      ...new Set(chunks.map(({ codec }: { codec?: string }) => codec?.toLowerCase() ?? 'unknown')),
    ];
    const largest = largestOf(groups.map((group) => Number(group.total_byte_size)));
    return {
      format: 'parquet',
      compression: 'none',
      columns: [...file.columns.values()].map((node) => ({ name: node.name, type: typeNameOf(node) })),
      rows: file.rows,
      facts: {
        'row groups': groups.length,
        'rows in the largest row group': largestOf(file.groups.map((group) => group.rows)),
        'bytes in the largest row group, uncompressed': largest,
        codecs: codecs.join(', '),
        'written by': writer || 'unknown',
        'columns with statistics': statisticsOf(file, (chunk) => chunk.statistics !== undefined),
        'columns with bloom filters': statisticsOf(
          file,
          (chunk) => Number(chunk.bloom_filter_offset ?? 0) > 0,
        ),
        'bytes of footer': footer,
      },
    };
  },
};

function largestOf(numbers: readonly number[]): number {
  return numbers.reduce((largest, number) => Math.max(largest, number), 0);
}

type ChunkMetadata = NonNullable<
  ParquetFile['metadata']['row_groups'][number]['columns'][number]['meta_data']
>;

function statisticsOf(file: ParquetFile, has: (chunk: ChunkMetadata) => boolean): number {
  const columns = file.metadata.row_groups[0]?.columns ?? [];
  return columns.filter((column) => column.meta_data !== undefined && has(column.meta_data)).length;
}

function planOf(file: ParquetFile, options: ReadOptions): SectionPlan {
  return new SectionPlan(file.groups, options.limits.sectionRows);
}

/** Makes rows of columns. */
interface RowMaker {
  readonly nodes: readonly ColumnNode[];
  readonly shaper: RowShaper;
  readonly make: (columns: readonly ArrayLike<unknown>[], row: number) => Row;
}

/** @throws DomainError `E_COLUMN_MISSING` */
function rowMaker(file: ParquetFile, options: ReadOptions): RowMaker {
  const shaper = createRowShaper(options);
  shaper.requireColumns([...file.columns.keys()]);
  const names =
    shaper.neededColumns ??
    [...file.columns.keys()].filter((name) => !Object.hasOwn(options.pathColumns, name));
  const nodes = names.flatMap((name) => file.columns.get(name) ?? []);
  return { nodes, shaper, make: rowOfColumns(nodes.map((node) => node.name)) };
}

/** Like the row factory, but it takes each column's value of a row itself. */
function rowOfColumns(names: readonly string[]): RowMaker['make'] {
  return generateRowMaker(
    ['columns', 'at'],
    names.map((name, i) => ({ name, value: `columns[${i}][at]` })),
  ) as RowMaker['make'];
}

const unreadableCodes: ReadonlyMap<symbol, ErrorCode> = new Map<symbol, ErrorCode>([
  [INVALID_TEXT, 'E_UTF8'],
  [INVALID_TIME, 'E_VALUE_TYPE'],
  [TOO_LARGE, 'E_ROW_TOO_LARGE'],
]);

/** A batch in the making. */
class Batch {
  readonly section: number;
  readonly #rows: Row[] = [];
  readonly #coordinates: number[] = [];
  readonly #faults: RowFault[] = [];
  #filtered = 0;
  pruned = 0;

  constructor(section: number) {
    this.section = section;
  }

  get isFull(): boolean {
    return this.#rows.length + this.#faults.length >= BATCH_ROWS;
  }

  fault(coordinate: number, rows: number, code: string, message: string): void {
    this.#faults.push({ coordinate, code, message, rows, raw: null });
  }

  add(block: ColumnBlock, firstRow: number, count: number, maker: RowMaker): void {
    for (let i = 0; i < count; i++) this.addRow(block, firstRow + i, i, maker);
  }

  addRow(
    { columns, hasUnreadable }: ColumnBlock,
    coordinate: number,
    i: number,
    { make, nodes, shaper }: RowMaker,
  ): void {
    if (hasUnreadable) {
      const unreadable = columns.findIndex((column) => typeof column[i] === 'symbol');
      if (unreadable >= 0) {
        const reason = columns[unreadable]![i] as symbol;
        const code = unreadableCodes.get(reason) ?? 'E_PARQUET';
        this.fault(
          coordinate,
          1,
          code,
          `column ${JSON.stringify(nodes[unreadable]!.name)}: ${reason.description}`,
        );
        return;
      }
    }
    try {
      const row = shaper.shape(make(columns, i));
      if (row === undefined) {
        this.#filtered++;
      } else {
        this.#rows.push(row);
        this.#coordinates.push(coordinate);
      }
    } catch (error) {
      if (!isDomainError(error)) throw error;
      this.fault(coordinate, 1, error.code, error.message);
    }
  }

  done(end?: SectionEnd): RowBatch {
    return {
      section: this.section,
      rows: this.#rows,
      coordinates: this.#coordinates,
      faults: this.#faults,
      pruned: this.pruned,
      filtered: this.#filtered,
      ...(end === undefined ? {} : { end }),
    };
  }
}

async function* readSections(
  object: ObjectBytes,
  file: ParquetFile,
  range: SectionRange,
  maker: RowMaker,
  options: ReadOptions,
  signal: AbortSignal,
): AsyncGenerator<RowBatch> {
  const plan = planOf(file, options);
  const lastSection = Math.min(range.to ?? plan.lastSection, plan.lastSection);
  const lastRow = plan.rowsOf(lastSection).end;
  let open: { group: StoredGroup; reader: GroupReader | undefined } | undefined;
  let next = firstGroupAt(file, plan.rowsOf(range.from).start);
  for (let section = range.from; section <= lastSection; section++) {
    const { start, end } = plan.rowsOf(section);
    let batch = new Batch(section);
    for (let row = start; row < end;) {
      if (open === undefined || row >= open.group.firstRow + open.group.rows) {
        // Released before the next one is read.
        open = undefined;
        const group = file.groups[next++]!;
        const isNeeded = await mayHoldMatches(
          object,
          file,
          group,
          options,
          neededBytes(group, maker),
          signal,
        );
        const rows = { start: row - group.firstRow, end: Math.min(lastRow - group.firstRow, group.rows) };
        const reader = isNeeded
          ? new GroupReader(object, group, maker.nodes, rows, options.limits, signal)
          : undefined;
        open = { group, reader };
      }
      const { group, reader } = open;
      const until = Math.min(end, group.firstRow + group.rows);
      if (reader === undefined) {
        batch.pruned += until - row;
        row = until;
        continue;
      }
      signal.throwIfAborted();
      const count = Math.min(BATCH_ROWS, until - row);
      const block = await reader.read(row - group.firstRow, count);
      if ('code' in block) {
        batch.fault(row, until - row, block.code, block.message);
        row = until;
        continue;
      }
      batch.add(block, row, count, maker);
      row += count;
      if (batch.isFull && row < end) {
        yield batch.done();
        batch = new Batch(section);
      }
    }
    yield batch.done({ last: section === plan.lastSection, next: end });
  }
}

function neededBytes(group: StoredGroup, { nodes }: RowMaker): number {
  return nodes.reduce((sum, node) => sum + storedBytesOf(group, node), 0);
}

/** Place of the group that holds a row. */
function firstGroupAt(file: ParquetFile, row: number): number {
  const found = file.groups.findIndex((group) => row < group.firstRow + group.rows);
  return found === -1 ? file.groups.length : found;
}

async function* readSingleRows(
  object: ObjectBytes,
  file: ParquetFile,
  coordinates: readonly number[],
  maker: RowMaker,
  options: ReadOptions,
  signal: AbortSignal,
): AsyncGenerator<RowBatch> {
  const plan = planOf(file, options);
  for (let at = 0; at < coordinates.length;) {
    const first = coordinates[at]!;
    const group = file.groups[firstGroupAt(file, first)];
    if (group === undefined || first < 0 || !Number.isSafeInteger(first)) {
      const batch = new Batch(plan.lastSection);
      batch.fault(first, 1, 'E_PARQUET', `there is no row ${first}: the file has ${file.rows}`);
      yield batch.done();
      at++;
      continue;
    }
    const skipsPages = hasOffsetIndexes(group, maker);
    let until = at + 1;
    while (
      until < coordinates.length &&
      coordinates[until]! < group.firstRow + group.rows &&
      (!skipsPages || coordinates[until]! - coordinates[until - 1]! <= NEAR_ROWS)
    ) {
      until++;
    }
    yield* readRowsOfGroup(object, group, coordinates.slice(at, until), plan, maker, options, signal);
    at = until;
  }
}

function hasOffsetIndexes(group: StoredGroup, { nodes }: RowMaker): boolean {
  return nodes.every((node) =>
    node.leaves.every((leaf) => (group.stored.columns[leaf.index]?.offset_index_length ?? 0) > 0),
  );
}

/** Some rows of one group. */
async function* readRowsOfGroup(
  object: ObjectBytes,
  group: StoredGroup,
  coordinates: readonly number[],
  plan: SectionPlan,
  maker: RowMaker,
  options: ReadOptions,
  signal: AbortSignal,
): AsyncGenerator<RowBatch> {
  const rows = { start: coordinates[0]! - group.firstRow, end: coordinates.at(-1)! + 1 - group.firstRow };
  const reader = new GroupReader(object, group, maker.nodes, rows, options.limits, signal);
  let batch = new Batch(plan.sectionOf(coordinates[0]!));
  for (const coordinate of coordinates) {
    const section = plan.sectionOf(coordinate);
    if (section !== batch.section || batch.isFull) {
      yield batch.done();
      batch = new Batch(section);
    }
    const block = await reader.read(coordinate - group.firstRow, 1);
    if ('code' in block) batch.fault(coordinate, 1, block.code, block.message);
    else batch.addRow(block, coordinate, 0, maker);
  }
  yield batch.done();
}
