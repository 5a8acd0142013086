import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createKinesisCalls,
  type KinesisCalls,
  type StreamEntry,
} from '../../../src/adapters/aws/kinesis-client.ts';
import {
  KinesisRecordSink,
  roundOfKey,
  type KinesisRecordSinkOptions,
} from '../../../src/adapters/aws/record-sink.ts';
import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import { SeededRandom } from '../../../src/adapters/inmemory/random.ts';
import { FrameSender } from '../../../src/application/frames/frame-sender.ts';
import { InfrastructureError } from '../../../src/domain/errors.ts';
import type { FrameHeader, PackedFrame } from '../../../src/domain/frame.ts';
import type { RecordSink } from '../../../src/domain/ports/record-sink.ts';
import { startFaultProxy, type FaultProxy } from '../../../src/testing/fault-proxy.ts';
import type { WireFault } from '../../../src/testing/fault-proxy/wire-faults.ts';
import { recordSinkContract } from '../../../src/testing/index.ts';
import { clientConfig } from './client-config.ts';
import { KinesisTwin, TWIN_REQUEST_BYTES } from './kinesis-twin.ts';
import { MemoryClaims } from './memory-claims.ts';

const MIB = 1024 * 1024;
const never = new AbortController().signal;

let twin: KinesisTwin;
let proxy: FaultProxy;
let direct: KinesisCalls;
let throughProxy: KinesisCalls;
beforeAll(async () => {
  twin = await KinesisTwin.start();
  proxy = await startFaultProxy({ upstream: twin.url, sleep: async () => undefined });
  direct = createKinesisCalls(clientConfig(twin.url));
  throughProxy = createKinesisCalls(clientConfig(proxy.url));
  await twin.createStream('contract', 3);
  await twin.createStream('faults', 2);
});
afterAll(async () => {
  direct.close();
  throughProxy.close();
  await proxy.stop();
  await twin.stop();
});

function sinkOf(
  calls: Pick<KinesisCalls, 'putRecords'>,
  options: Partial<KinesisRecordSinkOptions> = {},
): { readonly sink: KinesisRecordSink; readonly claims: MemoryClaims } {
  const claims = new MemoryClaims();
  const sink = new KinesisRecordSink(
    { calls, claims },
    { streamName: 'contract', partitions: 4, maxRequestBytes: TWIN_REQUEST_BYTES, ...options },
  );
  return { sink, claims };
}

recordSinkContract('KinesisRecordSink', async () => {
  const { sink, claims } = sinkOf(direct, { maxClaimedBytes: 12 * MIB });
  const read = await twin.reader('contract');
  await read();
  return {
    sink,
    takeAccepted: async () =>
      Promise.all(
        (await read()).map(async ({ key, data }) => ({
          partition: Number(key),
          data: await claims.redeem(data, never),
        })),
      ),
    dispose: async () => undefined,
  };
});

