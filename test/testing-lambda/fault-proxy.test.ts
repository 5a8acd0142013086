import {
  PutObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  HeadObjectCommand,
} from '@aws-sdk/client-s3';
import { PutRecordsCommand } from '@aws-sdk/client-kinesis';
import {
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type FaultProxy, startFaultProxy, type WireFault } from '../../src/testing/lambda/index.ts';
import { depth, kinesisAt, type Peers, s3At, sqsAt, startPeers } from './peers.ts';

let peers: Peers;
const proxies: FaultProxy[] = [];

beforeAll(async () => {
  peers = await startPeers();
});
afterAll(() => peers.stop());
afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy.stop();
});

async function proxyTo(upstream: string, faults: readonly WireFault[], seed = 1): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ upstream, faults, seed });
  proxies.push(proxy);
  return proxy;
}

const numbered = (count: number) => Array.from({ length: count }, (_, at) => at);
const records = (count: number) =>
  numbered(count).map((at) => ({ Data: Buffer.from(`record ${at}`), PartitionKey: `${at}` }));

test('what no fault strikes passes as it is: bodies, keys, listings, errors', async () => {
  const proxy = await proxyTo(peers.fauxqs.address, []);
  const s3 = s3At(proxy.url);
  const Bucket = peers.newBucket();
  const Key = 'entity/a=ü b/+%~.bin';
  const Body = Buffer.alloc(3_000_000, 'some bytes');
  await s3.send(new PutObjectCommand({ Bucket, Key, Body }));
  const got = await s3.send(new GetObjectCommand({ Bucket, Key, Range: 'bytes=10-2000009' }));
  expect(
    Buffer.from(await (got.Body?.transformToByteArray() ?? [])).equals(Body.subarray(10, 2_000_010)),
  ).toBe(true);
  expect((await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount).toBe(1);
  expect((await s3.send(new HeadObjectCommand({ Bucket, Key }))).ContentLength).toBe(3_000_000);
  await expect(s3.send(new GetObjectCommand({ Bucket, Key: 'none' }))).rejects.toMatchObject({
    name: 'NoSuchKey',
  });
  for (const operation of ['PutObject', 'ListObjectsV2', 'HeadObject'])
    expect(proxy.calls(operation)).toBe(1);
  expect(proxy.calls('GetObject')).toBe(2);
  expect(proxy.struck).toEqual([]);
});

test('rejected records of PutRecords never reach the stream; the others do, in their places', async () => {
  const name = await peers.newStream(1);
  const proxy = await proxyTo(peers.kinesalite.url, [
    { kind: 'reject', on: 'PutRecords', call: 0, entries: [0, 2] },
  ]);
  const answer = await kinesisAt(proxy.url).send(
    new PutRecordsCommand({ StreamName: name, Records: records(4) }),
  );
  expect(answer.FailedRecordCount).toBe(2);
  expect(answer.Records?.map(({ ErrorCode }) => ErrorCode)).toEqual([
    'ProvisionedThroughputExceededException',
    undefined,
    'ProvisionedThroughputExceededException',
    undefined,
  ]);
  const stored = await (await peers.kinesalite.reader(name))();
  expect(stored.map(({ key }) => key)).toEqual(['1', '3']);
  expect(stored.map(({ sequenceNumber }) => sequenceNumber)).toEqual([
    answer.Records?.[1]?.SequenceNumber,
    answer.Records?.[3]?.SequenceNumber,
  ]);
});

test('all records of a batch can be rejected', async () => {
  const name = await peers.newStream(1);
  const proxy = await proxyTo(peers.kinesalite.url, [
    { kind: 'reject', on: 'PutRecords', call: 0, entries: 1, code: 'InternalFailure' },
  ]);
  const kinesis = kinesisAt(proxy.url);
  const answer = await kinesis.send(new PutRecordsCommand({ StreamName: name, Records: records(3) }));
  expect(answer.FailedRecordCount).toBe(3);
  expect(answer.Records?.[0]?.ErrorCode).toBe('InternalFailure');
  expect(await (await peers.kinesalite.reader(name))()).toEqual([]);
  const second = await kinesis.send(new PutRecordsCommand({ StreamName: name, Records: records(3) }));
  expect(second.FailedRecordCount).toBe(0);
});

test('reordered records go in another order, and their outcomes to their places', async () => {
  const name = await peers.newStream(1);
  const proxy = await proxyTo(peers.kinesalite.url, [{ kind: 'reorder', on: 'PutRecords', rate: 1 }]);
  const answer = await kinesisAt(proxy.url).send(
    new PutRecordsCommand({ StreamName: name, Records: records(8) }),
  );
  const stored = await (await peers.kinesalite.reader(name))();
  const keys = stored.map(({ key }) => Number(key));
  expect(keys).not.toEqual(numbered(8));
  expect(keys.toSorted((a, b) => a - b)).toEqual(numbered(8));
  for (const { key, sequenceNumber } of stored)
    expect(answer.Records?.[Number(key)]?.SequenceNumber).toBe(sequenceNumber);
});

test('rejected entries of SendMessageBatch are Failed, by their ids', async () => {
  const QueueUrl = peers.newQueue();
  const proxy = await proxyTo(peers.fauxqs.address, [
    {
      kind: 'reject',
      on: 'SendMessageBatch',
      call: 0,
      entries: [1],
      code: 'InvalidMessageContents',
      senderFault: true,
    },
  ]);
  const Entries = ['a', 'b', 'c'].map((Id) => ({ Id, MessageBody: Id }));
  const answer = await sqsAt(proxy.url).send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  expect(answer.Successful?.map(({ Id }) => Id)).toEqual(['a', 'c']);
  expect(answer.Failed).toMatchObject([{ Id: 'b', Code: 'InvalidMessageContents', SenderFault: true }]);
  expect(await depth(sqsAt(peers.fauxqs.address), QueueUrl)).toEqual([2, 0]);
});

test('each service says in its own words that it is called too often, or that it failed', async () => {
  const faults: WireFault[] = [
    { kind: 'throttle', on: '*', call: 0 },
    { kind: 'error', on: '*', call: 1, status: 500 },
    { kind: 'error', on: '*', call: 2, status: 503 },
  ];
  const fauxqs = await proxyTo(peers.fauxqs.address, faults);
  const kinesalite = await proxyTo(peers.kinesalite.url, faults);
  const common = {
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  };
  const sns = new SNSClient({ ...common, endpoint: fauxqs.url });
  const s3 = s3At(fauxqs.url);
  const sqs = sqsAt(fauxqs.url);
  const kinesis = kinesisAt(kinesalite.url);
  const stream = await peers.newStream(1);
  const said = async (call: () => Promise<unknown>) => {
    const { name, $metadata } = await call().then(
      () => ({ name: 'none', $metadata: { httpStatusCode: 200 } }),
      (error: unknown) => error as { name: string; $metadata: { httpStatusCode: number } },
    );
    return `${name} ${$metadata.httpStatusCode}`;
  };
  const thrice = async (call: () => Promise<unknown>) => [
    await said(call),
    await said(call),
    await said(call),
  ];

  const Bucket = peers.newBucket();
  expect(await thrice(() => s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'b' })))).toEqual([
    'SlowDown 503',
    'InternalError 500',
    'ServiceUnavailable 503',
  ]);
  const put = new PutRecordsCommand({ StreamName: stream, Records: records(1) });
  expect(await thrice(() => kinesis.send(put))).toEqual([
    'ProvisionedThroughputExceededException 400',
    'InternalFailure 500',
    'ServiceUnavailable 503',
  ]);
  const send = new SendMessageCommand({ QueueUrl: peers.newQueue(), MessageBody: 'x' });
  expect(await thrice(() => sqs.send(send))).toEqual([
    'RequestThrottled 400',
    'InternalFailure 500',
    'ServiceUnavailable 503',
  ]);
  const { topicArn } = peers.fauxqs.createTopic('told');
  const publish = new PublishCommand({ TopicArn: topicArn, Message: 'x' });
  expect((await thrice(() => sns.send(publish)))[0]).toMatch(/^Throttled(Exception)? 429$/);
  expect(fauxqs.calls('Publish')).toBe(3);
  expect(await said(() => sns.send(publish))).toBe('none 200');
  expect(await (await peers.kinesalite.reader(stream))()).toEqual([]);
});

