import { ListObjectsV2Command, GetObjectCommand } from '@aws-sdk/client-s3';
import { MergeShardsCommand, PutRecordsCommand, SplitShardCommand } from '@aws-sdk/client-kinesis';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { KinesisStreamEvent, KinesisStreamRecord } from 'aws-lambda';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { SystemClock } from '../../src/adapters/inmemory/clock.ts';
import {
  startFaultProxy,
  StreamMappingTwin,
  type StreamMappingTwinOptions,
  ThrottledError,
} from '../../src/testing/lambda/index.ts';
import { kinesisAt, type Peers, s3At, sqsAt, startPeers } from './peers.ts';

let peers: Peers;
const atEnd: (() => Promise<void>)[] = [];
const soon = () => AbortSignal.timeout(20_000);

beforeAll(async () => {
  peers = await startPeers();
});
afterAll(() => peers.stop());
afterEach(async () => {
  for (const end of atEnd.splice(0).toReversed()) await end();
});

type Handler = (event: KinesisStreamEvent) => unknown;

/** A mapping that runs until the test ends. */
function mapped(
  streamName: string,
  handler: Handler,
  options: Partial<StreamMappingTwinOptions> = {},
): { mapping: StreamMappingTwin; running: Promise<void>; stop: () => Promise<void> } {
  const mapping = new StreamMappingTwin({
    kinesis: kinesisAt(peers.kinesalite.url),
    streamName,
    invoke: async (event) => handler(event as KinesisStreamEvent),
    pollMs: 10,
    backoff: { baseMs: 1, maxMs: 2 },
    ...options,
  });
  const { running, stop } = run(mapping);
  return { mapping, running, stop };
}

function run(mapping: StreamMappingTwin) {
  const stopping = new AbortController();
  const running = mapping.run(stopping.signal);
  running.catch(() => {});
  const stop = async () => {
    stopping.abort();
    await running.catch(() => {});
  };
  atEnd.push(stop);
  return { running, stop };
}

/** Key and data of each record are the text before and after a colon. */
async function put(StreamName: string, texts: readonly string[]): Promise<void> {
  const Records = texts.map((text) => ({
    PartitionKey: text.split(':')[0] ?? '',
    Data: Buffer.from(text),
  }));
  await kinesisAt(peers.kinesalite.url).send(new PutRecordsCommand({ StreamName, Records }));
}

const textOf = ({ kinesis }: KinesisStreamRecord) => Buffer.from(kinesis.data, 'base64').toString();
const textsOf = ({ Records }: KinesisStreamEvent) => Records.map(textOf);
const numbered = (count: number, key = 'k') => Array.from({ length: count }, (_, at) => `${key}:${at}`);
const failing = (record: KinesisStreamRecord | undefined) => ({
  batchItemFailures: record === undefined ? [] : [{ itemIdentifier: record.kinesis.sequenceNumber }],
});

test('gives the function an event as Kinesis does, in order', async () => {
  const stream = await peers.newStream(1);
  await put(stream, numbered(7));
  const events: KinesisStreamEvent[] = [];
  const { mapping } = mapped(stream, (event) => void events.push(event), { batchSize: 5 });
  await mapping.idle(soon());
  expect(events.map(textsOf)).toEqual([numbered(7).slice(0, 5), numbered(7).slice(5)]);
  const first = events[0]?.Records[0];
  expect(first).toMatchObject({
    kinesis: {
      kinesisSchemaVersion: '1.0',
      partitionKey: 'k',
      data: Buffer.from('k:0').toString('base64'),
      sequenceNumber: expect.stringMatching(/^\d{56}$/) as string,
      approximateArrivalTimestamp: expect.closeTo(Date.now() / 1000, -2) as number,
    },
    eventSource: 'aws:kinesis',
    eventVersion: '1.0',
    eventName: 'aws:kinesis:record',
    eventID: `shardId-000000000000:${first?.kinesis.sequenceNumber}`,
    awsRegion: 'us-east-1',
    eventSourceARN: `arn:aws:kinesis:us-east-1:000000000000:stream/${stream}`,
  });
});

