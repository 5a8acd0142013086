import { crc32 } from 'node:zlib';
import type { ColumnMetaData, PageHeader } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { decompress } from './compression.ts';
import {
  joinStreams,
  readDeltaBytes,
  readDeltaLengthBytes,
  readDeltas,
  readFixedBytes,
  readHybrid,
  readPlainBytes,
  readerOf,
  type ByteValue,
} from './encoding.ts';
import type { Leaf } from './schema.ts';
import { checkThrift } from './thrift-check.ts';
import { TOO_LARGE } from './values.ts';

/** Bytes of one column chunk: all of it, or its dictionary and some of its data pages. */
export interface ChunkBytes {
  readonly leaf: Leaf;
  readonly metadata: ColumnMetaData;
  readonly bytes: Buffer;
  /** How many values its data pages have to hold. */
  readonly values: number;
}

/** A page that is not decoded yet. */
export interface StoredPage {
  readonly header: PageHeader;
  readonly body: Buffer;
  /** Values with their nulls; in a flat column one a row. */
  readonly values: number;
}

export interface StoredPages {
  readonly dictionary: StoredPage | undefined;
  readonly data: readonly StoredPage[];
}

export interface PageLimits {
  /** No page may decompress to more, in bytes. */
  readonly maxBytes: number;
  /** A value of more bytes makes its row too large. */
  readonly maxValueBytes: number;
}

/** Memory of one decoded value, at least; in bytes. */
const BYTES_PER_VALUE = 8;

/**
 * Finds the pages of a chunk and checks what can be checked without decoding: their sizes and their counts, so
 * that nothing is allocated, skipped or looped over because of a damaged length.
 *
 * @throws Error
 */
export function findPages(chunk: ChunkBytes, limits: PageLimits): StoredPages {
  const reader = readerOf(chunk.bytes);
  const data: StoredPage[] = [];
  let dictionary: StoredPage | undefined;
  let found = 0;
  while (found < chunk.values) {
    if (reader.offset >= chunk.bytes.length) {
      throw new Error(`pages hold ${found} values of ${chunk.values}`);
    }
    checkThrift(chunk.bytes, reader.offset);
    const header = parquetHeader(reader);
    const start = reader.offset;
    const values = valuesOf(header);
    checkSizes(header, values, chunk, start, limits);
    reader.offset = start + header.compressed_page_size;
    const page: StoredPage = { header, body: chunk.bytes.subarray(start, reader.offset), values };
    if (header.type === 'DICTIONARY_PAGE') {
      if (dictionary !== undefined || data.length > 0) throw new Error('a second dictionary');
      dictionary = page;
    } else if (header.type !== 'INDEX_PAGE') {
      data.push(page);
      found += values;
    }
  }
  if (found !== chunk.values) throw new Error(`pages hold ${found} values, not ${chunk.values}`);
  return { dictionary, data };
}

function valuesOf(header: PageHeader): number {
  switch (header.type) {
    case 'DATA_PAGE':
      return required(header.data_page_header).num_values;
    case 'DATA_PAGE_V2':
      return required(header.data_page_header_v2).num_values;
    case 'DICTIONARY_PAGE':
      return required(header.dictionary_page_header).num_values;
    case 'INDEX_PAGE':
      return 0;
    default:
      throw new Error('a page of unknown type');
  }
}

function checkSizes(
  header: PageHeader,
  values: number,
  chunk: ChunkBytes,
  start: number,
  limits: PageLimits,
): void {
  const { compressed_page_size: stored, uncompressed_page_size: size } = header;
  if (!isCount(stored) || start + stored > chunk.bytes.length)
    throw new Error('a page is longer than its column chunk');
  // A writer that counts page headers differently may be some bytes off; damage is off by much more.
  const declared = Number(chunk.metadata.total_uncompressed_size) + start + stored;
  if (!isCount(size) || size > Math.min(declared, limits.maxBytes)) {
    throw new Error(
      `a page says that it has ${size} bytes, its column chunk ${chunk.metadata.total_uncompressed_size}`,
    );
  }
  if (!isCount(values)) throw new Error(`a page of ${values} values`);
  if (values * BYTES_PER_VALUE > limits.maxBytes)
    throw new Error(`a page of ${values} values is over the bound`);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function required<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('a page header lacks a part');
  return part;
}

/** A decoded page. Levels are `undefined` where they would be 0 (repetition) or the highest (definition) throughout. */
export interface DecodedPage {
  readonly count: number;
  readonly repetitions: Int32Array | undefined;
  readonly definitions: Int32Array | undefined;
  /** Values that are there, or their places in the dictionary. */
  readonly values: ArrayLike<unknown>;
  readonly dictionary: ArrayLike<unknown> | undefined;
}

