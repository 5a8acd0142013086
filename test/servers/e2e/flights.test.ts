import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readResults } from '../../../src/application/results/read-results.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { reconcileObject } from '../../../src/domain/reconcile.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import type { WireFault } from '../../../src/testing/lambda/index.ts';
import lanePerformance from '../../../examples/lane-performance.ts';
import { repository } from '../../cli/harness.ts';
import { killNowAndThen } from '../stack/kills.ts';
import { localOutcome, outcomeOf } from '../stack/outcome.ts';
import { openResults } from '../stack/results.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../stack/stack.ts';

const FLIGHTS = path.join(repository, 'node_modules/vega-datasets/data/flights-3m.parquet');
const PIPELINE = path.join(repository, 'examples/lane-performance.ts');
const GENERATION = 'lane-performance@1';
const never = new AbortController().signal;

/** A bad day: something goes wrong with every twentieth call or so, in every way that there is. */
const faults: readonly WireFault[] = [
  { kind: 'reject', on: 'PutRecords', rate: 0.2, entries: 0.3 },
  { kind: 'reorder', on: 'PutRecords', rate: 0.1 },
  { kind: 'throttle', on: 'PutRecords', rate: 0.05 },
  { kind: 'lost-answer', on: 'PutRecords', rate: 0.05 },
  { kind: 'duplicate', on: 'PutRecords', rate: 0.05 },
  { kind: 'reset', on: 'PutRecords', rate: 0.02 },
  { kind: 'reject', on: 'SendMessageBatch', rate: 0.2, entries: 0.5 },
  { kind: 'lost-answer', on: 'SendMessageBatch', rate: 0.1 },
  { kind: 'error', on: 'SendMessageBatch', rate: 0.1, status: 503 },
  { kind: 'error', on: 'GetObject', rate: 0.05, status: 503 },
  { kind: 'truncate', on: 'GetObject', rate: 0.05 },
  { kind: 'reset', on: 'GetObject', rate: 0.05 },
  { kind: 'throttle', on: 'HeadObject', rate: 0.05 },
];

describe('3,000,000 flights through the functions, while calls fail and functions are killed', () => {
  let folder: string;
  let stack: Stack;
  let store: ResultStore;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-flights-'));
    const build = path.join(folder, 'build');
    await buildPipeline(PIPELINE, build);
    stack = await startStack({ build, faults, seed: 42, concurrency: 2, memoryMb: 1_024 });
    store = await openResults(stack.peers.postgres.url);
  });

  afterAll(async () => {
    await store?.close();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it(
    'are applied once each: the bytes of a local run, and the numbers of DuckDB',
    { timeout: 400_000 },
    async () => {
      const key = 'flights/yyyy=2001/flights 3m+é.parquet';
      const flights = await readFile(FLIGHTS);
      await stack.put(key, flights);
      // As EventBridge tells of it.
      await stack.peers.sqs.send(
        new SendMessageCommand({
          QueueUrl: stack.peers.queues.dispatch,
          MessageBody: JSON.stringify({
            version: '0',
            'detail-type': 'Object Created',
            source: 'aws.s3',
            detail: { bucket: { name: LAKE_BUCKET }, object: { key } },
          }),
        }),
      );
      const { transform, analyze } = stack.functions;
      const kills = killNowAndThen([transform, analyze], { everyMs: 1_500, atMost: 12 });
      await stack.twin.idle(AbortSignal.timeout(300_000));
      expect(kills.stop()).toBeGreaterThan(3);
      for (const proxy of stack.peers.proxies) expect(proxy.struck.length).toBeGreaterThan(0);

      const objects = await Array.fromAsync(store.objects({ generation: GENERATION }, never));
      expect(objects).toMatchObject([{ complete: true, rows: 3_000_000, failed: 0 }]);
      for (const object of objects) expect(reconcileObject(object).balances).toBe(true);

      const local = await localOutcome(PIPELINE, GENERATION, { 'flights.parquet': flights });
      expect(await outcomeOf(store, GENERATION)).toEqual(local);

      const { measures } = lanePerformance.analyze;
      const lanes: Record<string, unknown> = {};
      for await (const result of readResults(store, GENERATION, lanePerformance, measures, never)) {
        const { flights, late, worst } = result.measures as Record<string, unknown>;
        lanes[result.group] = { flights, late, worst };
      }
      expect(lanes).toEqual(await lanesOfDuckDb());

      const reply = await stack.twin.invoke('analyze', { publish: true });
      expect(reply).toMatchObject({
        published: [{ generation: GENERATION, groups: Object.keys(lanes).length }],
      });
    },
  );
});

async function lanesOfDuckDb(): Promise<Readonly<Record<string, unknown>>> {
  const duck = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
  try {
    const rows = await duck.runAndReadAll(
      `SELECT origin || '-' || destination AS lane, count(*)::INT AS flights,
         count(*) FILTER (delay > 15)::INT AS late, max(delay)::INT AS worst
       FROM '${FLIGHTS}' WHERE delay >= -60 GROUP BY ALL`,
    );
    return Object.fromEntries(rows.getRowObjectsJson().map(({ lane, ...of }) => [lane as string, of]));
  } finally {
    duck.closeSync();
  }
}
