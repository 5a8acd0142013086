/**
 * Ours without workers: list, plan, queue and transform, one task after the other, as a function in the cloud does; on files, whose ranged reads are
 * counted.
 */
import { LocalObjectSource } from '../../src/adapters/local/object-source.ts';
import { SystemClock } from '../../src/adapters/inmemory/clock.ts';
import { InMemoryKilledRows } from '../../src/adapters/inmemory/killed-rows.ts';
import { silentLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryErrorRouter } from '../../src/adapters/inmemory/error-router.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { SystemRandom } from '../../src/adapters/inmemory/random.ts';
import { InMemoryResultStore } from '../../src/adapters/inmemory/result-store.ts';
import { InMemoryTaskQueue } from '../../src/adapters/inmemory/task-queue.ts';
import { dispatch } from '../../src/application/dispatch/dispatch.ts';
import { generationOf } from '../../src/application/generation.ts';
import { mergeStates } from '../../src/application/measures/state.ts';
import { transformTask } from '../../src/application/transform/transform.ts';
import type { AnyPipeline } from '../../src/domain/pipeline.ts';
import type { ObjectSource } from '../../src/domain/ports/object-source.ts';
import type { RecordSink } from '../../src/domain/ports/record-sink.ts';
import type { ResultStore } from '../../src/domain/ports/result-store.ts';
import type { Where } from '../../src/domain/where.ts';
import { loadPipeline } from '../../src/entrypoints/cli/load-pipeline.ts';
import type { Counts } from '../harness/contender.ts';
import { CollectingSink } from '../harness/collecting-sink.ts';
import { CountedSource } from '../harness/counted-source.ts';

export interface InProcessOptions {
  /** The pipeline file. */
  readonly pipeline: string;
  readonly location: string;
  readonly where?: Where;
}

export default async function transformInProcess({
  pipeline: file,
  ...options
}: InProcessOptions): Promise<Counts> {
  const { pipeline } = await loadPipeline(file);
  return transformLake(pipeline, { ...options, sink: new CollectingSink(false) });
}

export interface LakeOptions extends Omit<InProcessOptions, 'pipeline'> {
  readonly sink: RecordSink;
  /** Default: the files of this machine. */
  readonly lake?: ObjectSource;
  /** Gets the plan. Default: one that is forgotten. */
  readonly store?: ResultStore;
}

/** What a pipeline does to a place in the lake, as counts. */
export async function transformLake(
  pipeline: AnyPipeline,
  { location, where, sink, lake, store = new InMemoryResultStore(mergeStates) }: LakeOptions,
): Promise<Counts> {
  const clock = new SystemClock();
  const source = new CountedSource(lake ?? new LocalObjectSource({ clock, log: silentLog }));
  const metrics = new InMemoryMetrics();
  const tasks = new InMemoryTaskQueue({ clock });
  const ports = {
    source,
    sink,
    tasks,
    killed: new InMemoryKilledRows(),
    store,
    router: new InMemoryErrorRouter(),
    clock,
    random: new SystemRandom({ clock }),
    log: silentLog,
    metrics,
  };
  const { signal } = new AbortController();
  const context = { pipeline, generation: generationOf(pipeline, where), build: 'bench', where, signal };
  const { tasks: queued } = await dispatch({ run: 'bench', locations: [location] }, context, ports);
  const requestsOfDispatch = source.requests;
  for (;;) {
    const [received] = await tasks.receive(1, Number.MAX_SAFE_INTEGER, signal);
    if (received === undefined) break;
    await transformTask(received.task, context, ports);
    await tasks.delete(received.receipt, signal);
  }
  return {
    rows: metrics.total('rowsRead'),
    pruned: metrics.total('rowsPruned'),
    failed: metrics.total('rowsFailed'),
    messages: metrics.total('messages'),
    tasks: queued,
    sections: metrics.total('sectionsSent'),
    frames: metrics.total('frames'),
    bytesOut: metrics.total('frameBytes'),
    bytesRead: source.bytes,
    requests: source.requests,
    requestsOfDispatch,
  };
}