test('records of a key come in order, whatever the shards and lanes', async () => {
  const stream = await peers.newStream(3);
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
  for (const key of keys) await put(stream, numbered(30, key));
  const seen: string[] = [];
  let now = 0;
  // More than three at once, or they wait for nothing: one that comes alone goes on after a while.
  const many = Promise.withResolvers<void>();
  let wereMany = false;
  void many.promise.then(() => (wereMany = true));
  const { mapping } = mapped(
    stream,
    async (event) => {
      expect(new Set(event.Records.map(({ eventID }) => eventID.split(':')[0])).size).toBe(1);
      if ((now += 1) > 3) many.resolve();
      await Promise.race([many.promise, new Promise((resolve) => setTimeout(resolve, 2_000))]);
      await new Promise((resolve) => setTimeout(resolve, 5));
      seen.push(...textsOf(event));
      now -= 1;
    },
    { batchSize: 4, parallelizationFactor: 3 },
  );
  await mapping.idle(soon());
  for (const key of keys) expect(seen.filter((text) => text.startsWith(key))).toEqual(numbered(30, key));
  expect(wereMany).toBe(true);
});

test('an event stays under 6 MB, base64 included', async () => {
  const stream = await peers.newStream(1);
  for (let at = 0; at < 8; at += 1) await put(stream, [`k:${'x'.repeat(1_000_000)}`]);
  const bytes: number[] = [];
  const { mapping } = mapped(stream, (event) => void bytes.push(JSON.stringify(event).length));
  await mapping.idle(soon());
  expect(Math.max(...bytes)).toBeLessThan(6_291_456);
  expect(mapping.counts).toMatchObject({ records: 8, batches: 2 });
});

test('a window gathers what comes after each other', async () => {
  const stream = await peers.newStream(1);
  const sizes: number[] = [];
  const { mapping } = mapped(stream, ({ Records }) => void sizes.push(Records.length), {
    batchSize: 5,
    batchWindowMs: 20_000,
  });
  await mapping.idle(soon());
  for (const text of numbered(5)) await put(stream, [text]);
  await mapping.idle(soon());
  expect(sizes).toEqual([5]);
});

test('a partial response goes on behind what succeeded, from the lowest number', async () => {
  const stream = await peers.newStream(1);
  await put(stream, numbered(6));
  const batches: string[][] = [];
  const { mapping } = mapped(
    stream,
    (event) => {
      batches.push(textsOf(event));
      if (batches.length > 1) return null;
      // Later ones first: order in the list says nothing.
      return { batchItemFailures: [5, 2, 4].map((at) => failing(event.Records[at]).batchItemFailures[0]) };
    },
    { reportBatchItemFailures: true, maximumRetryAttempts: 3 },
  );
  await mapping.idle(soon());
  expect(batches).toEqual([numbered(6), numbered(6).slice(2)]);
  expect(mapping.counts).toMatchObject({ partialBatches: 1, failedBatches: 0, discarded: 0 });
});

test.each([
  ['throws', () => Promise.reject(new Error('no'))],
  ['names nobody', () => ({ batchItemFailures: [{ itemIdentifier: '' }] })],
])('a function that %s gets the batch again, so often as it is set', async (_, answer) => {
  const stream = await peers.newStream(1);
  await put(stream, numbered(3));
  const batches: string[][] = [];
  const { mapping } = mapped(
    stream,
    (event) => {
      batches.push(textsOf(event));
      return answer();
    },
    { reportBatchItemFailures: true, maximumRetryAttempts: 2 },
  );
  await mapping.idle(soon());
  expect(batches).toEqual([numbered(3), numbered(3), numbered(3)]);
  expect(mapping.counts).toMatchObject({ failedBatches: 3, discarded: 3 });
  await put(stream, ['k:next']);
  await mapping.idle(soon());
  expect(batches.at(3)).toEqual(['k:next']);
});

test('splitting leaves a bad record alone, and takes nothing from its retries', async () => {
  const stream = await peers.newStream(1);
  await put(stream, numbered(8));
  const done: string[] = [];
  let alone = 0;
  const { mapping } = mapped(
    stream,
    (event) => {
      const texts = textsOf(event);
      if (texts.includes('k:5')) {
        if (texts.length === 1) alone += 1;
        throw new Error('bad');
      }
      done.push(...texts);
    },
    { bisectBatchOnFunctionError: true, maximumRetryAttempts: 2 },
  );
  await mapping.idle(soon());
  expect(alone).toBe(3);
  expect(done).toEqual(numbered(8).filter((text) => text !== 'k:5'));
  expect(mapping.counts).toMatchObject({ discarded: 1 });
});

