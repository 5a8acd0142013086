import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import { SeededRandom } from '../../../src/adapters/inmemory/random.ts';
import {
  StreamMapping,
  type FailedStreamBatch,
  type StreamMappingOptions,
} from '../../../src/adapters/inmemory/stream-mapping.ts';
import { InMemoryStream, type InMemoryStreamOptions } from '../../../src/adapters/inmemory/stream.ts';

const never = new AbortController().signal;

function setUp(streamOptions: InMemoryStreamOptions, seed = 1) {
  const clock = new ManualClock(0);
  const random = new SeededRandom({ clock }, seed);
  const stream = new InMemoryStream({ clock, random }, streamOptions);
  const lost: FailedStreamBatch[] = [];
  const map = (options: Pick<StreamMappingOptions, 'handler'> & Partial<StreamMappingOptions>) =>
    new StreamMapping(
      { stream, clock, random },
      { onFailure: async (batch) => void lost.push(batch), ...options },
    );
  /** Runs the mapping until it is idle and has stopped. */
  const drain = async (mapping: StreamMapping) => {
    const stop = new AbortController();
    const running = mapping.run(stop.signal);
    const idle = mapping.idle(never).finally(() => stop.abort());
    await clock.runUntil(Promise.all([running, idle]));
  };
  return { clock, random, stream, lost, map, drain };
}

const data = (value: number) => Uint8Array.of(value & 255, value >> 8);
const valueOf = ({ data: [low = 0, high = 0] }: { data: Uint8Array }) => low + 256 * high;

