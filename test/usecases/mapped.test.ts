import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InMemoryKilledRows } from '../../src/adapters/inmemory/killed-rows.ts';
import { silentLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { QueueMapping } from '../../src/adapters/inmemory/queue-mapping.ts';
import { SeededRandom } from '../../src/adapters/inmemory/random.ts';
import { StreamMapping } from '../../src/adapters/inmemory/stream-mapping.ts';
import { InMemoryStream } from '../../src/adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../../src/adapters/inmemory/task-queue.ts';
import { analyzeRecord } from '../../src/application/analyze/analyze.ts';
import { dispatch } from '../../src/application/dispatch/dispatch.ts';
import { generationOf } from '../../src/application/generation.ts';
import { transformTask } from '../../src/application/transform/transform.ts';
import type { AnyPipeline } from '../../src/domain/pipeline.ts';
import { withFaults, type Fault } from '../../src/testing/faults.ts';
import { EagerClock, imbalances, newWorld, Process, resultsOf, type World } from './harness.ts';
import { broken, lakePipeline, settings } from './lake-pipeline.ts';
import { BUCKET, fillLake, lake } from './lakes.ts';

interface Load {
  readonly concurrency: number;
  readonly shards: number;
  readonly batchRecords: number;
  readonly sectionsPerTask: number;
  /** A stream this small holds senders up. */
  readonly capacityBytes: number;
  readonly faults: readonly Fault[];
  /** Which of the handlers' calls fail after they are done: what they did is done again. */
  readonly failsAfter: readonly number[];
  readonly seed: number;
}

const load: fc.Arbitrary<Load> = fc.record({
  concurrency: fc.integer({ min: 1, max: 4 }),
  shards: fc.integer({ min: 1, max: 4 }),
  batchRecords: fc.integer({ min: 1, max: 6 }),
  sectionsPerTask: fc.integer({ min: 1, max: 4 }),
  capacityBytes: fc.constantFrom(2_000, 64 * 1024 * 1024),
  faults: fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constantFrom('lost-call' as const, 'lost-answer' as const),
        on: fc.constantFrom('put', 'applyFrame', 'applySectionRecord', 'route'),
        call: fc.nat(15),
      }),
      fc.record({
        kind: fc.constant('reject' as const),
        on: fc.constant('put' as const),
        call: fc.nat(15),
        records: fc.uniqueArray(fc.nat(3), { minLength: 1 }),
      }),
      fc.record({
        kind: fc.constant('break' as const),
        on: fc.constant('read'),
        call: fc.nat(8),
        after: fc.nat(2),
      }),
      fc.record({
        kind: fc.constant('delay' as const),
        on: fc.constantFrom('put', 'applyFrame'),
        call: fc.nat(15),
        ms: fc.nat(500),
      }),
    ),
    { maxLength: 6 },
  ),
  failsAfter: fc.uniqueArray(fc.nat(20), { maxLength: 4 }),
  seed: fc.integer(),
});

/** The whole way, as a laptop's provider goes it: tasks and batches at once, each again after a failure. */
async function runMapped(world: World, pipeline: AnyPipeline, how: Load): Promise<void> {
  const { clock } = world;
  const stop = new AbortController();
  const { signal } = stop;
  const random = new SeededRandom({ clock }, how.seed);
  const stream = new InMemoryStream(
    { clock, random },
    { partitions: pipeline.partitions, shards: how.shards, capacityBytes: how.capacityBytes },
  );
  const queue = new InMemoryTaskQueue({ clock }, { maxReceives: 50 });
  const faulty = <T extends object>(port: T): T =>
    withFaults(
      port,
      how.faults.filter(({ on }) => on in port),
      { clock },
    ).port;
  const ports = {
    source: faulty(world.source),
    store: faulty(world.store),
    router: faulty(world.router),
    sink: faulty(stream),
    tasks: queue,
    killed: new InMemoryKilledRows(),
    clock,
    random,
    metrics: new InMemoryMetrics(),
    log: silentLog,
  };
  const context = {
    pipeline,
    build: 'build-1',
    generation: generationOf(pipeline, undefined),
    where: undefined,
  };
  let handled = 0;
  const failAfter = () => {
    if (how.failsAfter.includes(handled++)) throw new Error('failed after all was done');
  };
  const tasks = new QueueMapping(
    { queue, clock, random },
    {
      concurrency: how.concurrency,
      // Still for ever when some time has gone by.
      visibilityMs: 2 * EagerClock.FOREVER_MS,
      heartbeatMs: EagerClock.FOREVER_MS,
      handler: async (task, attempt) => {
        await transformTask(task, { ...context, signal: attempt.signal }, ports);
        failAfter();
      },
    },
  );
  const records = new StreamMapping(
    { stream, clock, random },
    {
      concurrency: how.concurrency,
      batchRecords: how.batchRecords,
      maximumAttempts: 50,
      handler: async (batch, batchSignal) => {
        for (const [index, { data, sequenceNumber }] of batch.records.entries()) {
          try {
            await analyzeRecord(data, { ...context, signal: batchSignal }, ports);
          } catch (thrown) {
            if (index === 0) throw thrown;
            return { failedFrom: sequenceNumber };
          }
        }
        failAfter();
        return { failedFrom: null };
      },
      onFailure: async ({ error }) => {
        throw error;
      },
    },
  );
  const running = Promise.all([tasks.run(signal), records.run(signal)]);
  try {
    // What the plan needs of the lake is not what is tried here: a dispatch that fails is started again.
    const calm = { ...ports, source: world.source, store: world.store, router: world.router };
    await dispatch(
      { run: 'run-1', locations: [BUCKET], sectionsPerTask: how.sectionsPerTask },
      { ...context, signal },
      calm,
    );
    await tasks.idle(signal);
    await records.idle(signal);
    expect(queue.deadLetters()).toEqual([]);
  } finally {
    stop.abort();
    await running;
  }
}

describe('the whole way through queue and stream', () => {
  it('gives what a single process gives step by step, whatever the concurrency and whatever fails on the way', async () => {
    await fc.assert(
      fc.asyncProperty(lake, settings, load, async (files, how, under) => {
        const calmly = newWorld();
        fillLake(calmly.source, files);
        const process = new Process(calmly, lakePipeline(how, broken));
        await process.run();
        const generation = process.generation.id;

        const world = newWorld();
        fillLake(world.source, files);
        await runMapped(world, lakePipeline(how, broken), under);
        expect(await resultsOf(world, generation)).toEqual(await resultsOf(calmly, generation));
        expect(await imbalances(world, generation)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});