test('a reset keeps the call from the service; a lost answer does not', async () => {
  const QueueUrl = peers.newQueue();
  const direct = sqsAt(peers.fauxqs.address);
  const proxy = await proxyTo(peers.fauxqs.address, [
    { kind: 'reset', on: 'SendMessage', call: 0 },
    { kind: 'lost-answer', on: 'SendMessage', call: 1 },
  ]);
  const sqs = sqsAt(proxy.url);
  const send = () => sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' }));
  await expect(send()).rejects.toThrow(/ECONNRESET|socket hang up/);
  expect(await depth(direct, QueueUrl)).toEqual([0, 0]);
  await expect(send()).rejects.toThrow(/ECONNRESET|socket hang up/);
  expect(await depth(direct, QueueUrl)).toEqual([1, 0]);
  await send();
  expect(await depth(direct, QueueUrl)).toEqual([2, 0]);
});

test('a truncated body gives its first bytes and then an error', async () => {
  const Bucket = peers.newBucket();
  const Body = Buffer.from(numbered(100_000).join(' '));
  await s3At(peers.fauxqs.address).send(new PutObjectCommand({ Bucket, Key: 'k', Body }));
  const proxy = await proxyTo(peers.fauxqs.address, [
    { kind: 'truncate', on: 'GetObject', call: 0, after: 100_000 },
  ]);
  const s3 = s3At(proxy.url);
  const broken = await s3.send(new GetObjectCommand({ Bucket, Key: 'k' }));
  expect(broken.ContentLength).toBe(Body.length);
  const came: Buffer[] = [];
  const reading = (async () => {
    for await (const chunk of broken.Body as AsyncIterable<Buffer>) came.push(chunk);
  })();
  await expect(reading).rejects.toThrow(/aborted|ECONNRESET/);
  expect(Buffer.concat(came).equals(Body.subarray(0, 100_000))).toBe(true);
  const whole = await s3.send(new GetObjectCommand({ Bucket, Key: 'k' }));
  expect((await whole.Body?.transformToByteArray())?.length).toBe(Body.length);
});

