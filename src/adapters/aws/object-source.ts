import { InfrastructureError, isSluiceError } from '../../domain/errors.ts';
import type { ByteRange, LakeObject, ObjectName } from '../../domain/lake-object.ts';
import type { ObjectSource, ObjectSourceCapabilities } from '../../domain/ports/object-source.ts';
import { defaultRetry, type RetryPolicy } from '../../domain/retry.ts';
import { compareUtf8 } from '../../domain/text-order.ts';
import { type Listing, parseLocation, under } from './locations.ts';
import { readRanges, type RangeOptions } from './object-ranges.ts';
import { retrying, type RetryPorts } from './retrying.ts';
import { type ListPage, notFound, type S3Calls } from './s3-client.ts';

const MIB = 1024 * 1024;

/** Large enough that a request's first byte costs little against its last, small enough that a section has several. */
const PART_BYTES = 8 * MIB;
/** One connection gives S3's bytes at some 80 MB/s; a function's network takes few of them. */
const PARALLEL_PARTS = 4;
const CHUNK_BYTES = MIB / 2;
/** The most that S3 gives. */
const PAGE_KEYS = 1_000;

export interface S3ObjectSourcePorts extends RetryPorts {
  readonly calls: Pick<S3Calls, 'list' | 'head' | 'get'>;
}

export interface S3ObjectSourceOptions extends Partial<RangeOptions> {
  /** Keys in one page of a listing. Default 1,000. */
  readonly pageKeys?: number;
}

/**
 * The lake on S3, or on what speaks its language (R2, MinIO, Ceph).
 *
 * A location is `s3://bucket`, `s3://bucket/prefix/`, one object, or has wildcards; see `parseLocation`. What is below a prefix is listed
 * without hidden names (`_SUCCESS`, `.crc`) and without the marks of folders. An object's version is its entity tag without the quotes, and every
 * read asks for that version (`If-Match`), so an object that is overwritten in between is `E_OBJECT_CHANGED` and never a mix.
 *
 * A read is cut into parts (default 8 MiB), of which several (default 4) are fetched at once: it holds up to 32 MiB. Chunks have 512 KiB by default.
 * Throttling, faults of the service, broken and truncated bodies are tried again with backoff, 8 times in a row by default.
 */
export class S3ObjectSource implements ObjectSource {
  readonly capabilities: ObjectSourceCapabilities = { detectsChange: 'on-read' };
  readonly #ports: S3ObjectSourcePorts;
  readonly #ranges: RangeOptions;
  readonly #pageKeys: number;
  readonly #retry: RetryPolicy;

  constructor(ports: S3ObjectSourcePorts, options: S3ObjectSourceOptions = {}) {
    this.#ports = ports;
    this.#retry = options.retry ?? defaultRetry;
    this.#pageKeys = options.pageKeys ?? PAGE_KEYS;
    this.#ranges = {
      partBytes: options.partBytes ?? PART_BYTES,
      parallelParts: options.parallelParts ?? PARALLEL_PARTS,
      chunkBytes: options.chunkBytes ?? CHUNK_BYTES,
      retry: this.#retry,
    };
  }

  async *list(location: string, signal: AbortSignal, after?: string): AsyncIterable<LakeObject> {
    signal.throwIfAborted();
    const { bucket, key, listing } = parseLocation(location);
    if (key !== undefined) {
      // What exists under this very name is never taken for a pattern.
      const object = await this.#statIfThere({ bucket, key }, signal);
      if (object !== undefined) {
        if (isBehind(object.key, after)) yield object;
        return;
      }
    }
    const folder = listing ?? under(`${key}/`);
    let found = false;
    for await (const object of this.#below(bucket, folder, after, signal)) {
      found = true;
      yield object;
    }
    if (listing === undefined && !found) {
      const { objects } = await this.#page(bucket, { prefix: folder.prefix, maxKeys: 1 }, signal);
      if (objects.length === 0) throw notFound({ bucket, key: key as string });
    }
  }

  async stat(name: ObjectName, signal: AbortSignal): Promise<LakeObject> {
    signal.throwIfAborted();
    return retrying(this.#ports, this.#retry, signal, () => this.#ports.calls.head(name, signal));
  }

  async *read(object: LakeObject, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    signal.throwIfAborted();
    const end = Math.min(range.end, object.size);
    if (range.start >= end) return;
    yield* readRanges(object, { start: range.start, end }, this.#ports, this.#ranges, signal);
  }

  async #statIfThere(name: ObjectName, signal: AbortSignal): Promise<LakeObject | undefined> {
    try {
      return await this.stat(name, signal);
    } catch (error) {
      if (isSluiceError(error) && error.code === 'E_OBJECT_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async *#below(
    bucket: string,
    { prefix, includes }: Listing,
    after: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<LakeObject> {
    let last: string | undefined;
    for await (const page of this.#pages(bucket, prefix, after, signal)) {
      // S3 lists in this order. Twins may not, within a page; across pages keys would be lost.
      const objects = page.toSorted((a, b) => compareUtf8(a.key, b.key));
      const first = objects[0];
      if (first !== undefined && last !== undefined && compareUtf8(first.key, last) <= 0) {
        throw new InfrastructureError(`s3://${bucket}/${prefix} is not listed in the order of its keys`, {
          retryable: false,
        });
      }
      last = objects.at(-1)?.key ?? last;
      for (const object of objects) {
        signal.throwIfAborted();
        if (isBehind(object.key, after) && includes(object.key)) yield object;
      }
    }
  }

  /** Pages of keys; the next one is under way while one is used. */
  async *#pages(
    bucket: string,
    prefix: string,
    after: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<readonly LakeObject[]> {
    const left = new AbortController();
    const stop = AbortSignal.any([signal, left.signal]);
    const request = { prefix, after, maxKeys: this.#pageKeys };
    let pending: Promise<ListPage> | undefined = this.#page(bucket, request, stop);
    try {
      while (pending !== undefined) {
        const { objects, next }: ListPage = await pending;
        pending = next === undefined ? undefined : this.#page(bucket, { ...request, token: next }, stop);
        // Its failure is told when its turn comes, if it does.
        pending?.catch(() => undefined);
        yield objects;
      }
    } finally {
      left.abort();
      await pending?.catch(() => undefined);
    }
  }

  #page(
    bucket: string,
    request: { prefix: string; maxKeys: number; after?: string | undefined; token?: string },
    signal: AbortSignal,
  ): Promise<ListPage> {
    const { prefix, maxKeys, after, token } = request;
    return retrying(this.#ports, this.#retry, signal, () =>
      this.#ports.calls.list({ bucket, prefix, after, token, maxKeys }, signal),
    );
  }
}

function isBehind(key: string, after: string | undefined): boolean {
  return after === undefined || compareUtf8(key, after) > 0;
}
