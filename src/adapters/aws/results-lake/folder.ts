import { Buffer } from 'node:buffer';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { LakeObject } from '../../../domain/lake-object.ts';
import type { RetryPolicy } from '../../../domain/retry.ts';
import { inParallel, mapInParallel } from '../in-parallel.ts';
import { retrying, type RetryPorts } from '../retrying.ts';
import type { ListPage, S3Calls } from '../s3-client.ts';

const gzipped = promisify(gzip);
const gunzipped = promisify(gunzip);

const PAGE_KEYS = 1_000;
/** Requests under way at once, of one call of the port. */
const PARALLEL_REQUESTS = 16;
/** The default takes three times the time for a sixth of the bytes. */
const GZIP_LEVEL = 1;
const OPTIONS = { contentType: 'application/gzip' };

export interface FolderPorts extends RetryPorts {
  readonly calls: Pick<S3Calls, 'create' | 'fetch' | 'list' | 'put' | 'remove'>;
}

export interface FolderPlace {
  readonly bucket: string;
  readonly prefix: string;
  readonly retry: RetryPolicy;
}

/** Objects of JSON Lines, compressed by gzip, under a prefix. Names are relative to it. */
export class LakeFolder {
  readonly #ports: FolderPorts;
  readonly #place: FolderPlace;

  constructor(ports: FolderPorts, place: FolderPlace) {
    this.#ports = ports;
    this.#place = place;
  }

  /** A folder in it; its name ends with `/`. */
  at(name: string): LakeFolder {
    return new LakeFolder(this.#ports, { ...this.#place, prefix: `${this.#place.prefix}${name}` });
  }

  /** `undefined` where there is no such object. */
  async read(name: string, signal: AbortSignal): Promise<readonly unknown[] | undefined> {
    const bytes = await this.#trying(signal, () => this.#ports.calls.fetch(this.#object(name), signal));
    if (bytes === undefined) return undefined;
    const text = (await gunzipped(bytes)).toString('utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown);
  }

  /** Writes an object, or replaces it. */
  async write(name: string, lines: readonly unknown[], signal: AbortSignal): Promise<void> {
    const body = await encoded(lines);
    await this.#trying(signal, () => this.#ports.calls.put(this.#object(name), body, OPTIONS, signal));
  }

  /** @returns `false` where there is such an object */
  async create(name: string, lines: readonly unknown[], signal: AbortSignal): Promise<boolean> {
    const body = await encoded(lines);
    return this.#trying(signal, () => this.#ports.calls.create(this.#object(name), body, OPTIONS, signal));
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#trying(signal, () => this.#ports.calls.remove(this.#object(name), signal));
  }

  async removeAll(signal: AbortSignal): Promise<void> {
    for await (const names of this.pages('', signal))
      await inParallel(names, PARALLEL_REQUESTS, signal, (name, stop) => this.remove(name, stop));
  }

  /** Names that begin with a prefix, in the order of their bytes, up to 1,000 at a time. */
  async *pages(prefix: string, signal: AbortSignal): AsyncGenerator<readonly string[]> {
    let token: string | undefined;
    do {
      const page: ListPage = await this.#page({ prefix, token, maxKeys: PAGE_KEYS }, signal);
      yield page.objects.map((object) => this.#nameOf(object));
      token = page.next;
    } while (token !== undefined);
  }

  /** Names that begin with a prefix: few enough to hold. */
  async names(prefix: string, signal: AbortSignal): Promise<string[]> {
    return (await Array.fromAsync(this.pages(prefix, signal))).flat();
  }

  /** The first name behind another one; `undefined` where there is none. */
  async first(signal: AbortSignal, after = ''): Promise<string | undefined> {
    const page = await this.#page({ prefix: '', after, maxKeys: 1 }, signal);
    return page.objects.map((object) => this.#nameOf(object))[0];
  }

  #page(
    request: { prefix: string; maxKeys: number; after?: string; token?: string | undefined },
    signal: AbortSignal,
  ): Promise<ListPage> {
    const { bucket, prefix } = this.#place;
    const after = request.after ? `${prefix}${request.after}` : undefined;
    return this.#trying(signal, () =>
      this.#ports.calls.list(
        { token: undefined, ...request, bucket, prefix: `${prefix}${request.prefix}`, after },
        signal,
      ),
    );
  }

  #trying<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    return retrying(this.#ports, this.#place.retry, signal, call);
  }

  #object(name: string) {
    return { bucket: this.#place.bucket, key: `${this.#place.prefix}${name}` };
  }

  #nameOf({ key }: LakeObject): string {
    return key.slice(this.#place.prefix.length);
  }
}

/** Does something with each of many, some at once, and gives what comes of each, in their order. */
export function each<T, Result>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  return mapInParallel(items, PARALLEL_REQUESTS, signal, work);
}

/** Calls that need nothing of each other. */
export async function together<Results extends readonly unknown[]>(
  signal: AbortSignal,
  ...calls: { readonly [Index in keyof Results]: (signal: AbortSignal) => Promise<Results[Index]> }
): Promise<Results> {
  const all: readonly ((signal: AbortSignal) => Promise<unknown>)[] = calls;
  return (await each(all, signal, (call, stop) => call(stop))) as unknown as Results;
}

/** So many at a time are read before they are used. */
const READ_AHEAD = 4 * PARALLEL_REQUESTS;

/** What comes of each of many, in their order, a bounded number of them in memory. */
export async function* eachOf<T, Result>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Result> {
  for (let at = 0; at < items.length; at += READ_AHEAD) {
    for (const result of await each(items.slice(at, at + READ_AHEAD), signal, work)) {
      signal.throwIfAborted();
      yield result;
    }
  }
}

async function encoded(lines: readonly unknown[]): Promise<Uint8Array> {
  const text = lines.map((line) => `${wellFormed(toJson(line))}\n`).join('');
  return gzipped(Buffer.from(text, 'utf8'), { level: GZIP_LEVEL });
}

/** Bigints are numbers where they are exact as such, else text. */
function toJson(line: unknown): string {
  return JSON.stringify(line, (_key, field: unknown) => {
    if (typeof field !== 'bigint') return field;
    const number = Number(field);
    return Number.isSafeInteger(number) ? number : String(field);
  });
}

/** `JSON.stringify` escapes lone surrogates, and no others: in UTF-8 there are none. */
function wellFormed(json: string): string {
  if (!json.includes(String.raw`\ud`)) return json;
  return json.replaceAll(/\\(u[0-9a-f]{4}|.)/g, (escape, what: string) =>
    /^ud[89a-f]/.test(what) ? '\u{fffd}' : escape,
  );
}
