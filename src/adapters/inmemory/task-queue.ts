import type { Clock } from '../../domain/ports/ambient.ts';
import type { ReceivedTask, TaskQueue, TaskQueueCapabilities } from '../../domain/ports/task-queue.ts';
import type { Task } from '../../domain/section.ts';
import { Heap } from './heap.ts';
import { firstOf, Waiters } from './waiters.ts';

export interface InMemoryTaskQueueOptions {
  /**
   * A task that was received so often and comes back goes to the dead letters instead of being delivered again.
   * Default: no bound.
   */
  readonly maxReceives?: number;
  /** Default: 10 and 10. */
  readonly capabilities?: Partial<TaskQueueCapabilities>;
}

export interface DeadTask {
  readonly task: Task;
  readonly receiveCount: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

interface Entry {
  /** As JSON, as a cloud's queue would keep it: later changes to what was sent change nothing. */
  readonly json: string;
  receiveCount: number;
  /** Of the delivery that may still delete it; `null` while it waits. */
  receipt: string | null;
  /** Milliseconds since 1970; from then on it is delivered again. */
  hiddenUntil: number;
}

/**
 * A queue in memory, as SQS has it: a received task is hidden for a while and comes back unless it is deleted; after
 * `maxReceives` deliveries it is a dead letter.
 *
 * ```ts
 * const queue = new InMemoryTaskQueue({ clock }, { maxReceives: 5 });
 * await queue.whenReceivable(signal);            // instead of asking again and again
 * await queue.whenEmpty(signal);                 // every task is deleted or dead
 * queue.deadLetters();
 * ```
 *
 * `send` never waits, so that a handler can hand tasks on; who sends very many paces itself by `whenFewerThan`.
 */
export class InMemoryTaskQueue implements TaskQueue {
  readonly capabilities: TaskQueueCapabilities;
  readonly maxReceives: number;
  readonly #clock: Clock;
  readonly #waiting: Entry[] = [];
  /** Entries of `#waiting` before it were received. */
  #head = 0;
  readonly #hidden = new Map<string, Entry>();
  /** One for every time that an entry was hidden: those that no longer tell the truth are passed over. */
  readonly #returns = new Heap<{ readonly at: number; readonly receipt: string }>((a, b) => a.at - b.at);
  readonly #dead: DeadTask[] = [];
  readonly #arrived = new Waiters();
  readonly #ended = new Waiters();
  #receipts = 0;

  constructor({ clock }: { readonly clock: Clock }, options: InMemoryTaskQueueOptions = {}) {
    this.#clock = clock;
    this.maxReceives = options.maxReceives ?? Number.POSITIVE_INFINITY;
    this.capabilities = { maxBatchTasks: 10, maxReceiveTasks: 10, ...options.capabilities };
  }

  async send(tasks: readonly Task[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (const task of tasks) {
      this.#waiting.push({ json: JSON.stringify(task), receiveCount: 0, receipt: null, hiddenUntil: 0 });
    }
    if (tasks.length > 0) this.#arrived.wake();
  }

  async receive(max: number, visibilityMs: number, signal: AbortSignal): Promise<readonly ReceivedTask[]> {
    signal.throwIfAborted();
    this.#takeBackLapsed();
    const received: ReceivedTask[] = [];
    const limit = Math.min(max, this.capabilities.maxReceiveTasks);
    while (received.length < limit) {
      const entry = this.#nextWaiting();
      if (entry === undefined) break;
      const receipt = `receipt-${++this.#receipts}`;
      entry.receiveCount++;
      entry.receipt = receipt;
      this.#hidden.set(receipt, entry);
      this.#hide(entry, receipt, visibilityMs);
      received.push({ task: JSON.parse(entry.json) as Task, receipt, receiveCount: entry.receiveCount });
    }
    return received;
  }

  async extend(receipt: string, visibilityMs: number, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    this.#takeBackLapsed();
    const entry = this.#hidden.get(receipt);
    if (entry === undefined) return false;
    this.#hide(entry, receipt, visibilityMs);
    // Those who wait for the earliest return have another one to wait for now.
    if (visibilityMs <= 0) this.#takeBackLapsed();
    else this.#arrived.wake();
    return true;
  }

  async delete(receipt: string, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    this.#takeBackLapsed();
    if (!this.#hidden.delete(receipt)) return false;
    this.#ended.wake();
    return true;
  }

  /** Resolves when a `receive` would give something, also because a hidden task comes back. */
  async whenReceivable(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (;;) {
      this.#takeBackLapsed();
      if (this.size.waiting > 0) return;
      const next = this.#nextReturn();
      const arrival = (stop: AbortSignal) => this.#arrived.wait(stop);
      if (next === null) await arrival(signal);
      else await firstOf(signal, arrival, (stop) => this.#clock.sleep(next - this.#clock.now(), stop));
    }
  }

  /** Resolves when no task waits and none is hidden: all are deleted or dead. */
  async whenEmpty(signal: AbortSignal): Promise<void> {
    await this.whenFewerThan(1, signal);
  }

  /** Resolves when fewer tasks than this wait or are hidden. */
  async whenFewerThan(tasks: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#waiting.length - this.#head + this.#hidden.size >= tasks) await this.#ended.wait(signal);
  }

  /** How many tasks wait, and how many are hidden, just now. */
  get size(): { readonly waiting: number; readonly hidden: number } {
    this.#takeBackLapsed();
    return { waiting: this.#waiting.length - this.#head, hidden: this.#hidden.size };
  }

  /** Tasks that came back after their last delivery, oldest first. */
  deadLetters(): readonly DeadTask[] {
    this.#takeBackLapsed();
    return [...this.#dead];
  }

  #nextWaiting(): Entry | undefined {
    const entry = this.#waiting[this.#head];
    if (entry === undefined) return undefined;
    this.#head++;
    // Taking the first one off an array moves all others: do that only once in a while.
    if (this.#head * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    return entry;
  }

  #hide(entry: Entry, receipt: string, visibilityMs: number): void {
    entry.hiddenUntil = this.#clock.now() + Math.max(0, visibilityMs);
    this.#returns.push({ at: entry.hiddenUntil, receipt });
  }

  #takeBackLapsed(): void {
    const now = this.#clock.now();
    for (;;) {
      const next = this.#nextReturn();
      if (next === null || next > now) return;
      const { receipt } = this.#returns.pop() as { receipt: string };
      const entry = this.#hidden.get(receipt) as Entry;
      this.#hidden.delete(receipt);
      entry.receipt = null;
      if (entry.receiveCount >= this.maxReceives) {
        this.#dead.push({ task: JSON.parse(entry.json) as Task, receiveCount: entry.receiveCount, at: now });
        this.#ended.wake();
      } else {
        this.#waiting.push(entry);
        this.#arrived.wake();
      }
    }
  }

  /** When the next hidden task comes back, in milliseconds since 1970. */
  #nextReturn(): number | null {
    for (;;) {
      const next = this.#returns.peek();
      if (next === undefined) return null;
      if (this.#hidden.get(next.receipt)?.hiddenUntil === next.at) return next.at;
      this.#returns.pop();
    }
  }
}
