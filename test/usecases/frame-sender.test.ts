import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/adapters/inmemory/clock.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { SeededRandom } from '../../src/adapters/inmemory/random.ts';
import { InMemoryStream, type InMemoryStreamOptions } from '../../src/adapters/inmemory/stream.ts';
import { FrameSender } from '../../src/application/frames/frame-sender.ts';
import type { FrameHeader, PackedFrame } from '../../src/domain/frame.ts';
import type { RecordSink } from '../../src/domain/ports/record-sink.ts';
import type { RetryPolicy } from '../../src/domain/retry.ts';
import { withFaults, type Fault } from '../../src/testing/faults.ts';
import { codeOfAsync } from '../values/damage.ts';

const never = new AbortController().signal;
const policy: RetryPolicy = { attempts: 5, baseMs: 10, maxMs: 100 };

function setUp(options: InMemoryStreamOptions, faults: readonly Fault[] = [], stopAt?: number) {
  const clock = new ManualClock(0);
  const random = new SeededRandom({ clock }, 7);
  const stream = new InMemoryStream({ clock, random }, { shards: 1, ...options });
  const faulty = withFaults<RecordSink>(stream, faults, { clock });
  const puts: (readonly number[])[] = [];
  /** Partitions of the puts under way. */
  const inFlight = new Set<number>();
  const most = { puts: 0 };
  let underWay = 0;
  const sink: RecordSink = {
    capabilities: stream.capabilities,
    put: async (records, signal) => {
      puts.push(records.map(({ data }) => numberOf(data)));
      for (const { partition } of records) {
        expect(inFlight, 'a partition is under way twice').not.toContain(partition);
        inFlight.add(partition);
      }
      most.puts = Math.max(most.puts, ++underWay);
      try {
        return await faulty.port.put(records, signal);
      } finally {
        underWay--;
        for (const { partition } of records) inFlight.delete(partition);
      }
    },
  };
  const metrics = new InMemoryMetrics();
  const sender = new FrameSender({
    sink,
    clock,
    random,
    metrics,
    signal: never,
    retry: policy,
    ...(stopAt === undefined ? {} : { stopAt }),
  });
  const arrived = () => stream.read(0, null, 100_000, Number.MAX_SAFE_INTEGER);
  return { clock, stream, sender, puts, metrics, struck: faulty.struck, arrived, most };
}

const numberOf = (data: Uint8Array) => Buffer.from(data).readUInt32BE();

function frame(partition: number, number: number, bytes = 4): PackedFrame {
  const data = Buffer.alloc(bytes);
  data.writeUInt32BE(number);
  return { header: { partition } as FrameHeader, bytes: data };
}

const firstOnly = (numbers: readonly number[]) => [...new Set(numbers)];

