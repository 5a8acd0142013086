import type { Columns } from '../../domain/columns.ts';
import type { Limits } from '../../domain/limits.ts';
import type { Compression, CsvOptions, Format } from '../../domain/pipeline.ts';
import type { Row } from '../../domain/row.ts';
import type { ObjectLayout, SectionRange } from '../../domain/section.ts';
import type { Where } from '../../domain/where.ts';

/** One object's stored bytes, bound to its version. */
export interface ObjectBytes {
  readonly key: string;
  /** In bytes, as stored. */
  readonly size: number;
  /** The bytes from `start` up to, not including, `end`. Stopping early releases what is open. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
}

/** What to read of an object; follows from the generation alone. */
export interface ReadOptions {
  /** How the object is stored, as `detect` said; without it the decoder looks at the object's first bytes itself. */
  readonly compression?: Compression | undefined;
  readonly csv: CsvOptions | undefined;
  /** `undefined`: all columns, as they are. */
  readonly columns: Columns | undefined;
  readonly where: Where | undefined;
  readonly limits: Limits;
  /** Columns that the object's path gives (`yyyy=2019`); they win over columns of the same name in the object. */
  readonly pathColumns: Readonly<Record<string, string | number | null>>;
}

/** A row that could not be read, or a stretch of them. */
export interface RowFault {
  /** Byte offset of its start in the decompressed text; row number in Parquet. */
  readonly coordinate: number;
  readonly code: string;
  readonly message: string;
  /** How many rows it stands for. */
  readonly rows: number;
  /** The stored text of the row where there is some, cut at 64 KiB. */
  readonly raw: Uint8Array | null;
}

/** Rows of one section, in their order. */
export interface RowBatch {
  readonly section: number;
  /** Rows that `where` keeps, with the declared columns alone. */
  readonly rows: readonly Row[];
  /** Coordinate of each row. */
  readonly coordinates: readonly number[];
  readonly faults: readonly RowFault[];
  /** Rows that statistics showed cannot match: never decoded. */
  readonly pruned: number;
  /** Rows that were decoded and that `where` refused. */
  readonly filtered: number;
  /** Set on a section's last batch. Every section has one, also without rows. */
  readonly end?: SectionEnd;
}

export interface SectionEnd {
  /** Whether the object ends here. */
  readonly last: boolean;
  /** Coordinate at which the first record of the next section starts. */
  readonly next: number;
}

/**
 * Reads one format. Sections depend on the object and the limits alone; whichever range is read, and from
 * wherever, the sections of an object give exactly its rows.
 */
export interface Decoder {
  readonly format: Format;

  /** How the object divides into sections. */
  layout(object: ObjectBytes, options: ReadOptions, signal: AbortSignal): Promise<ObjectLayout>;

  /**
   * Rows of the sections of a range, in order, in batches of about 1,000. Every section of the range ends with a batch that has
   * `end`; where `range.to` is `null`, or the object ends earlier, the last one says `last`. What cannot be
   * read is a fault and the rest goes on; after damage that hides where the next row starts, the section ends
   * as the last one.
   *
   * @param start coordinate of the first record of section `range.from` (a `next` of the section before it, or what
   *   `findStart` said); `null` where that is 0
   * @throws DomainError where the object as a whole cannot be read: nothing was yielded then
   */
  read(
    object: ObjectBytes,
    range: SectionRange,
    start: number | null,
    options: ReadOptions,
    signal: AbortSignal,
  ): AsyncIterable<RowBatch>;

  /**
   * The rows at the given coordinates, ascending, for a redrive: without `where`.
   * A coordinate at which no row starts is a fault.
   */
  readAt(
    object: ObjectBytes,
    coordinates: readonly number[],
    options: ReadOptions,
    signal: AbortSignal,
  ): AsyncIterable<RowBatch>;

  /**
   * Coordinates at which the first records of the given sections start, ascending: what has to be known before reading can
   * begin there. Only of splittable objects.
   */
  findStarts(
    object: ObjectBytes,
    sections: readonly number[],
    options: ReadOptions,
    signal: AbortSignal,
  ): AsyncIterable<{ section: number; start: number }>;

  /** For people: columns with their types, and what else the format tells. Reads little. */
  describe(object: ObjectBytes, options: ReadOptions, signal: AbortSignal): Promise<ObjectDescription>;
}

export interface ObjectDescription {
  readonly format: Format;
  readonly compression: Compression;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** `null` where only reading all of it tells. */
  readonly rows: number | null;
  /** More facts, in order: `delimiter`, `row groups`, `written by`. */
  readonly facts: Readonly<Record<string, string | number>>;
}
