import { SendMessageBatchCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  QueueMappingTwin,
  type QueueMappingTwinOptions,
  startFaultProxy,
  ThrottledError,
} from '../../src/testing/lambda/index.ts';
import { depth, type Peers, sqsAt, startPeers } from './peers.ts';

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

type Handler = (event: SQSEvent) => unknown;

/** A mapping that runs until the test ends. */
function mapped(
  queueUrl: string,
  handler: Handler,
  options: Partial<QueueMappingTwinOptions> = {},
): { mapping: QueueMappingTwin; running: Promise<void>; stop: () => Promise<void> } {
  const invoke = async (event: unknown) => handler(event as SQSEvent);
  const mapping = new QueueMappingTwin({ sqs: sqsAt(peers.fauxqs.address), queueUrl, invoke, ...options });
  const stopping = new AbortController();
  const running = mapping.run(stopping.signal);
  running.catch(() => {});
  const stop = async () => {
    stopping.abort();
    await running.catch(() => {});
  };
  atEnd.push(stop);
  return { mapping, running, stop };
}

async function send(QueueUrl: string, bodies: readonly string[]): Promise<void> {
  const sqs = sqsAt(peers.fauxqs.address);
  for (let at = 0; at < bodies.length; at += 10) {
    const Entries = bodies.slice(at, at + 10).map((MessageBody, id) => ({ Id: `${id}`, MessageBody }));
    await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  }
}

const bodiesOf = ({ Records }: SQSEvent) => Records.map(({ body }) => body);
const numbered = (count: number) => Array.from({ length: count }, (_, at) => `m${at}`);

test('gives the function an event as SQS does, and deletes what succeeded', async () => {
  const queue = peers.newQueue();
  await sqsAt(peers.fauxqs.address).send(
    new SendMessageCommand({
      QueueUrl: queue,
      MessageBody: 'hello',
      MessageAttributes: {
        kind: { DataType: 'String', StringValue: 'row' },
        raw: { DataType: 'Binary', BinaryValue: Buffer.from([1, 2]) },
      },
    }),
  );
  const events: SQSEvent[] = [];
  const { mapping } = mapped(queue, (event) => void events.push(event));
  await mapping.idle(soon());
  expect(events).toHaveLength(1);
  expect(events[0]?.Records).toMatchObject([
    {
      messageId: expect.stringMatching(/^[\da-f-]{36}$/) as string,
      receiptHandle: expect.any(String) as string,
      body: 'hello',
      attributes: {
        ApproximateReceiveCount: '1',
        SentTimestamp: expect.stringMatching(/^\d{13}$/) as string,
      },
      messageAttributes: {
        kind: { dataType: 'String', stringValue: 'row', stringListValues: [], binaryListValues: [] },
        raw: { dataType: 'Binary', binaryValue: 'AQI=' },
      },
      eventSource: 'aws:sqs',
      eventSourceARN: expect.stringMatching(/^arn:aws:sqs:us-east-1:\d+:queue-/) as string,
      awsRegion: 'us-east-1',
    },
  ]);
  expect(mapping.counts).toMatchObject({ batches: 1, messages: 1, deleted: 1, returned: 0 });
});

test('batches have no more messages than they may', async () => {
  const queue = peers.newQueue();
  await send(queue, numbered(23));
  const sizes: number[] = [];
  const { mapping } = mapped(queue, ({ Records }) => void sizes.push(Records.length), { batchSize: 4 });
  await mapping.idle(soon());
  expect(Math.max(...sizes)).toBe(4);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(23);
});

test('a window gathers more than one receive gives', async () => {
  const queue = peers.newQueue();
  await send(queue, numbered(25));
  const sizes: number[] = [];
  const { mapping } = mapped(queue, ({ Records }) => void sizes.push(Records.length), {
    batchSize: 25,
    batchWindowMs: 20_000,
    maximumConcurrency: 1,
  });
  await mapping.idle(soon());
  expect(sizes).toEqual([25]);
});

test('an event stays under 6 MB', async () => {
  const queue = peers.newQueue();
  for (let at = 0; at < 8; at += 1) await send(queue, ['x'.repeat(1_000_000)]);
  const bytes: number[] = [];
  const { mapping } = mapped(queue, (event) => void bytes.push(JSON.stringify(event).length), {
    maximumConcurrency: 1,
  });
  await mapping.idle(soon());
  expect(bytes.length).toBeGreaterThan(1);
  expect(Math.max(...bytes)).toBeLessThan(6_291_456);
  expect(mapping.counts).toMatchObject({ messages: 8, deleted: 8 });
});

test('what the function names as failed comes again, the rest does not', async () => {
  const queue = peers.newQueue({ VisibilityTimeout: '1' });
  await send(queue, numbered(5));
  const seen: string[] = [];
  const { mapping } = mapped(
    queue,
    (event) => {
      seen.push(...bodiesOf(event));
      return {
        batchItemFailures: event.Records.filter(
          ({ body, attributes }) => body === 'm2' && attributes.ApproximateReceiveCount === '1',
        ).map(({ messageId }) => ({ itemIdentifier: messageId })),
      };
    },
    { reportBatchItemFailures: true },
  );
  await mapping.idle(soon());
  expect(seen).toHaveLength(6);
  expect(seen.filter((body) => body === 'm2')).toHaveLength(2);
  expect(mapping.counts).toMatchObject({ deleted: 5, returned: 1, failedBatches: 0 });
});

