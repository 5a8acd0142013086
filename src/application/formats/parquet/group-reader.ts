import type { ColumnMetaData } from 'hyparquet';
import { readOffsetIndex } from 'hyparquet/src/indexes.js';
import type { ErrorCode } from '../../../domain/error-codes.ts';
import { messageOf } from '../../../domain/errors.ts';
import type { ByteRange } from '../../../domain/lake-object.ts';
import type { Limits } from '../../../domain/limits.ts';
import type { ObjectBytes } from '../decoder.ts';
import { readRanges } from './byte-reading.ts';
import { readColumn, type ColumnReader } from './column-reader.ts';
import { readerOf } from './encoding.ts';
import type { StoredGroup } from './footer.ts';
import type { ChunkBytes, PageLimits } from './pages.ts';
import { isFlat, type ColumnNode, type Leaf } from './schema.ts';
import { checkThrift } from './thrift-check.ts';

/** Column chunks smaller than this are read whole rather than by pages: looking up the pages costs a request. In bytes. */
const MIN_PAGED_BYTES = 256 * 1024;

/** Why the rows of a group, from some row on, cannot be read. */
export interface GroupFault {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Values of some rows, column by column, in the order of the columns asked for. */
export interface ColumnBlock {
  readonly columns: readonly ArrayLike<unknown>[];
  /** Whether a value may be a symbol: it could not be read. */
  readonly hasUnreadable: boolean;
}

/** Where a stored column lies, and how much it is. */
interface Chunk {
  readonly leaf: Leaf;
  readonly metadata: ColumnMetaData;
  readonly range: ByteRange;
  /** Uncompressed bytes of all rows; what is stored, where that is more. */
  readonly size: number;
  /** Bytes of its offset index, if it has one. */
  readonly index: ByteRange | undefined;
}

interface Page extends ByteRange {
  readonly firstRow: number;
}

/**
 * Reads consecutive rows of one row group, forward. What it holds is the stored bytes of the needed columns and one
 * decoded page of each; where they are over the bound and the file tells where pages are, it reads some rows after
 * the other.
 */
export class GroupReader {
  readonly #object: ObjectBytes;
  readonly #group: StoredGroup;
  readonly #nodes: readonly ColumnNode[];
  readonly #maxBytes: number;
  readonly #limits: PageLimits;
  readonly #signal: AbortSignal;
  /** Row within the group that comes next, and the row before which reading stops. */
  #row: number;
  readonly #end: number;
  /** The columns, each with its row that comes next. */
  #readers: ({ readonly reader: ColumnReader; row: number } | undefined)[] = [];
  /** Columns that are read some pages after the other, by place in `#nodes`. */
  readonly #paged = new Map<number, { chunk: Chunk; pages: readonly Page[] }>();
  /** Rows that are read at once, and the row up to which the readers of paged columns reach. */
  #step = 0;
  #pagedUntil = 0;
  #isOpen = false;
  #fault: GroupFault | undefined;

  /** @param rows rows within the group, of which none is asked for twice */
  constructor(
    object: ObjectBytes,
    group: StoredGroup,
    nodes: readonly ColumnNode[],
    rows: { readonly start: number; readonly end: number },
    limits: Limits,
    signal: AbortSignal,
  ) {
    this.#object = object;
    this.#group = group;
    this.#nodes = nodes;
    this.#row = rows.start;
    this.#end = rows.end;
    this.#maxBytes = limits.maxRowGroupBytes;
    this.#limits = { maxBytes: limits.maxRowGroupBytes, maxValueBytes: limits.maxRowBytes };
    this.#signal = signal;
  }

  /**
   * The next rows. After a fault all later rows are that fault too. Errors of the object's bytes are thrown.
   *
   * @param start first row within the group, not before the rows given so far
   */
  async read(start: number, count: number): Promise<ColumnBlock | GroupFault> {
    if (!this.#isOpen) await this.#open();
    const columns: ArrayLike<unknown>[] | undefined =
      this.#fault === undefined ? this.#nodes.map(() => []) : undefined;
    while (columns !== undefined && this.#fault === undefined && this.#row < start + count) {
      const target = Math.max(this.#row, start);
      if (this.#paged.size > 0 && target >= this.#pagedUntil) await this.#openPages(target);
      if (this.#fault !== undefined) break;
      const until = this.#paged.size > 0 ? Math.min(start + count, this.#pagedUntil) : start + count;
      this.#take(columns, target, until);
    }
    if (this.#fault !== undefined) {
      this.#readers = [];
      return this.#fault;
    }
    return {
      columns: columns as ArrayLike<unknown>[],
      hasUnreadable: this.#readers.some((each) => each?.reader.sawUnreadable),
    };
  }

  #take(into: ArrayLike<unknown>[], start: number, until: number): void {
    this.#nodes.forEach((node, i) => {
      this.#guard(node, () => {
        const column = this.#readers[i]!;
        if (start > column.row) column.reader.skip(start - column.row);
        const values = column.reader.take(until - start);
        column.row = until;
        into[i] = into[i]!.length === 0 ? values : Array.from(into[i]!).concat(Array.from(values));
      });
    });
    this.#row = until;
  }

