import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock, Random } from '../../domain/ports/ambient.ts';
import type { ReceivedTask } from '../../domain/ports/task-queue.ts';
import type { Task } from '../../domain/section.ts';
import { type Backoff, backoffMs, defaultBackoff } from '../../domain/retry.ts';
import type { InMemoryTaskQueue } from './task-queue.ts';

export interface TaskAttempt {
  /** 1 at the first delivery. */
  readonly receiveCount: number;
  /** Aborted when the mapping stops, and when the task has been lost to another receiver. */
  readonly signal: AbortSignal;
}

/** Resolving ends the task; throwing gives it back. */
export type TaskHandler = (task: Task, attempt: TaskAttempt) => Promise<void>;

export interface FailedTaskAttempt {
  readonly task: Task;
  readonly receiveCount: number;
  readonly error: unknown;
  /** Whether it was the last: the task is a dead letter now. */
  readonly dead: boolean;
}

export interface QueueMappingOptions {
  readonly handler: TaskHandler;
  /** Told of every failed attempt, for the log. What it throws ends the mapping. */
  readonly onAttemptFailed?: (failed: FailedTaskAttempt) => void;
  /** Tasks in hand at once. Default 2. */
  readonly concurrency?: number;
  /** How long a task is hidden unless the heartbeat prolongs it, in milliseconds. Default 30,000. */
  readonly visibilityMs?: number;
  /** Between two prolongations, in milliseconds. Default: a third of `visibilityMs`. */
  readonly heartbeatMs?: number;
  /** Default: `defaultBackoff` of the domain. */
  readonly backoff?: Backoff;
}

/**
 * Brings a queue's tasks to a handler as Lambda's event source mapping for SQS does: some at once, deleted when they
 * succeed, given back after a while when they fail, and hidden from others as long as the handler runs.
 *
 * ```ts
 * const mapping = new QueueMapping({ queue, clock, random }, { handler, concurrency: 2 });
 * const stop = new AbortController();
 * const running = mapping.run(stop.signal);   // await it: rejects with what broke the mapping
 * await mapping.idle(signal);                 // every task is done or dead: see `queue.deadLetters()`
 * stop.abort();
 * await running;                              // resolves when no handler runs any more
 * ```
 *
 * Aborting `run`'s signal aborts the handlers' too; what they do not finish is given back at once.
 */
export class QueueMapping {
  readonly #queue: InMemoryTaskQueue;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: QueueMappingOptions;
  readonly #broken = new AbortController();
  #running = false;

  constructor(
    {
      queue,
      clock,
      random,
    }: { readonly queue: InMemoryTaskQueue; readonly clock: Clock; readonly random: Random },
    options: QueueMappingOptions,
  ) {
    this.#queue = queue;
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
  }

  /** Resolves after `signal` is aborted, as soon as no handler runs any more; rejects with what broke the mapping. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#running) throw new Error('The mapping runs already');
    this.#running = true;
    const stop = AbortSignal.any([signal, this.#broken.signal]);
    try {
      await Promise.all(Array.from({ length: this.#options.concurrency ?? 2 }, () => this.#work(stop)));
    } finally {
      this.#running = false;
    }
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
  }

  /** Resolves when every task is deleted or dead, those included that were sent meanwhile; rejects with what broke the mapping. */
  async idle(signal: AbortSignal): Promise<void> {
    await this.#queue.whenEmpty(AbortSignal.any([signal, this.#broken.signal]));
  }

  async #work(stop: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#queue.whenReceivable(stop);
        const [received] = await this.#queue.receive(1, this.#visibilityMs, stop);
        if (received !== undefined) await this.#process(received, stop);
      }
    } catch (error) {
      // Stopped from outside, or by a sibling's failure: whatever was under way ended because of that.
      if (!stop.aborted) this.#broken.abort(error);
    }
  }

  async #process({ task, receipt, receiveCount }: ReceivedTask, stop: AbortSignal): Promise<void> {
    const lost = new AbortController();
    const over = new AbortController();
    const heartbeat = this.#prolong(receipt, lost, over.signal);
    // What follows a finished attempt must reach the queue also when the mapping is being stopped.
    const always = new AbortController().signal;
    try {
      await this.#options.handler(task, { receiveCount, signal: AbortSignal.any([stop, lost.signal]) });
      await this.#queue.delete(receipt, always);
    } catch (error) {
      if (stop.aborted) {
        await this.#queue.extend(receipt, 0, always);
        return;
      }
      const dead = receiveCount >= this.#queue.maxReceives;
      this.#options.onAttemptFailed?.({ task, receiveCount, error, dead });
      await this.#queue.extend(
        receipt,
        dead ? 0 : backoffMs(this.#options.backoff ?? defaultBackoff, receiveCount, this.#random.next()),
        always,
      );
    } finally {
      over.abort();
      await heartbeat;
    }
  }

  async #prolong(receipt: string, lost: AbortController, over: AbortSignal): Promise<void> {
    const heartbeatMs = this.#options.heartbeatMs ?? this.#visibilityMs / 3;
    try {
      for (;;) {
        await this.#clock.sleep(heartbeatMs, over);
        if (!(await this.#queue.extend(receipt, this.#visibilityMs, over))) {
          lost.abort(new InfrastructureError('The task was not kept hidden in time and is delivered again'));
          return;
        }
      }
    } catch (error) {
      if (!over.aborted) lost.abort(error);
    }
  }

  get #visibilityMs(): number {
    return this.#options.visibilityMs ?? 30_000;
  }
}
