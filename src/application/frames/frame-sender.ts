import { InfrastructureError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type { PackedFrame } from '../../domain/frame.ts';
import type { Clock, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { PutOutcome, RecordSink } from '../../domain/ports/record-sink.ts';
import { backoffMs, defaultRetry, type RetryPolicy } from '../../domain/retry.ts';

export interface FrameSenderOptions {
  readonly sink: RecordSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly retry?: RetryPolicy;
}

/**
 * Puts frames, each partition's in order and one at a time: a later frame waits for the one before it, so that
 * a retry of part of a batch cannot reorder them. Only what was rejected is put again.
 *
 *     partition 3:  [a] ──put──▶ rejected ──backoff──▶ put ──▶ accepted   [b] ──put──▶ …
 *     partition 7:  [c] ──put──▶ accepted   [d] ──put──▶ …                       (does not wait for a)
 */
export class FrameSender {
  readonly #options: FrameSenderOptions;
  readonly #retry: RetryPolicy;
  #inFlight = 0;

  constructor(options: FrameSenderOptions) {
    this.#options = options;
    this.#retry = options.retry ?? defaultRetry;
  }

  /**
   * Resolves when the sink has accepted every frame.
   *
   * @throws InfrastructureError `E_SINK_REJECTED` with what was said last of a frame that was tried as often as the policy has it
   * @throws InfrastructureError `E_SINK_RECORD_TOO_LARGE`
   */
  async send(frames: readonly PackedFrame[]): Promise<void> {
    const waiting = this.#byPartition(frames);
    // By frame: of a large batch something is always throttled, while all of it gets through in the end.
    const rejections = new Map<PackedFrame, number>();
    while (waiting.size > 0) {
      const batch = this.#nextBatch(waiting);
      const outcomes = await this.#put(batch);
      const rejected = this.#settle(batch, outcomes, waiting, rejections);
      if (rejected === undefined) continue;
      this.#options.metrics.add('retries', 1);
      if (rejected.times >= this.#retry.attempts) {
        throw new InfrastructureError(
          `the sink rejected a frame ${rejected.times} times: ${rejected.message}`,
          {
            code: 'E_SINK_REJECTED',
          },
        );
      }
      await this.#options.clock.sleep(
        backoffMs(this.#retry, rejected.times, this.#options.random.next()),
        this.#options.signal,
      );
    }
  }

  /** @throws InfrastructureError `E_FLOATING_WORK` where a put is still under way: somebody did not await `send` */
  assertIdle(): void {
    if (this.#inFlight > 0) {
      throw new InfrastructureError(
        `${this.#inFlight} puts were still under way when their use case returned`,
        { code: 'E_FLOATING_WORK' },
      );
    }
  }

  #byPartition(frames: readonly PackedFrame[]): Map<number, PackedFrame[]> {
    const { maxRecordBytes } = this.#options.sink.capabilities;
    const waiting = new Map<number, PackedFrame[]>();
    for (const frame of frames) {
      if (frame.bytes.length > maxRecordBytes) {
        throw new InfrastructureError(
          `a frame has ${frame.bytes.length} bytes, the sink takes ${maxRecordBytes}`,
          { code: 'E_SINK_RECORD_TOO_LARGE' },
        );
      }
      const queue = waiting.get(frame.header.partition);
      if (queue === undefined) waiting.set(frame.header.partition, [frame]);
      else queue.push(frame);
    }
    return waiting;
  }

  /** The first frame of as many partitions as fit into one call. */
  #nextBatch(waiting: ReadonlyMap<number, readonly PackedFrame[]>): PackedFrame[] {
    const { maxBatchRecords, maxBatchBytes } = this.#options.sink.capabilities;
    const batch: PackedFrame[] = [];
    let bytes = 0;
    for (const queue of waiting.values()) {
      const frame = queue[0] as PackedFrame;
      if (batch.length > 0 && (batch.length >= maxBatchRecords || bytes + frame.bytes.length > maxBatchBytes))
        break;
      batch.push(frame);
      bytes += frame.bytes.length;
    }
    return batch;
  }

  async #put(batch: readonly PackedFrame[]): Promise<readonly PutOutcome[]> {
    this.#inFlight++;
    try {
      return await this.#options.sink.put(
        batch.map((frame) => ({ partition: frame.header.partition, data: frame.bytes })),
        this.#options.signal,
      );
    } catch (thrown) {
      this.#options.signal.throwIfAborted();
      if (isSluiceError(thrown) && !thrown.retryable) throw thrown;
      // Nothing is known: putting again may duplicate, which the result store drops.
      return batch.map(() => ({
        accepted: false,
        reason: 'failed',
        retryable: true,
        message: messageOf(thrown),
      }));
    } finally {
      this.#inFlight--;
    }
  }

  /** Drops what was accepted. Returns how often the frame was rejected that was so most often, and what was said of it last. */
  #settle(
    batch: readonly PackedFrame[],
    outcomes: readonly PutOutcome[],
    waiting: Map<number, PackedFrame[]>,
    rejections: Map<PackedFrame, number>,
  ): { readonly times: number; readonly message: string } | undefined {
    const { metrics } = this.#options;
    let worst: { readonly times: number; readonly message: string } | undefined;
    for (const [index, frame] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome?.accepted === true) {
        const { partition } = frame.header;
        const queue = waiting.get(partition) as PackedFrame[];
        queue.shift();
        rejections.delete(frame);
        // Back to the end, so that no partition keeps the others from the batch.
        waiting.delete(partition);
        if (queue.length > 0) waiting.set(partition, queue);
        metrics.add('frames', 1);
        metrics.add('frameBytes', frame.bytes.length);
        continue;
      }
      metrics.add('putsRejected', 1);
      const message = outcome === undefined ? 'no outcome was given' : outcome.message;
      if (outcome?.retryable === false) {
        const code = outcome.reason === 'too-large' ? 'E_SINK_RECORD_TOO_LARGE' : 'E_SINK_REJECTED';
        throw new InfrastructureError(`the sink rejected a frame for good: ${message}`, {
          code,
          retryable: false,
        });
      }
      const times = (rejections.get(frame) ?? 0) + 1;
      rejections.set(frame, times);
      if (worst === undefined || times > worst.times) worst = { times, message };
    }
    return worst;
  }
}
