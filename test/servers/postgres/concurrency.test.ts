import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InMemoryResultStore } from '../../../src/adapters/inmemory/result-store.ts';
import { migrate } from '../../../src/adapters/postgres/migrate.ts';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import type { PublishedGroup, ResultStore } from '../../../src/domain/ports/result-store.ts';
import { readRows } from '../../adapters/postgres/stores.ts';
import { startPostgres, type PostgresServer } from '../postgres-server.ts';
import { deliverAll, openAnalyzer } from './analyzer.ts';
import {
  addCounters,
  firstDeliveries,
  GENERATION,
  lanes,
  prepare,
  secondDeliveries,
  seen,
  shuffled,
  signal,
  type Delivery,
} from './deliveries.ts';

const ANALYZERS = 40;
const PROCESSES = 2;
/** How many analyzers get each delivery. */
const COPIES = 3;

let server: PostgresServer;
let tool: PgDatabase;

beforeAll(async () => {
  server = await startPostgres();
  tool = new PgDatabase({ url: server.url });
  await migrate(tool, {}, signal);
});

afterAll(async () => {
  await tool.close();
  await server.stop();
});

/** Each delivery to several analyzers, all of them at once. */
async function deliverToMany(
  stores: readonly ResultStore[],
  deliveries: readonly Delivery[],
  seed: number,
): Promise<void> {
  const shares = stores.map((): Delivery[] => []);
  const copies = Array.from({ length: COPIES }, () => deliveries).flat();
  for (const [i, delivery] of shuffled(copies, seed).entries()) shares[i % shares.length]?.push(delivery);
  await Promise.all(stores.map((store, i) => deliverAll(store, shares[i] as Delivery[])));
}

async function runProcess(phase: 'first' | 'second'): Promise<void> {
  const program = join(import.meta.dirname, 'analyzer.ts');
  await promisify(execFile)(process.execPath, [program, server.url, phase]);
}

async function* published(): AsyncGenerator<PublishedGroup> {
  for (let i = 0; i < 700; i++) yield { group: `g${i}`, measures: { late: i }, findings: [] };
}

describe('fifty analyzers on the same groups', () => {
  it('lose no update, deadlock never, and give the caller no error', async () => {
    const stores = await Promise.all(Array.from({ length: ANALYZERS }, () => openAnalyzer(server.url)));
    const [first] = stores as [ResultStore];
    await Promise.all(stores.slice(0, 5).map(prepare));
    const processes = (phase: 'first' | 'second') =>
      Array.from({ length: PROCESSES }, () => runProcess(phase));

    await Promise.all([deliverToMany(stores, firstDeliveries(), 7), ...processes('first')]);
    await Promise.all([
      deliverToMany(stores, secondDeliveries(), 11),
      ...processes('second'),
      first.publish(GENERATION, published(), signal),
      first.publish(GENERATION, published(), signal),
    ]);

    const once = new InMemoryResultStore(addCounters);
    await prepare(once);
    await deliverAll(once, [...firstDeliveries(), ...secondDeliveries()]);
    expect(await seen(first)).toEqual(await seen(once));

    const rows = await readRows(
      tool,
      `SELECT (SELECT count(*) FROM sluice.frames) AS frames, (SELECT count(*) FROM sluice.sections) AS sections,
         (SELECT count(*) FROM sluice.published) AS published, (SELECT count(*) FROM sluice.publications) AS publications`,
    );
    expect(rows).toEqual([{ frames: 0, sections: 0, published: 700, publications: 1 }]);
    await Promise.all(stores.map((store) => store.close()));
    // Counts are written when a connection ends.
    const [{ deadlocks } = {}] = await readRows(
      tool,
      'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
    );
    expect(deadlocks).toBe(0);
  });

  it('leave nothing behind of a generation that is purged meanwhile', async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, () => openAnalyzer(server.url)));
    const [first] = stores as [ResultStore];
    await prepare(first);
    let isOver = false;
    // Planning, and keys, of a generation that is gone just then.
    const tolerant = firstDeliveries().map((deliver): Delivery => async (one) => {
      try {
        await deliver(one);
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'E_NOT_FOUND' });
      }
    });
    const work = deliverToMany(stores, tolerant, 3).finally(() => (isOver = true));
    const purges = async (): Promise<void> => {
      while (!isOver) {
        await first.purge(GENERATION, signal);
        await first.declare(lanes, signal);
      }
    };
    await Promise.all([work, purges()]);
    await Promise.all(stores.slice(1).map((store) => store.close()));
    await first.purge(GENERATION, signal);
    for (const table of ['objects', 'sections', 'frames', 'sources', 'keys', 'groups', 'flags', 'failures'])
      expect([table, await readRows(tool, `SELECT * FROM sluice.${table}`)]).toEqual([table, []]);
    await first.close();
  });
});
