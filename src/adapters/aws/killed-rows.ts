import { Buffer } from 'node:buffer';
import type { KilledRow, KilledRows, KilledScope } from '../../domain/ports/killed-rows.ts';
import { defaultRetry, type RetryPolicy } from '../../domain/retry.ts';
import { mapInParallel } from './in-parallel.ts';
import { digestOf } from './results-lake/names.ts';
import { retrying, type RetryPorts } from './retrying.ts';
import type { ListPage, S3Calls } from './s3-client.ts';

const PAGE_KEYS = 1_000;
const PARALLEL_READS = 8;

export interface S3KilledRowsPorts extends RetryPorts {
  readonly calls: Pick<S3Calls, 'create' | 'fetch' | 'list'>;
}

export interface S3KilledRowsOptions {
  readonly bucket: string;
  /** Where in the bucket. Default `killed/`. */
  readonly prefix?: string;
  readonly retry?: RetryPolicy;
}

/**
 * Verdicts in the state bucket, one small object each: `killed/<generation>/<digest of build and object>/<coordinate>.json`. An object of which
 * there is no verdict costs one listing.
 */
export class S3KilledRows implements KilledRows {
  readonly #ports: S3KilledRowsPorts;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #retry: RetryPolicy;

  constructor(
    ports: S3KilledRowsPorts,
    { bucket, prefix = 'killed/', retry = defaultRetry }: S3KilledRowsOptions,
  ) {
    this.#ports = ports;
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#retry = retry;
  }

  async of(scope: KilledScope, signal: AbortSignal): Promise<readonly KilledRow[]> {
    signal.throwIfAborted();
    const keys = await this.#keys(this.#folderOf(scope), signal);
    const rows = await mapInParallel(keys, PARALLEL_READS, signal, (key, stop) => this.#read(key, stop));
    return rows.filter((row) => row !== undefined).sort((a, b) => a.coordinate - b.coordinate);
  }

  async add(scope: KilledScope, row: KilledRow, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const key = `${this.#folderOf(scope)}${row.coordinate}.json`;
    // A service that does not look at `If-None-Match` would replace the first verdict.
    if ((await this.#read(key, signal)) !== undefined) return;
    const { section, coordinate, how, message } = row;
    const body = Buffer.from(JSON.stringify({ section, coordinate, how, message }), 'utf8');
    const options = { contentType: 'application/json' };
    await this.#trying(signal, () =>
      this.#ports.calls.create({ bucket: this.#bucket, key }, body, options, signal),
    );
  }

  async #keys(prefix: string, signal: AbortSignal): Promise<string[]> {
    const keys: string[] = [];
    let token: string | undefined;
    do {
      const request = { bucket: this.#bucket, prefix, after: undefined, token, maxKeys: PAGE_KEYS };
      const page: ListPage = await this.#trying(signal, () => this.#ports.calls.list(request, signal));
      keys.push(...page.objects.map(({ key }) => key));
      token = page.next;
    } while (token !== undefined);
    return keys;
  }

  async #read(key: string, signal: AbortSignal): Promise<KilledRow | undefined> {
    const bytes = await this.#trying(signal, () =>
      this.#ports.calls.fetch({ bucket: this.#bucket, key }, signal),
    );
    return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString('utf8')) as KilledRow);
  }

  #trying<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    return retrying(this.#ports, this.#retry, signal, call);
  }

  #folderOf({ generation, build, object: { bucket, key, version } }: KilledScope): string {
    const folder = encodeURIComponent(generation.toWellFormed());
    return `${this.#prefix}${folder}/${digestOf(build, bucket, key, version)}/`;
  }
}