  /** Whatever decoding throws on damaged bytes is a fault of this group alone. */
  #guard(node: ColumnNode, decode: () => void): void {
    if (this.#fault !== undefined) return;
    try {
      decode();
    } catch (error) {
      this.#fault = {
        code: 'E_PARQUET',
        message: `column ${JSON.stringify(node.name)}: ${messageOf(error)}`,
      };
    }
  }

  async #open(): Promise<void> {
    this.#isOpen = true;
    const chunks: Chunk[][] = [];
    for (const node of this.#nodes) {
      this.#guard(node, () =>
        chunks.push(node.leaves.map((leaf) => chunkOf(this.#object, this.#group, leaf))),
      );
    }
    if (this.#fault !== undefined) return;

    const total = sumOf(chunks.flat().map((chunk) => chunk.size));
    const isPart = this.#row > 0 || this.#end < this.#group.rows;
    const isOver = total > this.#maxBytes;
    if (isPart || isOver) await this.#findPages(chunks, isOver ? 0 : MIN_PAGED_BYTES);

    const whole = chunks.map((parts, i) => (this.#paged.has(i) ? [] : parts));
    const wholeBytes = sumOf(whole.flat().map((chunk) => chunk.size));
    const perRow = (total - wholeBytes) / this.#group.rows;
    const rows = this.#end - this.#row;
    if (wholeBytes > this.#maxBytes) {
      this.#fault = this.#tooLarge(total);
      return;
    }
    // Pages at both ends reach beyond the rows, so half of the bound is left for them.
    const fits = wholeBytes + perRow * rows <= this.#maxBytes;
    this.#step = fits ? rows : Math.max(1, Math.floor((this.#maxBytes - wholeBytes) / perRow / 2));

    const ranges = whole.flat().map((chunk) => chunk.range);
    const bytes = await readRanges(this.#object, ranges, this.#signal);
    let at = 0;
    whole.forEach((parts, i) => {
      const part = parts.map((chunk) => chunkBytes(chunk, bytes[at++]!, Number(chunk.metadata.num_values)));
      if (parts.length > 0) this.#start(i, part, 0);
    });
  }

  /** Starts a column whose bytes begin with the given row. */
  #start(index: number, chunks: readonly ChunkBytes[], row: number): void {
    const node = this.#nodes[index]!;
    this.#guard(node, () => {
      const { rows } = this.#group;
      if (isFlat(node) && Number(chunks[0]!.metadata.num_values) !== rows) {
        throw new Error(`${chunks[0]!.metadata.num_values} values in ${rows} rows`);
      }
      this.#readers[index] = { reader: readColumn(node, chunks, this.#limits), row };
    });
  }

  /** Looks up where the pages of flat columns are. An index that does not fit its column is as good as none. */
  async #findPages(chunks: readonly (readonly Chunk[])[], minBytes: number): Promise<void> {
    const indexed = chunks.flatMap(([chunk], i) => {
      if (chunk?.index === undefined || !isFlat(this.#nodes[i]!)) return [];
      return chunk.range.end - chunk.range.start < minBytes ? [] : [{ i, chunk, index: chunk.index }];
    });
    const bytes = await readRanges(
      this.#object,
      indexed.map(({ index }) => index),
      this.#signal,
    );
    indexed.forEach(({ i, chunk }, at) => {
      const pages = pagesOf(bytes[at]!, chunk, this.#group.rows);
      if (pages !== undefined && pages.length > 1) this.#paged.set(i, { chunk, pages });
    });
  }

  /** Reads the pages of the next rows. */
  async #openPages(row: number): Promise<void> {
    const until = Math.min(this.#end, row + this.#step);
    const parts = [...this.#paged].map(([i, { chunk, pages }]) => {
      const first = pages.findLastIndex((page) => page.firstRow <= row);
      const next = pages.findIndex((page) => page.firstRow >= until);
      const chosen = pages.slice(first, next === -1 ? pages.length : next);
      const rowsEnd = next === -1 ? this.#group.rows : pages[next]!.firstRow;
      const firstRow = chosen[0]!.firstRow;
      const dictionary = { start: chunk.range.start, end: pages[0]!.start };
      const data = { start: chosen[0]!.start, end: chosen.at(-1)!.end };
      const share = (data.end - data.start) / Math.max(1, chunk.range.end - chunk.range.start);
      return { i, chunk, firstRow, rows: rowsEnd - firstRow, dictionary, data, size: chunk.size * share };
    });
    const size = sumOf(parts.map((part) => part.size));
    if (size > this.#maxBytes) {
      this.#fault = this.#tooLarge(size);
      return;
    }
    for (const { i } of parts) this.#readers[i] = undefined;
    const ranges = parts.flatMap(({ dictionary, data }) => [dictionary, data]);
    const bytes = await readRanges(this.#object, ranges, this.#signal);
    parts.forEach(({ i, chunk, firstRow, rows }, at) => {
      const joined = Buffer.concat([bytes[2 * at]!, bytes[2 * at + 1]!]);
      this.#start(i, [chunkBytes(chunk, joined, rows)], firstRow);
    });
    this.#pagedUntil = until;
  }

  #tooLarge(size: number): GroupFault {
    return {
      code: 'E_ROW_GROUP_TOO_LARGE',
      message: `the needed columns have ${Math.round(size)} bytes uncompressed, the bound is ${this.#maxBytes}`,
    };
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function chunkBytes(chunk: Chunk, bytes: Buffer, values: number): ChunkBytes {
  return { leaf: chunk.leaf, metadata: chunk.metadata, bytes, values };
}

/** Stored bytes of a column in a group; 0 where its metadata is damaged. */
export function storedBytesOf(group: StoredGroup, node: ColumnNode): number {
  return sumOf(
    node.leaves.map((leaf) => {
      const bytes = Number(group.stored.columns[leaf.index]?.meta_data?.total_compressed_size ?? 0);
      return bytes > 0 ? bytes : 0;
    }),
  );
}

/** @throws Error where the footer says what cannot be */
function chunkOf(object: ObjectBytes, group: StoredGroup, leaf: Leaf): Chunk {
  const column = group.stored.columns[leaf.index];
  const metadata = column?.meta_data;
  if (column === undefined || metadata === undefined) throw new Error('it is missing, or encrypted');
  if (column.file_path) throw new Error('it is in another file');
  const { path_in_schema: path, type } = metadata;
  if (
    type !== leaf.element.type ||
    path.length !== leaf.path.length ||
    path.some((part, i) => part !== leaf.path[i])
  ) {
    throw new Error(`its place is taken by ${JSON.stringify(path.join('.'))}`);
  }
  const values = Number(metadata.num_values);
  if (!(values >= 0 && Number.isSafeInteger(values))) throw new Error(`it has ${values} values`);
  const data = Number(metadata.data_page_offset);
  const dictionary = Number(metadata.dictionary_page_offset ?? 0);
  const start = dictionary > 0 ? Math.min(dictionary, data) : data;
  const end = start + Number(metadata.total_compressed_size);
  const range = rangeWithin(object, start, end);
  if (range === undefined) throw new Error(`bytes ${start} to ${end} are not in the file`);
  const size = Math.max(Number(metadata.total_uncompressed_size), end - start);
  const indexStart = Number(column.offset_index_offset ?? 0);
  const index = rangeWithin(object, indexStart, indexStart + (column.offset_index_length ?? 0));
  return { leaf, metadata, range, size, index };
}

function rangeWithin(object: ObjectBytes, start: number, end: number): ByteRange | undefined {
  const isWithin =
    Number.isSafeInteger(start) &&
    Number.isSafeInteger(end) &&
    start > 0 &&
    end > start &&
    end <= object.size;
  return isWithin ? { start, end } : undefined;
}

function pagesOf(bytes: Buffer, chunk: Chunk, rows: number): readonly Page[] | undefined {
  try {
    const pages: Page[] = [];
    let before: Page = { start: chunk.range.start, end: chunk.range.start, firstRow: -1 };
    checkThrift(bytes, 0);
    for (const location of readOffsetIndex(readerOf(bytes)).page_locations) {
      const start = Number(location.offset);
      const page = {
        start,
        end: start + location.compressed_page_size,
        firstRow: Number(location.first_row_index),
      };
      const follows = page.start >= before.end && page.end > page.start && page.firstRow > before.firstRow;
      if (!follows || page.end > chunk.range.end || page.firstRow >= rows) return undefined;
      pages.push(page);
      before = page;
    }
    return pages[0]?.firstRow === 0 ? pages : undefined;
  } catch {
    return undefined;
  }
}
