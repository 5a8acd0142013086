import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Peer, processChannel } from '../../adapters/local/workers/peer.ts';
import { FileMark, type MarkLook } from '../../adapters/local/workers/row-marks.ts';
import { RowWatch, type Watched } from '../../adapters/local/workers/row-watch.ts';
import { WorkerEnded } from '../../adapters/local/workers/worker-ended.ts';
import type { KilledRow } from '../../domain/ports/killed-rows.ts';
import type { MarkedRow } from '../../domain/ports/row-mark.ts';
import type { Task } from '../../domain/section.ts';

/** What a probe is told. */
export interface ProbeOrder {
  readonly task: Task;
  /** Rows of its object with a verdict: they are left out. */
  readonly killed: readonly KilledRow[];
  /** Where it marks the row that it is in. */
  readonly markFile: string;
}

export type ProbeOutcome =
  /** Every row came to an end. */
  | { readonly kind: 'clear' }
  /** The process is gone; `row` is the one that it was in, `null` where it was in none. */
  | ({ readonly kind: 'ended' } & Pick<WorkerEnded, 'how' | 'row' | 'message'>)
  /** It was stopped from outside; `last` is the row that was begun last. */
  | { readonly kind: 'stopped'; readonly last: MarkedRow | null };

/**
 * Transforms the rows of a task, from where it is cleared on, where they can do no harm, until the signal is aborted.
 *
 * @throws what reading the object throws
 */
export type Probe = (
  order: Omit<ProbeOrder, 'markFile'>,
  rowTimeoutMs: number,
  signal: AbortSignal,
) => Promise<ProbeOutcome>;

/** Tells a process that it is a probe: the id of the process that it works for. */
export const PROBE_VARIABLE = 'SLUICE_PROBE_OF';

const MIB = 1024 * 1024;
/** Of the function's memory: what the runtime and its extensions take beside this process. */
const RESERVED_SHARE = 0.1;
/** Of what a probe may take: the rest is for buffers and for code. */
const HEAP_SHARE = 0.75;
/** With less, Node itself does not come up. */
const LEAST_PROBE_BYTES = 64 * MIB;

/**
 * Probes in a process of its own, which runs the function's module once more: whatever a row does to it, the function goes on.
 *
 * @param module URL of the function's module, which calls `createHandler`
 * @param memoryBytes of the function
 */
export function probesIn(module: string, memoryBytes: number): Probe {
  return async (order, rowTimeoutMs, signal) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'sluice-probe-'));
    try {
      const markFile = path.join(folder, 'row');
      return await probe(module, { ...order, markFile }, { rowTimeoutMs, memoryBytes }, signal);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

async function probe(
  module: string,
  order: ProbeOrder,
  { rowTimeoutMs, memoryBytes }: { readonly rowTimeoutMs: number; readonly memoryBytes: number },
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const left = memoryBytes * (1 - RESERVED_SHARE) - process.memoryUsage.rss();
  const maxMemoryBytes = Math.max(LEAST_PROBE_BYTES, left);
  const probing = new ProbeProcess(module, order.markFile, maxMemoryBytes);
  const watch = new RowWatch({ rowTimeoutMs, maxMemoryBytes }, () => probing.residentBytes());
  const stopped = new WorkerEnded('it was stopped', { how: 'died', row: null });
  const stop = () => void probing.end(stopped);
  signal.addEventListener('abort', stop, { once: true });
  watch.add(probing);
  try {
    if (signal.aborted) stop();
    await probing.probe(order);
    return { kind: 'clear' };
  } catch (thrown) {
    if (!(thrown instanceof WorkerEnded)) throw thrown;
    // What it marked last stands when it is gone.
    await probing.end(thrown);
    if (thrown === stopped) return { kind: 'stopped', last: FileMark.look(order.markFile).last };
    const { how, row, message } = thrown;
    return { kind: 'ended', how, row, message };
  } finally {
    signal.removeEventListener('abort', stop);
    watch.remove(probing);
    await probing.end(stopped);
  }
}

class ProbeProcess implements Watched {
  readonly #markFile: string;
  readonly #child: ChildProcess;
  readonly #peer: Peer;
  readonly #exited = Promise.withResolvers<void>();

  constructor(module: string, markFile: string, maxMemoryBytes: number) {
    this.#markFile = markFile;
    writeFileSync(markFile, '');
    const heapMb = Math.floor((maxMemoryBytes * HEAP_SHARE) / MIB);
    this.#child = fork(fileURLToPath(module), {
      serialization: 'advanced',
      // Not those of this process: they give it all of the function's memory.
      execArgv: [`--max-old-space-size=${heapMb}`],
      env: { ...process.env, [PROBE_VARIABLE]: `${process.pid}` },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#peer = new Peer(processChannel(this.#child), {});
    this.#child.on('error', (thrown) => this.#gone(`its process cannot be used: ${thrown.message}`));
    this.#child.on('exit', (code, signal) =>
      this.#gone(
        signal === null
          ? `its process ended with exit code ${code}`
          : `its process, with ${heapMb} MiB of heap, was ended by ${signal}`,
      ),
    );
  }

  async probe(order: ProbeOrder): Promise<void> {
    await this.#peer.call('probe', order);
  }

  look(): MarkLook {
    return FileMark.look(this.#markFile);
  }

  /** 0 where the system does not tell. */
  residentBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  async end(why: WorkerEnded): Promise<void> {
    this.#peer.end(why);
    this.#child.kill('SIGKILL');
    await this.#exited.promise;
  }

  #gone(why: string): void {
    this.#peer.end(new WorkerEnded(why, { how: 'died', row: FileMark.read(this.#markFile) }));
    this.#exited.resolve();
  }
}
