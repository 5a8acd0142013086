import { Buffer } from 'node:buffer';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import type { Compression, Format } from '../../domain/pipeline.ts';
import { decompressed } from './compression.ts';
import type { ObjectBytes } from './decoder.ts';

export interface Detected {
  readonly format: Format;
  readonly compression: Compression;
}

/** What the source declares, if it does: `source.format` and `source.compression`. */
export interface Forced {
  readonly format?: Format | undefined;
  readonly compression?: Compression | undefined;
}

/** What is looked at of an object, in bytes, stored and decompressed. */
const BEGINNING_BYTES = 64 * 1024;

/**
 * Format and compression of an object. Its first bytes decide about compression and Parquet, then the name's ending
 * about the others, then the content again: JSON Lines and JSON are told apart by what stands after the first line.
 *
 * @throws DomainError `E_FORMAT_UNKNOWN`, `E_COMPRESSION_UNSUPPORTED`, or `E_COMPRESSED_CORRUPT` where not even the beginning can be read
 */
export async function detect(object: ObjectBytes, forced: Forced, signal: AbortSignal): Promise<Detected> {
  if (forced.format === 'parquet') return { format: 'parquet', compression: 'none' };
  if (forced.format !== undefined && forced.compression !== undefined)
    return { format: forced.format, compression: forced.compression };
  const stored = await beginningOf(object.read(0, Math.min(object.size, BEGINNING_BYTES)), signal);
  if (forced.format === undefined && forced.compression === undefined && startsWith(stored, PARQUET)) {
    return { format: 'parquet', compression: 'none' };
  }
  const compression = forced.compression ?? compressionOfBytes(object.key, stored);
  if (forced.format !== undefined) return { format: forced.format, compression };
  const text =
    compression === 'none'
      ? stored
      : await beginningOf(
          decompressed(compression, (start) => object.read(start, object.size)),
          signal,
        );
  return { format: formatOfText(object.key, text, compression), compression };
}

/** How an object is stored, by its first bytes. */
export async function compressionOf(object: ObjectBytes, signal: AbortSignal): Promise<Compression> {
  const stored = await beginningOf(object.read(0, Math.min(object.size, LONGEST_MAGIC)), signal);
  return compressionOfBytes(object.key, stored);
}

async function beginningOf(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      parts.push(Uint8Array.from(chunk));
      bytes += chunk.length;
      if (bytes >= BEGINNING_BYTES) break;
    }
  } catch (thrown) {
    // A beginning that is cut short tells the format all the same; reading tells the damage.
    if (!isDomainError(thrown) || thrown.code !== 'E_COMPRESSED_CORRUPT' || bytes === 0) throw thrown;
  }
  return Buffer.concat(parts).subarray(0, BEGINNING_BYTES);
}

