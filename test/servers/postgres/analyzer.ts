import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { openPostgresResultStore } from '../../../src/adapters/postgres/result-store.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { addCounters, firstDeliveries, secondDeliveries, shuffled, type Delivery } from './deliveries.ts';

const ANALYZERS = 5;

/** A store with one connection of its own, as a function has it. */
export function openAnalyzer(url: string): Promise<ResultStore> {
  return openPostgresResultStore(new PgDatabase({ url, maxConnections: 1 }), {
    mergeStates: addCounters,
    clock: new SystemClock(),
    random: { next: Math.random },
  });
}

export async function deliverAll(store: ResultStore, deliveries: readonly Delivery[]): Promise<void> {
  for (const deliver of deliveries) await deliver(store);
}

/** A process of its own: some analyzers that do all that there is to do, each in its own order. */
if (import.meta.main) {
  const [url, phase] = process.argv.slice(2);
  if (url === undefined) throw new Error('usage: analyzer.ts URL first|second');
  const deliveries = phase === 'first' ? firstDeliveries() : secondDeliveries();
  await Promise.all(
    Array.from({ length: ANALYZERS }, async (_, i) => {
      const store = await openAnalyzer(url);
      await deliverAll(store, shuffled(deliveries, process.pid + i).slice(i * 20, i * 20 + 40));
      await store.close();
    }),
  );
}
