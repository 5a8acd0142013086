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
  /** Its `attempts` count where there is no `stopAt`. */
  readonly retry?: RetryPolicy;
  /**
   * Milliseconds since 1970 after which nothing is put or waited for any more. Where it is given, it alone ends the tries:
   * of a large run something is always throttled. Default: none.
   */
  readonly stopAt?: number;
}

/** What a use case gives its sender. */
export function sendingOf(
  { signal, deadline }: { readonly signal: AbortSignal; readonly deadline?: number },
  { sink, clock, random, metrics }: Pick<FrameSenderOptions, 'sink' | 'clock' | 'random' | 'metrics'>,
): FrameSenderOptions {
  const options = { sink, clock, random, metrics, signal };
  return deadline === undefined ? options : { ...options, stopAt: deadline };
}

/** Frames are shared out over parallel puts from so many bytes a put on: below it, a round trip costs more than the bytes. */
const SHARED_FROM_BYTES = 1024 * 1024;

/** The frames of one partition. */
interface PartitionQueue {
  readonly partition: number;
  readonly frames: PackedFrame[];
  /** Index of the first that is not accepted. */
  next: number;
  inFlight: boolean;
  /** Of the frame in flight: a sink may take it away. */
  bytes: number;
  /** Milliseconds since 1970 before which it is not put again. */
  readyAt: number;
  /** How often the first frame was rejected. */
  rejections: number;
}

/** One call of `send`. */
interface Sending {
  /** By partition, those that have a frame left; who was served last stands last. */
  readonly queues: Map<number, PartitionQueue>;
  /** The puts under way; none of them ever rejects. */
  readonly flights: Set<Promise<void>>;
  /** What ends it before its time, the first of them. */
  failure: { readonly reason: unknown } | undefined;
  /** What the sink said of a rejection last. */
  said: string;
}

/**
 * Puts frames, each partition's in order and one at a time: a later frame waits for the one before it, so that
 * a retry of part of a batch cannot reorder them. Only what was rejected is put again, and nobody else waits for it.
 *
 *     partition 3:  [a] ──put──▶ rejected ──backoff──▶ put ──▶ accepted   [b] ──put──▶ …
 *     partition 7:  [c] ──put──▶ accepted   [d] ──put──▶ …                       (does not wait for a)
 */
export class FrameSender {
  readonly #options: FrameSenderOptions;
  readonly #retry: RetryPolicy;
  readonly #parallelPuts: number;
  readonly #stopAt: number;
  #inFlight = 0;

  constructor(options: FrameSenderOptions) {
    this.#options = options;
    this.#retry = options.retry ?? defaultRetry;
    this.#parallelPuts = Math.max(1, options.sink.capabilities.maxParallelPuts ?? 1);
    this.#stopAt = options.stopAt ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Resolves when the sink has accepted every frame. Where it throws, no put is under way any more.
   *
   * @throws InfrastructureError `E_DEADLINE`, retryable: how many frames are unsent at `stopAt`
   * @throws InfrastructureError `E_SINK_REJECTED` with what was said last of a frame that was tried as often as the policy has it
   * @throws InfrastructureError `E_SINK_RECORD_TOO_LARGE`
   */
  async send(frames: readonly PackedFrame[]): Promise<void> {
    const sending: Sending = {
      queues: this.#byPartition(frames),
      flights: new Set(),
      failure: undefined,
      said: '',
    };
    let late = false;
    while (sending.queues.size > 0 && sending.failure === undefined && !late) {
      if (this.#options.signal.aborted) {
        sending.failure = { reason: this.#options.signal.reason };
        break;
      }
      late = !this.#begin(sending) || !(await this.#wait(sending));
    }
    await Promise.all(sending.flights);
    if (sending.failure !== undefined) throw sending.failure.reason;
    if (sending.queues.size > 0) throw deadlinePassed(sending, frames.length);
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

  #byPartition(frames: readonly PackedFrame[]): Map<number, PartitionQueue> {
    const { maxRecordBytes } = this.#options.sink.capabilities;
    const byPartition = new Map<number, PackedFrame[]>();
    for (const frame of frames) {
      if (frame.bytes.length > maxRecordBytes) {
        throw new InfrastructureError(
          `a frame has ${frame.bytes.length} bytes, the sink takes ${maxRecordBytes}`,
          { code: 'E_SINK_RECORD_TOO_LARGE' },
        );
      }
      const { partition } = frame.header;
      const queue = byPartition.get(partition);
      if (queue === undefined) byPartition.set(partition, [frame]);
      else queue.push(frame);
    }
    return new Map(
      Array.from(byPartition, ([partition, queue]) => [
        partition,
        { partition, frames: queue, next: 0, inFlight: false, bytes: 0, readyAt: 0, rejections: 0 },
      ]),
    );
  }

  /** Begins as many puts as there can be. `false`: it is too late for that. */
  #begin(sending: Sending): boolean {
    const free = this.#parallelPuts - sending.flights.size;
    if (free === 0) return true;
    const now = this.#options.clock.now();
    const ready: PartitionQueue[] = [];
    for (const queue of sending.queues.values())
      if (!queue.inFlight && queue.readyAt <= now) ready.push(queue);
    if (ready.length === 0) return true;
    if (now >= this.#stopAt) return false;
    for (const batch of this.#batchesOf(ready, free)) {
      for (const queue of batch) {
        queue.inFlight = true;
        queue.bytes = headOf(queue).bytes.length;
      }
      const flight: Promise<void> = this.#fly(batch, sending).finally(() => sending.flights.delete(flight));
      sending.flights.add(flight);
    }
    return true;
  }

  /** The first frame of as many partitions as fit into so many calls, shared out evenly where there is much. */
  #batchesOf(ready: readonly PartitionQueue[], calls: number): PartitionQueue[][] {
    const { maxBatchRecords, maxBatchBytes } = this.#options.sink.capabilities;
    let total = 0;
    for (const queue of ready) total += headOf(queue).bytes.length;
    const share = Math.min(maxBatchBytes, Math.max(SHARED_FROM_BYTES, Math.ceil(total / calls)));
    const batches: PartitionQueue[][] = [];
    let bytes = 0;
    for (const queue of ready) {
      const { length } = headOf(queue).bytes;
      const open = batches.at(-1);
      // The last call takes what the shares of the others left over.
      const limit = batches.length === calls ? maxBatchBytes : share;
      if (open !== undefined && open.length < maxBatchRecords && bytes + length <= limit) {
        open.push(queue);
        bytes += length;
      } else if (batches.length < calls) {
        batches.push([queue]);
        bytes = length;
      } else break;
    }
    return batches;
  }

  /** Resolves when something else can be begun: a put has ended, or a backoff. `false`: it would be too late. */
  async #wait({ queues, flights }: Sending): Promise<boolean> {
    const { clock, signal } = this.#options;
    let due = Number.POSITIVE_INFINITY;
    for (const queue of queues.values()) if (!queue.inFlight) due = Math.min(due, queue.readyAt);
    if (flights.size === 0) {
      if (due >= this.#stopAt) return false;
      await clock.sleep(due - clock.now(), signal);
      return true;
    }
    // With all calls under way, the end of a backoff begins nothing; after `stopAt` neither.
    if (flights.size >= this.#parallelPuts || due >= this.#stopAt || due === Number.POSITIVE_INFINITY) {
      await Promise.race(flights);
      return true;
    }
    const over = new AbortController();
    const backoff = clock.sleep(due - clock.now(), AbortSignal.any([signal, over.signal]));
    try {
      await Promise.race([...flights, backoff.catch(() => undefined)]);
    } finally {
      over.abort();
    }
    return true;
  }

  async #fly(batch: readonly PartitionQueue[], sending: Sending): Promise<void> {
    try {
      this.#settle(batch, await this.#put(batch), sending);
    } catch (reason) {
      sending.failure ??= { reason };
    } finally {
      for (const queue of batch) queue.inFlight = false;
    }
  }

