import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3ObjectSource } from '../../../src/adapters/aws/object-source.ts';
import { ResultsLake } from '../../../src/adapters/aws/results-lake.ts';
import type { FolderPorts } from '../../../src/adapters/aws/results-lake/folder.ts';
import { openSqliteResultStore } from '../../../src/adapters/local/sqlite/result-store.ts';
import { mergeStates } from '../../../src/application/measures/state.ts';
import { readResults } from '../../../src/application/results/read-results.ts';
import { declaredMeasures } from '../../../src/domain/generation.ts';
import { count, sum } from '../../../src/domain/measure.ts';
import { definePipeline, type AnyPipeline } from '../../../src/domain/pipeline.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import {
  calm,
  type Chaos,
  imbalances,
  Killed,
  newWorld,
  Process,
  resultsOf,
  survives,
} from '../../usecases/harness.ts';
import { broken, lakePipeline, mended, settings, type Settings } from '../../usecases/lake-pipeline.ts';
import { fillLake, lake, type LakeFile } from '../../usecases/lakes.ts';
import { memoryS3 } from './memory-s3.ts';
import { runOver } from './run-over.ts';
import { startS3Twin, type S3Twin } from './s3-twin.ts';
import { never, surroundings } from './surroundings.ts';

let twin: S3Twin;
let folder = '';

beforeAll(async () => {
  twin = await startS3Twin();
  folder = await mkdtemp(path.join(tmpdir(), 'sluice-results-'));
});

afterAll(async () => {
  await twin.stop();
  await rm(folder, { recursive: true });
});

function storeOver(calls: FolderPorts['calls'], bucket = 'results'): ResultStore {
  return new ResultsLake({ ...surroundings(), calls }, { bucket, prefix: '', mergeStates });
}

/** The same calls, of a process that dies at one of them: before it is made, or before its answer comes. */
function dyingAt(calls: FolderPorts['calls'], killAt: number): FolderPorts['calls'] {
  let made = 0;
  const live = () => {
    if (++made >= killAt) throw new Killed();
  };
  return new Proxy(calls, {
    get: (target, name) => {
      const call = Reflect.get(target, name) as (...all: unknown[]) => Promise<unknown>;
      return async (...all: unknown[]) => {
        live();
        const answer = await call(...all);
        live();
        return answer;
      };
    },
  });
}

let files = 0;

/** What a database has after a calm run and a redrive of its failures by code that was mended. */
async function inDatabase(objects: readonly LakeFile[], how: Settings) {
  const store = await openSqliteResultStore(path.join(folder, `${++files}.sqlite`), { mergeStates });
  const world = { ...newWorld(), store };
  try {
    fillLake(world.source, objects);
    const process = new Process(world, lakePipeline(how, broken));
    await process.run();
    const generation = process.generation.id;
    const run = await resultsOf(world, generation);
    await new Process(world, lakePipeline(how, mended), 'build-2').redrive();
    return { generation, run, redriven: await resultsOf(world, generation) };
  } finally {
    await store.close();
  }
}

const history: fc.Arbitrary<Chaos & { readonly dieAt: number }> = fc.record({
  seed: fc.integer(),
  duplicates: fc.constantFrom(0, 0.2, 0.5),
  shuffle: fc.boolean(),
  killAt: fc.constant(null),
  sectionsPerTask: fc.integer({ min: 1, max: 5 }),
  handOn: fc.constantFrom(0, 0.5, 1),
  dieAt: fc.integer({ min: 1, max: 400 }),
});

