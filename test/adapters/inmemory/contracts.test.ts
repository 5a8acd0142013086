import { ManualClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryDedupStore } from '../../../src/adapters/inmemory/dedup-store.ts';
import { InMemoryErrorRouter } from '../../../src/adapters/inmemory/error-router.ts';
import { InMemoryKilledRows } from '../../../src/adapters/inmemory/killed-rows.ts';
import { InMemoryObjectSource } from '../../../src/adapters/inmemory/object-source.ts';
import { SeededRandom } from '../../../src/adapters/inmemory/random.ts';
import {
  InMemoryStream,
  type InMemoryStreamOptions,
  type StreamRecord,
} from '../../../src/adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../../../src/adapters/inmemory/task-queue.ts';
import {
  dedupStoreContract,
  errorRouterContract,
  killedRowsContract,
  objectSourceContract,
  recordSinkContract,
  taskQueueContract,
} from '../../../src/testing/index.ts';

const dispose = () => Promise.resolve();

objectSourceContract('InMemoryObjectSource', async () => {
  const source = new InMemoryObjectSource();
  const nameOf = (key: string) => ({ bucket: 'lake', key });
  return {
    source,
    put: async (key, content) => void source.put(nameOf(key), content),
    remove: async (key) => source.delete(nameOf(key)),
    locationOf: (key) => (key === undefined ? 'lake' : `lake/${key}`),
    nameOf,
    openReads: async () => undefined,
    dispose,
  };
});

const streams: Record<string, InMemoryStreamOptions> = {
  'a shard for each partition': { partitions: 4 },
  'more partitions than shards, and small limits': {
    partitions: 7,
    shards: 3,
    capabilities: { maxRecordBytes: 200, maxBatchRecords: 9, maxBatchBytes: 1_000 },
  },
  'throttled, hardly any room': { partitions: 4, whenFull: 'throttle', capacityBytes: 2_000 },
  'throttled, and not ordered': {
    partitions: 4,
    shards: 2,
    whenFull: 'throttle',
    capacityBytes: 2_000,
    capabilities: { ordered: false },
  },
};

for (const [name, options] of Object.entries(streams)) {
  recordSinkContract(`InMemoryStream: ${name}`, async () => {
    const clock = new ManualClock();
    const sink = new InMemoryStream({ clock, random: new SeededRandom({ clock }, 7) }, options);
    return {
      sink,
      takeAccepted: async () => {
        const records: StreamRecord[] = [];
        for (let shard = 0; shard < sink.shards; shard++) {
          const read = sink.read(shard, sink.checkpoint(shard), Infinity, Infinity);
          records.push(...read);
          const last = read.at(-1);
          if (last !== undefined) sink.setCheckpoint(shard, last.sequenceNumber);
        }
        return records;
      },
      dispose,
    };
  });
}

taskQueueContract('InMemoryTaskQueue', async () => {
  const clock = new ManualClock();
  return { queue: new InMemoryTaskQueue({ clock }), advance: (ms) => clock.advance(ms), dispose };
});

dedupStoreContract('InMemoryDedupStore', async () => {
  const clock = new ManualClock();
  return { store: new InMemoryDedupStore({ clock }), advance: (ms) => clock.advance(ms), dispose };
});

dedupStoreContract('InMemoryDedupStore that forgets after a second', async () => {
  const clock = new ManualClock();
  const store = new InMemoryDedupStore({ clock }, { retentionMs: 1_000, maxBatchKeys: 20 });
  return { store, advance: (ms) => clock.advance(ms), dispose };
});

errorRouterContract('InMemoryErrorRouter', async () => {
  const router = new InMemoryErrorRouter();
  return {
    router,
    delivered: async () =>
      router.failures.map(({ failure: { id, stage, code, message, rows }, ...routed }) => ({
        ...routed,
        id,
        stage,
        code,
        message,
        rows,
      })),
    dispose,
  };
});

killedRowsContract('InMemoryKilledRows', async () => ({ killed: new InMemoryKilledRows(), dispose }));