test('S3 gets what is given up, with the whole event', async () => {
  const stream = await peers.newStream(1);
  const bucket = peers.newBucket();
  const s3 = s3At(peers.fauxqs.address);
  await put(stream, numbered(3));
  const { mapping } = mapped(stream, () => Promise.reject(new Error('no')), {
    maximumRetryAttempts: 1,
    mappingId: 'the-mapping',
    functionArn: 'arn:aws:lambda:us-east-1:1:function:f',
    onFailure: { kind: 's3', s3, bucket },
  });
  await mapping.idle(soon());
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  expect(Contents.map(({ Key }) => Key)).toEqual([
    expect.stringMatching(
      /^aws\/lambda\/the-mapping\/shardId-000000000000\/\d{4}\/\d\d\/\d\d\/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[\da-f-]{36}$/,
    ),
  ]);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: Contents[0]?.Key }));
  const record = JSON.parse((await Body?.transformToString()) ?? '') as { payload: KinesisStreamEvent };
  expect(textsOf(record.payload)).toEqual(numbered(3));
  const [first, , last] = record.payload.Records;
  expect(record).toMatchObject({
    requestContext: {
      functionArn: 'arn:aws:lambda:us-east-1:1:function:f',
      condition: 'RetryAttemptsExhausted',
      approximateInvokeCount: 2,
    },
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    version: '1.0',
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    KinesisBatchInfo: {
      shardId: 'shardId-000000000000',
      startSequenceNumber: first?.kinesis.sequenceNumber,
      endSequenceNumber: last?.kinesis.sequenceNumber,
      batchSize: 3,
      streamArn: first?.eventSourceARN,
      approximateArrivalOfFirstRecord: expect.stringMatching(/Z$/) as string,
    },
  });
});

test('SQS gets where it was; records that grew too old are given up from the front', async () => {
  const stream = await peers.newStream(1);
  const queueUrl = peers.newQueue();
  const sqs = sqsAt(peers.fauxqs.address);
  await put(stream, numbered(2));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const between = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await put(stream, ['k:young']);
  const batches: string[][] = [];
  const { mapping } = mapped(stream, (event) => void batches.push(textsOf(event)), {
    maximumRecordAgeMs: 60_000,
    clock: Object.assign(new SystemClock(), { now: () => between + 60_000 }),
    onFailure: { kind: 'sqs', sqs, queueUrl },
  });
  await mapping.idle(soon());
  expect(batches).toEqual([['k:young']]);
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10 }),
  );
  expect(Messages).toHaveLength(1);
  const record = JSON.parse(Messages[0]?.Body ?? '') as object;
  expect(record).toMatchObject({
    requestContext: { condition: 'RecordAgeExceeded', approximateInvokeCount: 0 },
    KinesisBatchInfo: { batchSize: 2 },
  });
  expect(record).not.toHaveProperty('payload');
  expect(record).not.toHaveProperty('responseContext');
});

test('a throttled function is called again, and that is no retry', async () => {
  const stream = await peers.newStream(1);
  await put(stream, numbered(1));
  let calls = 0;
  const { mapping } = mapped(
    stream,
    () => {
      if ((calls += 1) <= 2) throw new ThrottledError('busy');
    },
    { maximumRetryAttempts: 0 },
  );
  await mapping.idle(soon());
  expect(mapping.counts).toMatchObject({ throttles: 2, batches: 1, discarded: 0 });
});

test('what is not through when it stops is read again by the next run', async () => {
  const stream = await peers.newStream(1);
  await put(stream, numbered(4));
  const seen: string[] = [];
  const begun = Promise.withResolvers<void>();
  let fails = true;
  const { mapping, stop } = mapped(
    stream,
    (event) => {
      seen.push(...textsOf(event));
      if (fails && textsOf(event).includes('k:2')) {
        begun.resolve();
        throw new Error('no');
      }
    },
    { batchSize: 2 },
  );
  await begun.promise;
  await stop();
  fails = false;
  seen.length = 0;
  run(mapping);
  await mapping.idle(soon());
  expect(seen).toEqual(['k:2', 'k:3']);
});

