import { silentLog } from '../../../src/adapters/inmemory/log.ts';
import { InMemoryErrorRouter } from '../../../src/adapters/inmemory/error-router.ts';
import { InMemoryKilledRows } from '../../../src/adapters/inmemory/killed-rows.ts';
import { InMemoryResultStore } from '../../../src/adapters/inmemory/result-store.ts';
import { InMemoryStream } from '../../../src/adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../../../src/adapters/inmemory/task-queue.ts';
import { analyzeRecord } from '../../../src/application/analyze/analyze.ts';
import { dispatch } from '../../../src/application/dispatch/dispatch.ts';
import { generationOf } from '../../../src/application/generation.ts';
import { mergeStates } from '../../../src/application/measures/state.ts';
import { readResults } from '../../../src/application/results/read-results.ts';
import { transformTask } from '../../../src/application/transform/transform.ts';
import type { AnyPipeline } from '../../../src/domain/pipeline.ts';
import type { ObjectSource } from '../../../src/domain/ports/object-source.ts';
import { never, surroundings } from './surroundings.ts';

/** Runs a pipeline over a lake, everything else in memory; gives the measures by group. */
export async function runOver(
  source: ObjectSource,
  location: string,
  pipeline: AnyPipeline,
): Promise<Readonly<Record<string, unknown>>> {
  const around = surroundings();
  const stream = new InMemoryStream(around, {
    partitions: pipeline.partitions,
    shards: 1,
    capacityBytes: Number.POSITIVE_INFINITY,
  });
  const tasks = new InMemoryTaskQueue(around);
  const store = new InMemoryResultStore(mergeStates);
  const ports = {
    ...around,
    source,
    sink: stream,
    tasks,
    killed: new InMemoryKilledRows(),
    store,
    router: new InMemoryErrorRouter(),
    log: silentLog,
  };
  const generation = generationOf(pipeline, undefined);
  const context = { pipeline, generation, build: 'b', where: undefined, signal: never };

  await dispatch({ run: 'r', locations: [location] }, context, ports);
  for (;;) {
    const [received] = await tasks.receive(1, Number.MAX_SAFE_INTEGER, never);
    if (received === undefined) break;
    await transformTask(received.task, context, ports);
    await tasks.delete(received.receipt, never);
  }
  for (;;) {
    const [record] = stream.read(0, stream.checkpoint(0), 1, Number.POSITIVE_INFINITY);
    if (record === undefined) break;
    await analyzeRecord(record.data, context, ports);
    stream.setCheckpoint(0, record.sequenceNumber);
  }
  const groups: Record<string, unknown> = {};
  for await (const { group, measures } of readResults(
    store,
    generation.id,
    pipeline,
    pipeline.analyze.measures,
    never,
  ))
    groups[group] = measures;
  return groups;
}
