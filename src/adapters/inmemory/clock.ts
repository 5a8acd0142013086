import type { Clock } from '../../domain/ports/ambient.ts';
import { Heap } from './heap.ts';

/** Longest delay that a Node timer takes, in milliseconds; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The machine's time. */
export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let left = Math.max(0, ms);
    do {
      const stretch = Math.min(left, MAX_TIMER_MS);
      await timer(stretch, signal);
      left -= stretch;
    } while (left > 0);
  }
}

function timer(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timeout);
      reject(signal.reason as Error);
    };
    const timeout = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}

interface Sleeper {
  readonly due: number;
  readonly order: number;
  readonly wake: () => void;
  awake: boolean;
}

/**
 * Time that moves only when it is told to, for tests and simulations: the same calls give the same order of events.
 *
 * ```ts
 * const clock = new ManualClock(0);       // milliseconds since 1970
 * await clock.advance(30_000);            // everything that was due by then has happened
 * await clock.runUntil(work);             // jumps from timer to timer until `work` has settled
 * ```
 *
 * Between two timers everything that they set off runs to its end: promises, and what is queued behind them. Real I/O is
 * not waited for.
 */
export class ManualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #sleepers = new Heap<Sleeper>((a, b) => a.due - b.due || a.order - b.order);

  /** @param start milliseconds since 1970. Default: 2024-01-01T00:00:00Z */
  constructor(start = 1_704_067_200_000) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const abort = () => {
        sleeper.awake = true;
        reject(signal.reason as Error);
      };
      const sleeper: Sleeper = {
        due: this.#now + Math.max(0, ms),
        order: this.#order++,
        awake: false,
        wake: () => {
          signal.removeEventListener('abort', abort);
          resolve();
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#sleepers.push(sleeper);
    });
  }

  /** When the next sleeper is due, in milliseconds since 1970; `null` where nobody sleeps. */
  nextDue(): number | null {
    for (;;) {
      const next = this.#sleepers.peek();
      if (next === undefined) return null;
      if (!next.awake) return next.due;
      this.#sleepers.pop();
    }
  }

  /** Moves time on by `ms`: wakes who is due, one by one, at their times. */
  advance(ms: number): Promise<void> {
    return this.advanceTo(this.#now + ms);
  }

  async advanceTo(time: number): Promise<void> {
    await settled();
    for (;;) {
      const due = this.nextDue();
      if (due === null || due > time) break;
      await this.#wakeNext();
    }
    this.#now = Math.max(this.#now, time);
  }

  /**
   * Moves time on, timer by timer, until the promise has settled, and settles as it did.
   *
   * @throws Error where it has not settled and nobody sleeps: it would wait for ever
   */
  async runUntil<T>(promise: Promise<T>): Promise<T> {
    let pending = true;
    const done = () => {
      pending = false;
    };
    promise.then(done, done);
    await settled();
    while (pending) {
      if (this.nextDue() === null)
        throw new Error('ManualClock.runUntil: nothing is due and the promise has not settled');
      await this.#wakeNext();
    }
    return promise;
  }

  async #wakeNext(): Promise<void> {
    const sleeper = this.#sleepers.pop();
    if (sleeper === undefined || sleeper.awake) return;
    this.#now = Math.max(this.#now, sleeper.due);
    sleeper.awake = true;
    sleeper.wake();
    await settled();
  }
}

/** `setImmediate` comes after every microtask, however many more they queue. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