describe('StreamMapping', () => {
  it('processes each record of a partition in order, whatever fails in between', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          partitions: fc.integer({ min: 1, max: 5 }),
          shards: fc.integer({ min: 1, max: 5 }),
          concurrency: fc.integer({ min: 1, max: 3 }),
          batchRecords: fc.integer({ min: 1, max: 7 }),
          batchBytes: fc.integer({ min: 1, max: 20 }),
          records: fc.array(fc.nat(), { maxLength: 60 }),
          failures: fc.array(
            fc.oneof(fc.constant('throw' as const), fc.constant('none' as const), fc.nat({ max: 6 })),
            { maxLength: 15 },
          ),
          seed: fc.integer(),
        }),
        async ({ partitions, shards, concurrency, batchRecords, batchBytes, records, failures, seed }) => {
          const { stream, lost, map, drain, clock } = setUp(
            { partitions, shards, capacityBytes: 3_000 },
            seed,
          );
          const processed = Array.from({ length: partitions }, () => [] as number[]);
          const inFlight = new Set<number>();
          const violations: string[] = [];
          let call = 0;
          const mapping = map({
            batchRecords,
            batchBytes,
            concurrency,
            maximumAttempts: Infinity,
            // An assertion that throws in here would only be one more failure to retry.
            handler: async ({ shard, records: batch }, signal) => {
              if (inFlight.has(shard)) violations.push('two batches of a shard in flight');
              if (batch.length > batchRecords) violations.push('too many records');
              if (batch.length > 1 && batch.length * 2 > batchBytes) violations.push('too many bytes');
              inFlight.add(shard);
              if (inFlight.size > concurrency) violations.push('too many batches in flight');
              const failure = failures[call++] ?? 'none';
              try {
                await clock.sleep(3, signal);
              } finally {
                inFlight.delete(shard);
              }
              if (failure === 'throw') throw new Error('planned');
              const end = failure === 'none' ? batch.length : Math.min(failure, batch.length);
              for (const record of batch.slice(0, end)) processed[record.partition]?.push(valueOf(record));
              return { failedFrom: batch[end]?.sequenceNumber ?? null };
            },
          });
          const expected = Array.from({ length: partitions }, () => [] as number[]);
          const batch = records.map((partition, at) => {
            expected[partition % partitions]?.push(at);
            return { partition: partition % partitions, data: data(at) };
          });
          // The stream holds a dozen records: the put waits for the mapping to make room.
          const put = stream.put(batch, never);
          const stop = new AbortController();
          const running = mapping.run(stop.signal);
          await clock.runUntil(put);
          stop.abort();
          await clock.runUntil(running);
          await drain(mapping);
          expect(violations).toEqual([]);
          expect(processed).toEqual(expected);
          expect(lost).toEqual([]);
          expect(stream.bytes).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('leaves a bad record alone and passes the others', async () => {
    const { stream, lost, map, drain } = setUp({ partitions: 1 });
    await stream.put(
      Array.from({ length: 100 }, (_, at) => ({ partition: 0, data: data(at) })),
      never,
    );
    const processed: number[] = [];
    const mapping = map({
      handler: async ({ records }) => {
        if (records.some((record) => valueOf(record) === 41)) throw new Error('planned');
        processed.push(...records.map(valueOf));
        return { failedFrom: null };
      },
    });
    await drain(mapping);
    expect(
      lost.map(({ records, attempts, error }) => [records.map(valueOf), attempts, (error as Error).message]),
    ).toEqual([[[41], 10, 'planned']]);
    expect(processed).toEqual(Array.from({ length: 100 }, (_, at) => at).filter((at) => at !== 41));
  });

  it('tries as often as it is told, with growing waits, and gives the rest of the batch away', async () => {
    const { stream, lost, map, drain, clock } = setUp({ partitions: 1 });
    await stream.put(
      [1, 2, 3].map((value) => ({ partition: 0, data: data(value) })),
      never,
    );
    const calls: number[][] = [];
    const mapping = map({
      bisect: false,
      maximumAttempts: 3,
      backoff: { baseMs: 1_000, maxMs: 10_000 },
      handler: async ({ records }) => {
        calls.push(records.map(valueOf));
        return { failedFrom: records.find((record) => valueOf(record) === 2)?.sequenceNumber ?? null };
      },
    });
    const before = clock.now();
    await drain(mapping);
    expect(calls).toEqual([
      [1, 2, 3],
      [2, 3],
      [2, 3],
    ]);
    expect(lost.map(({ records, attempts }) => [records.map(valueOf), attempts])).toEqual([[[2, 3], 3]]);
    expect(clock.now() - before).toBeGreaterThan(0);
    expect(clock.now() - before).toBeLessThanOrEqual(3_000);
  });

  it('counts the attempts of the first record that fails, not of those before it', async () => {
    const { stream, lost, map, drain } = setUp({ partitions: 1 });
    await stream.put(
      [1, 2].map((value) => ({ partition: 0, data: data(value) })),
      never,
    );
    const attempts: number[] = [];
    let failuresOfFirst = 2;
    const mapping = map({
      bisect: false,
      maximumAttempts: 3,
      onAttemptFailed: (failed) => void attempts.push(failed.attempts),
      handler: async ({ records }) => ({
        failedFrom:
          (failuresOfFirst-- > 0 ? records[0] : records.find((record) => valueOf(record) === 2))
            ?.sequenceNumber ?? null,
      }),
    });
    await drain(mapping);
    expect(attempts).toEqual([1, 2, 1, 2, 3]);
    expect(lost.map(({ records }) => records.map(valueOf))).toEqual([[2]]);
  });

  it('takes a failed sequence number that is not in the batch as a failure of all', async () => {
    const { stream, lost, map, drain } = setUp({ partitions: 1 });
    await stream.put(
      [1, 2].map((value) => ({ partition: 0, data: data(value) })),
      never,
    );
    const mapping = map({ maximumAttempts: 2, bisect: false, handler: async () => ({ failedFrom: '' }) });
    await drain(mapping);
    expect(lost.map(({ records }) => records.map(valueOf))).toEqual([[1, 2]]);
  });

  it('ends with what onFailure throws, and keeps the records', async () => {
    const { stream, map, clock } = setUp({ partitions: 3 });
    await stream.put([{ partition: 1, data: data(7) }], never);
    const mapping = map({
      maximumAttempts: 1,
      handler: async () => {
        throw new Error('planned');
      },
      onFailure: async () => {
        throw new Error('no place for failures');
      },
    });
    const idle = expect(mapping.idle(never)).rejects.toThrow('no place for failures');
    await clock.runUntil(expect(mapping.run(never)).rejects.toThrow('no place for failures'));
    await idle;
    expect(stream.read(stream.shardOf(1), null, 10, 100).map(valueOf)).toEqual([7]);
  });

  it('stops when it is told to, waits for its handler, and counts no attempt', async () => {
    const { stream, lost, map, clock, drain } = setUp({ partitions: 1 });
    await stream.put([{ partition: 0, data: data(7) }], never);
    const stop = new AbortController();
    let ended = false;
    let hang = true;
    const mapping = map({
      maximumAttempts: 1,
      handler: async (_batch, signal) => {
        try {
          if (hang) await clock.sleep(1e9, signal);
        } finally {
          ended = true;
        }
        return { failedFrom: null };
      },
    });
    const running = mapping.run(stop.signal);
    await clock.advance(10);
    stop.abort();
    await running;
    expect(ended).toBe(true);
    expect(stream.bytes).toBeGreaterThan(0);
    hang = false;
    await drain(mapping);
    expect(lost).toEqual([]);
    expect(stream.bytes).toBe(0);
  });
});