export function decodeDictionary(
  page: StoredPage,
  chunk: ChunkBytes,
  limits: PageLimits,
): ArrayLike<unknown> {
  checkSum(page);
  const bytes = decompress(page.body, page.header.uncompressed_page_size, chunk.metadata.codec);
  return decodeValues('PLAIN', bytes, 0, page.values, chunk.leaf, limits);
}

export function decodePage(
  page: StoredPage,
  dictionary: ArrayLike<unknown> | undefined,
  chunk: ChunkBytes,
  limits: PageLimits,
): DecodedPage {
  checkSum(page);
  const levels = page.header.type === 'DATA_PAGE' ? levelsOfV1(page, chunk) : levelsOfV2(page, chunk);
  const { leaf } = chunk;
  checkLevels(levels.repetitions, leaf.maxRepetition);
  const present = presentValues(levels.definitions, leaf.maxDefinition, page.values);
  const definitions = present === page.values ? undefined : levels.definitions;
  const { repetitions, bytes, start, encoding } = levels;
  const page1 = { count: page.values, repetitions, definitions };
  if (encoding === 'PLAIN_DICTIONARY' || encoding === 'RLE_DICTIONARY') {
    if (present === 0) return { ...page1, values: [], dictionary: undefined };
    if (dictionary === undefined) throw new Error('a page asks for a dictionary that is not there');
    if (start >= bytes.length) throw new Error('a page without its dictionary indexes');
    const indexes = readHybrid(bytes, start + 1, bytes.length, bytes[start]!, present);
    for (const index of indexes) {
      if (index < 0 || index >= dictionary.length) throw new Error('an index beyond the dictionary');
    }
    return { ...page1, values: indexes, dictionary };
  }
  return {
    ...page1,
    values: decodeValues(encoding, bytes, start, present, leaf, limits),
    dictionary: undefined,
  };
}

/** Most writers leave the check sum out. */
function checkSum(page: StoredPage): void {
  const { crc } = page.header;
  if (crc !== undefined && crc32(page.body) !== crc >>> 0)
    throw new Error('a page does not match its check sum');
}