describe('KinesisRecordSink', () => {
  it('puts what the stream takes itself, and claims what it does not', async () => {
    const { sink, claims } = sinkOf(direct);
    const read = await twin.reader('contract');
    await read();
    // Kinesis counts the key, too.
    const fits = { partition: 0, data: new Uint8Array(MIB - 1) };
    const doesNot = { partition: 1, data: new Uint8Array(MIB).fill(1) };
    expect(await sink.put([fits, doesNot], never)).toEqual([{ accepted: true }, { accepted: true }]);
    expect([...claims.kept.values()].map(({ length }) => length)).toEqual([MIB]);
    const arrived = new Map((await read()).map(({ key, data }) => [key, data.length]));
    expect(arrived.get('0')).toBe(MIB - 1);
    expect(arrived.get('1')).toBeLessThan(100);
  });

  it('writes into the key how often a record was given up, and sends it where its hash says all the same', async () => {
    const entries: StreamEntry[] = [];
    const { sink } = sinkOf({
      putRecords: async (_stream, sent) => {
        entries.push(...sent);
        return sent.map(() => ({ accepted: true }));
      },
    });
    const data = Buffer.from('x');
    await sink.put(
      [0, 1, 12].map((round) => ({ partition: 2, data, round })),
      never,
    );
    expect(entries.map(({ key }) => key)).toEqual(['2', '2+1', '2+12']);
    expect(entries.map(({ key }) => roundOfKey(key))).toEqual([0, 1, 12]);
    expect(new Set(entries.map(({ hash }) => hash)).size).toBe(1);
    expect(['', 'orders+x', 'a+1b'].map(roundOfKey)).toEqual([0, 0, 0]);
  });

  it('makes as many requests as the limits ask for', async () => {
    const requests: number[][] = [];
    const calls: Pick<KinesisCalls, 'putRecords'> = {
      putRecords: async (_, records) => {
        requests.push(records.map(({ data }) => data.length / MIB));
        return records.map(() => ({ accepted: true }));
      },
    };
    const { sink } = sinkOf(calls, { streamRecordBytes: 10 * MIB, maxRequestBytes: 10 * MIB });
    const sizes = [4, 4, 1, 9, 2, 5];
    const records = sizes.map((size) => ({ partition: 0, data: new Uint8Array(size * MIB) }));
    expect(await sink.put(records, never)).toHaveLength(6);
    expect(requests).toEqual([[4, 4, 1], [9], [2, 5]]);
  });

  it('tells throttling, failures that pass and failures that stay apart, record by record', async () => {
    const { sink } = sinkOf(throughProxy, { streamName: 'faults' });
    const outcomeFor = async (code: string) => {
      proxy.plan([{ kind: 'reject', on: 'PutRecords', call: proxy.calls('PutRecords'), entries: [1], code }]);
      const records = [0, 1, 2].map((partition) => ({ partition, data: Uint8Array.of(partition) }));
      const [first, second, third] = await sink.put(records, never);
      expect([first, third]).toEqual([{ accepted: true }, { accepted: true }]);
      return second;
    };
    expect(await outcomeFor('ProvisionedThroughputExceededException')).toMatchObject({
      reason: 'throttled',
      retryable: true,
      message: expect.stringContaining('ProvisionedThroughputExceededException') as string,
    });
    expect(await outcomeFor('InternalFailure')).toMatchObject({ reason: 'failed', retryable: true });
    expect(await outcomeFor('KMSAccessDeniedException')).toMatchObject({
      reason: 'failed',
      retryable: false,
    });
  });

  it('explains a request that failed as a whole, and makes it once', async () => {
    const { sink } = sinkOf(throughProxy, { streamName: 'faults' });
    const errorOf = async (fault: WireFault) => {
      proxy.plan([fault]);
      const before = proxy.calls('PutRecords');
      const error: unknown = await sink
        .put([{ partition: 0, data: Uint8Array.of(1) }], never)
        .catch((thrown: unknown) => thrown);
      expect(proxy.calls('PutRecords') - before).toBe(1);
      return error;
    };
    const always = { on: 'PutRecords', rate: 1 } as const;
    expect(await errorOf({ kind: 'throttle', ...always })).toMatchObject({
      code: 'E_THROTTLED',
      retryable: true,
    });
    expect(await errorOf({ kind: 'error', status: 503, ...always })).toMatchObject({ retryable: true });
    expect(await errorOf({ kind: 'reset', ...always })).toMatchObject({ retryable: true });
    proxy.plan([]);
    const { sink: nowhere } = sinkOf(direct, { streamName: 'no-such-stream' });
    await expect(nowhere.put([{ partition: 0, data: Uint8Array.of(1) }], never)).rejects.toMatchObject({
      code: 'E_RESOURCE_MISSING',
      retryable: false,
    });
  });

  it('keeps what is known of the other requests where one fails', async () => {
    let request = 0;
    const calls: Pick<KinesisCalls, 'putRecords'> = {
      putRecords: async (_, records) => {
        if (request++ === 1) throw new InfrastructureError('slow down', { code: 'E_THROTTLED' });
        return records.map(() => ({ accepted: true }));
      },
    };
    const { sink } = sinkOf(calls, { maxRequestBytes: 3 });
    const records = [0, 1, 2].map((partition) => ({ partition, data: Uint8Array.of(1, 2) }));
    expect(await sink.put(records, never)).toEqual([
      { accepted: true },
      { accepted: false, reason: 'throttled', retryable: true, message: 'slow down' },
      { accepted: true },
    ]);
  });

  it('says of a record alone that its claim could not be kept', async () => {
    const { sink, claims } = sinkOf(direct);
    claims.check = async () => {
      throw new InfrastructureError('the bucket is away');
    };
    const records = [new Uint8Array(MIB), Uint8Array.of(1)].map((data, partition) => ({ partition, data }));
    expect(await sink.put(records, never)).toEqual([
      { accepted: false, reason: 'failed', retryable: true, message: 'the bucket is away' },
      { accepted: true },
    ]);
  });

  it(
    'brings every frame, those of a partition in order, and puts only rejected ones again',
    { timeout: 60_000 },
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat(7), { minLength: 1, maxLength: 40 }),
          fc.array(fc.tuple(fc.nat(6), fc.uniqueArray(fc.nat(7), { minLength: 1 })), { maxLength: 5 }),
          fc.option(
            fc.tuple(
              fc.nat(6),
              fc.constantFrom('lost-answer' as const, 'throttle' as const, 'reset' as const),
            ),
          ),
          async (partitions, rejections, lost) => {
            const read = await twin.reader('faults');
            await read();
            const from = proxy.calls('PutRecords');
            const faults: WireFault[] = rejections.map(([call, entries]) => {
              return { kind: 'reject', on: 'PutRecords', call: from + call, entries };
            });
            if (lost !== null) faults.push({ kind: lost[1], on: 'PutRecords', call: from + lost[0] });
            proxy.plan(faults);
            const watched = watchedSink(sinkOf(throughProxy, { streamName: 'faults', partitions: 8 }).sink);
            const clock = new ManualClock(0);
            const sender = new FrameSender({
              sink: watched.sink,
              clock,
              random: new SeededRandom({ clock }, 3),
              metrics: new InMemoryMetrics(),
              signal: never,
              retry: { attempts: 100, baseMs: 0, maxMs: 0 },
            });
            await sender.send(partitions.map((partition, number) => frame(partition, number)));
            sender.assertIdle();
            const arrived = await read();
            for (let partition = 0; partition < 8; partition++) {
              const numbers = arrived
                .filter(({ key }) => Number(key) === partition)
                .map(({ data }) => data[0]);
              const sent = partitions.flatMap((of, number) => (of === partition ? [number] : []));
              // A lost answer brings a frame twice; never a later one before an earlier one.
              expect([...new Set(numbers)]).toEqual(sent);
              if (lost?.[1] !== 'lost-answer') expect(numbers).toEqual(sent);
            }
            expect(watched.putAgainAfterAcceptance).toEqual([]);
          },
        ),
        { numRuns: 40 },
      ),
  );
});

/** Sees what is put again although it was accepted. */
function watchedSink(sink: RecordSink): {
  readonly sink: RecordSink;
  readonly putAgainAfterAcceptance: number[];
} {
  const accepted = new Set<number>();
  const putAgainAfterAcceptance: number[] = [];
  return {
    putAgainAfterAcceptance,
    sink: {
      capabilities: sink.capabilities,
      put: async (records, signal) => {
        const numbers = records.map(({ data }) => data[0] as number);
        putAgainAfterAcceptance.push(...numbers.filter((number) => accepted.has(number)));
        const outcomes = await sink.put(records, signal);
        for (const [at, { accepted: taken }] of outcomes.entries())
          if (taken) accepted.add(numbers[at] as number);
        return outcomes;
      },
    },
  };
}

function frame(partition: number, number: number): PackedFrame {
  return { header: { partition } as FrameHeader, bytes: Uint8Array.of(number) };
}
