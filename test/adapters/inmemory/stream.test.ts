import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import { SeededRandom } from '../../../src/adapters/inmemory/random.ts';
import { InMemoryStream, type InMemoryStreamOptions } from '../../../src/adapters/inmemory/stream.ts';

const never = new AbortController().signal;

function setUp(options: Partial<InMemoryStreamOptions> = {}) {
  const clock = new ManualClock(1_000);
  const stream = new InMemoryStream(
    { clock, random: new SeededRandom({ clock }, 3) },
    { partitions: 4, ...options },
  );
  const values = (shard = 0, after: string | null = null, maxRecords = Infinity, maxBytes = Infinity) =>
    stream.read(shard, after, maxRecords, maxBytes).map(({ data }) => data[0]);
  return { clock, stream, values };
}

const record = (value: number, partition = 0, length = 1) => ({
  partition,
  data: new Uint8Array(length).fill(value),
});

describe('InMemoryStream', () => {
  it('numbers records so that only BigInt compares them rightly, and says when they came', async () => {
    const { clock, stream } = setUp({ partitions: 1 });
    await stream.put(
      Array.from({ length: 60 }, (_, at) => record(at)),
      never,
    );
    await clock.advance(500);
    await stream.put([record(60)], never);
    const records = stream.read(0, null, Infinity, Infinity);
    const numbers = records.map(({ sequenceNumber }) => sequenceNumber);
    expect(numbers.toSorted((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))).toEqual(numbers);
    expect(numbers.toSorted()).not.toEqual(numbers);
    expect(new Set(numbers.map(Number)).size).toBeLessThan(numbers.length);
    expect([records[0]?.arrivedAt, records[60]?.arrivedAt]).toEqual([1_000, 1_500]);
  });

  it('spreads partitions over shards, whole', async () => {
    const { stream, values } = setUp({ partitions: 5, shards: 2 });
    await stream.put(
      [0, 1, 2, 3, 4].map((partition) => record(partition, partition)),
      never,
    );
    expect([values(0), values(1)]).toEqual([
      [0, 2, 4],
      [1, 3],
    ]);
    expect(stream.shardOf(4)).toBe(0);
  });

  it('gives batches within both limits, but always a record', async () => {
    const { stream, values } = setUp();
    await stream.put([record(1, 0, 10), record(2, 0, 10), record(3, 0, 50), record(4, 0, 1)], never);
    const after = (value: number) =>
      stream.read(0, null, Infinity, Infinity)[value - 1]?.sequenceNumber ?? null;
    expect(values(0, null, 2)).toEqual([1, 2]);
    expect(values(0, null, 9, 20)).toEqual([1, 2]);
    expect(values(0, null, 9, 19)).toEqual([1]);
    expect(values(0, after(2), 9, 19)).toEqual([3]);
    expect(values(0, after(3), 9, 19)).toEqual([4]);
    expect(values(0, after(4))).toEqual([]);
  });

  it('gives records again until they are trimmed, and never goes back behind a checkpoint', async () => {
    const { stream, values } = setUp({ trimAtCheckpoint: false });
    await stream.put(
      [1, 2, 3].map((value) => record(value)),
      never,
    );
    const [first, second] = stream.read(0, null, 2, Infinity).map(({ sequenceNumber }) => sequenceNumber) as [
      string,
      string,
    ];
    expect(stream.checkpoint(0)).toBe(null);
    stream.setCheckpoint(0, second);
    stream.setCheckpoint(0, first);
    expect(stream.checkpoint(0)).toBe(second);
    expect(values()).toEqual([1, 2, 3]);
    stream.trim(0, first);
    expect(values()).toEqual([2, 3]);
    expect(values(0, stream.checkpoint(0))).toEqual([3]);
  });

  it('makes a put wait for room, and others behind it, in the order of coming', async () => {
    const { stream } = setUp({ capacityBytes: 2 * (256 + 1) });
    await stream.put([record(1), record(2)], never);
    const done: number[] = [];
    const waiting = [[record(3), record(4)], [record(5)]].map((batch) =>
      stream.put(batch, never).then(() => done.push(batch.length)),
    );
    const stop = new AbortController();
    const impatient = expect(stream.put([record(6)], stop.signal)).rejects.toThrow('enough');
    stop.abort(new Error('enough'));
    await impatient;
    const taken: (number | undefined)[] = [];
    while (taken.length < 5) {
      await stream.whenRecords(0, stream.checkpoint(0), never);
      expect(stream.bytes).toBeLessThanOrEqual(2 * 257);
      const [next] = stream.read(0, null, 1, Infinity);
      taken.push(next?.data[0]);
      stream.setCheckpoint(0, next?.sequenceNumber as string);
    }
    await Promise.all(waiting);
    expect(taken).toEqual([1, 2, 3, 4, 5]);
    expect(done).toEqual([2, 1]);
  });

  it('throttles what does not fit, and what would overtake it, until there is room', async () => {
    const { stream, values } = setUp({ whenFull: 'throttle', capacityBytes: 1_100 });
    const outcomes = await stream.put(
      [record(1, 0, 500), record(2, 0, 500), record(3, 0), record(4, 1)],
      never,
    );
    const throttled = { accepted: false, reason: 'throttled', retryable: true };
    expect(outcomes).toMatchObject([{ accepted: true }, throttled, throttled, { accepted: true }]);
    let room = false;
    const waiting = stream.whenRoom(500, never).then(() => (room = true));
    await Promise.resolve();
    expect(room).toBe(false);
    stream.setCheckpoint(0, stream.read(0, null, 1, 1)[0]?.sequenceNumber as string);
    await waiting;
    expect(values(1)).toEqual([4]);
  });

  it('takes a record that is larger than its capacity when it is empty', async () => {
    const { stream, values } = setUp({ capacityBytes: 10 });
    await stream.put([record(1, 0, 1_000)], never);
    expect(values()).toEqual([1]);
  });

  it('refuses what belongs to no partition, and passes the rest', async () => {
    const { stream, values } = setUp();
    const outcomes = await stream.put([record(1, 4), record(2, -1), record(3, 0)], never);
    expect(outcomes).toMatchObject([
      { reason: 'failed', retryable: false },
      { reason: 'failed', retryable: false },
      { accepted: true },
    ]);
    expect(values()).toEqual([3]);
  });

  it('knows when everything that was put so far is processed', async () => {
    const { stream } = setUp();
    await stream.whenProcessed(never);
    await stream.put([record(1, 0), record(2, 1)], never);
    let processed = false;
    const waiting = stream.whenProcessed(never).then(() => (processed = true));
    stream.setCheckpoint(0, stream.read(0, null, 1, 1)[0]?.sequenceNumber as string);
    await stream.put([record(3, 2)], never);
    expect(processed).toBe(false);
    stream.setCheckpoint(1, stream.read(1, null, 1, 1)[0]?.sequenceNumber as string);
    await waiting;
  });
});
