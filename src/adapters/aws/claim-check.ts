import { createHash } from 'node:crypto';
import { type DomainError, InfrastructureError, isSluiceError } from '../../domain/errors.ts';
import { defaultRetry, type RetryPolicy } from '../../domain/retry.ts';
import { retrying, type RetryPorts } from './retrying.ts';
import type { S3Calls } from './s3-client.ts';

/** Keeps what is too large to travel, and gives it back to whoever received the claim to it. */
export interface ClaimCheck {
  /** Keeps the data; the claim is text (ASCII), of 100 bytes at most. The same data gives the same claim and is kept once. */
  check(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  /**
   * What a claim stands for; data that is no claim is given back as it is.
   *
   * @throws InfrastructureError `E_CLAIM_MISSING`, `E_CLAIM_CORRUPT`
   */
  redeem(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

export interface S3ClaimCheckPorts extends RetryPorts {
  readonly calls: Pick<S3Calls, 'put' | 'head' | 'get'>;
}

export interface S3ClaimCheckOptions {
  readonly bucket: string;
  /** Where in the bucket. Default `claims/`. */
  readonly prefix?: string;
  readonly retry?: RetryPolicy;
}

/** No frame and no JSON text begins like this. */
const MAGIC = 'sluice-claim/1 ';
/** Digest and bytes; the bucket is ours, whatever a message says. */
const CLAIM = /^sluice-claim\/1 ([0-9a-f]{64}) (\d{1,15})$/;
const LONGEST_CLAIM = 100;

/**
 * Keeps data in a bucket, under its digest. Data is written again where it is there already: its age starts anew, and what expires by age
 * outlives every claim to it.
 */
export class S3ClaimCheck implements ClaimCheck {
  readonly #ports: S3ClaimCheckPorts;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #retry: RetryPolicy;

  constructor(ports: S3ClaimCheckPorts, { bucket, prefix = 'claims/', retry }: S3ClaimCheckOptions) {
    this.#ports = ports;
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#retry = retry ?? defaultRetry;
  }

  async check(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    const digest = digestOf(data);
    await retrying(this.#ports, this.#retry, signal, () =>
      this.#ports.calls.put(this.#nameOf(digest), data, { contentType: 'application/octet-stream' }, signal),
    );
    return new TextEncoder().encode(`${MAGIC}${digest} ${data.length}`);
  }

  async redeem(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    const claim = data.length > LONGEST_CLAIM ? null : CLAIM.exec(Buffer.from(data).toString('latin1'));
    if (claim === null) return data;
    const [, digest, bytes] = claim as unknown as [string, string, string];
    const kept = await retrying(this.#ports, this.#retry, signal, () =>
      this.#fetch(digest, Number(bytes), signal),
    );
    if (digestOf(kept) !== digest) throw corrupt(digest);
    return kept;
  }

  async #fetch(digest: string, bytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const { calls } = this.#ports;
    try {
      const object = await calls.head(this.#nameOf(digest), signal);
      if (object.size !== bytes) throw corrupt(digest);
      const kept = new Uint8Array(bytes);
      let at = 0;
      if (bytes > 0) {
        for await (const piece of await calls.get(object, { start: 0, end: bytes }, signal)) {
          if (piece.length > bytes - at) throw corrupt(digest);
          kept.set(piece, at);
          at += piece.length;
        }
      }
      if (at < bytes) throw new InfrastructureError(`claim ${digest} broke off at byte ${at}`);
      return kept;
    } catch (error) {
      if (isSluiceError(error)) throw explainedClaim(error, digest);
      throw error;
    }
  }

  #nameOf(digest: string) {
    return { bucket: this.#bucket, key: `${this.#prefix}${digest}` };
  }
}

function explainedClaim(error: DomainError | InfrastructureError, digest: string): Error {
  if (error.code === 'E_OBJECT_NOT_FOUND') {
    return new InfrastructureError(`What claim ${digest} stands for is not there`, {
      code: 'E_CLAIM_MISSING',
      cause: error,
    });
  }
  // The same data was written again in between: its tag may be another one (encryption with keys of its own).
  if (error.code === 'E_OBJECT_CHANGED')
    return new InfrastructureError(`claim ${digest} was written meanwhile`, { cause: error });
  return error;
}

function corrupt(digest: string): InfrastructureError {
  return new InfrastructureError(`What claim ${digest} stands for has changed`, { code: 'E_CLAIM_CORRUPT' });
}

function digestOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
