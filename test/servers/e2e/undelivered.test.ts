import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import type { ObjectProgress, ResultStore } from '../../../src/domain/ports/result-store.ts';
import { reconcileObject } from '../../../src/domain/reconcile.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import { repository } from '../../cli/harness.ts';
import { localOutcome, outcomeOf } from '../stack/outcome.ts';
import { STREAM, UNDELIVERED_BUCKET } from '../stack/peers.ts';
import { openResults } from '../stack/results.ts';
import { LAKE_BUCKET, startStack, type GivingUp, type Stack } from '../stack/stack.ts';
import { csvOf, shipments } from './shipments.ts';

const PIPELINE = path.join(repository, 'test/servers/e2e/pipelines/shipments.ts');
const GENERATION = 'shipments@1';
const LONG = { timeout: 400_000 };
const HOUR_MS = 60 * 60 * 1000;
const never = new AbortController().signal;
const soon = () => AbortSignal.timeout(180_000);

/** Without rows that fail: the queue of failures has nothing but words of the mapping's. */
const sane = (from: number, to: number) => csvOf(shipments(from, to).filter(({ id }) => id % 500 !== 7));
const first = sane(0, 1_500);
const second = sane(1_500, 2_500);

let folder: string;
let stack: Stack;
let store: ResultStore | undefined;
/** What the functions wrote. */
let log: string[];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sluice-undelivered-'));
  await buildPipeline(PIPELINE, folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

afterEach(async () => {
  await store?.close();
  store = undefined;
  await stack.stop();
});

/** A stack whose batches are given up whole, after one retry: what is given up has records in it that are applied. */
async function start(to: GivingUp['to']): Promise<void> {
  log = [];
  stack = await startStack({
    build: folder,
    shards: 2,
    givingUp: { to, maximumRetryAttempts: 1, bisectBatchOnFunctionError: false },
    log: ({ line }) => void log.push(line),
  });
}

async function dispatch(key: string): Promise<void> {
  await stack.twin.invoke('dispatch', { objects: [`s3://${LAKE_BUCKET}/${key}`] });
}

async function objects(): Promise<readonly ObjectProgress[]> {
  store ??= await openResults(stack.peers.postgres.url);
  return Array.fromAsync(store.objects({ generation: GENERATION }, never));
}

/** Nothing is lost, nothing counts twice: to the byte what one machine makes of it where nothing goes wrong. */
async function expectCleanRun(files: Readonly<Record<string, string>>): Promise<void> {
  const found = await objects();
  expect(found).toHaveLength(Object.keys(files).length);
  for (const object of found) {
    expect(object.complete).toBe(true);
    expect(reconcileObject(object).balances).toBe(true);
  }
  const outcome = await outcomeOf(store!, GENERATION);
  expect(outcome.flags.length).toBeGreaterThan(0);
  expect(outcome).toEqual(await localOutcome(PIPELINE, GENERATION, files));
}

describe('batches that analyze fails until the mapping gives them up, under the runtime client', () => {
  it('lie in S3 while PostgreSQL is away, and are put into the stream again from there', LONG, async () => {
    await start('s3');
    await stack.put('first.csv', Buffer.from(first));
    await dispatch('first.csv');
    await stack.peers.postgres.kill();
    await stack.twin.idle(soon());
    const { discarded } = stack.stream.counts;
    expect(discarded).toBeGreaterThan(0);
    await stack.peers.postgres.restart();
    expect(await objects()).toMatchObject([{ complete: false, applied: 0, sectionsComplete: 0 }]);

    const { Contents = [] } = await stack.peers.s3.send(
      new ListObjectsV2Command({ Bucket: UNDELIVERED_BUCKET }),
    );
    const reprocessing = stack.mapFailures();
    for (const { Key = '' } of Contents) await tellOfObject(Key);
    await stack.twin.idle(soon());
    await expectCleanRun({ 'first.csv': first });
    const { records } = stack.stream.counts;

    // S3 tells of an object at least once.
    for (const { Key = '' } of Contents) await tellOfObject(Key);
    await stack.twin.idle(soon());
    await reprocessing.disable();
    expect(stack.stream.counts.records - records).toBeGreaterThanOrEqual(discarded);
    await expectCleanRun({ 'first.csv': first });
  });

  it(
    'are fetched again from the stream where only their place is told; what the stream has dropped is E_TRIMMED',
    LONG,
    async () => {
      await start('sqs');
      await stack.put('first.csv', Buffer.from(first));
      await refuseLane('lane-3');
      await dispatch('first.csv');
      await stack.twin.idle(soon());
      const { discarded } = stack.stream.counts;
      expect(discarded).toBeGreaterThan(0);
      const [begun] = await objects();
      expect(begun).toMatchObject({ complete: false });
      expect(begun!.applied).toBeGreaterThan(0);

      await takeEveryLane();
      let reprocessing = stack.mapFailures();
      await stack.twin.idle(soon());
      await reprocessing.disable();
      await expectCleanRun({ 'first.csv': first });
      expect(log.join('\n')).not.toContain('E_TRIMMED');

      await stack.put('second.csv', Buffer.from(second));
      await refuseLane('lane-3');
      await dispatch('second.csv');
      await stack.twin.idle(soon());
      await takeEveryLane();
      await stack.stream.disable();
      await trimStream();
      stack.mapStream();
      reprocessing = stack.mapFailures();
      await stack.twin.idle(soon());
      await reprocessing.disable();
      expect(log.filter((line) => line.includes('"code":"E_TRIMMED"'))).not.toEqual([]);
      const { Messages } = await stack.peers.sqs.send(
        new ReceiveMessageCommand({ QueueUrl: stack.peers.queues.failures }),
      );
      expect(Messages ?? []).toEqual([]);
      expect((await objects()).map(({ complete }) => complete).toSorted()).toEqual([false, true]);

      // What is gone is sections that are missing: the next dispatch does them again.
      await dispatch('second.csv');
      await stack.twin.idle(soon());
      await expectCleanRun({ 'first.csv': first, 'second.csv': second });
    },
  );
});

/** As S3 tells a queue. */
async function tellOfObject(key: string): Promise<void> {
  const record = {
    eventSource: 'aws:s3',
    eventName: 'ObjectCreated:Put',
    s3: {
      bucket: { name: UNDELIVERED_BUCKET },
      object: { key: encodeURIComponent(key).replaceAll('%2F', '/') },
    },
  };
  await stack.peers.sqs.send(
    new SendMessageCommand({
      QueueUrl: stack.peers.queues.failures,
      MessageBody: JSON.stringify({ Records: [record] }),
    }),
  );
}

/** From now on frames with messages of this lane cannot be applied, as on a disk that is full; the others can. */
async function refuseLane(lane: string): Promise<void> {
  await onDatabase(
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$;
     CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON sluice.groups
       FOR EACH ROW WHEN (NEW."group" = '${lane}') EXECUTE FUNCTION refuse()`,
  );
}

async function takeEveryLane(): Promise<void> {
  await onDatabase('DROP FUNCTION refuse CASCADE');
}

async function onDatabase(script: string): Promise<void> {
  const database = new PgDatabase({ url: stack.peers.postgres.url });
  try {
    const session = await database.connect(never);
    await session.execute(script, 10_000);
    await session.release(true);
  } finally {
    await database.close();
  }
}

/** A day passes for the stream: whoever reads it then finds nothing, and afterwards nothing is there. */
async function trimStream(): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 25 * HOUR_MS });
  try {
    const read = await stack.peers.kinesalite.reader(STREAM);
    expect(await read()).toEqual([]);
  } finally {
    vi.useRealTimers();
  }
}