test('children of split and merged shards are read after their parents', async () => {
  const stream = await peers.newStream(1);
  const kinesis = kinesisAt(peers.kinesalite.url);
  await put(stream, numbered(5));
  await kinesis.send(
    new SplitShardCommand({
      StreamName: stream,
      ShardToSplit: 'shardId-000000000000',
      NewStartingHashKey: `${2n ** 127n}`,
    }),
  );
  while ((await peers.kinesalite.shards(stream)).length < 3);
  await put(
    stream,
    numbered(5, 'k').map((text) => `${text}+split`),
  );
  await kinesis.send(
    new MergeShardsCommand({
      StreamName: stream,
      ShardToMerge: 'shardId-000000000001',
      AdjacentShardToMerge: 'shardId-000000000002',
    }),
  );
  while ((await peers.kinesalite.shards(stream)).length < 4);
  await put(
    stream,
    numbered(5, 'k').map((text) => `${text}+merged`),
  );
  const seen: string[] = [];
  // So slow that all shards would mix if they were read at once.
  const { mapping } = mapped(
    stream,
    async (event) => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      seen.push(...textsOf(event));
    },
    { batchSize: 1 },
  );
  await mapping.idle(soon());
  expect(seen).toEqual([
    ...numbered(5),
    ...numbered(5).map((text) => `${text}+split`),
    ...numbered(5).map((text) => `${text}+merged`),
  ]);
});

test('LATEST begins with what comes after', async () => {
  const stream = await peers.newStream(1);
  await put(stream, ['k:before']);
  const seen: string[] = [];
  const { mapping } = mapped(stream, (event) => void seen.push(...textsOf(event)), {
    startingPosition: 'LATEST',
  });
  await mapping.idle(soon());
  await put(stream, ['k:after']);
  await mapping.idle(soon());
  expect(seen).toEqual(['k:after']);
});

test('a stream that is not there ends the mapping', async () => {
  const { mapping, running } = mapped('nowhere', () => null);
  await expect(running).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  await expect(mapping.idle(soon())).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
});

test('whatever fails when, every record is through or given up, in the order of its key', async () => {
  const proxy = await startFaultProxy({
    upstream: peers.kinesalite.url,
    seed: 3,
    faults: [
      { kind: 'throttle', on: 'GetRecords', rate: 0.1 },
      { kind: 'truncate', on: 'GetRecords', rate: 0.1 },
      { kind: 'reset', on: '*', rate: 0.1 },
      { kind: 'lost-answer', on: 'GetRecords', rate: 0.1 },
    ],
  });
  atEnd.push(() => proxy.stop());
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        records: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('fine', 'slow', 'bad')), {
          minLength: 1,
          maxLength: 30,
        }),
        batchSize: fc.integer({ min: 1, max: 8 }),
        parallelizationFactor: fc.integer({ min: 1, max: 3 }),
        bisectBatchOnFunctionError: fc.boolean(),
        answers: fc.infiniteStream(fc.constantFrom('ok', 'throw', 'partial')),
      }),
      async ({ records, answers, ...settings }) => {
        const stream = await peers.newStream(2);
        const texts = records.map(([key, kind], at) => `${key}:${at}:${kind}`);
        await put(stream, texts);
        const through: string[] = [];
        const { mapping, stop } = mapped(
          stream,
          (event) => {
            const bad = event.Records.find((record) => textOf(record).endsWith('bad'));
            if (bad !== undefined && bad !== event.Records[0]) {
              through.push(...textsOf(event).slice(0, event.Records.indexOf(bad)));
              return failing(bad);
            }
            if (bad !== undefined) throw new Error('bad');
            const answer: string = answers.next().value;
            if (answer === 'throw') throw new Error('now and then');
            const upTo = answer === 'partial' ? event.Records.length - 1 : event.Records.length;
            through.push(...textsOf(event).slice(0, upTo));
            return failing(event.Records[upTo]);
          },
          {
            ...settings,
            kinesis: kinesisAt(proxy.url),
            reportBatchItemFailures: true,
            maximumRetryAttempts: 25,
          },
        );
        await mapping.idle(soon());
        await stop();
        // Nothing is given up but bad records and what shared their last batch.
        expect(through.length + mapping.counts.discarded).toBe(texts.length);
        expect(new Set(through).size).toBe(through.length);
        if (settings.bisectBatchOnFunctionError)
          expect(mapping.counts.discarded).toBe(texts.filter((text) => text.endsWith('bad')).length);
        for (const key of ['a', 'b', 'c']) {
          const numbers = through
            .filter((text) => text.startsWith(key))
            .map((text) => Number(text.split(':')[1]));
          expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
        }
      },
    ),
    { numRuns: 10, seed: 11 },
  );
  expect(proxy.struck.length).toBeGreaterThan(0);
});
