import { InfrastructureError } from '../../../domain/errors.ts';
import type { ByteRange } from '../../../domain/lake-object.ts';
import type { ObjectBytes } from '../decoder.ts';

/** Ranges that are no further apart than this are read as one: a request costs more than these bytes. */
const MAX_GAP_BYTES = 8 * 1024;

/** All bytes of a range. */
export async function readRange(object: ObjectBytes, range: ByteRange, signal: AbortSignal): Promise<Buffer> {
  signal.throwIfAborted();
  const bytes = Buffer.allocUnsafeSlow(range.end - range.start);
  let filled = 0;
  if (bytes.length > 0) {
    for await (const part of object.read(range.start, range.end)) {
      signal.throwIfAborted();
      if (filled + part.length > bytes.length) break;
      bytes.set(part, filled);
      filled += part.length;
    }
  }
  if (filled !== bytes.length) {
    throw new InfrastructureError(
      `${object.key}: bytes ${range.start} to ${range.end} could not be read in full`,
    );
  }
  return bytes;
}

/** The bytes of several ranges, in the order of the ranges, with as few reads as makes sense. */
export async function readRanges(
  object: ObjectBytes,
  ranges: readonly ByteRange[],
  signal: AbortSignal,
): Promise<readonly Buffer[]> {
  const output = new Array<Buffer>(ranges.length);
  const order = ranges.map((_, i) => i).sort((a, b) => ranges[a]!.start - ranges[b]!.start);
  for (let i = 0; i < order.length;) {
    const { start } = ranges[order[i]!]!;
    let { end } = ranges[order[i]!]!;
    let next = i + 1;
    while (next < order.length && ranges[order[next]!]!.start <= end + MAX_GAP_BYTES) {
      end = Math.max(end, ranges[order[next]!]!.end);
      next++;
    }
    const bytes = await readRange(object, { start, end }, signal);
    for (; i < next; i++) {
      const range = ranges[order[i]!]!;
      output[order[i]!] = bytes.subarray(range.start - start, range.end - start);
    }
  }
  return output;
}
