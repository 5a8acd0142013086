/** What `examples/lane-performance.ts` measures, as a query of DuckDB's on two threads. */
import { DuckDBInstance } from '@duckdb/node-api';
import type { Counts } from '../harness/contender.ts';

export default async function lanes({ flights }: { readonly flights: string }): Promise<Counts> {
  const duck = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
  try {
    const ranks = [0.5, 0.9, 0.95, 0.99].map((rank) => `quantile_disc(delay, ${rank})`);
    const reader = await duck.runAndReadAll(
      `SELECT origin || '-' || destination AS lane, count(*) AS flights, count(*) FILTER (delay > 15) AS late, avg(delay) AS mean,
         max(delay) AS worst, min(delay) AS least, max(distance) AS distance, ${ranks.join(', ')}
       FROM '${flights}' WHERE delay >= -60 GROUP BY ALL`,
    );
    const rows = reader.getRowObjectsJson();
    const applied = rows.reduce((sum, { flights: many }) => sum + Number(many), 0);
    return { groups: rows.length, applied };
  } finally {
    duck.closeSync();
  }
}