test('received messages come a second time, or in another order', async () => {
  const QueueUrl = peers.newQueue();
  const proxy = await proxyTo(peers.fauxqs.address, [
    { kind: 'duplicate', on: 'ReceiveMessage', call: 0 },
    { kind: 'reorder', on: 'ReceiveMessage', call: 1 },
  ]);
  const sqs = sqsAt(proxy.url);
  for (const at of numbered(3))
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: `first ${at}` }));
  const receive = async () => {
    const request = { QueueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ['All' as const] };
    return (await sqs.send(new ReceiveMessageCommand(request))).Messages ?? [];
  };
  const bodies = (messages: readonly Message[]) => messages.map(({ Body }) => Body);
  const first = await receive();
  expect(bodies(first)).toEqual(['first 0', 'first 1', 'first 2']);
  for (const at of numbered(3))
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: `second ${at}` }));
  const second = await receive();
  expect(second).toHaveLength(6);
  expect(new Set(bodies(second))).toEqual(new Set([...bodies(first), 'second 0', 'second 1', 'second 2']));
  expect(bodies(second)).not.toEqual(['second 0', 'second 1', 'second 2', ...bodies(first)]);
  const again = second.find(({ Body }) => Body === 'first 0');
  expect(again).toMatchObject({
    MessageId: first[0]?.MessageId,
    Attributes: { ApproximateReceiveCount: '2' },
  });
  expect(await receive()).toEqual([]);
});

test('any other call can be forwarded twice', async () => {
  const name = await peers.newStream(1);
  const proxy = await proxyTo(peers.kinesalite.url, [{ kind: 'duplicate', on: 'PutRecords', call: 0 }]);
  await kinesisAt(proxy.url).send(new PutRecordsCommand({ StreamName: name, Records: records(2) }));
  const stored = await (await peers.kinesalite.reader(name))();
  expect(stored.map(({ key }) => key)).toEqual(['0', '1', '0', '1']);
});

test('a delay passes before the call is forwarded', async () => {
  const slept: number[] = [];
  const proxy = await startFaultProxy({
    upstream: peers.fauxqs.address,
    faults: [{ kind: 'delay', on: 'SendMessage', rate: 1, ms: 40_000 }],
    sleep: (ms) => Promise.resolve(void slept.push(ms)),
  });
  proxies.push(proxy);
  await sqsAt(proxy.url).send(new SendMessageCommand({ QueueUrl: peers.newQueue(), MessageBody: 'x' }));
  expect(slept).toEqual([40_000]);
});

test('rates strike the calls that the seed chooses, so often as they say, and no more than they may', async () => {
  const struckBy = async (seed: number, fault: WireFault) => {
    const proxy = await proxyTo(peers.fauxqs.address, [fault], seed);
    const s3 = s3At(proxy.url);
    const Bucket = peers.newBucket();
    for (const _ of numbered(50)) await s3.send(new ListObjectsV2Command({ Bucket })).catch(() => {});
    expect(proxy.count('throttle')).toBe(proxy.struck.length);
    expect(proxy.count('throttle', 'GetObject')).toBe(0);
    return proxy.struck.map(({ call }) => call);
  };
  const fault: WireFault = { kind: 'throttle', on: 'ListObjectsV2', rate: 0.3 };
  const calls = await struckBy(7, fault);
  expect(calls.length).toBeGreaterThan(7);
  expect(calls.length).toBeLessThan(23);
  expect(await struckBy(7, fault)).toEqual(calls);
  expect(await struckBy(8, fault)).not.toEqual(calls);
  expect(await struckBy(7, { ...fault, atMost: 3 })).toEqual(calls.slice(0, 3));
});

test('a server that is away is told of; a plan can be exchanged', async () => {
  const proxy = await proxyTo('http://127.0.0.1:9', []);
  const list = () => s3At(proxy.url).send(new ListObjectsV2Command({ Bucket: 'b' }));
  await expect(list()).rejects.toMatchObject({ $metadata: { httpStatusCode: 502 } });
  proxy.plan([{ kind: 'throttle', on: '*', rate: 1 }]);
  await expect(list()).rejects.toMatchObject({ name: 'SlowDown' });
});
