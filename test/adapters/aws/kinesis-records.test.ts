import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createKinesisCalls, type KinesisCalls } from '../../../src/adapters/aws/kinesis-client.ts';
import { readShardRange, type ShardRange } from '../../../src/adapters/aws/kinesis-records.ts';
import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import { InfrastructureError } from '../../../src/domain/errors.ts';
import { startFaultProxy, type FaultProxy } from '../../../src/testing/fault-proxy.ts';
import { clientConfig } from './client-config.ts';
import { KinesisTwin, type TwinRecord } from './kinesis-twin.ts';

const never = new AbortController().signal;
const HOUR_MS = 60 * 60 * 1000;

let twin: KinesisTwin;
let proxy: FaultProxy;
let calls: KinesisCalls;
let streams = 0;
beforeAll(async () => {
  twin = await KinesisTwin.start();
  proxy = await startFaultProxy({ upstream: twin.url });
  calls = createKinesisCalls(clientConfig(proxy.url));
});
afterEach(() => {
  proxy.plan([]);
  vi.useRealTimers();
});
afterAll(async () => {
  calls.close();
  await proxy.stop();
  await twin.stop();
});

/** A stream of one shard with records 0 to `count` − 1. */
async function streamOf(count: number): Promise<{ streamName: string; records: readonly TwinRecord[] }> {
  const streamName = `records-${streams++}`;
  await twin.createStream(streamName, 1);
  const entries = Array.from({ length: count }, (_, at) => ({ key: 'k', hash: 1n, data: Uint8Array.of(at) }));
  await calls.putRecords(streamName, entries, never);
  return { streamName, records: await (await twin.reader(streamName))() };
}

function rangeOf(streamName: string, records: readonly TwinRecord[], from: number, to: number): ShardRange {
  const { shardId, sequenceNumber } = records[from] as TwinRecord;
  return { streamName, shardId, from: sequenceNumber, to: (records[to] as TwinRecord).sequenceNumber };
}

/** What came until the end, and what was thrown there. */
async function readAll(range: ShardRange, over: Pick<KinesisCalls, 'shardIterator' | 'getRecords'> = calls) {
  const waits: number[] = [];
  const ports = {
    calls: over,
    clock: { now: () => 0, sleep: async (ms: number) => void waits.push(ms) },
    random: { next: () => 0.5, id: () => 'id' },
    metrics: new InMemoryMetrics(),
  };
  const numbers: number[] = [];
  let thrown: unknown;
  try {
    for await (const records of readShardRange(range, ports, never))
      numbers.push(...records.map(({ data }) => data[0] as number));
  } catch (error) {
    thrown = error;
  }
  return { numbers, thrown, waits };
}

