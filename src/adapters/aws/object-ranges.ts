import { InfrastructureError } from '../../domain/errors.ts';
import type { ByteRange, LakeObject } from '../../domain/lake-object.ts';
import type { RetryPolicy } from '../../domain/retry.ts';
import { backOff, type RetryPorts } from './retrying.ts';
import { urlOf, type S3Calls } from './s3-client.ts';

export interface RangePorts extends RetryPorts {
  readonly calls: Pick<S3Calls, 'get'>;
}

export interface RangeOptions {
  /** Bytes that one request asks for. */
  readonly partBytes: number;
  /** Requests of one read in flight at once; it holds `parallelParts × partBytes` bytes at most. */
  readonly parallelParts: number;
  /** Largest chunk that is given, in bytes. */
  readonly chunkBytes: number;
  /** Tries of a part without a single byte of progress. */
  readonly retry: RetryPolicy;
}

/**
 * The bytes of a stretch that lies within the object, in order: cut into parts, several of them fetched at once. A part whose connection breaks goes on at the
 * byte where it stopped. A consumer that stops early aborts every request.
 *
 * ```
 * part 0  ████████░░░░   given away while it comes
 * part 1  █████░░░░░░░   kept until its turn
 * part 2  ██████░░░░░░   kept until its turn
 * part 3                 begins when part 0 was given away
 * ```
 */
export async function* readRanges(
  object: LakeObject,
  { start, end }: ByteRange,
  ports: RangePorts,
  options: RangeOptions,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const left = new AbortController();
  const stop = AbortSignal.any([signal, left.signal]);
  const parts: ReadAhead[] = [];
  let next = start;
  let taken = 0;
  try {
    for (;;) {
      // Whoever only looks at a beginning asks for one part of it: each chunk that is taken lets one part more begin.
      while (parts.length < Math.min(options.parallelParts, 1 + taken) && next < end) {
        const part = { start: next, end: Math.min(next + options.partBytes, end) };
        parts.push(new ReadAhead(fetchPart(object, part, ports, options, stop)));
        next = part.end;
      }
      const first = parts[0];
      if (first === undefined) return;
      const chunk = await first.take();
      signal.throwIfAborted();
      if (chunk === undefined) {
        parts.shift();
        continue;
      }
      taken++;
      yield chunk;
    }
  } finally {
    left.abort();
    await Promise.all(parts.map((part) => part.settled));
  }
}

/** One part, in chunks: asked for again, from the byte where it stopped, as often as there is progress. */
async function* fetchPart(
  object: LakeObject,
  { start, end }: ByteRange,
  ports: RangePorts,
  { chunkBytes, retry }: RangeOptions,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  let at = start;
  let chunk = new Uint8Array(0);
  let filled = 0;
  let failures = 0;
  while (at < end) {
    try {
      for await (const piece of await ports.calls.get(object, { start: at, end }, signal)) {
        if (piece.length > end - at)
          throw new InfrastructureError(`${urlOf(object)}: more bytes came than were asked for`, {
            retryable: false,
          });
        if (piece.length > 0) failures = 0;
        for (let taken = 0; taken < piece.length;) {
          if (filled === chunk.length) {
            chunk = new Uint8Array(Math.min(chunkBytes, end - at));
            filled = 0;
          }
          const rest = piece.subarray(taken, taken + chunk.length - filled);
          chunk.set(rest, filled);
          filled += rest.length;
          taken += rest.length;
          at += rest.length;
          if (filled === chunk.length) yield chunk;
        }
      }
      if (at < end) throw new InfrastructureError(`${urlOf(object)} ended at byte ${at}, before ${end}`);
    } catch (error) {
      failures++;
      await backOff(error, failures, ports, retry, signal);
    }
  }
}

/** Takes from a source as fast as it gives, and keeps it for a consumer. */
class ReadAhead {
  /** Resolves when the source has ended, however it did. */
  readonly settled: Promise<void>;
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.settled = this.#run(source);
  }

  /** The next chunk; `undefined` at the end. One call at a time. */
  async take(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) return chunk;
      if (this.#failure !== undefined) throw this.#failure.reason;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #run(source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of source) {
        this.#chunks.push(chunk);
        this.#wake();
      }
    } catch (reason) {
      this.#failure = { reason };
    }
    this.#ended = true;
    this.#wake();
  }
}
