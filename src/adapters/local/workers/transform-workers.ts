import { DomainError } from '../../../domain/errors.ts';
import type { Log } from '../../../domain/ports/ambient.ts';
import type { KilledRows } from '../../../domain/ports/killed-rows.ts';
import type { Task } from '../../../domain/section.ts';
import type { KnownVersion } from '../version-cache.ts';
import { Gate } from './gate.ts';
import { RowWatch, type RowLimits } from './row-watch.ts';
import { stretchOf } from './suspects.ts';
import type { TaskJournal } from './task-journal.ts';
import type { TransformWorker, WatchedWorker, WorkedOut } from './transform-worker.ts';
import { WorkerEnded } from './worker-ended.ts';

export interface WorkersOptions {
  readonly limits: RowLimits;
  readonly startThread: () => WatchedWorker;
  /** A worker for one suspected task: it marks its rows in the journal's mark file. */
  readonly startProcess: () => TransformWorker;
  /** What is known of a task's object, so that no worker has to find it out again. */
  readonly known: (task: Task) => Promise<KnownVersion | undefined>;
}

export interface WorkersPorts {
  readonly journal: TaskJournal;
  readonly killed: KilledRows;
  readonly log: Log;
}

/** Two deaths in one row, the second of them alone: then it was the row. */
const DEATHS_FOR_VERDICT = 2;
/** Of one task, in one run: more is no row that is odd, but a `transform` that is broken. */
const MAX_DEATHS = 20;
/** A thread may end for what its task reads; that one frame is there each time is no accident. */
const MAX_DEATHS_OF_FRAME = 3;

/**
 * Transforms tasks in workers, as many at once as are asked for at once, and finds the rows that hang a worker or end it:
 *
 *     task ──▶ a thread, beside others ──ended──▶ given back, suspected ──▶ a process of its own, alone ──ended in the same row──▶ verdict
 *
 * One death says little: memory can run out in an innocent row while another worker eats it. So a suspected task is
 * transformed while nothing else is, and only a row in which a worker ended twice gets a verdict; the task is then transformed again
 * without it. What an earlier process had under way when it was killed is suspected from the start.
 *
 * Frames are worked out in the same threads: what a thread does for the one it does not for the other, and whoever has less to do
 * gets more.
 *
 * A pool from a library was looked at (piscina 5, tinypool 2): what they do is to queue and to deal, which the task queue does already.
 * What is needed here is what they have not: ports in both directions, a look at each worker from outside, one worker ended and not its
 * task's fellows, a worker that is a process.
 */
export class TransformWorkers {
  readonly #options: WorkersOptions;
  readonly #ports: WorkersPorts;
  readonly #watch: RowWatch;
  readonly #gate = new Gate();
  readonly #idle: WatchedWorker[] = [];
  /** All threads, and how much each has in hand: its task and frames. */
  readonly #inHand = new Map<WatchedWorker, number>();

  constructor(options: WorkersOptions, ports: WorkersPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#watch = new RowWatch(options.limits);
  }

