import { brotliDecompressSync, unzipSync, zstdDecompressSync } from 'node:zlib';
import type { CompressionCodec } from 'hyparquet';
import { decompressLz4, decompressLz4Raw } from 'hyparquet-compressors/src/lz4.js';
import { snappyUncompressor } from 'hysnappy';

/** Decompression buffers are made as large as the page, but never larger than this at once. In bytes. */
const MAX_CHUNK_BYTES = 16 * 1024 * 1024;
const MIN_CHUNK_BYTES = 64;

type Decompressor = (input: Uint8Array, size: number) => Uint8Array;

/** WebAssembly, which is compiled where a page needs it: a function that reads none starts without. */
let snappy: Decompressor | undefined;

/** Node's own zlib where it has the codec: it is several times as fast, and stops at the declared size. */
const decompressors: { readonly [codec in CompressionCodec]?: Decompressor } = {
  UNCOMPRESSED: (input) => input,
  SNAPPY: (input, size) => {
    checkSnappyLength(input, size);
    snappy ??= snappyUncompressor();
    return snappy(input, size);
  },
  GZIP: (input, size) => unzipSync(input, outputOf(size)),
  BROTLI: (input, size) => brotliDecompressSync(input, outputOf(size)),
  ZSTD: (input, size) => zstdDecompressSync(input, outputOf(size)),
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};

/**
 * The stream says itself how long it is. What decompresses it takes the caller's word, and would fill up with bytes of
 * another page.
 */
function checkSnappyLength(input: Uint8Array, size: number): void {
  let length = 0;
  let at = 0;
  do length += (input[at]! & 0x7f) * 2 ** (7 * at);
  while (input[at++]! >= 0x80 && at < 5);
  if (length !== size) throw new Error(`snappy data of ${length} bytes in a page of ${size}`);
}

function outputOf(size: number): { maxOutputLength: number; chunkSize: number } {
  return { maxOutputLength: size, chunkSize: Math.max(MIN_CHUNK_BYTES, Math.min(size, MAX_CHUNK_BYTES)) };
}

/**
 * A page's bytes, exactly as many as its header declares.
 *
 * @throws Error where they are not, or where the codec is not read
 */
export function decompress(input: Uint8Array, size: number, codec: CompressionCodec): Buffer {
  if (size === 0) return Buffer.alloc(0);
  const decompressor = decompressors[codec];
  if (decompressor === undefined) throw new Error(`compression ${codec} is not read`);
  const output = decompressor(input, size);
  if (output.length !== size) throw new Error(`a page has ${output.length} bytes, its header says ${size}`);
  return Buffer.from(output.buffer, output.byteOffset, output.byteLength);
}