  async #put(batch: readonly PartitionQueue[]): Promise<readonly PutOutcome[]> {
    this.#inFlight++;
    try {
      return await this.#options.sink.put(
        batch.map((queue) => {
          const { bytes: data, round = 0 } = headOf(queue);
          return { partition: queue.partition, data, ...(round === 0 ? {} : { round }) };
        }),
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

  /** Takes out what was accepted; what was rejected waits, all of it equally long, so that it is put together again. */
  #settle(batch: readonly PartitionQueue[], outcomes: readonly PutOutcome[], sending: Sending): void {
    const { metrics, clock, random } = this.#options;
    const rejected: PartitionQueue[] = [];
    let fatal: Extract<PutOutcome, { accepted: false }> | undefined;
    for (const [index, queue] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome?.accepted === true) {
        metrics.add('frames', 1);
        metrics.add('frameBytes', queue.bytes);
        accept(queue, sending.queues);
        continue;
      }
      if (outcome?.data !== undefined) queue.frames[queue.next] = { ...headOf(queue), bytes: outcome.data };
      metrics.add('putsRejected', 1);
      sending.said = outcome === undefined ? 'no outcome was given' : outcome.message;
      if (outcome?.retryable === false) fatal ??= outcome;
      queue.rejections++;
      rejected.push(queue);
    }
    if (fatal !== undefined) throw rejectedForGood(fatal.reason, fatal.message);
    if (rejected.length === 0) return;
    metrics.add('retries', 1);
    const times = Math.max(...rejected.map(({ rejections }) => rejections));
    if (this.#stopAt === Number.POSITIVE_INFINITY && times >= this.#retry.attempts) {
      throw new InfrastructureError(`the sink rejected a frame ${times} times: ${sending.said}`, {
        code: 'E_SINK_REJECTED',
      });
    }
    const readyAt = clock.now() + backoffMs(this.#retry, times, random.next());
    for (const queue of rejected) queue.readyAt = readyAt;
  }
}

function headOf({ frames, next }: PartitionQueue): PackedFrame {
  return frames[next] as PackedFrame;
}

function accept(queue: PartitionQueue, queues: Map<number, PartitionQueue>): void {
  queue.next++;
  queue.rejections = 0;
  // Back to the end, so that no partition keeps the others from the batch.
  queues.delete(queue.partition);
  if (queue.next < queue.frames.length) queues.set(queue.partition, queue);
}

function rejectedForGood(reason: 'throttled' | 'too-large' | 'failed', message: string): InfrastructureError {
  return new InfrastructureError(`the sink rejected a frame for good: ${message}`, {
    code: reason === 'too-large' ? 'E_SINK_RECORD_TOO_LARGE' : 'E_SINK_REJECTED',
    retryable: false,
  });
}

function deadlinePassed({ queues, said }: Sending, frames: number): InfrastructureError {
  let unsent = 0;
  for (const { frames: all, next } of queues.values()) unsent += all.length - next;
  const reason = said === '' ? '' : `: ${said}`;
  return new InfrastructureError(`${unsent} of ${frames} frames are unsent at the deadline${reason}`, {
    code: 'E_DEADLINE',
  });
}
