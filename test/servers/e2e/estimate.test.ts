import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SendMessageBatchCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMessageEncoding } from '../../../src/application/frames/encodings.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import { deployedByDefault } from '../../../src/entrypoints/cli/estimate/deployment.ts';
import { quantitiesOf, type Quantities } from '../../../src/entrypoints/cli/estimate/quantities.ts';
import { measuredRates } from '../../../src/entrypoints/cli/estimate/rates.ts';
import type { Workload } from '../../../src/entrypoints/cli/estimate/workload.ts';
import { repository } from '../../cli/harness.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../stack/stack.ts';
import pipeline from './pipelines/readings.ts';

/** So many that every frame of a section has some: how many partitions a section reaches is then no matter of chance. */
const SENSORS = 101;
/** The twin's mapping of the message queue. */
const MESSAGES_PER_BATCH = 100;
/** Rolled back and made anew, where two functions were in one object at once. */
const ANEW = 1.1;

const counted = ['ListObjectsV2', 'HeadObject', 'GetObject', 'SendMessageBatch', 'PutRecords'] as const;

/** What the functions really did. */
interface Counts extends Record<(typeof counted)[number], number> {
  /** Transactions of the database that wrote. */
  readonly transactions: number;
  /** Scripts that Redis ran. */
  readonly scripts: number;
  readonly invocations: number;
  readonly transforms: number;
  readonly records: number;
  readonly frameBytes: number;
  readonly logBytes: number;
}

const reading = (id: number) => ({ sensor: `sensor-${id % SENSORS}`, value: (id % 1_000) / 8 });

function csvOf(rows: number): Buffer {
  const lines = Array.from({ length: rows }, (_, id) => `${id},${reading(id).sensor},${reading(id).value}\n`);
  return Buffer.from(`id,sensor,value\n${lines.join('')}`);
}