describe('ResultsLake under a pipeline', () => {
  it('has what a database has, whatever is repeated, reordered or killed between two requests', async () => {
    await fc.assert(
      fc.asyncProperty(
        lake,
        settings,
        fc.array(history, { minLength: 1, maxLength: 4 }),
        async (objects, how, histories) => {
          const expected = await inDatabase(objects, how);
          const s3 = memoryS3();
          const world = { ...newWorld({ chunkBytes: 1_000 }), store: storeOver(s3) };
          fillLake(world.source, objects);
          const sent: Uint8Array[] = [];
          for (const [index, { dieAt, ...chaos }] of histories.entries()) {
            const mortal = { ...world, store: storeOver(dyingAt(s3, dieAt)) };
            const process = new Process(mortal, lakePipeline(how, broken), 'build-1', chaos);
            await survives(process.run(`run-${index}`));
            sent.push(...process.put);
          }
          const last = new Process(world, lakePipeline(how, broken), 'build-1');
          await last.run('run-last');
          expect(await resultsOf(world, expected.generation)).toEqual(expected.run);

          const mendedPipeline = lakePipeline(how, mended);
          const dieAt = histories[0]?.dieAt ?? 1;
          const mortal = { ...world, store: storeOver(dyingAt(s3, dieAt)) };
          await survives(new Process(mortal, mendedPipeline, 'build-2').redrive());
          const redriving = new Process(world, mendedPipeline, 'build-2', { ...calm, duplicates: 0.3 });
          await redriving.redrive();
          // What was on its way all the time arrives after all.
          for (const record of sent) await last.analyze(record);
          for (const record of redriving.put) await redriving.analyze(record);
          expect(await resultsOf(world, expected.generation)).toEqual(expected.redriven);
          expect(await imbalances(world, expected.generation)).toEqual([]);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('reads the frames of an object no more once it is complete', async () => {
    const s3 = memoryS3();
    const fetched: string[] = [];
    const calls: FolderPorts['calls'] = {
      ...s3,
      fetch: (name, signal) => {
        fetched.push(name.key);
        return s3.fetch(name, signal);
      },
    };
    const world = { ...newWorld(), store: storeOver(calls) };
    const rows = Array.from({ length: 40 }, (_, id) => row(id));
    fillLake(world.source, [{ form: 'csv', rows, brokenAt: null }]);
    const process = new Process(world, lakePipeline(small, broken));
    await process.run();
    const isFrame = (key: string) => /\/p=/.test(key);
    const first = await resultsOf(world, process.generation.id);
    expect(fetched.filter(isFrame).length).toBeGreaterThan(10);
    fetched.length = 0;
    expect(await resultsOf(world, process.generation.id)).toEqual(first);
    expect(fetched.filter(isFrame)).toEqual([]);
    expect(fetched.length).toBeLessThan(15);
  });
});

const small: Settings = {
  limits: { sectionBytes: 400, maxFrameMessages: 3, maxFrameBytes: 1_000 },
  partitions: 3,
  partitioned: true,
  frames: 'packed',
};

function row(id: number): LakeFile['rows'][number] {
  const lane = ['ZRH-JFK', 'ü', ''][id % 3] as string;
  return { id, lane, fan: 1 + (id % 2), fate: 'ok', hurt: 9, flag: 9, value: id / 4, note: '' };
}

describe('What ResultsLake publishes', () => {
  /** Lanes with their messages and the sum of their values. */
  async function published() {
    const bucket = twin.newBucket();
    const calls = twin.calls();
    const world = { ...newWorld(), store: storeOver(calls, bucket) };
    const rows = Array.from({ length: 30 }, (_, id) => row(id));
    fillLake(world.source, [{ form: 'jsonl', rows, brokenAt: null }]);
    const process = new Process(world, lakePipeline(small, broken));
    await process.run();
    const { id } = process.generation;
    const results = readResults(world.store, id, undefined, declaredMeasures(process.generation), never);
    await world.store.publish(id, results, never);
    const lanes = [...Map.groupBy(rows, ({ lane }) => lane)].map(([lane, ofLane]) => ({
      lane,
      messages: ofLane.reduce((total, { fan }) => total + fan, 0),
      value: ofLane.reduce((total, { fan, value }) => total + fan * value, 0),
    }));
    return { bucket, calls, lanes: lanes.sort((a, b) => (a.lane < b.lane ? -1 : 1)) };
  }

  it('is a lake that Sluice reads', async () => {
    const { bucket, calls, lanes } = await published();
    const overResults = definePipeline({
      name: 'over-results',
      version: 1,
      source: {},
      transform: (read) =>
        read as unknown as { group: string; measures: { messages: number; value: number } },
      analyze: {
        groupBy: ({ group }) => group,
        measures: {
          messages: sum(({ measures }) => measures.messages),
          value: sum(({ measures }) => measures.value),
          rows: count(),
        },
      },
    }) as unknown as AnyPipeline;
    const source = new S3ObjectSource({ ...surroundings(), calls });
    const read = await runOver(source, `s3://${bucket}/results/`, overResults);
    expect(read).toEqual(
      Object.fromEntries(lanes.map(({ lane, messages, value }) => [lane, { messages, value, rows: 1 }])),
    );
  });

  it('is a lake that DuckDB reads, with the pipeline and its version as columns', async () => {
    const { bucket, calls, lanes } = await published();
    const key = 'results/pipeline=lake/version=1/results.jsonl.gz';
    await mkdir(path.dirname(path.join(folder, key)), { recursive: true });
    await writeFile(path.join(folder, key), (await calls.fetch({ bucket, key }, never)) as Uint8Array);
    const duck = await (await DuckDBInstance.create(':memory:')).connect();
    const reader = await duck.runAndReadAll(
      `SELECT "group" AS lane, measures.messages::INTEGER AS messages, measures.value AS value, pipeline, version::INTEGER AS version
       FROM read_json('${folder}/results/*/*/*.jsonl.gz', hive_partitioning = true) ORDER BY lane`,
    );
    expect(reader.getRowObjects()).toEqual(lanes.map((one) => ({ ...one, pipeline: 'lake', version: 1 })));
    duck.closeSync();
  });
});
