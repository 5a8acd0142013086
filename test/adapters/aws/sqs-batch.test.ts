import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  MAX_BATCH_BYTES,
  MAX_BATCH_MESSAGES,
  messageBytes,
  packBatches,
  queueJson,
  SqsSender,
  type QueueMessage,
} from '../../../src/adapters/aws/sqs-batch.ts';
import { createSqsCalls, type SendOutcome, type SqsCalls } from '../../../src/adapters/aws/sqs-client.ts';
import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import { InfrastructureError } from '../../../src/domain/errors.ts';
import { startFaultProxy, type FaultProxy } from '../../../src/testing/fault-proxy.ts';
import { clientConfig } from './client-config.ts';
import { MemoryClaims } from './memory-claims.ts';
import { SqsTwin } from './sqs-twin.ts';

const never = new AbortController().signal;
const SEND = 'SendMessageBatch';

let twin: SqsTwin;
let proxy: FaultProxy;
let calls: SqsCalls;
// Of each test its own: a request that one of them gave up may come to the proxy after it.
beforeEach(async () => {
  twin = await SqsTwin.start();
  proxy = await startFaultProxy({ upstream: twin.url });
  calls = createSqsCalls(clientConfig(proxy.url));
});
afterEach(async () => {
  calls.close();
  await proxy.stop();
  await twin.stop();
});

function setUp(over: Pick<SqsCalls, 'sendBatch'> = calls) {
  const { name, queueUrl } = twin.createQueue();
  const claims = new MemoryClaims();
  const waits: number[] = [];
  const metrics = new InMemoryMetrics();
  const ports = {
    calls: over,
    claims,
    metrics,
    clock: {
      now: () => 0,
      sleep: async (ms: number, signal: AbortSignal) => {
        signal.throwIfAborted();
        waits.push(ms);
      },
    },
    random: { next: () => 0.5, id: () => 'id' },
  };
  const sender = new SqsSender(ports, { queueUrl, retry: { attempts: 4, baseMs: 100, maxMs: 1_000 } });
  /** What waits in the queue. */
  const bodies = () => twin.waiting(name).map(({ body }) => body);
  return { name, sender, claims, waits, metrics, bodies };
}

const messages = (count: number) => Array.from({ length: count }, (_, at) => ({ body: `m${at}` }));
const bodiesOf = (sent: readonly QueueMessage[]) => sent.map(({ body }) => body);