describe('what the functions ask of S3, SQS, Kinesis, Redis and PostgreSQL is what `sluice estimate` says', () => {
  let folder: string;
  let stack: Stack;
  let redis: Redis;
  let database: pg.Client;
  const log: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-estimate-'));
    await buildPipeline(path.join(repository, 'test/servers/e2e/pipelines/readings.ts'), folder);
    stack = await startStack({ build: folder, shards: 2, log: ({ line }) => void log.push(line) });
    redis = new Redis(stack.peers.redis.url);
    database = new pg.Client({ connectionString: stack.peers.postgres.url });
    await database.connect();
    // Its own transactions would be counted, too.
    await database.query('ALTER SYSTEM SET autovacuum = off');
    await database.query('SELECT pg_reload_conf()');
  });

  afterAll(async () => {
    redis?.disconnect();
    await database?.end();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function countsSoFar(): Promise<Counts> {
    const { rows } = await database.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
    const stats = await redis.info('commandstats');
    const calls = (name: string) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
    const lines = log
      .filter((line) => line.startsWith('{') && line.includes('"_aws"'))
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    const total = (name: string) => lines.reduce((sum, line) => sum + Number(line[name] ?? 0), 0);
    return {
      ...(Object.fromEntries(
        counted.map((name) => [name, stack.peers.proxies.reduce((sum, proxy) => sum + proxy.calls(name), 0)]),
      ) as Record<(typeof counted)[number], number>),
      transactions: Number(rows[0]?.id),
      scripts: calls('evalsha'),
      invocations: log.filter((line) => line.startsWith('END RequestId')).length,
      transforms: lines.filter((line) => line['function'] === 'transform').length,
      records: total('frames'),
      frameBytes: total('frameBytes'),
      logBytes: log.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0),
    };
  }

  async function countsOf(work: () => Promise<void>): Promise<Counts> {
    const before = await countsSoFar();
    await work();
    await stack.twin.idle(AbortSignal.timeout(180_000));
    const after = await countsSoFar();
    const grown = Object.entries(after).map(([name, value]) => [
      name,
      value - before[name as keyof Counts] - (name === 'transactions' ? 1 : 0),
    ]);
    return Object.fromEntries(grown) as Counts;
  }

  function estimated(workload: Partial<Workload>, messagesBatchSize = MESSAGES_PER_BATCH): Quantities {
    return quantitiesOf(
      {
        per: 'once',
        objects: 0,
        rows: 0,
        bytes: 0,
        format: 'csv',
        arrival: 'order',
        keyedMessages: 0,
        hours: 1 / 3600,
        messagesPerRow: 1,
        messageBytes: createMessageEncoding('packed').encode(reading(50)).size,
        groups: SENSORS,
        partitions: pipeline.partitions,
        partitioned: true,
        sectionBytes: pipeline.limits.sectionBytes,
        maxFrameBytes: pipeline.limits.maxFrameBytes,
        maxFrameMessages: pipeline.limits.maxFrameMessages,
        multiline: true,
        ...workload,
      },
      { ...deployedByDefault, messagesBatchSize },
      measuredRates,
    );
  }

  const order = (prefix: string) =>
    stack.peers.sqs.send(
      new SendMessageCommand({
        QueueUrl: stack.peers.queues.dispatch,
        MessageBody: JSON.stringify({ prefix: `s3://${LAKE_BUCKET}/${prefix}/` }),
      }),
    );

  async function put(prefix: string, objects: number, content: Buffer): Promise<void> {
    for (let index = 0; index < objects; index++) await stack.put(`${prefix}/${index}.csv`, content);
  }

  function expectTransactions({ transactions }: Counts, { database: said }: Quantities): void {
    // The first one makes the generation known besides.
    expect(transactions).toBeGreaterThanOrEqual(said.transactions);
    expect(transactions).toBeLessThanOrEqual(said.transactions * ANEW + 1);
  }

  it('for small objects that an order lists', { timeout: 300_000 }, async () => {
    const [objects, rows] = [25, 1_000];
    const content = csvOf(rows);
    await put('small', objects, content);
    const counts = await countsOf(async () => void (await order('small')));
    const said = estimated({ objects, rows: objects * rows, bytes: objects * content.length });
    expect(counts).toMatchObject({
      ListObjectsV2: said.s3.lists,
      HeadObject: said.s3.heads,
      GetObject: said.s3.gets,
      // The order itself was sent from here.
      SendMessageBatch: said.sqs.sends - 1,
      PutRecords: said.stream.putRequests,
      records: Math.round(said.stream.records),
      transforms: said.functions.transform.invocations,
      scripts: 0,
    });
    expectTransactions(counts, said);
    expect(counts.frameBytes / said.stream.bytes).toBeGreaterThan(0.65);
    expect(counts.frameBytes / said.stream.bytes).toBeLessThan(1.35);
    const perInvocation = counts.logBytes / counts.invocations;
    expect(perInvocation / measuredRates.logBytesPerInvocation).toBeGreaterThan(0.8);
    expect(perInvocation / measuredRates.logBytesPerInvocation).toBeLessThan(1.2);
  });

  it('for large objects, which dispatch opens and searches', { timeout: 300_000 }, async () => {
    const [objects, rows] = [3, 70_000];
    const content = csvOf(rows);
    await put('large', objects, content);
    const counts = await countsOf(async () => void (await order('large')));
    const said = estimated({ objects, rows: objects * rows, bytes: objects * content.length });
    expect(said.shape.tasks).toBeGreaterThan(3);
    expect(counts).toMatchObject({
      ListObjectsV2: said.s3.lists,
      GetObject: said.s3.gets,
      SendMessageBatch: said.sqs.sends - 1,
      PutRecords: said.stream.putRequests,
      records: Math.round(said.stream.records),
      transforms: said.functions.transform.invocations,
    });
    expectTransactions(counts, said);
  });

  it('for objects that events tell of', { timeout: 300_000 }, async () => {
    const [objects, rows] = [10, 1_000];
    const content = csvOf(rows);
    await put('arrived', objects, content);
    const tell = (index: number) =>
      stack.peers.sqs.send(
        new SendMessageCommand({
          QueueUrl: stack.peers.queues.dispatch,
          MessageBody: JSON.stringify({
            version: '0',
            'detail-type': 'Object Created',
            source: 'aws.s3',
            detail: { bucket: { name: LAKE_BUCKET }, object: { key: `arrived/${index}.csv` } },
          }),
        }),
      );
    const counts = await countsOf(async () => {
      for (let index = 0; index < objects; index++) await tell(index);
    });
    const said = estimated({
      objects,
      rows: objects * rows,
      bytes: objects * content.length,
      arrival: 'events',
    });
    expect(counts).toMatchObject({
      ListObjectsV2: said.s3.lists,
      HeadObject: said.s3.heads,
      GetObject: said.s3.gets,
      // EventBridge sends the others.
      SendMessageBatch: said.sqs.sends - objects,
      PutRecords: said.stream.putRequests,
      records: Math.round(said.stream.records),
    });
    expectTransactions(counts, said);
  });

  it('for messages from elsewhere', { timeout: 300_000 }, async () => {
    const batches = 120;
    const counts = await countsOf(async () => {
      for (let batch = 0; batch < batches; batch++) {
        const Entries = Array.from({ length: 10 }, (_, index) => {
          const id = batch * 10 + index;
          return { Id: `${index}`, MessageBody: JSON.stringify({ id, ...reading(id) }) };
        });
        await stack.peers.sqs.send(
          new SendMessageBatchCommand({ QueueUrl: stack.peers.queues.messages, Entries }),
        );
      }
    });
    // How many messages a batch gathers is a matter of time: what each costs is not.
    const messages = batches * 10;
    expect(counts.transforms).toBeGreaterThanOrEqual(messages / MESSAGES_PER_BATCH);
    const said = estimated({ keyedMessages: messages }, messages / counts.transforms);
    const invocations = said.functions.transform.invocations;
    expect(invocations).toBeCloseTo(counts.transforms, 9);
    expect(said.sqs.sends).toBe(batches);
    expect(counts.scripts).toBeCloseTo(said.cache.scripts, 9);
    // A batch of few messages has fewer frames than one of the average.
    expect(counts.records).toBeLessThanOrEqual(Math.ceil(said.stream.records));
    expect(counts.records).toBeGreaterThan(said.stream.records * 0.8);
    // The stream's twin may reject some, which are put again.
    expect(counts.PutRecords).toBeGreaterThanOrEqual(counts.transforms);
    expect(counts.PutRecords).toBeLessThanOrEqual(counts.transforms * 1.5);
    expect(said.stream.putRequests).toBeCloseTo(invocations, 9);
    // One for each frame, and one that makes the generation known.
    expect(counts.transactions).toBeGreaterThanOrEqual(counts.records);
    expect(counts.transactions).toBeLessThanOrEqual(counts.records * ANEW + 1);
    const { rows } = await database.query<{ bytes: string }>(
      "SELECT pg_total_relation_size('sluice.keys') AS bytes",
    );
    const perKey = Number(rows[0]?.bytes) / (batches * 10);
    expect(perKey / measuredRates.databaseBytesPerKey).toBeGreaterThan(0.6);
    expect(perKey / measuredRates.databaseBytesPerKey).toBeLessThan(1.6);
  });
});
