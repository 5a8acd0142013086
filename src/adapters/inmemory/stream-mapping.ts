import type { Clock, Random } from '../../domain/ports/ambient.ts';
import { type Backoff, backoffMs, defaultBackoff } from '../../domain/retry.ts';
import { Limiter } from './limiter.ts';
import type { InMemoryStream, StreamRecord } from './stream.ts';

export interface StreamBatch {
  readonly shard: number;
  /** At least one, in the order of the shard. */
  readonly records: readonly StreamRecord[];
}

export interface StreamBatchResult {
  /**
   * Sequence number of the first record that is not processed: it and all behind it come again. `null`: all are
   * processed. A number that is not in the batch: none is.
   */
  readonly failedFrom: string | null;
}

/** Throwing is the same as failing from the first record on. */
export type StreamHandler = (batch: StreamBatch, signal: AbortSignal) => Promise<StreamBatchResult>;

export interface FailedStreamBatch extends StreamBatch {
  /** How often its first record was tried. */
  readonly attempts: number;
  /** What the handler threw last; `undefined` where it only said `failedFrom`. */
  readonly error: unknown;
}

export interface StreamMappingOptions {
  readonly handler: StreamHandler;
  /**
   * Gets what failed `maximumAttempts` times: it is passed over afterwards and does not come again. What this throws ends
   * the mapping, and the records stay in the stream.
   */
  readonly onFailure: (batch: FailedStreamBatch, signal: AbortSignal) => Promise<void>;
  /** Told of every failed attempt, for the log. */
  readonly onAttemptFailed?: (batch: FailedStreamBatch) => void;
  /** Records in one batch. Default 100. */
  readonly batchRecords?: number;
  /** Data in one batch, in bytes; a single larger record is a batch of its own. Default 6,000,000. */
  readonly batchBytes?: number;
  /** Batches in flight at once, never more than one for a shard. Default: the number of shards. */
  readonly concurrency?: number;
  /** How often a batch is tried that makes no progress. `Infinity`: for ever. Default 10. */
  readonly maximumAttempts?: number;
  /**
   * Whether a batch that makes no progress is tried with half as many records the next time, so that a bad record is left
   * alone in the end. Default `true`.
   */
  readonly bisect?: boolean;
  /** Default: `defaultBackoff` of the domain. */
  readonly backoff?: Backoff;
}

/**
 * Brings a stream's records to a handler as Lambda's event source mapping for Kinesis does: one batch of a shard in
 * flight, in order, again from the lowest failed record on until it succeeds or has failed too often.
 *
 * ```ts
 * const mapping = new StreamMapping({ stream, clock, random }, { handler, onFailure });
 * const stop = new AbortController();
 * const running = mapping.run(stop.signal);   // await it: rejects with what broke the mapping
 * await mapping.idle(signal);                 // all that was put so far is processed or given to `onFailure`
 * stop.abort();
 * await running;                              // resolves when no handler runs any more
 * ```
 *
 * Aborting `run`'s signal aborts the handlers' too; what they do not finish stays in the stream for the next `run`.
 */
export class StreamMapping {
  readonly #stream: InMemoryStream;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: StreamMappingOptions;
  readonly #broken = new AbortController();
  #running = false;

  constructor(
    {
      stream,
      clock,
      random,
    }: { readonly stream: InMemoryStream; readonly clock: Clock; readonly random: Random },
    options: StreamMappingOptions,
  ) {
    this.#stream = stream;
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
  }

  /** Resolves after `signal` is aborted, as soon as no handler runs any more; rejects with what `onFailure` threw. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#running) throw new Error('The mapping runs already');
    this.#running = true;
    const stop = AbortSignal.any([signal, this.#broken.signal]);
    const limiter = new Limiter(this.#options.concurrency ?? this.#stream.shards);
    try {
      const shards = Array.from({ length: this.#stream.shards }, (_, shard) =>
        this.#runShard(shard, limiter, stop),
      );
      await Promise.all(shards);
    } finally {
      this.#running = false;
    }
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
  }

  /**
   * Resolves when everything that was put so far is processed or was given to `onFailure`; rejects with what broke the
   * mapping.
   */
  async idle(signal: AbortSignal): Promise<void> {
    await this.#stream.whenProcessed(AbortSignal.any([signal, this.#broken.signal]));
  }

  async #runShard(shard: number, limiter: Limiter, stop: AbortSignal): Promise<void> {
    try {
      const progress = { attempts: 0, maxRecords: this.#batchRecords };
      for (;;) {
        await this.#stream.whenRecords(shard, this.#stream.checkpoint(shard), stop);
        await limiter.run(() => this.#tryBatch(shard, progress, stop), stop);
        if (progress.attempts > 0)
          await this.#clock.sleep(
            backoffMs(this.#options.backoff ?? defaultBackoff, progress.attempts, this.#random.next()),
            stop,
          );
      }
    } catch (error) {
      // Stopped from outside, or by a sibling's failure: whatever was under way ended because of that.
      if (!stop.aborted) this.#broken.abort(error);
    }
  }

  /** Takes the shard's next batch once and moves the checkpoint as far as it was processed. */
  async #tryBatch(
    shard: number,
    progress: { attempts: number; maxRecords: number },
    stop: AbortSignal,
  ): Promise<void> {
    const { batchBytes = 6_000_000, maximumAttempts = 10, bisect = true } = this.#options;
    const records = this.#stream.read(shard, this.#stream.checkpoint(shard), progress.maxRecords, batchBytes);
    const { processed, error } = await this.#handle({ shard, records }, stop);

    const last = records[processed - 1];
    if (last !== undefined) this.#stream.setCheckpoint(shard, last.sequenceNumber);
    if (processed === records.length) {
      progress.attempts = 0;
      progress.maxRecords = Math.min(this.#batchRecords, progress.maxRecords * 2);
      return;
    }

    // The first record that failed has now been tried once more, or for the first time.
    progress.attempts = processed > 0 ? 1 : progress.attempts + 1;
    const failed = { shard, records: records.slice(processed), attempts: progress.attempts, error };
    this.#options.onAttemptFailed?.(failed);
    if (progress.attempts >= maximumAttempts) {
      await this.#options.onFailure(failed, stop);
      this.#stream.setCheckpoint(shard, (failed.records.at(-1) as StreamRecord).sequenceNumber);
      progress.attempts = 0;
    } else if (bisect && processed === 0) {
      progress.maxRecords = Math.ceil(records.length / 2);
    }
  }

  async #handle(batch: StreamBatch, stop: AbortSignal): Promise<{ processed: number; error: unknown }> {
    try {
      const { failedFrom } = await this.#options.handler(batch, stop);
      if (failedFrom === null) return { processed: batch.records.length, error: undefined };
      const at = batch.records.findIndex(
        ({ sequenceNumber }) => BigInt(sequenceNumber) === BigInt(failedFrom || -1),
      );
      return { processed: Math.max(0, at), error: undefined };
    } catch (error) {
      // Not the records' fault: no attempt is counted, and they stay.
      if (stop.aborted) throw error;
      return { processed: 0, error };
    }
  }

  get #batchRecords(): number {
    return this.#options.batchRecords ?? 100;
  }
}
