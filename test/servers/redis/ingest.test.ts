import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryLog } from '../../../src/adapters/inmemory/log.ts';
import { connectRedis } from '../../../src/adapters/redis/client.ts';
import { RedisDedupStore } from '../../../src/adapters/redis/dedup-store.ts';
import { ingest, type ArrivedMessage } from '../../../src/application/ingest/ingest.ts';
import { emptyRow } from '../../../src/domain/row.ts';
import { imbalances, newWorld, Process, resultsOf } from '../../usecases/harness.ts';
import { broken, lakePipeline, type Settings } from '../../usecases/lake-pipeline.ts';
import { startRedis, type RedisServer } from '../redis-server.ts';

const how: Settings = {
  limits: { sectionBytes: 1_000, maxFrameMessages: 3, maxFrameBytes: 1_000 },
  partitions: 3,
  partitioned: true,
  frames: 'packed',
};
const GENERATION = 'lake@1';
const BATCHES = 24;
const BATCH = 10;

const rows = Array.from({ length: BATCHES * BATCH }, (_, id) => ({
  id,
  lane: `lane ${id % 7}`,
  fan: id % 3,
  fate: id % 11 === 0 ? 'throws' : 'ok',
  hurt: 9,
  flag: 9,
  value: id,
  note: '',
}));

const arrived: readonly ArrivedMessage[] = rows.map((row) => ({
  key: null,
  time: null,
  row: Object.assign(emptyRow(), row),
}));

let server: RedisServer;
beforeAll(async () => void (server = await startRedis()));
afterAll(() => server.stop());

describe('Messages from elsewhere, with Redis killed in the middle', () => {
  it('are neither lost nor doubled, in the result store', async () => {
    const calm = newWorld();
    const once = new Process(calm, lakePipeline(how, broken));
    await calm.store.declare(once.generation, once.signal);
    await once.ingest('queue', arrived);
    await once.drain();

    const world = newWorld();
    const process = new Process(world, lakePipeline(how, broken));
    await world.store.declare(process.generation, process.signal);
    const dedup = new RedisDedupStore({ client: connectRedis(server.url, { maxReconnectMs: 50 }) });
    const log = new InMemoryLog();
    const { generation, ...context } = process.context;
    const ports = { ...process.ports, clock: new SystemClock(), dedup, log };
    const deliver = (batch: number) =>
      ingest(
        arrived.slice(batch * BATCH, (batch + 1) * BATCH),
        { ...context, generation: generation.id, run: 'r', source: 'queue' },
        ports,
      );
    try {
      for (let batch = 0; batch < BATCHES; batch++) {
        const under = [deliver(batch), deliver(batch)];
        // Once before the claim is answered, and once between a claim and its commit.
        if (batch === 6) await server.kill();
        await Promise.all(under);
        if (batch === 12) {
          await server.restart();
          // It is back before the client knows.
          await vi.waitFor(() => dedup.claim(['back'], 1_000, process.signal));
        }
        if (batch === 18) {
          ports.sink = dyingIn(ports.sink, () => server.kill());
        }
      }
      expect(process.metrics.total('dedupUnavailable')).toBeGreaterThan(0);
      const failed = new Set(log.lines.map(({ fields }) => fields['call']));
      expect(failed).toEqual(new Set(['claim', 'commit']));
      for (const { level, fields } of log.lines) {
        expect(level).toBe('warn');
        expect(fields['error']).toMatchObject({ code: 'E_DEDUP_UNAVAILABLE' });
      }
      // Everything comes once more, to a Redis that knows nothing.
      await server.restart();
      for (let batch = 0; batch < BATCHES; batch++) await deliver(batch);
      await process.drain();
      expect(await resultsOf(world, GENERATION)).toEqual(await resultsOf(calm, GENERATION));
      expect(await imbalances(world, GENERATION)).toEqual([]);
      expect(process.metrics.total('duplicates')).toBeGreaterThan(0);
    } finally {
      dedup.close();
    }
  });
});

/** The sink, during whose next put something ends. */
function dyingIn<S extends { put: (...all: never[]) => Promise<unknown> }>(
  sink: S,
  end: () => Promise<void>,
): S {
  let ended: Promise<void> | undefined;
  return new Proxy(sink, {
    get: (target, name) => {
      const member = Reflect.get(target, name, target) as unknown;
      if (name !== 'put' || typeof member !== 'function') return member;
      return async (...all: unknown[]) => {
        await (ended ??= end());
        return (member as (...parameters: unknown[]) => unknown).apply(target, all);
      };
    },
  });
}