describe('FrameSender', () => {
  it('puts again what a sink had taken away and gives back, and counts what it took', async () => {
    const clock = new ManualClock(0);
    const random = new SeededRandom({ clock }, 7);
    const metrics = new InMemoryMetrics();
    const { stream } = setUp({ partitions: 1 });
    let puts = 0;
    const sink: RecordSink = {
      capabilities: stream.capabilities,
      put: async ([record], signal) => {
        // Moved, as to another thread: nothing is left with the sender.
        const data = structuredClone(record?.data as Uint8Array, {
          transfer: [record?.data.buffer as ArrayBuffer],
        });
        if (puts++ > 0) return stream.put([{ partition: 0, data }], signal);
        return [{ accepted: false, reason: 'throttled', retryable: true, message: 'later', data }];
      },
    };
    const sender = new FrameSender({ sink, clock, random, metrics, signal: never, retry: policy });
    const bytes = new Uint8Array([0, 0, 0, 9]);
    await clock.runUntil(sender.send([{ header: { partition: 0 } as FrameHeader, bytes }]));
    expect(stream.read(0, null, 10, 100).map(({ data }) => numberOf(data))).toEqual([9]);
    expect(bytes.length).toBe(0);
    expect(metrics.total('frameBytes')).toBe(4);
  });

  it('brings every frame at least once, those of a partition in order, whatever is rejected, lost or throttled', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          partitions: fc.array(fc.nat(3), { maxLength: 25 }),
          maxBatchRecords: fc.integer({ min: 1, max: 6 }),
          maxBatchBytes: fc.integer({ min: 8, max: 40 }),
          maxParallelPuts: fc.integer({ min: 1, max: 3 }),
          faults: fc.array(
            fc.oneof(
              fc.record({
                kind: fc.constant('delay' as const),
                on: fc.constant('put' as const),
                call: fc.nat(12),
                ms: fc.integer({ min: 1, max: 50 }),
              }),
              fc.record({
                kind: fc.constant('reject' as const),
                on: fc.constant('put' as const),
                call: fc.nat(12),
                records: fc.uniqueArray(fc.nat(3), { minLength: 1 }),
              }),
              fc.record({
                kind: fc.constantFrom('lost-call' as const, 'lost-answer' as const),
                on: fc.constant('put'),
                call: fc.nat(12),
              }),
            ),
            // Fewer than the policy's attempts, so that it never gives up.
            { maxLength: 4 },
          ),
        }),
        async ({ partitions, maxBatchRecords, maxBatchBytes, maxParallelPuts, faults }) => {
          const frames = partitions.map((partition, number) => frame(partition, number, 4 + (number % 5)));
          const { clock, sender, arrived, most } = setUp(
            { partitions: 4, capabilities: { maxBatchRecords, maxBatchBytes, maxParallelPuts } },
            faults,
          );
          await clock.runUntil(sender.send(frames));
          for (let partition = 0; partition < 4; partition++) {
            const numbers = arrived()
              .filter((record) => record.partition === partition)
              .map(({ data }) => numberOf(data));
            const sent = partitions.flatMap((of, number) => (of === partition ? [number] : []));
            expect(firstOnly(numbers)).toEqual(sent);
          }
          expect(most.puts).toBeLessThanOrEqual(maxParallelPuts);
          sender.assertIdle();
        },
      ),
      { numRuns: 200 },
    );
  });

  it('puts again what was rejected, and nothing else', async () => {
    const { clock, sender, puts, metrics, struck } = setUp({ partitions: 4 }, [
      { kind: 'reject', on: 'put', call: 0, records: [1, 3] },
      { kind: 'reject', on: 'put', call: 1, records: [0] },
    ]);
    await clock.runUntil(sender.send([frame(0, 10), frame(1, 11), frame(2, 12), frame(3, 13), frame(0, 20)]));
    // What was rejected together comes again together.
    expect(puts).toEqual([[10, 11, 12, 13], [11, 13, 20], [11]]);
    expect(struck).toHaveLength(2);
    expect(metrics.snapshot()).toMatchObject({ frames: 5, frameBytes: 20, putsRejected: 3, retries: 2 });
  });

  it('gives up on a frame that was rejected as often as the policy says', async () => {
    const always = Array.from(
      { length: 50 },
      (_, call) => ({ kind: 'reject', on: 'put', call, records: [0] }) as const,
    );
    const { clock, sender, puts } = setUp({ partitions: 2 }, always);
    await expect(clock.runUntil(sender.send([frame(0, 1)]))).rejects.toMatchObject({
      code: 'E_SINK_REJECTED',
      retryable: true,
      message: expect.stringContaining('Rejected as planned') as string,
    });
    expect(puts).toHaveLength(policy.attempts);
  });

  it('does not give up while each frame gets through in the end, however many are rejected on the way', async () => {
    // Every frame is rejected once: 20 puts in a row with a rejection in each.
    const faults = Array.from(
      { length: 20 },
      (_, at) => ({ kind: 'reject', on: 'put', call: at * 2, records: [0] }) as const,
    );
    const { clock, sender, arrived } = setUp({ partitions: 2, capabilities: { maxBatchRecords: 2 } }, faults);
    const frames = Array.from({ length: 40 }, (_, number) => frame(number % 2, number));
    await clock.runUntil(sender.send(frames));
    expect(arrived()).toHaveLength(40);
    const rejectedInTurn = setUp(
      { partitions: 12 },
      // Of 12 partitions another one is rejected each time.
      Array.from(
        { length: 11 },
        (_, call) => ({ kind: 'reject', on: 'put', call, records: [call % 3] }) as const,
      ),
    );
    const wide = Array.from({ length: 60 }, (_, number) => frame(number % 12, number));
    await rejectedInTurn.clock.runUntil(rejectedInTurn.sender.send(wide));
    expect(rejectedInTurn.arrived()).toHaveLength(60);
  });

  it('gives up at once on what can never be put', async () => {
    const { sender, puts } = setUp({ partitions: 2, capabilities: { maxRecordBytes: 10 } });
    expect(await codeOfAsync(sender.send([frame(0, 1), frame(1, 2, 11)]))).toBe('E_SINK_RECORD_TOO_LARGE');
    expect(puts).toEqual([]);
    expect(await codeOfAsync(sender.send([frame(7, 1)]))).toBe('E_SINK_REJECTED');
    expect(puts).toHaveLength(1);
  });

  it('waits while a full stream throttles, between 0 and the bound that doubles', async () => {
    const { clock, sender, stream, puts } = setUp({
      partitions: 1,
      capacityBytes: 300,
      whenFull: 'throttle',
    });
    const sending = clock.runUntil(sender.send([frame(0, 1), frame(0, 2)]));
    expect(await codeOfAsync(sending)).toBe('E_SINK_REJECTED');
    expect(puts).toHaveLength(1 + policy.attempts);
    expect(clock.now()).toBeGreaterThan(0);
    expect(clock.now()).toBeLessThan(10 + 20 + 40 + 80);
    expect(stream.read(0, null, 10, 1_000)).toHaveLength(1);
  });

  it('puts partitions in parallel where the sink gains by it, shared out evenly', async () => {
    const MIB = 1024 * 1024;
    const frames = Array.from({ length: 8 }, (_, number) => frame(number, number, MIB));
    const delays = [0, 1, 2, 3].map((call) => ({ kind: 'delay', on: 'put', call, ms: 10 }) as const);
    const wide = setUp({ partitions: 8, capabilities: { maxParallelPuts: 4 } }, delays);
    await wide.clock.runUntil(wide.sender.send(frames));
    expect(wide.puts).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
    ]);
    expect(wide.most.puts).toBe(4);
    expect(wide.clock.now()).toBe(10);
    // Little is not worth a second request.
    const little = setUp({ partitions: 8, capabilities: { maxParallelPuts: 4 } });
    await little.clock.runUntil(little.sender.send(frames.map((_, number) => frame(number, number))));
    expect(little.puts).toEqual([[0, 1, 2, 3, 4, 5, 6, 7]]);
  });

  it('lets nobody wait for a partition that was rejected, also while others are under way', async () => {
    const { clock, sender, puts } = setUp(
      { partitions: 2, capabilities: { maxBatchRecords: 1, maxParallelPuts: 2 } },
      [
        { kind: 'reject', on: 'put', call: 0, records: [0] },
        { kind: 'delay', on: 'put', call: 1, ms: 1_000 },
      ],
    );
    await clock.runUntil(sender.send([frame(0, 1), frame(1, 2), frame(0, 3)]));
    // 1 is put again and 3 after it, while 2 takes its second.
    expect(puts).toEqual([[1], [2], [1], [3]]);
    expect(clock.now()).toBe(1_000);
  });

  it('goes on inside the deadline however often it is rejected, and says at it how many are unsent', async () => {
    const rejectedOften = Array.from(
      { length: 3 * policy.attempts },
      (_, call) => ({ kind: 'reject', on: 'put', call, records: [0] }) as const,
    );
    const inTime = setUp({ partitions: 1 }, rejectedOften, 100_000);
    await inTime.clock.runUntil(inTime.sender.send([frame(0, 1), frame(0, 2)]));
    expect(inTime.arrived()).toHaveLength(2);

    const always = Array.from(
      { length: 1_000 },
      (_, call) => ({ kind: 'reject', on: 'put', call: call + 1, records: [0] }) as const,
    );
    const late = setUp({ partitions: 2, capabilities: { maxBatchRecords: 1 } }, always, 500);
    await expect(
      late.clock.runUntil(late.sender.send([frame(0, 1), frame(1, 2), frame(0, 3)])),
    ).rejects.toMatchObject({
      code: 'E_DEADLINE',
      retryable: true,
      message: expect.stringMatching(/^2 of 3 frames are unsent.*Rejected as planned/) as string,
    });
    expect(late.arrived().map(({ data }) => numberOf(data))).toEqual([1]);
    // It stops rather than wait for a moment after the deadline.
    expect(late.clock.now()).toBeLessThan(500);
    late.sender.assertIdle();
  });

  it('begins no put after the deadline, and waits for those that are under way', async () => {
    const { clock, sender, puts, arrived } = setUp(
      { partitions: 3, capabilities: { maxBatchRecords: 1, maxParallelPuts: 2 } },
      [
        { kind: 'delay', on: 'put', call: 0, ms: 200 },
        { kind: 'delay', on: 'put', call: 1, ms: 300 },
      ],
      100,
    );
    const sending = sender.send([frame(0, 1), frame(1, 2), frame(2, 3)]);
    await expect(clock.runUntil(sending)).rejects.toMatchObject({ code: 'E_DEADLINE' });
    expect(puts).toEqual([[1], [2]]);
    expect(arrived()).toHaveLength(2);
    expect(clock.now()).toBe(300);
    sender.assertIdle();
  });

  it('stops when it is told to, also in the middle of a wait', async () => {
    const clock = new ManualClock(0);
    const stop = new AbortController();
    const reason = new Error('stopped');
    const sender = new FrameSender({
      sink: {
        capabilities: { maxRecordBytes: 100, maxBatchRecords: 10, maxBatchBytes: 1_000, ordered: true },
        put: async () => [{ accepted: false, reason: 'throttled', retryable: true, message: 'later' }],
      },
      clock,
      random: { next: () => 0.9, id: () => 'x' },
      metrics: new InMemoryMetrics(),
      signal: stop.signal,
    });
    const sending = sender.send([frame(0, 1)]);
    sending.catch(() => undefined);
    await clock.advance(10);
    stop.abort(reason);
    await expect(sending).rejects.toBe(reason);
    sender.assertIdle();
  });

  it('finds work that nobody awaited', async () => {
    const { clock, sender } = setUp({ partitions: 1 }, [{ kind: 'delay', on: 'put', call: 0, ms: 5 }]);
    const forgotten = sender.send([frame(0, 1)]);
    expect(() => sender.assertIdle()).toThrow(expect.objectContaining({ code: 'E_FLOATING_WORK' }));
    await clock.runUntil(forgotten);
    sender.assertIdle();
  });
});
