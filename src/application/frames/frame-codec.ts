import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import {
  constants,
  crc32,
  gunzip,
  gunzipSync,
  gzip,
  gzipSync,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';
import { InfrastructureError, messageOf } from '../../domain/errors.ts';
import { isFields } from '../../domain/failure-shape.ts';
import {
  FRAME_FORMAT,
  type Frame,
  type FrameBody,
  type FrameHeader,
  type PackedFrame,
} from '../../domain/frame.ts';
import type { FrameCodec } from '../../domain/pipeline.ts';
import { fromTaggedJson, toTaggedJson } from '../values/tagged-json.ts';
import { decodeValue } from '../values/value-reader.ts';
import { encodeValue } from '../values/value-writer.ts';
import { isFrameBody, isFrameHeader } from './frame-shape.ts';
import { createMessageEncoding } from './encodings.ts';

/** A frame before it is packed: its body is encoded already. */
export interface FrameDraft extends Omit<FrameHeader, 'format' | 'compression'> {
  readonly bytes: Uint8Array;
}

/**
 * On the wire a `packed` frame is `SLF1`, the length of its header and its CRC-32 (4 bytes each, big end first), the
 * header as JSON, and the body compressed with zstd. A `json` frame is gzip over lines: the header, then the body. A
 * damaged header must show like a damaged body: it says where the frame belongs.
 */
const MAGIC = Buffer.from('SLF1', 'latin1');
const GZIP_MAGIC = 0x1f8b;
const HEADER_AT = MAGIC.length + 8;

/** What a body wraps around a message takes nothing of the depth that the message may have. */
const ENVELOPE_LEVELS = 4;

/** A frame holds about a megabyte; more than this after decompression is an attack or an accident. */
export const MAX_BODY_BYTES = 256 * 1024 * 1024;

/**
 * Up to so many bytes the way to another thread and back takes longer than the work (512 bytes with zstd: 75 µs against 570,
 * 16 KiB: 230 against 650). Most sections end with a small frame for each partition.
 */
const SMALL_BYTES = 16 * 1024;
/** What a small record may become; the others are left to another thread. */
const SMALL_OUTPUT = { maxOutputLength: 16 * SMALL_BYTES };
/** Node makes output in pieces of 16 KiB, each a way to the other thread and back: one piece for a whole body spares a seventh of the time. */
const ANY_OUTPUT = { maxOutputLength: MAX_BODY_BYTES, chunkSize: 1024 * 1024 };

const zstdElsewhere = promisify(zstdCompress);
const unzstdElsewhere = promisify(zstdDecompress);
const gzipElsewhere = promisify(gzip);
const gunzipElsewhere = promisify(gunzip);

// The default levels cost three times the time for a sixth of the bytes: docs/design.md, "Frames".
// The checksum is for what the digest leaves out: the texts of failures.
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } };
const GZIP = { level: 1 };

async function compressZstd(bytes: Uint8Array): Promise<Uint8Array> {
  return bytes.length <= SMALL_BYTES
    ? zstdCompressSync(bytes, { ...ZSTD, chunkSize: roomFor(bytes.length) })
    : zstdElsewhere(bytes, { ...ZSTD, chunkSize: bytes.length >> 1 });
}

async function compressGzip(bytes: Uint8Array): Promise<Uint8Array> {
  return bytes.length <= SMALL_BYTES
    ? gzipSync(bytes, { ...GZIP, chunkSize: roomFor(bytes.length) })
    : gzipElsewhere(bytes, { ...GZIP, chunkSize: bytes.length >> 1 });
}

/** Room for the output at once: the 16 KiB that zlib takes for every call cost a small frame a fifth of its time. */
function roomFor(bytes: number): number {
  return Math.min(SMALL_BYTES, bytes + 512);
}

function decompressZstd(bytes: Uint8Array): Promise<Buffer> {
  return decompress(bytes, zstdDecompressSync, unzstdElsewhere);
}

function decompressGzip(bytes: Uint8Array): Promise<Buffer> {
  return decompress(bytes, gunzipSync, gunzipElsewhere);
}

async function decompress(
  bytes: Uint8Array,
  here: (bytes: Uint8Array, limits: typeof SMALL_OUTPUT & { readonly chunkSize: number }) => Buffer,
  elsewhere: (bytes: Uint8Array, limits: typeof ANY_OUTPUT) => Promise<Buffer>,
): Promise<Buffer> {
  if (bytes.length > SMALL_BYTES) return elsewhere(bytes, ANY_OUTPUT);
  try {
    return here(bytes, { ...SMALL_OUTPUT, chunkSize: roomFor(4 * bytes.length) });
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw thrown;
    return elsewhere(bytes, ANY_OUTPUT);
  }
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 32);
}

/** Encodes a body that is not made of messages alone. */
export function encodeBody(
  body: Exclude<FrameBody, { kind: 'messages' }>,
  codec: FrameCodec,
): { bytes: Uint8Array; digest: string } {
  const bytes =
    codec === 'packed'
      ? encodeValue(body, -ENVELOPE_LEVELS)
      : Buffer.from(`${toTaggedJson(body, -ENVELOPE_LEVELS)}\n`, 'utf8');
  return { bytes, digest: digestOfBody(body) };
}