describe('readShardRange', () => {
  it('gives the records from the first to the last, both in', async () => {
    const { streamName, records } = await streamOf(9);
    expect(await readAll(rangeOf(streamName, records, 3, 6))).toMatchObject({
      numbers: [3, 4, 5, 6],
      thrown: undefined,
    });
    expect((await readAll(rangeOf(streamName, records, 0, 8))).numbers).toHaveLength(9);
    expect((await readAll(rangeOf(streamName, records, 8, 8))).numbers).toEqual([8]);
  });

  it('tells when a record arrived', async () => {
    const { streamName, records } = await streamOf(1);
    const range = rangeOf(streamName, records, 0, 0);
    const iterator = await calls.shardIterator(
      streamName,
      range.shardId,
      { position: 'at', sequenceNumber: range.from },
      never,
    );
    const page = await calls.getRecords(iterator, never);
    expect(Math.abs((page.records[0]?.arrivedAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('compares sequence numbers as numbers, whatever their length', async () => {
    const page = (numbers: readonly string[]) => ({
      records: numbers.map((sequenceNumber, at) => {
        return { sequenceNumber, key: 'k', data: Uint8Array.of(at), arrivedAt: null };
      }),
      next: null,
      latest: true,
    });
    const pages = {
      shardIterator: async () => 'iterator',
      getRecords: async () => page(['99999999999999999998', '99999999999999999999', '100000000000000000000']),
    };
    const range = {
      streamName: 's',
      shardId: 'shardId-000000000000',
      from: '99999999999999999998',
      to: '100000000000000000000',
    };
    expect(await readAll(range, pages)).toMatchObject({ numbers: [0, 1, 2], thrown: undefined });
    expect((await readAll({ ...range, to: '99999999999999999999' }, pages)).numbers).toEqual([0, 1]);
  });

  it('reads again with backoff where it is throttled', async () => {
    const { streamName, records } = await streamOf(5);
    proxy.plan([
      { kind: 'throttle', on: 'GetShardIterator', call: proxy.calls('GetShardIterator') },
      { kind: 'throttle', on: 'GetRecords', call: proxy.calls('GetRecords') },
      { kind: 'reset', on: 'GetRecords', call: proxy.calls('GetRecords') + 1 },
    ]);
    const read = await readAll(rangeOf(streamName, records, 1, 3));
    expect(read).toMatchObject({ numbers: [1, 2, 3], thrown: undefined, waits: [100, 200, 400] });
  });

  it('goes on behind what it has where its iterator has expired', async () => {
    const { streamName, records } = await streamOf(6);
    const places: string[] = [];
    let reads = 0;
    const short: Pick<KinesisCalls, 'shardIterator' | 'getRecords'> = {
      shardIterator: (stream, shard, place, signal) => {
        places.push(place.position);
        return calls.shardIterator(stream, shard, place, signal);
      },
      getRecords: async (iterator, signal) => {
        if (reads++ === 1) {
          const cause = Object.assign(new Error('too old'), { name: 'ExpiredIteratorException' });
          throw new InfrastructureError('expired', { cause, retryable: false });
        }
        const page = await calls.getRecords(iterator, signal);
        // Pages of two, as if the records were large.
        return { ...page, records: page.records.slice(0, 2), next: 'unused', latest: false };
      },
    };
    // After a cut page only a new iterator goes on where it ended.
    const range = rangeOf(streamName, records, 0, 3);
    expect(await readAll(range, short)).toMatchObject({ numbers: [0, 1, 2, 3], thrown: undefined });
    expect(places).toEqual(['at', 'after']);
  });

  it('gives what is left of records that the stream has dropped in part, and then says so', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { streamName, records: old } = await streamOf(2);
    vi.setSystemTime(Date.now() + 23 * HOUR_MS);
    await calls.putRecords(streamName, [{ key: 'k', hash: 1n, data: Uint8Array.of(7) }], never);
    const [, , young] = await (await twin.reader(streamName))();
    const range = { ...rangeOf(streamName, old, 0, 1), to: (young as TwinRecord).sequenceNumber };
    expect((await readAll(range)).numbers).toEqual([0, 1, 7]);
    vi.setSystemTime(Date.now() + 2 * HOUR_MS);
    expect(await readAll(range)).toMatchObject({
      numbers: [7],
      thrown: { code: 'E_TRIMMED', retryable: false },
    });
    expect(await readAll(rangeOf(streamName, old, 0, 1))).toMatchObject({
      numbers: [],
      thrown: { code: 'E_TRIMMED' },
    });
    vi.setSystemTime(Date.now() + 100 * HOUR_MS);
    expect(await readAll(range)).toMatchObject({ numbers: [], thrown: { code: 'E_TRIMMED' } });
  });

  it('says the same of what is gone with its shard or its stream', async () => {
    const { streamName, records } = await streamOf(1);
    const range = rangeOf(streamName, records, 0, 0);
    expect((await readAll({ ...range, shardId: 'shardId-000000000077' })).thrown).toMatchObject({
      code: 'E_TRIMMED',
    });
    // A number of another life of the stream.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + HOUR_MS });
    const other = await streamOf(1);
    expect((await readAll({ ...range, streamName: other.streamName })).thrown).toMatchObject({
      code: 'E_TRIMMED',
    });
    expect((await readAll({ ...range, streamName: 'no-such-stream' })).thrown).toMatchObject({
      code: 'E_TRIMMED',
    });
  });

  it('throws what does not pass as it is', async () => {
    const { streamName, records } = await streamOf(1);
    const denied: Pick<KinesisCalls, 'shardIterator' | 'getRecords'> = {
      ...calls,
      getRecords: async () => {
        throw new InfrastructureError('denied', { code: 'E_ACCESS_DENIED' });
      },
    };
    expect(await readAll(rangeOf(streamName, records, 0, 0), denied)).toMatchObject({
      thrown: { code: 'E_ACCESS_DENIED' },
      waits: [],
    });
  });
});
