import { parquetMetadata, type FileMetaData, type ParquetParsers, type RowGroup } from 'hyparquet';
import type { Columns } from '../../../domain/columns.ts';
import { DomainError, messageOf } from '../../../domain/errors.ts';
import type { ObjectBytes } from '../decoder.ts';
import { readRange } from './byte-reading.ts';
import { checkThrift } from './thrift-check.ts';
import { columnsOf, type ColumnNode } from './schema.ts';

/** What is read of the end of a file at first; most footers fit. In bytes. */
const TAIL_BYTES = 32 * 1024;
/** Length of the footer, then `PAR1`. */
const TRAILER_BYTES = 8;
const MAGIC = 'PAR1';

/** Larger footers would take gigabytes as objects; tens of thousands of column chunks stay below it. In bytes. */
const MAX_FOOTER_BYTES = 64 * 1024 * 1024;

/** More rows in a group than any writer puts there: a footer with more is damaged. */
const MAX_GROUP_ROWS = 2 ** 31 - 1;

/** Rows of one row group, by their numbers in the file. */
export interface StoredGroup {
  readonly stored: RowGroup;
  readonly firstRow: number;
  readonly rows: number;
}

export interface ParquetFile {
  readonly metadata: FileMetaData;
  readonly columns: ReadonlyMap<string, ColumnNode>;
  /** Row groups that have rows. */
  readonly groups: readonly StoredGroup[];
  readonly rows: number;
}

/** Statistics stay as they are stored: what they mean for a predicate is decided where it is pruned. */
function asStored<T>(value: unknown): T {
  return value as T;
}

const parsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: asStored,
  timestampFromMicroseconds: asStored,
  timestampFromNanoseconds: asStored,
  dateFromDays: asStored,
  stringFromBytes: asStored,
  uuidFromBytes: asStored,
};

/** @throws DomainError `E_PARQUET` where the object is no Parquet file or its footer is damaged */
export async function openParquet(
  object: ObjectBytes,
  declared: Columns | undefined,
  signal: AbortSignal,
): Promise<ParquetFile> {
  const footer = await readFooter(object, signal);
  try {
    checkThrift(footer, 0);
    const metadata = parquetMetadata(footer, { parsers, geoparquet: false });
    const groups: StoredGroup[] = [];
    let rows = 0;
    for (const stored of metadata.row_groups) {
      const groupRows = Number(stored.num_rows);
      if (!(groupRows >= 0 && groupRows <= MAX_GROUP_ROWS))
        throw new Error(`a row group of ${groupRows} rows`);
      if (groupRows > 0) groups.push({ stored, firstRow: rows, rows: groupRows });
      rows += groupRows;
    }
    if (!Number.isSafeInteger(rows)) throw new Error(`${rows} rows`);
    const columns = columnsOf(metadata, declared);
    // Nothing would tell how many rows there are: they would be as many as somebody says, and empty.
    if (rows > 0 && columns.size === 0) throw new Error(`${rows} rows without a column`);
    return { metadata, columns, groups, rows };
  } catch (error) {
    throw unreadable(object, `the footer is damaged: ${messageOf(error)}`, error);
  }
}

async function readFooter(object: ObjectBytes, signal: AbortSignal): Promise<Uint8Array> {
  const { size } = object;
  if (size < MAGIC.length + TRAILER_BYTES)
    throw unreadable(object, `${size} bytes are too few for a Parquet file`);
  const tail = await readRange(object, { start: Math.max(0, size - TAIL_BYTES), end: size }, signal);
  const magic = tail.toString('latin1', tail.length - MAGIC.length);
  if (magic === 'PARE') throw unreadable(object, 'the file is encrypted, which is not read');
  if (magic !== MAGIC) throw unreadable(object, 'no Parquet file, or cut off: it does not end with PAR1');
  const length = tail.readUInt32LE(tail.length - TRAILER_BYTES) + TRAILER_BYTES;
  if (length > size - MAGIC.length) throw unreadable(object, 'the footer is longer than the file');
  if (length > MAX_FOOTER_BYTES) {
    throw unreadable(object, `the footer has ${length} bytes, the bound is ${MAX_FOOTER_BYTES}`);
  }
  if (length <= tail.length) return tail.subarray(tail.length - length);
  const rest = await readRange(object, { start: size - length, end: size - tail.length }, signal);
  return Buffer.concat([rest, tail]);
}

function unreadable(object: ObjectBytes, problem: string, cause?: unknown): DomainError {
  return new DomainError(`${object.key}: ${problem}`, { code: 'E_PARQUET', cause });
}
