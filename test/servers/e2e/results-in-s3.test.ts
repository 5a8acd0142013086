import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PublishedGroup, ResultStore } from '../../../src/domain/ports/result-store.ts';
import { reconcileObject } from '../../../src/domain/reconcile.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import type { WireFault } from '../../../src/testing/lambda/index.ts';
import { repository } from '../../cli/harness.ts';
import { harmNowAndThen } from '../stack/harm.ts';
import { localOutcome, outcomeOf } from '../stack/outcome.ts';
import { RESULTS_BUCKET } from '../stack/peers.ts';
import { openResultsInS3 } from '../stack/results.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../stack/stack.ts';
import { csvOf, lanesOf, shipments } from './shipments.ts';

const PIPELINE = path.join(repository, 'test/servers/e2e/pipelines/shipments.ts');
const GENERATION = 'shipments@1';
const never = new AbortController().signal;

/** Of what the result store asks, too. */
const faults: readonly WireFault[] = [
  { kind: 'error', on: 'PutObject', rate: 0.1, status: 503 },
  { kind: 'reset', on: 'PutObject', rate: 0.05 },
  { kind: 'lost-answer', on: 'PutObject', rate: 0.1 },
  { kind: 'duplicate', on: 'PutObject', rate: 0.05 },
  { kind: 'throttle', on: 'GetObject', rate: 0.1 },
  { kind: 'truncate', on: 'GetObject', rate: 0.05 },
  { kind: 'error', on: 'ListObjectsV2', rate: 0.1, status: 500 },
  { kind: 'reject', on: 'PutRecords', rate: 0.2, entries: 0.3 },
  { kind: 'duplicate', on: 'PutRecords', rate: 0.2 },
];

describe('results in S3, without a database, under the runtime client', () => {
  let folder: string;
  let stack: Stack;
  let store: ResultStore;
  let log: string[];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-results-in-s3-'));
    await buildPipeline(PIPELINE, folder);
    log = [];
    stack = await startStack({
      build: folder,
      faults,
      seed: 7,
      timeoutMs: 12_000,
      environment: { SLUICE_DATABASE_URL: '', SLUICE_RESULTS: `s3://${RESULTS_BUCKET}/` },
      log: ({ line }) => void log.push(line),
    });
    // Nobody may miss it.
    await stack.peers.postgres.kill();
    store = openResultsInS3(stack.peers);
  });

  afterAll(async () => {
    await store?.close();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it(
    'are the bytes of a run on one machine, while calls fail, analyze is killed and writes take too long',
    { timeout: 400_000 },
    async () => {
      const { peers, twin, functions } = stack;
      const rows = shipments(0, 3_500);
      const files = { 'first.csv': csvOf(rows.slice(0, 2_500)), 'second.csv': csvOf(rows.slice(2_500)) };
      for (const [name, text] of Object.entries(files)) await stack.put(name, Buffer.from(text));
      const kills = harmNowAndThen([functions.analyze], { everyMs: 100, atMost: 2, ways: ['kill'] });
      await twin.invoke('dispatch', { objects: [`s3://${LAKE_BUCKET}/first.csv`] });
      await twin.idle(AbortSignal.timeout(180_000));
      expect(kills.stop()).toBeGreaterThan(0);
      for (const proxy of peers.proxies) expect(proxy.struck.length).toBeGreaterThan(0);

      // Writes outlast their invocation: they are named in the log before the time is over, and their frames come again.
      await stack.stream.disable();
      await twin.invoke('dispatch', { objects: [`s3://${LAKE_BUCKET}/second.csv`] });
      await twin.idle(AbortSignal.timeout(180_000));
      const plan = (planned: readonly WireFault[]) => peers.proxies.forEach((proxy) => proxy.plan(planned));
      plan([{ kind: 'delay', on: 'PutObject', rate: 1, ms: 15_000 }]);
      stack.mapStream();
      const late = () => log.find((line) => /"function":"analyze".*the time is nearly over/.test(line));
      await expect.poll(late, { timeout: 60_000 }).toBeDefined();
      plan(faults);
      expect(late()).toMatch(/"underWay":\[\{"call":"(store\.apply\w+|router\.route)","ms":\d+\}/);
      await twin.idle(AbortSignal.timeout(180_000));
      expect(functions.analyze.counts.timeouts).toBe(0);

      const objects = await Array.fromAsync(store.objects({ generation: GENERATION }, never));
      expect(objects).toHaveLength(2);
      for (const object of objects) {
        expect(object.complete).toBe(true);
        expect(reconcileObject(object).balances).toBe(true);
      }
      expect(await outcomeOf(store, GENERATION)).toEqual(await localOutcome(PIPELINE, GENERATION, files));
      expect(await store.countOpenFailures({ generation: GENERATION }, never)).toEqual({
        E_NO_SUCH_SHIPMENT: 7,
      });

      await twin.invoke('analyze', { publish: true });
      expect(await publishedIn(stack)).toEqual(lanesOf(rows.filter(({ id }) => id % 500 !== 7)));
    },
  );
});

/** As any tool reads it. */
async function publishedIn({ peers }: Stack): Promise<Readonly<Record<string, unknown>>> {
  const Key = 'results/pipeline=shipments/version=1/results.jsonl.gz';
  const { Body } = await peers.s3.send(new GetObjectCommand({ Bucket: RESULTS_BUCKET, Key }));
  const lines = gunzipSync((await Body?.transformToByteArray()) ?? new Uint8Array(0))
    .toString()
    .split('\n');
  const groups = lines.slice(0, -1).map((line) => JSON.parse(line) as PublishedGroup);
  return Object.fromEntries(groups.map(({ group, measures }) => [group, measures]));
}
