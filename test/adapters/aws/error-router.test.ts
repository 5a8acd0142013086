import { gunzipSync } from 'node:zlib';
import { DeleteMessageCommand, ReceiveMessageCommand, SQSClient, type Message } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InMemoryLog } from '../../../src/adapters/inmemory/log.ts';
import { S3ClaimCheck } from '../../../src/adapters/aws/claim-check.ts';
import { AwsErrorRouter } from '../../../src/adapters/aws/error-router.ts';
import { S3FailureLedger } from '../../../src/adapters/aws/failure-ledger.ts';
import {
  failureMessage,
  failureNotice,
  readFailureMessage,
} from '../../../src/adapters/aws/failure-message.ts';
import { S3ObjectSource } from '../../../src/adapters/aws/object-source.ts';
import { createSnsCalls, MAX_PUBLISH_BYTES } from '../../../src/adapters/aws/sns-client.ts';
import { messageBytes, SqsSender } from '../../../src/adapters/aws/sqs-batch.ts';
import { createSqsCalls } from '../../../src/adapters/aws/sqs-client.ts';
import { toTaggedJson } from '../../../src/application/values/tagged-json.ts';
import { decodeValue } from '../../../src/application/values/value-reader.ts';
import { encodeValue } from '../../../src/application/values/value-writer.ts';
import { InfrastructureError } from '../../../src/domain/errors.ts';
import type { RoutedFailure } from '../../../src/domain/ports/error-router.ts';
import { defaultRetry } from '../../../src/domain/retry.ts';
import { count, definePipeline, sum } from '../../../src/index.ts';
import { startFaultProxy, type WireFault } from '../../../src/testing/lambda/index.ts';
import { errorRouterContract, type DeliveredFailure } from '../../../src/testing/index.ts';
import { runOver } from './run-over.ts';
import { credentials, region, startS3Twin, type S3Twin } from './s3-twin.ts';
import { never, surroundings } from './surroundings.ts';

let twin: S3Twin;
let reader: SQSClient;
let made = 0;

beforeAll(async () => {
  twin = await startS3Twin();
  reader = new SQSClient({ endpoint: twin.server.address, region, credentials });
});

afterAll(async () => {
  reader.destroy();
  await twin.stop();
});

const payloadToJson = (payload: Uint8Array) => toTaggedJson(decodeValue(payload));

interface PlaceOptions {
  readonly s3?: string;
  readonly sqs?: string;
  readonly sns?: string;
  readonly attempts?: number;
}

/** A router with a bucket, a failure queue and a topic of its own. */
function newPlace({ attempts = defaultRetry.attempts, ...endpoints }: PlaceOptions = {}) {
  const retry = { ...defaultRetry, attempts };
  const around = surroundings();
  const bucket = twin.newBucket();
  const name = `failures-${++made}`;
  const { queueUrl } = twin.server.createQueue(name);
  const { topicArn } = twin.server.createTopic(name);
  const { queueUrl: noticesUrl } = twin.server.createQueue(`${name}-notices`);
  const { queueUrl: filteredUrl } = twin.server.createQueue(`${name}-mine`);
  twin.server.subscribe({
    topic: name,
    queue: `${name}-notices`,
    attributes: { RawMessageDelivery: 'true' },
  });
  twin.server.subscribe({
    topic: name,
    queue: `${name}-mine`,
    attributes: { RawMessageDelivery: 'true', FilterPolicy: JSON.stringify({ code: ['E_MINE'] }) },
  });
  const s3 = twin.calls(endpoints.s3);
  const sqs = createSqsCalls({ endpoint: endpoints.sqs ?? twin.server.address, region, credentials });
  const sns = createSnsCalls({ endpoint: endpoints.sns ?? twin.server.address, region, credentials });
  const claims = new S3ClaimCheck({ ...around, calls: s3 }, { bucket, retry });
  const ledger = new S3FailureLedger({ ...around, calls: s3 }, { bucket, payloadToJson, retry });
  const queue = new SqsSender({ ...around, calls: sqs, claims }, { queueUrl, retry });
  const topic = new SqsSender(
    { ...around, calls: sns, claims },
    { queueUrl: topicArn, maxBatchBytes: MAX_PUBLISH_BYTES, retry },
  );
  return {
    router: new AwsErrorRouter({ ledger, queue, topic, log: new InMemoryLog() }),
    source: new S3ObjectSource({ ...around, calls: s3 }, { retry }),
    claims,
    bucket,
    queueUrl,
    noticesUrl,
    filteredUrl,
    close: () => {
      sqs.close();
      sns.close();
      s3.close();
    },
  };
}

