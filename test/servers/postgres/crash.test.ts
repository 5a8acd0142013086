import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InMemoryResultStore } from '../../../src/adapters/inmemory/result-store.ts';
import { migrate } from '../../../src/adapters/postgres/migrate.ts';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { isSluiceError } from '../../../src/domain/errors.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { startPostgres, type PostgresServer } from '../postgres-server.ts';
import { deliverAll, openAnalyzer } from './analyzer.ts';
import {
  addCounters,
  firstDeliveries,
  prepare,
  secondDeliveries,
  seen,
  shuffled,
  signal,
  type Delivery,
} from './deliveries.ts';

const ANALYZERS = 8;
const CRASHES = 4;

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
  const tool = new PgDatabase({ url: server.url });
  await migrate(tool, {}, signal);
  await tool.close();
});

afterAll(() => server.stop());

/** As a stream does: what was not acknowledged comes again. */
async function deliverUntilDone(
  store: ResultStore,
  deliveries: readonly Delivery[],
  onFailed: (thrown: unknown) => void,
): Promise<void> {
  for (const deliver of deliveries) {
    for (let done = false; !done;) {
      try {
        await deliver(store);
        done = true;
      } catch (thrown) {
        onFailed(thrown);
        await sleep(20);
      }
    }
  }
}

describe('a server that is killed and comes back', () => {
  it('costs errors that can be retried, and no count', async () => {
    const stores = await Promise.all(Array.from({ length: ANALYZERS }, () => openAnalyzer(server.url)));
    await prepare(stores[0] as ResultStore);
    const errors: unknown[] = [];
    for (const deliveries of [firstDeliveries(), secondDeliveries()]) {
      let isOver = false;
      const copies = shuffled([...deliveries, ...deliveries], 5);
      const work = Promise.all(
        stores.map((store, i) =>
          deliverUntilDone(
            store,
            copies.filter((_, n) => n % ANALYZERS === i),
            (thrown) => errors.push(thrown),
          ),
        ),
      ).finally(() => (isOver = true));
      for (let crash = 0; crash < CRASHES && !isOver; crash++) {
        await sleep(60 + 70 * crash);
        await server.kill();
        await server.restart();
      }
      await work;
    }
    expect(errors.length).toBeGreaterThan(0);
    for (const thrown of errors) {
      expect(isSluiceError(thrown) ? [thrown.kind, thrown.code, thrown.retryable] : thrown).toEqual([
        'infrastructure',
        'E_INFRASTRUCTURE',
        true,
      ]);
    }

    const once = new InMemoryResultStore(addCounters);
    await prepare(once);
    await deliverAll(once, [...firstDeliveries(), ...secondDeliveries()]);
    expect(await seen(stores[0] as ResultStore)).toEqual(await seen(once));
    await Promise.all(stores.map((store) => store.close()));
  });

  it('is noticed by connections that lay idle, which are made anew at once', async () => {
    const store = await openAnalyzer(server.url);
    const before = await store.generations(signal);
    await server.restart();
    expect(await store.generations(signal)).toEqual(before);
    await store.close();
  });
});
