import { Heap } from '../../adapters/inmemory/heap.ts';
import type { Clock } from '../../domain/ports/ambient.ts';

interface Event {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly order: number;
  readonly happen: () => void | Promise<void>;
  cancelled: boolean;
}

/** Real time after which something that answers to no event is given up, in milliseconds. */
const STUCK_MS = 20_000;

/**
 * Virtual time. Everything that happens in a simulation is an event of it, one at a time: what an event sets off runs to
 * its end before the next one happens, so that the same events give the same history. Time jumps from event to event.
 */
export class Scheduler implements Clock {
  readonly #events = new Heap<Event>((a, b) => a.at - b.at || a.order - b.order);
  #now: number;
  #order = 0;

  /** @param start milliseconds since 1970 */
  constructor(start: number) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  /** Lets something happen in so many milliseconds. @returns what takes it back */
  after(ms: number, happen: () => void | Promise<void>): () => void {
    const event: Event = {
      at: this.#now + Math.max(0, ms),
      order: this.#order++,
      happen,
      cancelled: false,
    };
    this.#events.push(event);
    return () => {
      event.cancelled = true;
    };
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const abort = () => {
        cancel();
        reject(signal.reason as Error);
      };
      const cancel = this.after(ms, () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  /** Lets everything happen until nothing is left to happen. */
  async run(): Promise<void> {
    await microtasks();
    for (;;) {
      const event = this.#events.pop();
      if (event === undefined) return;
      if (event.cancelled) continue;
      this.#now = Math.max(this.#now, event.at);
      await event.happen();
      await microtasks();
    }
  }
}

/** `setImmediate` comes after every microtask, however many more they queue. */
export function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Waits in real time, for what no event answers: a library that decompresses on another thread.
 *
 * @param turn resolves when it may be over: asking again and again would take the core that the other thread needs
 * @throws Error where it takes so long that it must hang
 */
export async function realWork(
  isOver: () => boolean,
  turn: () => Promise<void>,
  what: string,
): Promise<void> {
  await microtasks();
  if (isOver()) return;
  const stuck = Promise.withResolvers<never>();
  const why = new Error(`${what} waits for something that is no port: it could not be replayed`);
  const timer = setTimeout(() => stuck.reject(why), STUCK_MS);
  try {
    do {
      await Promise.race([turn(), stuck.promise]);
      await microtasks();
    } while (!isOver());
  } finally {
    clearTimeout(timer);
  }
}