type Place = ReturnType<typeof newPlace>;

/** Takes everything out of a queue. */
async function drain(queueUrl: string): Promise<Message[]> {
  const all: Message[] = [];
  for (;;) {
    const { Messages = [] } = await reader.send(
      new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ['All'],
      }),
    );
    if (Messages.length === 0) return all;
    for (const { ReceiptHandle } of Messages)
      await reader.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle }));
    all.push(...Messages);
  }
}

async function ledgerLines({ source, bucket }: Place): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  for await (const object of source.list(`s3://${bucket}/failures/`, never)) {
    const bytes = await Array.fromAsync(source.read(object, { start: 0, end: object.size }, never));
    const text = gunzipSync(Buffer.concat(bytes)).toString();
    expect(text.endsWith('\n')).toBe(true);
    for (const line of text.slice(0, -1).split('\n')) lines.push(JSON.parse(line) as Record<string, unknown>);
  }
  return lines;
}

async function keysOf({ source, bucket }: Place): Promise<string[]> {
  return (await Array.fromAsync(source.list(`s3://${bucket}/`, never))).map(({ key }) => key);
}

errorRouterContract('AwsErrorRouter, read from the ledger', async () => {
  const place = newPlace();
  return {
    router: place.router,
    delivered: async () =>
      (await ledgerLines(place)).map((line) => {
        const { generation, pipeline, version, run, build, route, id, stage, code, message, rows } =
          line as unknown as DeliveredFailure;
        const at = Date.parse(String(line['at']));
        return { generation, pipeline, version, run, build, route, at, id, stage, code, message, rows };
      }),
    dispose: async () => place.close(),
  };
});

errorRouterContract('AwsErrorRouter, read from the failure queue, of what goes there', async () => {
  const place = newPlace();
  const delivered: DeliveredFailure[] = [];
  const original = new Map<string, RoutedFailure['route']>();
  return {
    router: {
      route: (failures, signal) => {
        for (const { failure, route } of failures) original.set(failure.id, route);
        return place.router.route(
          failures.map((failure) => ({ ...failure, route: 'dead-letter' })),
          signal,
        );
      },
    },
    delivered: async () => {
      for (const { Body = '' } of await drain(place.queueUrl)) {
        const { failure, ...about } = readFailureMessage(Body);
        const { position: _position, payload: _payload, ...told } = failure;
        delivered.push({ ...about, ...told, route: original.get(told.id) ?? about.route });
      }
      return delivered;
    },
    dispose: async () => place.close(),
  };
});

function routed(
  id: string,
  failure: Partial<RoutedFailure['failure']> = {},
  rest: Partial<RoutedFailure> = {},
): RoutedFailure {
  return {
    generation: 'flights@1',
    pipeline: 'flights',
    version: 1,
    run: 'r1',
    build: 'b1',
    route: 'dead-letter',
    at: Date.UTC(2019, 4, 5, 23, 59, 59, 999),
    ...rest,
    failure: {
      id,
      position: {
        kind: 'row',
        object: { bucket: 'lake', key: 'yyyy=2019/a ü.csv', version: 'v1', size: 9 },
        coordinate: 12,
        output: null,
      },
      stage: 'transform',
      code: 'E_TRANSFORM',
      message: 'no',
      rows: 1,
      payload: null,
      ...failure,
    },
  };
}

