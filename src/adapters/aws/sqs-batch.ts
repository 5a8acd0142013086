import { Buffer } from 'node:buffer';
import { InfrastructureError, isSluiceError } from '../../domain/errors.ts';
import { defaultRetry, type RetryPolicy } from '../../domain/retry.ts';
import type { ClaimCheck } from './claim-check.ts';
import { inParallel } from './in-parallel.ts';
import { backOff, type RetryPorts } from './retrying.ts';
import type { SqsCalls } from './sqs-client.ts';

/** Messages in one request, at most. */
export const MAX_BATCH_MESSAGES = 10;
/** One message, and all of one request, in bytes: bodies, and names, types and values of attributes. */
export const MAX_BATCH_BYTES = 1024 * 1024;

/** Requests in flight at once: a standard queue takes nearly any number, a socket each is what it costs here. */
const PARALLEL_REQUESTS = 8;

/** What is sent to a queue. */
export interface QueueMessage {
  /** Text; of control characters, tab, line feed and carriage return only: `queueJson` makes such text. */
  readonly body: string;
  /** For filters and readers, as strings; ten at most, none of them empty. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface SqsSenderPorts extends RetryPorts {
  readonly calls: Pick<SqsCalls, 'sendBatch'>;
  /** Where bodies go that are over the limit; whoever receives redeems them. */
  readonly claims: Pick<ClaimCheck, 'check'>;
}

export interface SqsSenderOptions {
  readonly queueUrl: string;
  /** One message, and all of one request, in bytes. Default 1 MiB. */
  readonly maxBatchBytes?: number;
  /** Default: 8 tries of each message. */
  readonly retry?: RetryPolicy;
}

/**
 * Sends messages to one queue: packed into requests, several in flight at once, what was refused for no fault of ours put
 * again with backoff. The client's own retries are off: it would put whole requests again, and knows nothing of
 * refused entries.
 */
export class SqsSender {
  readonly #ports: SqsSenderPorts;
  readonly #queueUrl: string;
  readonly #maxBatchBytes: number;
  readonly #retry: RetryPolicy;

  constructor(ports: SqsSenderPorts, { queueUrl, maxBatchBytes, retry }: SqsSenderOptions) {
    this.#ports = ports;
    this.#queueUrl = queueUrl;
    this.#maxBatchBytes = maxBatchBytes ?? MAX_BATCH_BYTES;
    this.#retry = retry ?? defaultRetry;
  }

  /**
   * Resolves when the queue keeps every message. Where it throws, some may be kept: sending again may duplicate.
   *
   * @throws InfrastructureError `E_QUEUE_REJECTED`: for good where a message itself is at fault and all others are kept; retryable
   *   where the tries were used up
   */
  async send(messages: readonly QueueMessage[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const fitting: QueueMessage[] = [];
    for (const message of messages) fitting.push(await this.#fitted(message, signal));
    const refusals: string[] = [];
    await inParallel(packBatches(fitting, this.#maxBatchBytes), PARALLEL_REQUESTS, signal, (batch, stop) =>
      this.#sendBatch(batch, refusals, stop),
    );
    if (refusals.length === 0) return;
    throw new InfrastructureError(
      `the queue refused ${refusals.length} of ${messages.length} messages for good: ${refusals[0]}`,
      { code: 'E_QUEUE_REJECTED', retryable: false },
    );
  }

  /** A body over the limit is kept elsewhere; what travels is the claim to it. */
  async #fitted(message: QueueMessage, signal: AbortSignal): Promise<QueueMessage> {
    if (messageBytes(message) <= this.#maxBatchBytes) return message;
    const claim = await this.#ports.claims.check(Buffer.from(message.body, 'utf8'), signal);
    return { ...message, body: Buffer.from(claim).toString('utf8') };
  }

  /** @param refusals what the queue says of each message that is at fault itself; no other waits for it */
  async #sendBatch(batch: readonly QueueMessage[], refusals: string[], signal: AbortSignal): Promise<void> {
    let left = batch;
    for (let tries = 1; ; tries++) {
      const { rejected, message } = await this.#try(left, refusals, signal);
      if (rejected.length === 0) return;
      left = rejected;
      const refusal = new InfrastructureError(
        `the queue refused ${rejected.length} messages ${tries} times: ${message}`,
        { code: 'E_QUEUE_REJECTED' },
      );
      await backOff(refusal, tries, this.#ports, this.#retry, signal);
    }
  }

  async #try(
    batch: readonly QueueMessage[],
    refusals: string[],
    signal: AbortSignal,
  ): Promise<{ readonly rejected: readonly QueueMessage[]; readonly message: string }> {
    let outcomes;
    try {
      outcomes = await this.#ports.calls.sendBatch(this.#queueUrl, batch, signal);
    } catch (thrown) {
      // Whether the queue has them is unknown: sending again may duplicate, which every reader of it bears.
      if (signal.aborted || !isSluiceError(thrown) || !thrown.retryable) throw thrown;
      return { rejected: batch, message: thrown.message };
    }
    const rejected: QueueMessage[] = [];
    let said = 'no outcome was given';
    for (const [at, message] of batch.entries()) {
      const outcome = outcomes[at];
      if (outcome?.sent === true) continue;
      if (outcome?.retryable === false) {
        refusals.push(outcome.message);
        continue;
      }
      if (outcome !== undefined) said = outcome.message;
      rejected.push(message);
    }
    return { rejected, message: said };
  }
}

/** Messages in their order, as many in each request as both limits allow. A message over the limit stands alone. */
export function packBatches(
  messages: readonly QueueMessage[],
  maxBytes = MAX_BATCH_BYTES,
): readonly (readonly QueueMessage[])[] {
  const batches: QueueMessage[][] = [];
  let open: QueueMessage[] = [];
  let openBytes = 0;
  for (const message of messages) {
    const bytes = messageBytes(message);
    if (open.length > 0 && (open.length >= MAX_BATCH_MESSAGES || openBytes + bytes > maxBytes)) {
      batches.push(open);
      open = [];
      openBytes = 0;
    }
    open.push(message);
    openBytes += bytes;
  }
  if (open.length > 0) batches.push(open);
  return batches;
}

/** What SQS counts: the body, and name, type and value of each attribute, as UTF-8. */
export function messageBytes({ body, attributes }: QueueMessage): number {
  let bytes = Buffer.byteLength(body, 'utf8');
  for (const [name, value] of Object.entries(attributes ?? {}))
    bytes += Buffer.byteLength(name, 'utf8') + 'String'.length + Buffer.byteLength(value, 'utf8');
  return bytes;
}

/**
 * JSON that a queue keeps as it is. SQS replaces U+FFFE and U+FFFF silently, and some of its twins refuse surrogate pairs; as
 * escapes they are plain ASCII.
 */
export function queueJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\ud800-\udfff\ufffe\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16)}`,
  );
}