function digestOfBody(body: FrameBody): string {
  return digestOf(encodeValue(identityOf(body), -ENVELOPE_LEVELS));
}

/** Texts of errors may hold addresses or times: two tries of the same section must not differ by them. */
function identityOf(body: FrameBody): unknown {
  if (body.kind !== 'failures') return body;
  return body.failures.map(({ id, stage, code, rows, payload }) => ({ id, stage, code, rows, payload }));
}

export async function packFrame(draft: FrameDraft): Promise<PackedFrame> {
  const { bytes, ...described } = draft;
  const compression = draft.codec === 'packed' ? 'zstd' : 'gzip';
  const header: FrameHeader = { format: FRAME_FORMAT, ...described, compression };
  const headerText = JSON.stringify(header);
  if (compression === 'gzip') {
    return {
      header,
      bytes: await compressGzip(Buffer.concat([Buffer.from(`${headerText}\n`, 'utf8'), bytes])),
    };
  }
  const headerBytes = Buffer.from(headerText, 'utf8');
  const prefix = Buffer.alloc(HEADER_AT);
  MAGIC.copy(prefix);
  prefix.writeUInt32BE(headerBytes.length, MAGIC.length);
  prefix.writeUInt32BE(crc32(headerBytes), MAGIC.length + 4);
  return { header, bytes: Buffer.concat([prefix, headerBytes, await compressZstd(bytes)]) };
}

/** @throws InfrastructureError `E_FRAME_CORRUPT` where the record is no frame, or another one than its digest says */
export async function unpackFrame(record: Uint8Array): Promise<Frame> {
  const { header, readBytes } = await open(record);
  const bytes = await orCorrupt(readBytes);
  const body = decodeBody(header, bytes);
  const digest = body.kind === 'messages' ? digestOf(bytes) : digestOfBody(body);
  if (digest !== header.digest) throw corrupt('its digest does not match');
  return { header, body };
}

/**
 * What a record tells of itself, without a look at its body.
 *
 * @throws InfrastructureError `E_FRAME_CORRUPT` where it does not start like a frame
 */
export async function readFrameHeader(record: Uint8Array): Promise<FrameHeader> {
  return (await open(record)).header;
}

function open(record: Uint8Array): Promise<{ header: FrameHeader; readBytes: () => Promise<Uint8Array> }> {
  const buffer = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  return orCorrupt(async () => {
    if (buffer.length >= 2 && buffer.readUInt16BE(0) === GZIP_MAGIC) {
      const text = await decompressGzip(buffer);
      const line = text.indexOf(0x0a);
      return { header: parseHeader(text.subarray(0, line)), readBytes: async () => text.subarray(line + 1) };
    }
    if (buffer.length < HEADER_AT || !buffer.subarray(0, MAGIC.length).equals(MAGIC))
      throw corrupt('it does not start like one');
    const bodyAt = HEADER_AT + buffer.readUInt32BE(MAGIC.length);
    if (bodyAt > buffer.length) throw corrupt('it is cut off');
    const headerBytes = buffer.subarray(HEADER_AT, bodyAt);
    if (crc32(headerBytes) !== buffer.readUInt32BE(MAGIC.length + 4)) throw corrupt('its header is damaged');
    return { header: parseHeader(headerBytes), readBytes: () => decompressZstd(buffer.subarray(bodyAt)) };
  });
}

async function orCorrupt<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    if (thrown instanceof InfrastructureError) throw thrown;
    throw corrupt(messageOf(thrown), thrown);
  }
}

function parseHeader(bytes: Buffer): FrameHeader {
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's own message quotes what it read.
    throw corrupt('its header is no JSON');
  }
  const format = isFields(header) ? header['format'] : undefined;
  if (typeof format === 'number' && format !== FRAME_FORMAT)
    throw corrupt(`its format is ${format}, this Sluice reads ${FRAME_FORMAT}`);
  if (format !== FRAME_FORMAT || !isFrameHeader(header)) throw corrupt('its header is not one');
  return header;
}

function decodeBody(header: FrameHeader, bytes: Uint8Array): FrameBody {
  let body: unknown;
  try {
    body =
      header.body === 'messages' ? createMessageEncoding(header.codec).read(bytes) : readBody(header, bytes);
  } catch (thrown) {
    if (thrown instanceof InfrastructureError) throw thrown;
    // Data of another shape than it should have: a TypeError, a RangeError.
    throw corrupt(messageOf(thrown), thrown);
  }
  if (!isFrameBody(body) || body.kind !== header.body) throw corrupt('its body is not what its header says');
  return body;
}

function readBody(header: FrameHeader, bytes: Uint8Array): unknown {
  return header.codec === 'packed'
    ? decodeValue(bytes, -ENVELOPE_LEVELS)
    : fromTaggedJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
}

function corrupt(why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`a record is no usable frame: ${why}`, { code: 'E_FRAME_CORRUPT', cause });
}