const withPlace = async (test: (place: Place) => Promise<void>) => {
  const place = newPlace();
  try {
    await test(place);
  } finally {
    place.close();
  }
};

describe('AwsErrorRouter', () => {
  it('sends what a redrive can settle to the queue, everything to the ledger, word of everything to the topic', () =>
    withPlace(async (place) => {
      const payload = new Uint8Array(encodeValue({ lane: 'LAX-LAS', delay: 20n }));
      const dead = routed('a', { payload });
      const kept = routed('b', { code: 'E_MINE', stage: 'read' }, { route: 'ledger' });
      await place.router.route([dead, kept], never);

      expect((await ledgerLines(place)).map(({ id }) => id)).toEqual(['a', 'b']);
      const [message, ...others] = await drain(place.queueUrl);
      expect(others).toEqual([]);
      expect(readFailureMessage(message?.Body ?? '')).toEqual(dead);
      const notices = (await drain(place.noticesUrl)).map(({ Body = '' }) => JSON.parse(Body) as object);
      expect(notices).toHaveLength(2);
      expect(notices.every((notice) => !('payload' in notice))).toBe(true);
      const mine = (await drain(place.filteredUrl)).map(({ Body = '' }) => JSON.parse(Body) as object);
      expect(mine).toEqual([expect.objectContaining({ id: 'b', code: 'E_MINE' })]);
    }));

  it('gives messages attributes to filter by', () =>
    withPlace(async (place) => {
      const source = { kind: 'key', source: 'orders\u0000', key: 'k1', output: 0 } as const;
      await place.router.route([routed('a'), routed('b', { position: source, code: '' })], never);
      const attributes = (await drain(place.queueUrl)).map(({ MessageAttributes = {} }) =>
        Object.fromEntries(
          Object.entries(MessageAttributes).map(([name, value]) => [name, value.StringValue]),
        ),
      );
      const both = { pipeline: 'flights', version: '1', route: 'dead-letter', stage: 'transform' };
      expect(attributes).toEqual(
        expect.arrayContaining([
          { ...both, code: 'E_TRANSFORM', object: 'lake/yyyy=2019/a%20%C3%BC.csv' },
          { ...both, source: 'orders%00' },
        ]),
      );
    }));

  it('needs no topic', () =>
    withPlace(async ({ bucket }) => {
      const sent: unknown[] = [];
      const around = surroundings();
      const router = new AwsErrorRouter({
        ledger: new S3FailureLedger({ ...around, calls: twin.calls() }, { bucket, payloadToJson }),
        queue: { send: async (messages) => void sent.push(...messages) },
        log: new InMemoryLog(),
      });
      await router.route([routed('a')], never);
      expect(sent).toHaveLength(1);
    }));

  it('lets no copy that is refused for good hold up a frame, and tells of it', async () => {
    const log = new InMemoryLog();
    const kept: unknown[] = [];
    const refuse = (retryable: boolean) => async () => {
      throw new InfrastructureError('refused', { code: 'E_QUEUE_REJECTED', retryable });
    };
    const ports = {
      ledger: { route: async (failures: readonly RoutedFailure[]) => void kept.push(...failures) },
      topic: { send: refuse(false) },
      log,
    };
    await new AwsErrorRouter({ ...ports, queue: { send: refuse(false) } }).route([routed('a')], never);
    expect(kept).toHaveLength(1);
    expect(log.lines.map(({ level, fields }) => [level, fields['code']])).toEqual([
      ['error', 'E_QUEUE_REJECTED'],
      ['error', 'E_QUEUE_REJECTED'],
    ]);
    const busy = new AwsErrorRouter({ ...ports, queue: { send: refuse(true) } });
    await expect(busy.route([routed('a')], never)).rejects.toMatchObject({ code: 'E_QUEUE_REJECTED' });
  });

  it('checks in what is too large for the queue, and cuts what is too large for the topic', () =>
    withPlace(async (place) => {
      const large = routed('a', {
        position: { kind: 'key', source: 'orders', key: 'k'.repeat(1_100_000), output: null },
      });
      await place.router.route([large], never);
      const [message] = await drain(place.queueUrl);
      const body = Buffer.from(message?.Body ?? '');
      expect(body.length).toBeLessThan(200);
      const redeemed = Buffer.from(await place.claims.redeem(body, never)).toString();
      expect(readFailureMessage(redeemed)).toEqual(large);
      expect(messageBytes(failureNotice(large))).toBeLessThan(MAX_PUBLISH_BYTES);
      const [notice] = await drain(place.noticesUrl);
      expect(JSON.parse(notice?.Body ?? '')).toMatchObject({ id: 'a', code: 'E_TRANSFORM', cut: true });
    }));

  it('delivers everything, whatever breaks on the way', async () => {
    const faults: readonly WireFault[] = [
      { kind: 'throttle', on: '*', rate: 0.2 },
      { kind: 'error', on: '*', rate: 0.1, status: 503 },
      { kind: 'lost-answer', on: '*', rate: 0.1 },
      { kind: 'reset', on: '*', rate: 0.1 },
      { kind: 'reject', on: 'SendMessageBatch', rate: 0.5, entries: 0.3 },
    ];
    const proxies = {
      s3: await startFaultProxy({ upstream: twin.url, faults, seed: 3 }),
      other: await startFaultProxy({ upstream: twin.server.address, faults, seed: 4 }),
    };
    const place = newPlace({
      s3: proxies.s3.url,
      sqs: proxies.other.url,
      sns: proxies.other.url,
      // Enough that no run of bad luck ends it.
      attempts: 100,
    });
    try {
      const ids = Array.from({ length: 120 }, (_, at) => `f${at}`);
      for (let at = 0; at < ids.length; at += 40)
        await place.router.route(
          ids.slice(at, at + 40).map((id) => routed(id)),
          never,
        );
      const unique = (found: readonly unknown[]) => [...new Set(found)].map(String).toSorted();
      const messages = await drain(place.queueUrl);
      const notices = await drain(place.noticesUrl);
      const expected = ids.toSorted();
      expect(unique((await ledgerLines(place)).map(({ id }) => id))).toEqual(expected);
      expect(unique(messages.map(({ Body = '' }) => readFailureMessage(Body).failure.id))).toEqual(expected);
      expect(unique(notices.map(({ Body = '' }) => (JSON.parse(Body) as { id: string }).id))).toEqual(
        expected,
      );
      expect(proxies.other.count('reject')).toBeGreaterThan(0);
      expect(proxies.s3.struck.length).toBeGreaterThan(0);
    } finally {
      place.close();
      await proxies.s3.stop();
      await proxies.other.stop();
    }
  });

  it('refuses a message of the failure queue that is something else', () => {
    const { failure, ...about } = JSON.parse(failureMessage(routed('a')).body) as { failure: object };
    const odd = [
      null,
      {},
      { ...failure, payload: 1 },
      { ...failure, position: null },
      { ...failure, stage: 1 },
    ];
    const others = [{ route: 'x' }, { at: '1e99' }, { at: { toString: 1 } }, { run: 1 }];
    const bodies = ['', '{}', 'null', '[]', '{"kind":"other"}', '{"canary":'].concat(
      odd.map((each) => JSON.stringify({ ...about, failure: each })),
      others.map((each) => JSON.stringify({ ...about, failure, ...each })),
    );
    for (const body of bodies) {
      const read = () => readFailureMessage(body);
      expect(read, body).toThrow(expect.objectContaining({ code: 'E_EVENT' }));
      // What the parser says of it would quote it.
      expect(read).toThrow(expect.not.objectContaining({ cause: expect.anything() }));
    }
  });
});

