import process from 'node:process';
import type { WatchedWorker } from './transform-worker.ts';
import { WorkerEnded } from './worker-ended.ts';

export interface RowLimits {
  /** How long a row may take, in milliseconds. */
  readonly rowTimeoutMs: number;
  /** Resident memory of the process, in bytes, over which a row must not make it grow any more. */
  readonly maxMemoryBytes: number;
}

/** Resident memory of this process, in bytes. */
const residentMemory = () => process.memoryUsage.rss();

/** What can be looked at, and be ended. */
export type Watched = Pick<WatchedWorker, 'look' | 'end'>;

/** Between two looks, in milliseconds. */
const LOOK_MS = 50;

/** What was seen of a worker when it entered the row that it is still in. */
interface Seen {
  readonly count: number;
  readonly memory: number;
  looks: number;
}

/**
 * Looks at workers from outside: ends one whose row takes too long, and one whose row makes the process grow over its limit.
 *
 * Time is counted in looks: while the whole process stands still (a laptop that sleeps, a debugger), nobody looks.
 */
export class RowWatch {
  readonly #limits: RowLimits;
  readonly #memory: () => number;
  readonly #seen = new Map<Watched, Seen>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: RowLimits, memory = residentMemory) {
    this.#limits = limits;
    this.#memory = memory;
  }

  add(worker: Watched): void {
    this.#seen.set(worker, { count: -1, memory: 0, looks: 0 });
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  remove(worker: Watched): void {
    this.#seen.delete(worker);
    if (this.#seen.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const memory = this.#memory();
    for (const [worker, seen] of this.#seen) {
      const { count, row } = worker.look();
      if (row === null || count !== seen.count) {
        this.#seen.set(worker, { count, memory, looks: 0 });
        continue;
      }
      seen.looks++;
      const why = this.#verdict(seen, memory);
      if (why === undefined) continue;
      this.remove(worker);
      // Its exit is awaited by whoever had it work, and a call of the system's that it is in may keep it long.
      void worker.end(new WorkerEnded(why.message, { how: why.how, row }));
    }
  }

  #verdict(
    { looks, memory: before }: Seen,
    memory: number,
  ): Pick<WorkerEnded, 'how' | 'message'> | undefined {
    const { rowTimeoutMs, maxMemoryBytes } = this.#limits;
    if (looks * LOOK_MS >= rowTimeoutMs)
      return { how: 'hung', message: `it did not come to an end within ${rowTimeoutMs / 1000} s` };
    if (memory > maxMemoryBytes && memory > before) {
      const mib = Math.round(maxMemoryBytes / 1024 / 1024);
      return { how: 'died', message: `it made the process grow over ${mib} MiB` };
    }
    return undefined;
  }
}
