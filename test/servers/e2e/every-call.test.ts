import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SendMessageBatchCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { reconcileKeyed, reconcileObject } from '../../../src/domain/reconcile.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import type { FunctionName } from '../../../src/entrypoints/cli/build/manifest.ts';
import { csvOf, measureStretches, parcels, STRETCH, type StretchMeasures } from '../chaos/parcels.ts';
import { orderFile, takenOrder, type DeathOrder } from '../stack/death-orders.ts';
import { measuresOf, openResults } from '../stack/results.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../stack/stack.ts';
import pipeline from './pipelines/few-parcels.ts';

const PIPELINE = fileURLToPath(new URL('pipelines/few-parcels.ts', import.meta.url));
const PRELOAD = new URL('../stack/die-at-call.ts', import.meta.url).href;
const GENERATION = 'few-parcels@1';
/** What an object holds, and what comes from elsewhere at once. */
const BATCH = 50;
/** More than any function makes for a batch. */
const MAX_CALLS = 200;
/** `npm run test:every-call` takes every one; it takes minutes, because each death is waited out. */
const STRIDE = process.env['EVERY_CALL'] === undefined ? 12 : 1;
const never = new AbortController().signal;
const soon = () => AbortSignal.timeout(120_000);

let folder: string;
let stack: Stack;
let store: ResultStore;
/** Batches so far. Each has a group of its own. */
let batches = 0;
const expected = new Map<string, StretchMeasures>();
let objects = 0;
let messages = 0;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sluice-every-call-'));
  await mkdir(path.join(folder, 'orders'));
  await buildPipeline(PIPELINE, path.join(folder, 'build'));
  stack = await startStack({
    build: path.join(folder, 'build'),
    shards: 1,
    concurrency: 1,
    visibilitySeconds: 1,
    // What a dead process has claimed is claimed as long as it might have run.
    timeoutMs: 10_000,
    environment: {
      DEATH_ORDERS: path.join(folder, 'orders'),
      NODE_OPTIONS: `--enable-source-maps --import ${PRELOAD}`,
    },
  });
  store = await openResults(stack.peers.postgres.url);
});

afterAll(async () => {
  await store?.close();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The next batch, and what is expected of it. */
function nextBatch() {
  const from = batches++ * STRETCH;
  measureStretches(expected, from, from + BATCH);
  return parcels(from, from + BATCH);
}

async function putObject(): Promise<void> {
  const key = `parcels/${objects++}.csv`;
  await stack.put(key, Buffer.from(csvOf(nextBatch())));
  await stack.peers.sqs.send(
    new SendMessageCommand({
      QueueUrl: stack.peers.queues.dispatch,
      MessageBody: JSON.stringify({ objects: [`s3://${LAKE_BUCKET}/${key}`] }),
    }),
  );
}

async function sendMessages(): Promise<void> {
  const batch = nextBatch();
  messages += batch.length;
  for (let at = 0; at < batch.length; at += 10)
    await stack.peers.sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: stack.peers.queues.messages,
        Entries: batch
          .slice(at, at + 10)
          .map((message, index) => ({ Id: `${index}`, MessageBody: JSON.stringify(message) })),
      }),
    );
}

/** @returns whether the function made so many calls that it died */
async function dies(victim: FunctionName, order: DeathOrder, work: () => Promise<void>): Promise<boolean> {
  const orders = path.join(folder, 'orders');
  const file = orderFile(orders, victim);
  const { exits } = stack.functions[victim].counts;
  await writeFile(`${file}.new`, JSON.stringify(order));
  await rename(`${file}.new`, file);
  await work();
  await stack.twin.idle(soon());
  for (const left of [file, takenOrder(orders, victim)]) await rm(left, { force: true });
  return stack.functions[victim].counts.exits > exits;
}

const cases: readonly {
  readonly what: string;
  readonly victim: FunctionName;
  readonly work: () => Promise<void>;
  /** At least so many calls are made for a batch. */
  readonly calls: number;
}[] = [
  { what: 'dispatch plans an object', victim: 'dispatch', work: putObject, calls: 5 },
  { what: 'transform reads an object', victim: 'transform', work: putObject, calls: 3 },
  { what: 'transform takes messages from elsewhere', victim: 'transform', work: sendMessages, calls: 3 },
  { what: 'analyze applies the frames of an object', victim: 'analyze', work: putObject, calls: 5 },
];

describe('a process that dies at any call it makes for a batch of 50 rows', () => {
  it.each(cases)(
    '$what: each row counts once',
    { timeout: 1_200_000 },
    async ({ what, victim, work, calls }) => {
      // So that every try begins with a process that has done all this before.
      await work();
      await stack.twin.idle(soon());
      let deaths = 0;
      let call = 0;
      for (; call < MAX_CALLS; call += STRIDE) {
        const before = await dies(victim, { call, moment: 'before' }, work);
        const after = await dies(victim, { call, moment: 'after' }, work);
        if (!before && !after) break;
        deaths += Number(before) + Number(after);
      }
      process.stdout.write(`${what}: no more than ${call} calls, ${deaths} deaths\n`);
      expect(call).toBeGreaterThanOrEqual(calls);
      expect(call).toBeLessThan(MAX_CALLS);
      expect(deaths).toBeGreaterThan(call / STRIDE);

      expect(await measuresOf(store, GENERATION, pipeline)).toEqual(Object.fromEntries(expected));
      const planned = await Array.fromAsync(store.objects({ generation: GENERATION }, never));
      expect(planned).toHaveLength(objects);
      for (const object of planned) {
        expect(object).toMatchObject({ complete: true, rows: BATCH });
        expect(reconcileObject(object).balances).toBe(true);
      }
      const sources = await store.keyedSources(GENERATION, never);
      expect(sources.reduce((sum, { rows }) => sum + rows, 0)).toBe(messages);
      for (const source of sources) expect(reconcileKeyed(source).balances).toBe(true);
    },
  );
});