describe('S3FailureLedger', () => {
  it('writes a day of a version into a folder of its own', () =>
    withPlace(async (place) => {
      await place.router.route(
        [
          routed('a'),
          routed('b', {}, { at: Date.UTC(2019, 4, 6) }),
          routed('c', {}, { version: 2 }),
          routed('d', {}, { pipeline: '../up ü' }),
        ],
        never,
      );
      const folders = (await keysOf(place)).map((key) => key.replace(/[0-9a-f]{32}\.jsonl\.gz$/, ''));
      expect(folders.toSorted()).toEqual(
        [
          'failures/pipeline=..%2Fup%20%C3%BC/version=1/yyyy=2019/mm=05/dd=05/',
          'failures/pipeline=flights/version=1/yyyy=2019/mm=05/dd=05/',
          'failures/pipeline=flights/version=1/yyyy=2019/mm=05/dd=06/',
          'failures/pipeline=flights/version=2/yyyy=2019/mm=05/dd=05/',
        ].toSorted(),
      );
    }));

  it('overwrites its own object where the same call comes again', () =>
    withPlace(async (place) => {
      for (let time = 0; time < 3; time++) await place.router.route([routed('a'), routed('b')], never);
      expect(await keysOf(place)).toHaveLength(1);
      expect((await ledgerLines(place)).map(({ id }) => id)).toEqual(['a', 'b']);
    }));

  it('cuts a large call into several objects', () =>
    withPlace(async (place) => {
      const payload = encodeValue('x'.repeat(60_000));
      const failures = Array.from({ length: 300 }, (_, at) =>
        routed(`f${at}`, { payload }, { route: 'ledger' }),
      );
      await place.router.route(failures, never);
      expect(await keysOf(place)).toHaveLength(3);
      expect(await ledgerLines(place)).toHaveLength(300);
    }));

  it('has the payload as JSON, or its bytes where it cannot be decoded', () =>
    withPlace(async (place) => {
      await place.router.route(
        [
          routed('a', { payload: encodeValue({ delay: 20 }) }),
          routed('b', { payload: Uint8Array.of(0xc1, 0xff) }),
          routed('c'),
        ],
        never,
      );
      const lines = await ledgerLines(place);
      expect(lines[0]).toMatchObject({ payload: { delay: 20 } });
      expect(lines[1]).toMatchObject({ payloadBase64: Buffer.from([0xc1, 0xff]).toString('base64') });
      expect(lines[2]).not.toHaveProperty('payload');
      expect(lines[2]).not.toHaveProperty('payloadBase64');
    }));

  it('is a lake that Sluice reads: how many failures of each code, by day', () =>
    withPlace(async (place) => {
      const { router, source, bucket } = place;
      const days = [Date.UTC(2019, 4, 5), Date.UTC(2019, 4, 6)];
      for (const [day, at] of days.entries()) {
        await router.route(
          Array.from({ length: 10 }, (_, i) =>
            routed(`${day}-${i}`, { code: i < 3 ? 'E_SCHEMA' : 'E_TRANSFORM', rows: 2 }, { at }),
          ),
          never,
        );
      }
      const failures = definePipeline({
        name: 'failures',
        version: 1,
        source: {
          columns: { id: 'string', code: 'string', rows: 'integer', pipeline: 'string', dd: 'integer' },
        },
        transform: ({ code, rows, pipeline, dd }) => ({ code, rows, pipeline, dd }),
        analyze: {
          groupBy: ({ pipeline, dd, code }) => `${pipeline} ${dd} ${code}`,
          measures: { failures: count(), rows: sum(({ rows }) => rows) },
        },
      });
      expect(await runOver(source, `s3://${bucket}/failures/`, failures)).toEqual({
        'flights 5 E_SCHEMA': { failures: 3, rows: 6 },
        'flights 5 E_TRANSFORM': { failures: 7, rows: 14 },
        'flights 6 E_SCHEMA': { failures: 3, rows: 6 },
        'flights 6 E_TRANSFORM': { failures: 7, rows: 14 },
      });
    }));
});
