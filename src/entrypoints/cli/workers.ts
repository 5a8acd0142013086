import { totalmem } from 'node:os';
import process from 'node:process';
import { LOCAL_BUCKET } from '../../adapters/local/object-source.ts';
import type { RowLimits } from '../../adapters/local/workers/row-watch.ts';
import { TaskJournal } from '../../adapters/local/workers/task-journal.ts';
import { TransformProcess } from '../../adapters/local/workers/transform-process.ts';
import { TransformThread } from '../../adapters/local/workers/transform-worker.ts';
import { TransformWorkers } from '../../adapters/local/workers/transform-workers.ts';
import type { LoadedPipeline } from './load-pipeline.ts';
import type { Runtime } from './runtime.ts';
import { processEntry, threadEntry } from './worker-entries.ts';

export interface WorkerLimits extends RowLimits {
  /** What the objects of one thread may take, in MiB. */
  readonly heapMb: number;
}

const MIB = 1024 * 1024;
/** Less is not enough for a large row group; more, Node gives no process by itself. */
const LEAST_HEAP_MB = 512;
const MOST_HEAP_MB = 4096;

/** What rows may take, where the command line does not say it: a share of the memory that this process may have. */
export function workerLimits({
  concurrency,
  rowTimeout,
  workerHeap,
  maxMemory,
}: {
  readonly concurrency: number;
  /** In seconds. */
  readonly rowTimeout: number;
  /** In MiB. */
  readonly workerHeap?: number;
  readonly maxMemory?: number;
}): WorkerLimits {
  // Of the machine, or of the container.
  const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  const share = Math.floor(memory / 2 / concurrency / MIB);
  return {
    rowTimeoutMs: rowTimeout * 1000,
    heapMb: workerHeap ?? Math.min(MOST_HEAP_MB, Math.max(LEAST_HEAP_MB, share)),
    maxMemoryBytes: maxMemory === undefined ? (memory * 3) / 4 : maxMemory * MIB,
  };
}

/** The workers of a run. What earlier processes had under way in the same folder when they were killed is suspected. */
export function makeWorkers(
  { path: pipeline }: LoadedPipeline,
  run: string,
  { heapMb, ...limits }: WorkerLimits,
  runtime: Runtime,
): TransformWorkers {
  const { out, files, killed, log } = runtime;
  const journal = new TaskJournal(out, run);
  const { markFile } = journal;
  const ports = { ...runtime, sink: runtime.stream };
  return new TransformWorkers(
    {
      limits,
      startThread: () => new TransformThread(ports, { entry: threadEntry, pipeline, heapMb }),
      startProcess: () =>
        new TransformProcess(ports, { entry: processEntry, pipeline, heapMb, limits, markFile }),
      known: async ({ object }) => (object.bucket === LOCAL_BUCKET ? files.known(object.key) : undefined),
    },
    { journal, killed, log },
  );
}
