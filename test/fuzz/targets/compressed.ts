import { crc32, gzipSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { decompressed } from '../../../src/application/formats/compression.ts';
import { memoryObject } from '../../formats/text/lake-text.ts';
import { outcomeOf } from '../refusal.ts';
import { must, type Target, type Verdict } from '../target.ts';
import { chunksOf } from '../text-reading.ts';

/** What is read of a bomb. In bytes. */
const MAX_OUTPUT = 4 * 1024 * 1024;

type Kind = 'gzip' | 'zstd';

/** A piece that a second reader decompressed, and what is left behind it. */
interface Piece {
  readonly output: Uint8Array;
  readonly rest: Uint8Array;
}

/** Gzip, member by member, against what RFC 1952 says around zlib's raw inflation. Zero bytes after a member are padding to both. */
export const gzipTarget = compressedTarget('gzip', gzipSync, (input) => {
  const { rest, output } = gzipMember(Buffer.from(input));
  const first = rest.findIndex((byte) => byte !== 0);
  return { output, rest: first === -1 ? new Uint8Array(0) : rest.subarray(first) };
});

/** Zstandard, frame by frame, against zlib's call for one frame; it does not know skippable ones. */
export const zstdTarget = compressedTarget('zstd', zstdCompressSync, (input) => {
  const bytes = Buffer.from(input);
  if (bytes.length >= 8 && (bytes.readUInt32LE() & ~0xf) >>> 0 === 0x184d2a50) {
    const end = 8 + bytes.readUInt32LE(4);
    if (end > bytes.length) throw new Error('a skippable frame is cut off');
    return { output: new Uint8Array(0), rest: bytes.subarray(end) };
  }
  const { buffer, engine } = zstdDecompressSync(bytes, INFO) as unknown as Informed;
  return { output: buffer, rest: bytes.subarray(engine.bytesWritten) };
});

const INFO = { info: true, maxOutputLength: MAX_OUTPUT };

interface Informed {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

const NAMED_PARTS = [0x08, 0x10];

function gzipMember(bytes: Buffer): Piece {
  const flags = bytes.readUInt8(3);
  must(bytes.readUInt16BE() === 0x1f8b && bytes[2] === 8 && (flags & 0xe0) === 0, 'no gzip');
  let at = 10;
  if (flags & 0x04) at += 2 + bytes.readUInt16LE(at);
  for (const part of NAMED_PARTS) if (flags & part) at = bytes.indexOf(0, at) + 1 || Number.NaN;
  if (flags & 0x02) {
    must(bytes.readUInt16LE(at) === (crc32(bytes.subarray(0, at)) & 0xffff), 'a damaged header');
    at += 2;
  }
  const { buffer, engine } = inflateRawSync(bytes.subarray(at), INFO) as unknown as Informed;
  at += engine.bytesWritten;
  must(
    bytes.readUInt32LE(at) === crc32(buffer) && bytes.readUInt32LE(at + 4) === buffer.length,
    'a wrong checksum',
  );
  return { output: buffer, rest: bytes.subarray(at + 8) };
}

function compressedTarget(
  name: Kind,
  compress: (text: string) => Buffer,
  second: (input: Uint8Array) => Piece,
): Target {
  return {
    name,
    share: 0.5,
    isJson: false,
    tokens: [
      '\x1f\x8b',
      '\x1f\x8b\x08\x00',
      '\x28\xb5\x2f\xfd',
      '\x50\x2a\x4d\x18\x04\x00\x00\x00',
      '\0',
      '\0\0\0\0\0\0\0\0',
      '\xff\xff',
    ],
    open: () => ({
      corpus: [
        compress('a,b\n1,2\n'),
        Buffer.concat([
          compress('one\n'),
          compress(''),
          compress('two\n'),
          ...(name === 'gzip' ? [Buffer.alloc(9)] : []),
        ]),
        compress('0123456789abcdef'.repeat(400)),
        compress(Array.from({ length: 300 }, (_, i) => `${i},${(i * 7919) % 1009}\n`).join('')),
        ...(name === 'zstd'
          ? [Buffer.concat([Buffer.from('502a4d1803000000616263', 'hex'), compress('x')])]
          : []),
      ].map((bytes) => new Uint8Array(bytes)),
      check: (input) => check(name, input, second),
    }),
  };
}

async function check(name: Kind, input: Uint8Array, second: (input: Uint8Array) => Piece): Promise<Verdict> {
  const object = memoryObject(input, chunksOf(input));
  const parts: Uint8Array[] = [];
  let length = 0;
  const { code } = await outcomeOf(['E_COMPRESSED_CORRUPT'], async () => {
    for await (const part of decompressed(name, (start) => object.read(start, object.size))) {
      parts.push(Uint8Array.from(part));
      length += part.length;
      if (length > MAX_OUTPUT) break;
    }
  });
  must(object.open === 0, 'a stream was left open');
  if (length > MAX_OUTPUT) return 'accepted';
  const theirs = secondReading(input, second);
  must((code === undefined) === (theirs !== null), `one of the two refuses: ${code ?? 'the second reader'}`);
  if (theirs === null) return 'refused';
  must(Buffer.concat(parts).equals(theirs), 'the two give other bytes');
  return 'accepted';
}

function secondReading(input: Uint8Array, second: (input: Uint8Array) => Piece): Buffer | null {
  const outputs: Uint8Array[] = [];
  try {
    for (let rest = input; rest.length > 0;) {
      const piece = second(rest);
      outputs.push(piece.output);
      rest = piece.rest;
    }
    return Buffer.concat(outputs);
  } catch {
    return null;
  }
}