describe('packBatches', () => {
  it('keeps messages in order, within both limits, and opens no request that the one before has room for', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.constantFrom(1, MAX_BATCH_BYTES / 10, MAX_BATCH_BYTES / 2, MAX_BATCH_BYTES),
            fc.integer({ min: 1, max: MAX_BATCH_BYTES }),
          ),
          { maxLength: 40 },
        ),
        (sizes) => {
          // Sizes alone matter: text of such a length need not be made.
          const sent = sizes.map((length, at) => ({ body: 'x'.repeat(Math.min(length, 50)), at, length }));
          const scaled = sent.map(({ body, length }) => ({
            body,
            attributes: { a: 'y'.repeat(Math.max(0, length - body.length - 7)) },
          }));
          const batches = packBatches(scaled);
          expect(batches.flat()).toEqual(scaled);
          const bytesOf = (batch: readonly QueueMessage[]) =>
            batch.reduce((bytes, message) => bytes + messageBytes(message), 0);
          for (const [at, batch] of batches.entries()) {
            expect(batch.length).toBeGreaterThan(0);
            expect(batch.length).toBeLessThanOrEqual(MAX_BATCH_MESSAGES);
            if (batch.length > 1) expect(bytesOf(batch)).toBeLessThanOrEqual(MAX_BATCH_BYTES);
            const next = batches[at + 1]?.[0];
            if (next === undefined) continue;
            const hasRoom =
              batch.length < MAX_BATCH_MESSAGES && bytesOf(batch) + messageBytes(next) <= MAX_BATCH_BYTES;
            expect(hasRoom).toBe(false);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('counts what SQS counts: UTF-8, and attributes with their names and types', () => {
    expect(messageBytes({ body: 'ü😀' })).toBe(6);
    expect(messageBytes({ body: 'b', attributes: { stage: 'ré' } })).toBe(1 + 5 + 6 + 3);
  });
});

describe('SqsSender', () => {
  it('sends all, whatever is rejected or lost on the way, and again only what was rejected', () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(60),
        fc.array(
          fc.oneof(
            fc.record({
              kind: fc.constant('reject' as const),
              on: fc.constant(SEND),
              call: fc.nat(9),
              entries: fc.uniqueArray(fc.nat(9), { minLength: 1 }),
            }),
            fc.record({
              kind: fc.constantFrom('throttle' as const, 'reset' as const, 'lost-answer' as const),
              on: fc.constant(SEND),
              call: fc.nat(9),
            }),
          ),
          // Fewer than the tries, so that it never gives up.
          { maxLength: 3 },
        ),
        async (count, faults) => {
          const { sender, bodies } = setUp();
          const from = proxy.calls(SEND);
          proxy.plan(faults.map((fault) => ({ ...fault, call: from + fault.call })));
          await sender.send(messages(count), never);
          const arrived = bodies();
          expect([...new Set(arrived)].toSorted()).toEqual(bodiesOf(messages(count)).toSorted());
          const lost = faults.some(({ kind }) => kind === 'lost-answer');
          if (!lost) expect(arrived).toHaveLength(count);
        },
      ),
      { numRuns: 40 },
    ));

  it('packs ten to a request, and waits between the tries of one', async () => {
    const { sender, bodies, waits, metrics } = setUp();
    const from = proxy.calls(SEND);
    proxy.plan([
      { kind: 'reject', on: SEND, call: from, entries: [3, 5] },
      { kind: 'reject', on: SEND, call: from + 1, entries: [0] },
    ]);
    await sender.send(messages(10), never);
    expect(proxy.calls(SEND) - from).toBe(3);
    expect(waits).toEqual([50, 100]);
    expect(metrics.snapshot()).toMatchObject({ retries: 2 });
    proxy.plan([]);
    const before = proxy.calls(SEND);
    await sender.send(messages(25), never);
    expect(proxy.calls(SEND) - before).toBe(3);
    expect(bodies()).toHaveLength(35);
  });

  it('does not send again what is its own fault', async () => {
    const { sender, bodies, waits } = setUp();
    const call = proxy.calls(SEND);
    proxy.plan([
      { kind: 'reject', on: SEND, call, entries: [1], senderFault: true, code: 'InvalidMessageContents' },
    ]);
    await expect(sender.send(messages(3), never)).rejects.toMatchObject({
      code: 'E_QUEUE_REJECTED',
      retryable: false,
      message: expect.stringContaining('InvalidMessageContents') as string,
    });
    expect(waits).toEqual([]);
    expect(bodies()).toEqual(['m0', 'm2']);
  });

  it('sends all others, again where it must, whatever is at fault itself', async () => {
    const refused = new Set(['m1', 'm25']);
    const seen = new Map<string, number>();
    const { sender } = setUp({
      sendBatch: async (_, batch) =>
        batch.map(({ body }): SendOutcome => {
          seen.set(body, (seen.get(body) ?? 0) + 1);
          if (refused.has(body)) return { sent: false, retryable: false, message: `no ${body}` };
          return seen.get(body) === 1 ? { sent: false, retryable: true, message: 'not now' } : { sent: true };
        }),
    });
    await expect(sender.send(messages(30), never)).rejects.toMatchObject({
      code: 'E_QUEUE_REJECTED',
      retryable: false,
      message: expect.stringMatching(/2 of 30 messages .*no m/) as string,
    });
    for (const { body } of messages(30))
      expect([body, seen.get(body)]).toEqual([body, refused.has(body) ? 1 : 2]);
  });

  it('gives up after the last try, and says that it can be tried later', async () => {
    const { sender, waits } = setUp();
    proxy.plan([{ kind: 'reject', on: SEND, rate: 1, entries: 1 }]);
    await expect(sender.send(messages(1), never)).rejects.toMatchObject({
      code: 'E_QUEUE_REJECTED',
      retryable: true,
    });
    expect(waits).toEqual([50, 100, 200]);
    proxy.plan([]);
  });

  it('throws what does not pass as it is, and begins nothing after it', async () => {
    let requests = 0;
    const { sender } = setUp({
      sendBatch: async () => {
        requests++;
        throw new InfrastructureError('no', { code: 'E_ACCESS_DENIED' });
      },
    });
    await expect(sender.send(messages(1_000), never)).rejects.toMatchObject({ code: 'E_ACCESS_DENIED' });
    expect(requests).toBeLessThanOrEqual(8);
  });

  it('has a bounded number of requests in flight', async () => {
    let inFlight = 0;
    let most = 0;
    const { sender } = setUp({
      sendBatch: async (_, batch) => {
        most = Math.max(most, ++inFlight);
        await new Promise((resolve) => setImmediate(resolve));
        inFlight--;
        return batch.map((): SendOutcome => ({ sent: true }));
      },
    });
    await sender.send(messages(1_000), never);
    expect(most).toBe(8);
  });

  it('keeps a body over the limit by claim check, together with its attributes', async () => {
    const { name, sender, claims } = setUp();
    const attributes = { code: 'E_TRANSFORM', object: 'lake/ü.csv' };
    const body = 'x'.repeat(MAX_BATCH_BYTES);
    await sender.send([{ body, attributes }], never);
    const [kept] = twin.waiting(name);
    expect(kept?.messageAttributes).toMatchObject({
      code: { DataType: 'String', StringValue: 'E_TRANSFORM' },
      object: { StringValue: 'lake/ü.csv' },
    });
    const redeemed = await claims.redeem(Buffer.from(kept?.body ?? ''), never);
    expect(Buffer.from(redeemed).toString() === body).toBe(true);
  });

  it('stops when it is told to', async () => {
    const { sender, bodies } = setUp();
    const stop = new AbortController();
    const reason = new Error('stopped');
    const call = proxy.calls(SEND);
    proxy.plan([{ kind: 'delay', on: SEND, call, ms: 5_000 }]);
    const sending = sender.send(messages(1), stop.signal);
    setImmediate(() => stop.abort(reason));
    await expect(sending).rejects.toBe(reason);
    await expect(sender.send(messages(1), stop.signal)).rejects.toBe(reason);
    expect(bodies()).toEqual([]);
    proxy.plan([]);
  });
});

describe('queueJson', () => {
  it('is JSON of the same value, of characters that a queue keeps as they are', () => {
    const awkward = fc.string({
      unit: fc.constantFrom('\ud800', '\udc00', '\ufffe', '\uffff', '😀', '\u0000', '"', 'ü'),
    });
    fc.assert(
      fc.property(fc.oneof(awkward, fc.jsonValue()), (value) => {
        const text = queueJson(value);
        expect(text).not.toMatch(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