test.each([
  ['throws', () => Promise.reject(new Error('no'))],
  ['names nobody', () => ({ batchItemFailures: [{ itemIdentifier: '' }] })],
  ['names a stranger', () => ({ batchItemFailures: [{ itemIdentifier: 'somebody' }] })],
])('a function that %s fails the batch; the queue takes it to its dead letters', async (_, answer) => {
  const dead = peers.newQueue();
  const deadArn = `arn:aws:sqs:us-east-1:000000000000:${dead.split('/').at(-1)}`;
  const queue = peers.newQueue({
    VisibilityTimeout: '0',
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: deadArn, maxReceiveCount: 2 }),
  });
  await send(queue, numbered(3));
  const { mapping } = mapped(queue, answer, { reportBatchItemFailures: true, maximumConcurrency: 1 });
  await mapping.idle(soon());
  expect(await depth(sqsAt(peers.fauxqs.address), dead)).toEqual([3, 0]);
  expect(mapping.counts).toMatchObject({ messages: 6, deleted: 0, returned: 6 });
});

test('without ReportBatchItemFailures what the function says is not read', async () => {
  const queue = peers.newQueue();
  await send(queue, numbered(3));
  const { mapping } = mapped(queue, ({ Records }) => ({
    batchItemFailures: Records.map(({ messageId }) => ({ itemIdentifier: messageId })),
  }));
  await mapping.idle(soon());
  expect(mapping.counts).toMatchObject({ messages: 3, deleted: 3 });
});

test('no more batches at once than it may', async () => {
  const queue = peers.newQueue();
  await send(queue, numbered(40));
  let now = 0;
  let most = 0;
  const { mapping } = mapped(
    queue,
    async () => {
      most = Math.max(most, (now += 1));
      await new Promise((resolve) => setTimeout(resolve, 20));
      now -= 1;
    },
    { maximumConcurrency: 3, batchSize: 1 },
  );
  await mapping.idle(soon());
  expect(most).toBe(3);
});

test('a throttled function is called again with the same messages', async () => {
  const queue = peers.newQueue();
  await send(queue, numbered(2));
  let calls = 0;
  const { mapping } = mapped(
    queue,
    (event) => {
      if ((calls += 1) <= 2) throw new ThrottledError('busy');
      return bodiesOf(event);
    },
    { maximumConcurrency: 1 },
  );
  await mapping.idle(soon());
  expect(mapping.counts).toMatchObject({ batches: 1, throttles: 2, deleted: 2, returned: 0 });
});

test('a bad connection to the queue is lived with; a queue that is not there ends the mapping', async () => {
  const proxy = await startFaultProxy({
    upstream: peers.fauxqs.address,
    seed: 5,
    faults: [
      { kind: 'throttle', on: '*', rate: 0.1 },
      { kind: 'error', on: '*', rate: 0.1, status: 503 },
      { kind: 'reset', on: '*', rate: 0.1 },
      { kind: 'lost-answer', on: 'DeleteMessageBatch', rate: 0.2 },
      { kind: 'reject', on: 'DeleteMessageBatch', rate: 0.3, entries: 0.3 },
      { kind: 'truncate', on: 'DeleteMessageBatch', rate: 0.1 },
      { kind: 'duplicate', on: 'ReceiveMessage', rate: 0.3 },
      { kind: 'reorder', on: 'ReceiveMessage', rate: 0.5 },
    ],
  });
  atEnd.push(() => proxy.stop());
  const queue = peers.newQueue({ VisibilityTimeout: '2' });
  await send(queue, numbered(100));
  const seen = new Set<string>();
  const { mapping } = mapped(queue, (event) => bodiesOf(event).forEach((body) => seen.add(body)), {
    sqs: sqsAt(proxy.url),
  });
  await mapping.idle(soon());
  expect(seen.size).toBe(100);
  expect(proxy.count('reject')).toBeGreaterThan(0);
  expect(proxy.count('duplicate')).toBeGreaterThan(0);

  const lost = mapped(`${queue}-none`, () => null);
  await expect(lost.running).rejects.toMatchObject({ name: 'QueueDoesNotExist' });
  await expect(lost.mapping.idle(soon())).rejects.toMatchObject({ name: 'QueueDoesNotExist' });
});

test('stopping waits for the batch in hand, and deletes it', async () => {
  const queue = peers.newQueue();
  await send(queue, numbered(1));
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const { mapping, stop } = mapped(queue, async () => {
    begun.resolve();
    await go.promise;
  });
  await begun.promise;
  const stopped = stop();
  go.resolve();
  await stopped;
  expect(mapping.counts).toMatchObject({ batches: 1, deleted: 1 });
  expect(await depth(sqsAt(peers.fauxqs.address), queue)).toEqual([0, 0]);
});
