import type { Compression } from '../../../domain/pipeline.ts';
import { compressionOf } from '../detect.ts';
import { decompressed } from '../compression.ts';
import type { ObjectBytes, ReadOptions } from '../decoder.ts';

/** An object's text, whether or not it is stored compressed. */
export interface TextSource {
  readonly compression: Compression;
  /** In bytes; `null` where only decompressing it tells. */
  readonly size: number | null;

  /**
   * The text from a byte offset to its end.
   *
   * @param likelyEnd where the reader will probably stop; what lies behind it is only asked for when it is needed
   */
  read(start: number, likelyEnd?: number): AsyncIterable<Uint8Array>;
}

/** What a reader may need after the place where it is likely to stop: the rest of a record. */
const OVERRUN_BYTES = 64 * 1024;

export async function openText(
  object: ObjectBytes,
  options: ReadOptions,
  signal: AbortSignal,
): Promise<TextSource> {
  const compression = options.compression ?? (await compressionOf(object, signal));
  return compression === 'none' ? plainText(object, signal) : compressedText(object, compression, signal);
}

function plainText(object: ObjectBytes, signal: AbortSignal): TextSource {
  return {
    compression: 'none',
    size: object.size,
    async *read(start, likelyEnd = object.size) {
      let from = start;
      let to = Math.min(object.size, Math.max(start, likelyEnd) + OVERRUN_BYTES);
      while (from < object.size) {
        for await (const chunk of object.read(from, to)) {
          signal.throwIfAborted();
          if (chunk.length > 0) yield chunk;
        }
        // One long record runs on: ask for more and more at once.
        const asked = to - from;
        from = to;
        to = Math.min(object.size, to + 4 * Math.max(OVERRUN_BYTES, Math.min(asked, MAX_REQUEST_GROWTH)));
      }
    },
  };
}

const MAX_REQUEST_GROWTH = 16 * 1024 * 1024;

function compressedText(
  object: ObjectBytes,
  compression: Exclude<Compression, 'none'>,
  signal: AbortSignal,
): TextSource {
  return {
    compression,
    size: null,
    async *read(start) {
      let position = 0;
      for await (const chunk of decompressed(compression, (from) => object.read(from, object.size))) {
        signal.throwIfAborted();
        const skipped = Math.min(chunk.length, Math.max(0, start - position));
        position += chunk.length;
        if (skipped < chunk.length) yield chunk.subarray(skipped);
      }
    },
  };
}
