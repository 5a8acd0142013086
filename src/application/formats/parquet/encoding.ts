import type { DataReader } from 'hyparquet';
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { readVarInt } from 'hyparquet/src/thrift.js';

/*
 * Decoders that damaged data cannot make allocate or loop beyond what the page's header says: hyparquet's own trust
 * the lengths that they read.
 */

/** Reads from `offset` on; a read beyond the end throws. */
export function readerOf(bytes: Uint8Array, offset = 0): DataReader {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset };
}

/** Levels, dictionary indexes and booleans: runs of one value, or values packed by bits. */
export function readHybrid(
  bytes: Uint8Array,
  start: number,
  end: number,
  width: number,
  count: number,
): Int32Array {
  if (width > 32) throw new Error(`a bit width of ${width}`);
  const output = new Int32Array(count);
  if (width === 0) return output;
  const byteWidth = (width + 7) >> 3;
  const mask = width === 32 ? -1 : (1 << width) - 1;
  let offset = start;
  let filled = 0;
  while (filled < count) {
    let header = 0;
    let shift = 0;
    let byte: number;
    do {
      if (offset >= end || shift > 28) throw new Error('levels or indexes end too early');
      byte = bytes[offset++]!;
      header |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    header >>>= 0;
    const length = header >>> 1;
    if ((header & 1) === 0) {
      if (length === 0) throw new Error('a run of no values');
      if (offset + byteWidth > end) throw new Error('levels or indexes end too early');
      let value = 0;
      for (let i = 0; i < byteWidth; i++) value |= bytes[offset++]! << (8 * i);
      const until = Math.min(count, filled + length);
      output.fill(value, filled, until);
      filled = until;
    } else {
      const values = Math.min(length * 8, count - filled);
      if (length === 0) throw new Error('a run of no values');
      // Writers may leave out the last bytes of padding; what is needed has to be there.
      if (offset + Math.ceil((values * width) / 8) > end) throw new Error('levels or indexes end too early');
      if (width <= 24) unpackNarrow(bytes, offset, width, mask, output, filled, values);
      else unpackWide(bytes, offset, width, output, filled, values);
      filled += values;
      offset += length * width;
    }
  }
  return output;
}

function unpackNarrow(
  bytes: Uint8Array,
  start: number,
  width: number,
  mask: number,
  output: Int32Array,
  filled: number,
  values: number,
): void {
  let offset = start;
  let buffered = 0;
  let bits = 0;
  for (let i = 0; i < values; i++) {
    while (bits < width) {
      buffered |= bytes[offset++]! << bits;
      bits += 8;
    }
    output[filled + i] = buffered & mask;
    buffered >>>= width;
    bits -= width;
  }
}

function unpackWide(
  bytes: Uint8Array,
  start: number,
  width: number,
  output: Int32Array,
  filled: number,
  values: number,
): void {
  for (let i = 0; i < values; i++) {
    const firstBit = i * width;
    let value = 0n;
    const firstByte = start + (firstBit >> 3);
    const lastByte = start + ((firstBit + width - 1) >> 3);
    for (let at = lastByte; at >= firstByte; at--) value = (value << 8n) | BigInt(bytes[at]!);
    output[filled + i] = Number(BigInt.asIntN(32, BigInt.asUintN(width, value >> BigInt(firstBit & 7))));
  }
}

/** Values to a block and blocks' parts, beyond what any writer uses: a header with more is damaged. */
const MAX_DELTA_BLOCK = 1 << 20;

/** Whole numbers as differences. The reader is left behind them. */
export function readDeltas<Values extends Int32Array | BigInt64Array>(
  reader: DataReader,
  output: Values,
): Values {
  const header = { view: reader.view, offset: reader.offset };
  const blockSize = readVarInt(header);
  const miniblocks = readVarInt(header);
  const total = readVarInt(header);
  const sane =
    blockSize > 0 &&
    blockSize <= MAX_DELTA_BLOCK &&
    miniblocks > 0 &&
    miniblocks <= blockSize &&
    blockSize % miniblocks === 0;
  if (!sane || total < output.length) throw new Error('a block of differences has a damaged header');
  if (output.length > 0) {
    deltaBinaryUnpack(reader, output.length, output);
  } else {
    // An empty block still has its header and its first value.
    reader.offset = header.offset;
    skipVarInt(reader);
  }
  return output;
}

function skipVarInt(reader: DataReader): void {
  while (reader.view.getUint8(reader.offset++) >= 0x80);
}

/** A run of bytes in a page; `start` is in, `end` is not. */
export type ByteValue<T> = (page: Buffer, start: number, end: number) => T;

/** Byte arrays, each behind its length. */
export function readPlainBytes<T>(page: Buffer, start: number, count: number, valueOf: ByteValue<T>): T[] {
  // Every value has at least its length: a count beyond that is damaged, and must not be allocated.
  if (count > (page.length - start) / 4) throw new Error('a page has fewer values than its header says');
  const output = new Array<T>(count);
  let offset = start;
  for (let i = 0; i < count; i++) {
    const from = offset + 4;
    offset = from + page.readUInt32LE(offset);
    if (offset > page.length) throw new Error('a value is longer than its page');
    output[i] = valueOf(page, from, offset);
  }
  return output;
}

export function readFixedBytes<T>(
  page: Buffer,
  start: number,
  count: number,
  width: number,
  valueOf: ByteValue<T>,
): T[] {
  if (width < 0 || start + count * width > page.length) {
    throw new Error('a page has fewer values than its header says');
  }
  return Array.from({ length: count }, (_, i) => valueOf(page, start + i * width, start + (i + 1) * width));
}

/** Byte arrays behind all their lengths. */
export function readDeltaLengthBytes<T>(
  page: Buffer,
  start: number,
  count: number,
  valueOf: ByteValue<T>,
): T[] {
  const reader = readerOf(page, start);
  const lengths = readDeltas(reader, new Int32Array(count));
  let offset = reader.offset;
  return Array.from(lengths, (length) => {
    const from = offset;
    offset += length;
    if (length < 0 || offset > page.length) throw new Error('a value is longer than its page');
    return valueOf(page, from, offset);
  });
}

/**
 * Byte arrays that share their beginnings with the one before.
 *
 * @param maxBytes of all values together: shared beginnings can inflate a small page without end
 */
export function readDeltaBytes<T>(
  page: Buffer,
  start: number,
  count: number,
  valueOf: ByteValue<T>,
  maxBytes: number,
): T[] {
  const reader = readerOf(page, start);
  const prefixes = readDeltas(reader, new Int32Array(count));
  const suffixes = readDeltas(reader, new Int32Array(count));
  let offset = reader.offset;
  let previous: Buffer = Buffer.alloc(0);
  let bytes = 0;
  return Array.from(prefixes, (prefix, i) => {
    const suffix = suffixes[i]!;
    if (prefix < 0 || prefix > previous.length || suffix < 0 || offset + suffix > page.length) {
      throw new Error('a value is longer than its page');
    }
    bytes += prefix + suffix;
    if (bytes > maxBytes) throw new Error('values with shared beginnings inflate beyond the bound');
    const value = Buffer.allocUnsafe(prefix + suffix);
    previous.copy(value, 0, 0, prefix);
    page.copy(value, prefix, offset, offset + suffix);
    offset += suffix;
    previous = value;
    return valueOf(value, 0, value.length);
  });
}

/** The bytes of all values, first bytes first, back in the order of plain values. */
export function joinStreams(page: Buffer, start: number, count: number, width: number): Buffer {
  if (width <= 0 || start + count * width > page.length)
    throw new Error('a page has fewer values than its header says');
  const output = Buffer.allocUnsafe(count * width);
  let at = start;
  for (let byte = 0; byte < width; byte++) {
    for (let i = 0; i < count; i++) output[i * width + byte] = page[at++]!;
  }
  return output;
}
