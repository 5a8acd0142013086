import { PutRecordsCommand } from '@aws-sdk/client-kinesis';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import type { KinesisStreamEvent, SQSEvent } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ManualClock } from '../../src/adapters/inmemory/clock.ts';
import { inProcessFunction, LambdaTwin, ThrottledError } from '../../src/testing/lambda/index.ts';
import { kinesisAt, type Peers, sqsAt, startPeers } from './peers.ts';

let peers: Peers;
const twins: LambdaTwin[] = [];
const soon = () => AbortSignal.timeout(20_000);

beforeAll(async () => {
  peers = await startPeers();
});
afterAll(() => peers.stop());
afterEach(async () => {
  for (const twin of twins.splice(0)) await twin.stop().catch(() => {});
});

function newTwin(...parameters: ConstructorParameters<typeof LambdaTwin>): LambdaTwin {
  const twin = new LambdaTwin(...parameters);
  twins.push(twin);
  return twin;
}

test('idle waits until what was sent has gone all the way through', async () => {
  const sqs = sqsAt(peers.fauxqs.address);
  const kinesis = kinesisAt(peers.kinesalite.url);
  const [first, second] = [peers.newQueue(), peers.newQueue()];
  const stream = await peers.newStream(2);
  const seen: string[] = [];
  const pause = (ms = 30) => new Promise((resolve) => setTimeout(resolve, ms));
  const twin = newTwin();
  twin.add(
    inProcessFunction('split', async (event) => {
      // So long that the stream's end is seen before anything is put.
      await pause(300);
      const Records = (event as SQSEvent).Records.flatMap(({ body }) =>
        [1, 2, 3].map((part) => ({ PartitionKey: `${part}`, Data: Buffer.from(`${body}.${part}`) })),
      );
      await kinesis.send(new PutRecordsCommand({ StreamName: stream, Records }));
      return null;
    }),
  );
  twin.add(
    inProcessFunction('relay', async (event) => {
      await pause();
      const bodies = (event as KinesisStreamEvent).Records.map(({ kinesis: { data } }) =>
        Buffer.from(data, 'base64').toString(),
      );
      for (let at = 0; at < bodies.length; at += 10) {
        const Entries = bodies.slice(at, at + 10).map((MessageBody, id) => ({ Id: `${id}`, MessageBody }));
        await sqs.send(new SendMessageBatchCommand({ QueueUrl: second, Entries }));
      }
    }),
  );
  twin.add(
    inProcessFunction('collect', async (event) => {
      await pause();
      seen.push(...(event as SQSEvent).Records.map(({ body }) => body));
    }),
  );
  // Against the way of the data, so that what is looked at first is filled last.
  twin.mapQueue('collect', { sqs, queueUrl: second });
  // So seldom that an end that was seen before the last put would be believed.
  twin.mapStream('relay', { kinesis, streamName: stream, pollMs: 200 });
  twin.mapQueue('split', { sqs, queueUrl: first });

  for (const round of [1, 2, 3]) {
    const Entries = ['a', 'b', 'c'].map((Id) => ({ Id, MessageBody: `${round}${Id}` }));
    const calls = () => twin.counts()['split']?.invocations;
    const before = calls();
    await sqs.send(new SendMessageBatchCommand({ QueueUrl: first, Entries }));
    // Under way before anybody looks.
    while (calls() === before) await pause(1);
    await twin.idle(soon());
    expect(seen).toHaveLength(9 * round);
  }
  expect(new Set(seen).size).toBe(27);
  expect(twin.counts()['collect']?.invocations).toBeGreaterThan(0);
  expect(twin.counts()['split']).toMatchObject({ errors: 0 });
  await twin.stop();
});

test('a disabled mapping takes nothing more', async () => {
  const sqs = sqsAt(peers.fauxqs.address);
  const queueUrl = peers.newQueue();
  const twin = newTwin();
  let calls = 0;
  twin.add(inProcessFunction('f', () => Promise.resolve(void (calls += 1))));
  const mapping = twin.mapQueue('f', { sqs, queueUrl });
  await mapping.disable();
  const Entries = [{ Id: 'a', MessageBody: 'a' }];
  await sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
  await twin.idle(soon());
  expect(calls).toBe(0);
  twin.mapQueue('f', { sqs, queueUrl });
  await twin.idle(soon());
  expect(calls).toBe(1);
});

test('a direct call gives the answer as JSON does, or the error', async () => {
  const twin = newTwin();
  twin.add(inProcessFunction('f', (event) => Promise.resolve({ event, none: undefined, when: new Date(0) })));
  twin.add(inProcessFunction('g', () => Promise.reject(new TypeError('no'))));
  expect(await twin.invoke('f', { a: 1, b: undefined })).toEqual({
    event: { a: 1 },
    when: '1970-01-01T00:00:00.000Z',
  });
  await expect(twin.invoke('g', {})).rejects.toThrow('no');
  await expect(twin.invoke('h', {})).rejects.toThrow('no function h');
  expect(twin.counts()).toMatchObject({ f: { invocations: 1, errors: 0 }, g: { invocations: 1, errors: 1 } });
  expect(() => twin.add(inProcessFunction('f', () => Promise.resolve(null)))).toThrow('already');
});

test('an asynchronous event is tried three times, a minute and two after each other, then given up', async () => {
  const clock = new ManualClock(0);
  const discarded: unknown[] = [];
  const twin = newTwin({
    clock,
    onAsyncDiscarded: (name, event, error) => discarded.push([name, event, String(error)]),
  });
  const calls: number[] = [];
  twin.add(
    inProcessFunction('f', () => {
      calls.push(clock.now());
      // Being throttled is no try.
      return Promise.reject(calls.length === 1 ? new ThrottledError('f') : new Error(`try ${calls.length}`));
    }),
  );
  twin.invokeAsync('f', { n: 1 });
  await clock.runUntil(twin.idle(soon()));
  expect(calls).toEqual([0, 1_000, 61_000, 181_000]);
  expect(discarded).toEqual([['f', { n: 1 }, 'Error: try 4']]);
  expect(() => twin.invokeAsync('f', 'x'.repeat(1_100_000))).toThrow(/bytes/);
});

test('a schedule calls until it is disabled', async () => {
  const clock = new ManualClock(0);
  const twin = newTwin({ clock });
  const calls: unknown[] = [];
  twin.add(inProcessFunction('f', (event) => Promise.resolve(void calls.push([clock.now(), event]))));
  const schedule = twin.schedule('f', { everyMs: 60_000, event: { publish: true } });
  await clock.advance(125_000);
  await schedule.disable();
  await clock.advance(125_000);
  expect(calls).toEqual([
    [60_000, { publish: true }],
    [120_000, { publish: true }],
  ]);
});

test('what breaks a mapping is told by idle and stop', async () => {
  const twin = newTwin();
  twin.add(inProcessFunction('f', () => Promise.resolve(null)));
  twin.mapStream('f', { kinesis: kinesisAt(peers.kinesalite.url), streamName: 'nowhere' });
  await expect(twin.idle(soon())).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  await expect(twin.stop()).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
});