const PARQUET = Buffer.from('PAR1', 'latin1');
const GZIP = Buffer.from([0x1f, 0x8b]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** A skippable frame of zstd begins with any of 16 bytes, and these. */
const ZSTD_SKIPPABLE = Buffer.from([0x2a, 0x4d, 0x18]);

const UNSUPPORTED: readonly (readonly [name: string, magic: Buffer])[] = [
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['zip', Buffer.from([0x50, 0x4b, 0x03, 0x04])],
  ['7-Zip', Buffer.from([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c])],
  ['lz4', Buffer.from([0x04, 0x22, 0x4d, 0x18])],
  ['snappy', Buffer.from([0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59])],
  ['compress (.Z)', Buffer.from([0x1f, 0x9d])],
];

/** After `BZh` and a digit bzip2 has the digits of π, which no text begins with. */
const BZIP2 = /^BZh[1-9]1AY&SY/;

const UNSUPPORTED_ENDINGS: Readonly<Record<string, string>> = {
  br: 'brotli',
  deflate: 'deflate',
  lzo: 'lzo',
  snappy: 'snappy',
  sz: 'snappy',
};

const LONGEST_MAGIC = 16;

function compressionOfBytes(key: string, stored: Buffer): Compression {
  if (startsWith(stored, GZIP)) return 'gzip';
  if (startsWith(stored, ZSTD)) return 'zstd';
  if (((stored[0] ?? 0) & 0xf0) === 0x50 && startsWith(stored.subarray(1), ZSTD_SKIPPABLE)) return 'zstd';
  const ending = /\.(\w+)$/.exec(key)?.[1]?.toLowerCase() ?? '';
  const unsupported =
    UNSUPPORTED.find(([, magic]) => startsWith(stored, magic))?.[0] ??
    (BZIP2.test(stored.toString('latin1', 0, LONGEST_MAGIC)) ? 'bzip2' : undefined) ??
    (Object.hasOwn(UNSUPPORTED_ENDINGS, ending) ? UNSUPPORTED_ENDINGS[ending] : undefined);
  if (unsupported !== undefined) {
    throw new DomainError(`compressed with ${unsupported}: only gzip and zstd are read`, {
      code: 'E_COMPRESSION_UNSUPPORTED',
    });
  }
  return 'none';
}

const NAMED_FORMATS: Readonly<Record<string, Format>> = {
  csv: 'csv',
  tsv: 'csv',
  tab: 'csv',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
};

/** Other files of a lake, so that the message can name them. */
const OTHER_FORMATS: readonly (readonly [name: string, magic: string])[] = [
  ['Avro', 'Obj\x01'],
  ['ORC', 'ORC'],
  ['SQLite', 'SQLite format 3\0'],
  ['PDF', '%PDF-'],
  ['Arrow', 'ARROW1'],
];

/** Endings that say nothing of a format. */
const NEUTRAL_ENDINGS = new Set(['', 'txt', 'dat', 'data', 'out', 'psv']);

function formatOfText(key: string, text: Buffer, compression: Compression): Format {
  if (compression !== 'none' && startsWith(text, PARQUET)) {
    throw unknown(`a Parquet file inside ${compression}: decompress it first`);
  }
  const ending = /\.(\w+)$/.exec(key.replace(/\.(?:gz|gzip|zst|zstd)$/i, ''))?.[1]?.toLowerCase() ?? '';
  if (ending === 'parquet' && text.length > 0)
    throw unknown('named .parquet, but it does not begin as a Parquet file');
  const binary = OTHER_FORMATS.find(
    ([, magic]) => text.toString('latin1', 0, magic.length) === magic && hasControls(text),
  )?.[0];
  if (binary !== undefined) throw unknown(`a file of ${binary}`);
  if (hasControls(text)) throw unknown('binary content, no text');
  if (Object.hasOwn(NAMED_FORMATS, ending)) return NAMED_FORMATS[ending] as Format;
  const content = text
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .trimStart();
  if (content.startsWith('[')) return 'json';
  if (content.startsWith('{')) return holdsJsonLines(content) ? 'jsonl' : 'json';
  if (ending === 'json') return content === '' ? 'json' : 'jsonl';
  // Almost any text could be CSV: notes and programs in a lake must not be counted as rows.
  if (NEUTRAL_ENDINGS.has(ending) || /^\d+$/.test(ending) || nameOf(key).startsWith('part-')) return 'csv';
  throw unknown(`a text file named .${ending}`);
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

function unknown(what: string): DomainError {
  return new DomainError(
    `${what}; csv, jsonl, json and parquet are read. If it is one of these, set source.format`,
    {
      code: 'E_FORMAT_UNKNOWN',
    },
  );
}

/** Zero bytes and most of their kin stand in no text; tab, newlines, form feed and the separators of old exports do. */
const CONTROLS = /[\0\x03-\x08]/;

function hasControls(text: Buffer): boolean {
  return CONTROLS.test(text.toString('latin1'));
}

/** Text that begins with a brace: whether its lines are objects of their own. The last line may be cut off. */
function holdsJsonLines(content: string): boolean {
  const lines = content.split('\n').map((line) => line.trim());
  const cut = lines.pop() ?? '';
  const complete = lines.filter((line) => line !== '');
  const objects = complete.filter(isJsonObject).length;
  if (complete.length === 1) return objects === 1 && cut !== '';
  return objects > 0 && objects * 2 >= complete.length;
}

function isJsonObject(line: string): boolean {
  if (!line.startsWith('{') || !line.endsWith('}')) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

function startsWith(bytes: Buffer, magic: Buffer): boolean {
  return bytes.subarray(0, magic.length).equals(magic);
}
