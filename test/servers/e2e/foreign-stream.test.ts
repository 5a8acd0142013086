import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PutRecordsCommand } from '@aws-sdk/client-kinesis';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { reconcileKeyed } from '../../../src/domain/reconcile.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import { inProcessFunction } from '../../../src/testing/lambda/index.ts';
import { repository } from '../../cli/harness.ts';
import { UNDELIVERED_BUCKET } from '../stack/peers.ts';
import { measuresOf, openResults } from '../stack/results.ts';
import { startStack, type Stack } from '../stack/stack.ts';
import pipeline from './pipelines/arrivals.ts';
import { lanesOf, shipments, type Shipment } from './shipments.ts';

const GENERATION = 'arrivals@1';
/** Somebody else's. */
const ORDERS = 'orders';
const SHARDS = 3;
const never = new AbortController().signal;
const soon = () => AbortSignal.timeout(180_000);

/** As an event of the stream has them. */
interface Delivery {
  readonly Records: readonly unknown[];
}

describe('somebody else’s stream, under the runtime client', () => {
  let folder: string;
  let stack: Stack;
  let store: ResultStore;
  let redis: Redis;
  const log: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-foreign-stream-'));
    await buildPipeline(path.join(repository, 'test/servers/e2e/pipelines/arrivals.ts'), folder);
    stack = await startStack({ build: folder, shards: 2, log: ({ line }) => void log.push(line) });
    await stack.peers.kinesalite.createStream(ORDERS, SHARDS);
    store = await openResults(stack.peers.postgres.url);
    redis = new Redis(stack.peers.redis.url, { maxRetriesPerRequest: null });
    stack.twin.add(inProcessFunction('transform-away', () => Promise.reject(new Error('it is away'))));
    // What an event brings comes backwards, and all of it twice.
    stack.twin.add(
      inProcessFunction('transform-out-of-order', (event) => {
        const { Records } = event as Delivery;
        return stack.functions.transform.invoke({ Records: [...Records, ...Records].toReversed() });
      }),
    );
  });

  afterAll(async () => {
    redis?.disconnect();
    await store?.close();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** From the oldest record on. */
  const mapOrders = (functionName: string, batchSize: number) =>
    stack.twin.mapStream(functionName, {
      kinesis: stack.peers.kinesis,
      streamName: ORDERS,
      reportBatchItemFailures: true,
      parallelizationFactor: 2,
      batchSize,
    });

  async function put(texts: readonly string[]): Promise<void> {
    const Records = texts.map((text, at) => ({ PartitionKey: `${at}`, Data: Buffer.from(text, 'utf8') }));
    const { FailedRecordCount } = await stack.peers.kinesis.send(
      new PutRecordsCommand({ StreamName: ORDERS, Records }),
    );
    expect(FailedRecordCount).toBe(0);
  }

  const lanes = () => measuresOf(store, GENERATION, pipeline);

  it(
    'counts each record once, whatever comes twice, backwards, after Redis has forgotten it, or after it was given up',
    { timeout: 300_000 },
    async () => {
      const first = shipments(0, 400);
      const [before, after] = [textsOf(first.slice(0, 250)), textsOf(first.slice(250))];
      await put([...before, '{"lane": "poison', ...after]);
      const mappings = [mapOrders('transform', 40), mapOrders('transform-out-of-order', 25)];
      await stack.twin.idle(soon());
      expect(await lanes()).toEqual(lanesOf(first));
      // Each of the 401 came three times: Redis knew two of them.
      expect(counted(log, 'transform', 'duplicates')).toBeGreaterThanOrEqual(2 * 401);
      // And the last token that was given.
      expect(await redis.dbsize()).toBe(401 + 1);
      for (const mapping of mappings) await mapping.disable();

      const dropped = counted(log, 'analyze', 'duplicates');
      await redis.flushall();
      const second = shipments(400, 800);
      await put(textsOf(second));
      const again = [mapOrders('transform', 30), mapOrders('transform-out-of-order', 50)];
      await vi.waitFor(() => expect(again[0]!.counts.batches).toBeGreaterThan(3), {
        timeout: 60_000,
        interval: 5,
      });
      await redis.flushall();
      await stack.twin.idle(soon());
      expect(await lanes()).toEqual(lanesOf([...first, ...second]));
      // What Redis had forgotten was sent again, and PostgreSQL had it.
      expect(counted(log, 'analyze', 'duplicates') - dropped).toBeGreaterThanOrEqual(401);

      const [source, ...others] = await store.keyedSources(GENERATION, never);
      expect(others).toEqual([]);
      expect(source).toMatchObject({ source: ORDERS, rows: 801, transformed: 800, failed: 1, applied: 800 });
      expect(reconcileKeyed(source!).balances).toBe(true);

      const failures = await Array.fromAsync(store.failures({ generation: GENERATION }, never));
      expect(failures).toMatchObject([
        {
          state: 'open',
          failure: { code: 'E_JSON', stage: 'read', position: { kind: 'key', source: ORDERS } },
        },
      ]);
      // [date of arrival]-[stream]-[shard-id]-[sequence-number]
      expect((failures[0]!.failure.position as { readonly key: string }).key).toMatch(
        /^\d{4}-\d\d-\d\d-orders-shardId-\d{12}-\d{56}$/,
      );
      // It blocks nobody: no batch was given up.
      for (const mapping of [...mappings, ...again]) expect(mapping.counts.discarded).toBe(0);
      for (const mapping of again) await mapping.disable();

      // All of it, and what has come since, given up by a mapping: it lies in S3, and one call brings it back under the same keys.
      const third = shipments(800, 1_000);
      await put(textsOf(third));
      const givingUp = stack.twin.mapStream('transform-away', {
        kinesis: stack.peers.kinesis,
        streamName: ORDERS,
        batchSize: 100,
        maximumRetryAttempts: 0,
        onFailure: { kind: 's3', s3: stack.peers.s3, bucket: UNDELIVERED_BUCKET },
      });
      await stack.twin.idle(soon());
      expect(givingUp.counts.discarded).toBe(1_001);
      await stack.twin.invoke('reprocess', { undelivered: `s3://${UNDELIVERED_BUCKET}/aws/lambda/` });
      await stack.twin.idle(soon());
      expect(await lanes()).toEqual(lanesOf([...first, ...second, ...third]));
      expect(await store.keyedSources(GENERATION, never)).toMatchObject([
        { source: ORDERS, rows: 1_001, transformed: 1_000, failed: 1, applied: 1_000 },
      ]);
    },
  );
});

const textsOf = (rows: readonly Shipment[]): readonly string[] =>
  rows.map(({ lane, value }) => JSON.stringify({ lane, value }));

/** What the counters in a function's log add up to. */
function counted(log: readonly string[], functionName: string, counter: string): number {
  return log
    .filter((line) => line.startsWith('{') && line.includes('"_aws"'))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    .filter((line) => line['function'] === functionName)
    .reduce((sum, line) => sum + Number(line[counter] ?? 0), 0);
}