  /** Starts a thread before there is a task, so that it is there when one comes. */
  prepare(): void {
    if (this.#inHand.size === 0) this.#idle.push(this.#startThread());
  }

  /**
   * @throws WorkerEnded the task can be given back: next time it is transformed with care
   * @throws DomainError `E_KILLED`: so many of its rows end their workers that it is of no use to go on
   * @throws what `transformTask` throws, and the signal's reason
   */
  async transform(task: Task, signal: AbortSignal): Promise<void> {
    if (this.#ports.journal.suspects.has(stretchOf(task)))
      await this.#gate.alone(() => this.#withCare(task, signal));
    else await this.#gate.together(() => this.#inThread(task, signal));
  }

  /**
   * Works out a record of the stream in the thread that has the least in hand.
   *
   * @returns `undefined` where the record has to be applied by somebody who can do more
   * @throws DomainError `E_ANALYZE_KILLED`: several threads ended with it
   * @throws what the thread's code throws, and the signal's reason
   */
  async workOut(record: Uint8Array, signal: AbortSignal): Promise<WorkedOut | undefined> {
    let deaths = 0;
    for (;;) {
      signal.throwIfAborted();
      const thread = this.#leastBusy();
      try {
        return await this.#holding(thread, () => orStopped(signal, thread.workOut(record)));
      } catch (thrown) {
        if (!(thrown instanceof WorkerEnded)) throw thrown;
        this.#forget(thread);
        // In a row it was the row that ended it.
        if (thrown.row === null && ++deaths === MAX_DEATHS_OF_FRAME) throw analyzeIsBroken(thrown);
      }
    }
  }

  /** Ends all workers. */
  async close(): Promise<void> {
    const over = new WorkerEnded('there is no more to do', { how: 'died', row: null });
    const threads = [...this.#inHand.keys()];
    threads.forEach((thread) => this.#forget(thread));
    await Promise.all(threads.map((thread) => thread.end(over)));
    this.#ports.journal.close();
  }

  #startThread(): WatchedWorker {
    const thread = this.#options.startThread();
    this.#inHand.set(thread, 0);
    return thread;
  }

  #forget(thread: WatchedWorker): void {
    this.#inHand.delete(thread);
    const at = this.#idle.indexOf(thread);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  #leastBusy(): WatchedWorker {
    this.prepare();
    const [least] = [...this.#inHand].sort(([, some], [, others]) => some - others);
    return (least as [WatchedWorker, number])[0];
  }

  async #holding<T>(thread: WatchedWorker, work: () => Promise<T>): Promise<T> {
    const add = (change: number) => {
      const inHand = this.#inHand.get(thread);
      if (inHand !== undefined) this.#inHand.set(thread, inHand + change);
    };
    add(1);
    try {
      return await work();
    } finally {
      add(-1);
    }
  }

  async #inThread(task: Task, signal: AbortSignal): Promise<void> {
    const { journal } = this.#ports;
    signal.throwIfAborted();
    const thread = this.#idle.pop() ?? this.#startThread();
    const stretch = stretchOf(task);
    journal.begun(stretch);
    this.#watch.add(thread);
    try {
      await this.#holding(thread, () => this.#work(thread, task, signal));
      this.#idle.push(thread);
    } catch (thrown) {
      if (thrown instanceof WorkerEnded) this.#suspect(task, thrown);
      if (thrown instanceof WorkerEnded || signal.aborted) this.#forget(thread);
      else this.#idle.push(thread);
      throw thrown;
    } finally {
      this.#watch.remove(thread);
      journal.ended(stretch);
    }
  }

  async #withCare(task: Task, signal: AbortSignal): Promise<void> {
    const { journal } = this.#ports;
    for (let deaths = 1; ; deaths++) {
      signal.throwIfAborted();
      const stretch = stretchOf(task);
      journal.begun(stretch, { marked: true });
      const worker = this.#options.startProcess();
      try {
        await this.#work(worker, task, signal);
        journal.suspects.remove(stretch);
        return;
      } catch (thrown) {
        if (!(thrown instanceof WorkerEnded)) throw thrown;
        if (deaths === MAX_DEATHS) throw tooMany(task, thrown);
        await this.#judge(task, thrown, signal);
        // It died in no row that could be left out: whoever counts receipts decides how often that is tried.
        if (thrown.row === null) throw thrown;
      } finally {
        await worker.end(new WorkerEnded('its task is over', { how: 'died', row: null }));
        journal.ended(stretch);
      }
    }
  }

  async #work(worker: TransformWorker, task: Task, signal: AbortSignal): Promise<void> {
    const known = await this.#options.known(task);
    // A row that hangs hears of no signal: the worker is ended, which is safe at any moment.
    await orStopped(signal, worker.transform({ task, known }), () =>
      worker.end(new WorkerEnded('it was stopped', { how: 'died', row: null })),
    );
  }

  async #judge(task: Task, ended: WorkerEnded, signal: AbortSignal): Promise<void> {
    const deaths = this.#suspect(task, ended);
    if (ended.row === null || deaths < DEATHS_FOR_VERDICT) return;
    const { how, row, message } = ended;
    await this.#ports.killed.add(
      task,
      { ...row, how, message: `transform killed this row: ${message}` },
      signal,
    );
  }

  #suspect(task: Task, { how, row, message }: WorkerEnded): number {
    const { journal, log } = this.#ports;
    const deaths = journal.suspects.add(stretchOf(task), row);
    journal.save();
    const { bucket, key } = task.object;
    log.warn(
      { task: task.id, object: `${bucket}/${key}`, ...row, how, deaths },
      `a worker ended${row === null ? '' : ' in a row'}: ${message}`,
    );
    return deaths;
  }
}

/** The work, unless the signal is aborted before; then `stop` is done, too. */
async function orStopped<T>(
  signal: AbortSignal,
  work: Promise<T>,
  stop: () => Promise<void> = () => Promise.resolve(),
): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const onAbort = () => {
    stopped.reject(signal.reason);
    void stop();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, stopped.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function analyzeIsBroken(cause: WorkerEnded): DomainError {
  return new DomainError(
    `workers ended ${MAX_DEATHS_OF_FRAME} times while they worked out one frame, last because ${cause.message}`,
    { code: 'E_ANALYZE_KILLED', cause },
  );
}

function tooMany(task: Task, cause: WorkerEnded): DomainError {
  return new DomainError(
    `workers ended ${MAX_DEATHS} times in ${task.object.key}, last because ${cause.message}: transform is broken`,
    { code: 'E_KILLED', cause },
  );
}
