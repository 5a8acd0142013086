import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { reconcileObject } from '../../../src/domain/reconcile.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import type { WireFault } from '../../../src/testing/lambda/index.ts';
import lanePerformance from '../../../examples/lane-performance.ts';
import { repository } from '../../cli/harness.ts';
import { expectLanesOfDuckDb, type Lane } from '../../e2e/lanes-of-duckdb.ts';
import { harmNowAndThen } from '../stack/harm.ts';
import { localOutcome, outcomeOf } from '../stack/outcome.ts';
import { measuresOf, openResults } from '../stack/results.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../stack/stack.ts';

const FLIGHTS = path.join(repository, 'node_modules/vega-datasets/data/flights-3m.parquet');
const PIPELINE = path.join(repository, 'examples/lane-performance.ts');
const GENERATION = 'lane-performance@1';
const TAKE_MEMORY = new URL('../stack/take-memory.ts', import.meta.url).href;
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

describe('3,000,000 flights through the functions, while calls fail and functions are killed, stand still and take all memory', () => {
  let folder: string;
  let stack: Stack;
  let store: ResultStore;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-flights-'));
    const build = path.join(folder, 'build');
    await buildPipeline(PIPELINE, build);
    stack = await startStack({
      build,
      faults,
      seed: 42,
      concurrency: 2,
      memoryMb: 1_024,
      timeoutMs: 15_000,
      environment: { NODE_OPTIONS: `--enable-source-maps --import ${TAKE_MEMORY}` },
    });
    store = await openResults(stack.peers.postgres.url);
  });

  afterAll(async () => {
    await store?.close();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it(
    'are applied once each: the bytes of a local run, and the numbers of DuckDB',
    { timeout: 700_000 },
    async () => {
      const key = 'flights/yyyy=2001/flights 3m+é.parquet';
      const file = await readFile(FLIGHTS);
      await stack.put(key, file);
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
      const harm = harmNowAndThen([transform, analyze], {
        everyMs: 2_500,
        atMost: 12,
        ways: ['kill', 'take-memory', 'stand-still'],
      });
      await stack.twin.idle(AbortSignal.timeout(600_000));
      expect(harm.stop()).toBeGreaterThan(5);
      const ends = [transform.counts, analyze.counts];
      for (const how of ['kills', 'exits', 'timeouts'] as const)
        expect(Math.max(...ends.map((counts) => counts[how])), how).toBeGreaterThan(0);
      for (const proxy of stack.peers.proxies) expect(proxy.struck.length).toBeGreaterThan(0);

      const objects = await Array.fromAsync(store.objects({ generation: GENERATION }, never));
      expect(objects).toMatchObject([{ complete: true, rows: 3_000_000, failed: 0 }]);
      for (const object of objects) expect(reconcileObject(object).balances).toBe(true);

      const local = await localOutcome(PIPELINE, GENERATION, { 'flights.parquet': file });
      expect(await outcomeOf(store, GENERATION)).toEqual(local);

      const lanes = await measuresOf(store, GENERATION, lanePerformance);
      await expectLanesOfDuckDb(lanes as Readonly<Record<string, Lane>>, FLIGHTS);

      const reply = await stack.twin.invoke('analyze', { publish: true });
      expect(reply).toMatchObject({
        published: [{ generation: GENERATION, groups: Object.keys(lanes).length }],
      });
    },
  );
});
