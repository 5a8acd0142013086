import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ledgerLine } from '../../domain/ledger-line.ts';
import type { ErrorRouter, RoutedFailure } from '../../domain/ports/error-router.ts';
import { defaultRetry, type RetryPolicy } from '../../domain/retry.ts';
import { inParallel } from './in-parallel.ts';
import { retrying, type RetryPorts } from './retrying.ts';
import type { S3Calls } from './s3-client.ts';

const gzipped = promisify(gzip);

/** Lines in one object, in bytes before compression; one line more may lie over it. */
const MAX_OBJECT_BYTES = 8 * 1024 * 1024;
const PARALLEL_PUTS = 4;
/** The default takes three times the time for a sixth of the bytes. */
const GZIP_LEVEL = 1;

export interface S3FailureLedgerPorts extends RetryPorts {
  readonly calls: Pick<S3Calls, 'put'>;
}

export interface S3FailureLedgerOptions {
  readonly bucket: string;
  /** Where in the bucket. Default `failures/`. */
  readonly prefix?: string;
  /** A failure's payload as JSON text. Where it throws, the line has the payload's bytes instead. */
  readonly payloadToJson: (payload: Uint8Array) => string;
  readonly retry?: RetryPolicy;
}

/**
 * Failures as gzip JSON Lines (`ledgerLine`) in `failures/pipeline=<name>/version=<n>/yyyy=…/mm=…/dd=…/<digest>.jsonl.gz`; the day is the
 * failure's, in UTC. Every call writes objects of its own, named by what is in them: the same call again overwrites its own. A failure
 * that is delivered twice at other times has two lines with the same `id`.
 */
export class S3FailureLedger implements ErrorRouter {
  readonly #ports: S3FailureLedgerPorts;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #payloadToJson: (payload: Uint8Array) => string;
  readonly #retry: RetryPolicy;

  constructor(ports: S3FailureLedgerPorts, options: S3FailureLedgerOptions) {
    this.#ports = ports;
    this.#bucket = options.bucket;
    this.#prefix = options.prefix ?? 'failures/';
    this.#payloadToJson = options.payloadToJson;
    this.#retry = options.retry ?? defaultRetry;
  }

  async route(failures: readonly RoutedFailure[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const byFolder = Map.groupBy(failures, folderOf);
    const objects = [...byFolder].flatMap(([folder, routed]) =>
      pack(routed.map((failure) => this.#line(failure))).map((lines) => ({ folder, lines })),
    );
    await inParallel(objects, PARALLEL_PUTS, signal, async ({ folder, lines }, stop) => {
      const digest = createHash('sha256').update(lines).digest('hex').slice(0, 32);
      const name = { bucket: this.#bucket, key: `${this.#prefix}${folder}${digest}.jsonl.gz` };
      const body = await gzipped(lines, { level: GZIP_LEVEL });
      await retrying(this.#ports, this.#retry, stop, () =>
        this.#ports.calls.put(name, body, { contentType: 'application/gzip' }, stop),
      );
    });
  }

  #line(failure: RoutedFailure): string {
    return `${ledgerLine(failure, { toJson: this.#payloadToJson, toBase64 })}\n`;
  }
}

function folderOf({ pipeline, version, at }: RoutedFailure): string {
  const [year, month, day] = new Date(at).toISOString().slice(0, 10).split('-') as [string, string, string];
  return `pipeline=${encodeURIComponent(pipeline.toWellFormed())}/version=${version}/yyyy=${year}/mm=${month}/dd=${day}/`;
}

function pack(lines: readonly string[]): string[] {
  const packed: string[] = [];
  let open: string[] = [];
  let bytes = 0;
  for (const line of lines) {
    open.push(line);
    bytes += Buffer.byteLength(line);
    if (bytes < MAX_OBJECT_BYTES) continue;
    packed.push(open.join(''));
    open = [];
    bytes = 0;
  }
  if (open.length > 0) packed.push(open.join(''));
  return packed;
}

function toBase64(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64');
}
