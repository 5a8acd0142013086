import { SystemClock } from '../../adapters/inmemory/clock.ts';
import { InMemoryErrorRouter } from '../../adapters/inmemory/error-router.ts';
import { InMemoryKilledRows } from '../../adapters/inmemory/killed-rows.ts';
import { silentLog } from '../../adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../adapters/inmemory/metrics.ts';
import { InMemoryObjectSource } from '../../adapters/inmemory/object-source.ts';
import { SystemRandom } from '../../adapters/inmemory/random.ts';
import { InMemoryResultStore } from '../../adapters/inmemory/result-store.ts';
import { InMemoryStream } from '../../adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../../adapters/inmemory/task-queue.ts';
import { analyzeRecord } from '../../application/analyze/analyze.ts';
import { dispatch } from '../../application/dispatch/dispatch.ts';
import { generationOf } from '../../application/generation.ts';
import { mergeStates } from '../../application/measures/state.ts';
import { readResults } from '../../application/results/read-results.ts';
import { transformTask } from '../../application/transform/transform.ts';
import { decodeValue } from '../../application/values/value-reader.ts';
import type { Failure } from '../../domain/failure.ts';
import type { MeasureValues, Measures } from '../../domain/measure.ts';
import type { AnyPipeline, Finding, Pipeline } from '../../domain/pipeline.ts';
import type { Flag, ObjectProgress } from '../../domain/ports/result-store.ts';
import { reconcileObject } from '../../domain/reconcile.ts';

/** Objects by key: their text or bytes in any format that Sluice reads, or their rows. */
export type InMemoryLake = Readonly<Record<string, string | Uint8Array | readonly object[]>>;

/** What a pipeline made of a lake. */
export interface InMemoryRun<A> {
  /** Measures by group. */
  readonly groups: ReadonlyMap<string, MeasureValues<A>>;
  readonly findings: readonly { readonly group: string; readonly finding: Finding }[];
  /** Findings about single messages. */
  readonly flags: readonly Flag[];
  /** With the row or message itself as their payload. */
  readonly failures: readonly (Omit<Failure, 'payload'> & { readonly payload: unknown })[];
  /** Per object: its rows, and how they ended. */
  readonly objects: readonly ObjectProgress[];
  /** Whether every object is complete and every row and message came to exactly one end. */
  readonly complete: boolean;
}

const BUCKET = 'memory';
const RUN = 'in-memory';
const BUILD = 'in-memory';

/**
 * Runs a pipeline over a lake in memory, through the same use cases as in the cloud: to test it.
 *
 * ```ts
 * const { groups, failures } = await runInMemory(pipeline, { 'a.csv': 'lane,delay\nLAX-LAS,20\n', 'b': [{ lane: 'LAS-LAX', delay: 3 }] });
 * ```
 *
 * Where rows are given as objects they travel as JSON Lines, whatever format the pipeline declares; dates become ISO 8601 text.
 *
 * @throws what `findings` throws, and InfrastructureError for a defect; what is wrong with rows and objects is in `failures`
 */
export async function runInMemory<M, A extends Measures>(
  pipeline: Pipeline<M, A>,
  lake: InMemoryLake,
): Promise<InMemoryRun<A>> {
  const { signal } = new AbortController();
  const source = new InMemoryObjectSource();
  for (const [key, content] of Object.entries(lake))
    source.put({ bucket: BUCKET, key }, isRows(content) ? jsonLines(content) : content);
  const runnable: AnyPipeline = Object.values(lake).some(isRows) ? withoutFormat(pipeline) : pipeline;

  const clock = new SystemClock();
  const random = new SystemRandom({ clock });
  // Transform runs to its end before analyze begins: the stream has to hold it all.
  const stream = new InMemoryStream(
    { clock, random },
    { partitions: pipeline.partitions, shards: 1, capacityBytes: Number.POSITIVE_INFINITY },
  );
  const tasks = new InMemoryTaskQueue({ clock });
  const store = new InMemoryResultStore(mergeStates);
  const router = new InMemoryErrorRouter();
  const ports = {
    source,
    sink: stream,
    tasks,
    killed: new InMemoryKilledRows(),
    store,
    router,
    clock,
    random,
    log: silentLog,
    metrics: new InMemoryMetrics(),
  };
  const generation = generationOf(runnable, undefined);
  const context = { pipeline: runnable, generation, build: BUILD, where: undefined, signal };

  await dispatch({ run: RUN, locations: [BUCKET] }, context, ports);
  for (;;) {
    const [received] = await tasks.receive(1, Number.MAX_SAFE_INTEGER, signal);
    if (received === undefined) break;
    await transformTask(received.task, context, ports);
    await tasks.delete(received.receipt, signal);
  }
  for (;;) {
    const [record] = stream.read(0, stream.checkpoint(0), 1, Number.POSITIVE_INFINITY);
    if (record === undefined) break;
    await analyzeRecord(record.data, context, ports);
    stream.setCheckpoint(0, record.sequenceNumber);
  }
  return gather(store, generation.id, runnable);
}

function isRows(content: InMemoryLake[string]): content is readonly object[] {
  return Array.isArray(content);
}

function jsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

function withoutFormat(pipeline: AnyPipeline): AnyPipeline {
  const { format: _format, compression: _compression, ...source } = pipeline.source;
  return { ...pipeline, source };
}

async function gather<A extends Measures>(
  store: InMemoryResultStore,
  generation: string,
  pipeline: AnyPipeline,
): Promise<InMemoryRun<A>> {
  const { signal } = new AbortController();
  const groups = new Map<string, MeasureValues<A>>();
  const findings: { group: string; finding: Finding }[] = [];
  for await (const { group, measures, findings: found, error } of readResults(
    store,
    generation,
    pipeline,
    pipeline.analyze.measures,
    signal,
  )) {
    if (error !== null) throw error;
    groups.set(group, measures as MeasureValues<A>);
    for (const finding of found) findings.push({ group, finding });
  }
  const flags = await Array.fromAsync(store.flags(generation, signal));
  const opened = await Array.fromAsync(store.failures({ generation, state: 'open' }, signal));
  const failures = opened.map(({ failure: { payload, ...failure } }) => ({
    ...failure,
    payload: payload === null ? null : decodeValue(payload),
  }));
  const objects = await Array.fromAsync(store.objects({ generation }, signal));
  const complete = objects.every((object) => object.complete && reconcileObject(object).balances);
  return { groups, findings, flags, failures, objects, complete };
}