interface Levels {
  readonly repetitions: Int32Array | undefined;
  readonly definitions: Int32Array | undefined;
  /** Bytes of the values, from `start` on. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly encoding: string;
}

function levelsOfV1(page: StoredPage, { leaf, metadata }: ChunkBytes): Levels {
  const header = required(page.header.data_page_header);
  const bytes = decompress(page.body, page.header.uncompressed_page_size, metadata.codec);
  let start = 0;
  const read = (max: number, encoding: string): Int32Array | undefined => {
    if (max === 0) return undefined;
    if (encoding !== 'RLE') throw new Error(`levels encoded as ${encoding} are not read`);
    const from = start + 4;
    start = from + (page.values === 0 && bytes.length === 0 ? 0 : bytes.readUInt32LE(start));
    if (start > bytes.length) throw new Error('levels are longer than their page');
    return readHybrid(bytes, from, start, bitWidth(max), page.values);
  };
  const repetitions = read(leaf.maxRepetition, header.repetition_level_encoding);
  const definitions = read(leaf.maxDefinition, header.definition_level_encoding);
  return { repetitions, definitions, bytes, start, encoding: header.encoding };
}

function levelsOfV2(page: StoredPage, { leaf, metadata }: ChunkBytes): Levels {
  const header = required(page.header.data_page_header_v2);
  const { repetition_levels_byte_length: repetitionBytes, definition_levels_byte_length: definitionBytes } =
    header;
  const levelBytes = repetitionBytes + definitionBytes;
  const { body } = page;
  const size = page.header.uncompressed_page_size - levelBytes;
  if (!isCount(repetitionBytes) || !isCount(definitionBytes) || levelBytes > body.length || size < 0) {
    throw new Error('levels are longer than their page');
  }
  if (header.num_nulls > header.num_values) throw new Error('more nulls than values');
  const read = (max: number, from: number, to: number) =>
    max === 0 ? undefined : readHybrid(body, from, to, bitWidth(max), page.values);
  const rest = body.subarray(levelBytes);
  const isCompressed = header.is_compressed && rest.length > 0;
  return {
    repetitions: read(leaf.maxRepetition, 0, repetitionBytes),
    definitions: read(leaf.maxDefinition, repetitionBytes, levelBytes),
    bytes: isCompressed ? decompress(rest, size, metadata.codec) : rest,
    start: 0,
    encoding: header.encoding,
  };
}

function bitWidth(max: number): number {
  return 32 - Math.clz32(max);
}

function checkLevels(levels: Int32Array | undefined, max: number): void {
  if (levels?.some((level) => level > max)) throw new Error('a level beyond the schema');
}

function presentValues(definitions: Int32Array | undefined, max: number, count: number): number {
  if (definitions === undefined) return count;
  let present = 0;
  for (const level of definitions) {
    if (level > max) throw new Error('a level beyond the schema');
    if (level === max) present++;
  }
  return present;
}

function decodeValues(
  encoding: string,
  bytes: Buffer,
  start: number,
  count: number,
  leaf: Leaf,
  limits: PageLimits,
): ArrayLike<unknown> {
  if (count === 0) return [];
  const { element } = leaf;
  const { type } = element;
  const valueOf = boundedBytes(leaf, limits);
  switch (encoding) {
    case 'PLAIN':
      return decodePlain(bytes, start, count, leaf, valueOf);
    case 'RLE': {
      if (type !== 'BOOLEAN') break;
      const from = start + 4;
      const end = from + bytes.readUInt32LE(start);
      if (end > bytes.length) throw new Error('a run is longer than its page');
      return Array.from(readHybrid(bytes, from, end, 1, count), Boolean);
    }
    case 'DELTA_BINARY_PACKED':
      if (type === 'INT32') return integers(readDeltas(readerOf(bytes, start), new Int32Array(count)), leaf);
      if (type === 'INT64')
        return integers(readDeltas(readerOf(bytes, start), new BigInt64Array(count)), leaf);
      break;
    case 'DELTA_LENGTH_BYTE_ARRAY':
      if (type === 'BYTE_ARRAY') return readDeltaLengthBytes(bytes, start, count, valueOf);
      break;
    case 'DELTA_BYTE_ARRAY':
      if (type === 'BYTE_ARRAY' || type === 'FIXED_LEN_BYTE_ARRAY') {
        return readDeltaBytes(bytes, start, count, valueOf, limits.maxBytes);
      }
      break;
    case 'BYTE_STREAM_SPLIT':
      return decodePlain(joinStreams(bytes, start, count, plainWidth(leaf)), 0, count, leaf, valueOf);
    default:
      break;
  }
  throw new Error(`encoding ${encoding} of ${type} is not read`);
}

function boundedBytes({ kind }: Leaf, { maxValueBytes }: PageLimits): ByteValue<unknown> {
  return (page, start, end) => (end - start > maxValueBytes ? TOO_LARGE : kind.fromBytes(page, start, end));
}

const plainWidths: Readonly<Record<string, number>> = { INT32: 4, INT64: 8, INT96: 12, FLOAT: 4, DOUBLE: 8 };

function plainWidth({ element }: Leaf): number {
  const width =
    element.type === 'FIXED_LEN_BYTE_ARRAY' ? element.type_length : plainWidths[element.type ?? ''];
  if (width === undefined || !(width > 0)) throw new Error(`values of ${element.type} have no width`);
  return width;
}

function decodePlain(
  bytes: Buffer,
  start: number,
  count: number,
  leaf: Leaf,
  valueOf: ByteValue<unknown>,
): ArrayLike<unknown> {
  const { element } = leaf;
  switch (element.type) {
    case 'BYTE_ARRAY':
      return readPlainBytes(bytes, start, count, valueOf);
    case 'FIXED_LEN_BYTE_ARRAY':
    case 'INT96':
      return readFixedBytes(bytes, start, count, plainWidth(leaf), valueOf);
    case 'BOOLEAN':
      if (start + Math.ceil(count / 8) > bytes.length)
        throw new Error('a page has fewer values than its header says');
      return Array.from({ length: count }, (_, i) => ((bytes[start + (i >> 3)]! >> (i & 7)) & 1) === 1);
    default:
      break;
  }
  const end = start + count * plainWidth(leaf);
  if (end > bytes.length) throw new Error('a page has fewer values than its header says');
  // Copied, so that it is aligned, whatever stood before it.
  const { buffer } = Uint8Array.prototype.slice.call(bytes, start, end);
  switch (element.type) {
    case 'INT32':
      return integers(new Int32Array(buffer), leaf);
    case 'INT64':
      return integers(new BigInt64Array(buffer), leaf);
    case 'FLOAT':
      return new Float32Array(buffer);
    case 'DOUBLE':
      return new Float64Array(buffer);
    default:
      throw new Error(`type ${element.type} is not read`);
  }
}

function integers(values: Int32Array | BigInt64Array, { kind }: Leaf): ArrayLike<unknown> {
  return kind.fromIntegers === undefined ? values : kind.fromIntegers(values);
}
