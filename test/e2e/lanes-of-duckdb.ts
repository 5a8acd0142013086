import { DuckDBInstance } from '@duckdb/node-api';
import { expect } from 'vitest';

/** What `examples/lane-performance.ts` measures of a lane. */
export interface Lane {
  readonly flights: number;
  readonly late: number;
  readonly lateShare: number;
  readonly meanDelay: number;
  readonly worst: number;
  readonly distance: number;
  readonly delay: Readonly<Record<string, number>>;
}

/** By the rank that `Quantiles` documents, from 0. */
const RANKS = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 };
/** What `Quantiles` promises, as a share of the value. */
const RELATIVE_ERROR = 0.01;

/** Lane by lane and measure by measure: what SQL makes of the same file, quantiles within their promise. */
export async function expectLanesOfDuckDb(
  results: Readonly<Record<string, Lane>>,
  flightsFile: string,
): Promise<void> {
  const quantiles = Object.entries(RANKS).map(
    ([name, rank]) => `list_sort(list(delay))[floor(${rank} * (count(*) - 1))::INT + 1]::INT AS ${name}`,
  );
  const duck = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
  try {
    const reader = await duck.runAndReadAll(
      `SELECT origin || '-' || destination AS lane, count(*)::INT AS flights, count(*) FILTER (delay > 15)::INT AS late,
         sum(delay)::DOUBLE AS total, max(delay)::INT AS worst, max(distance)::INT AS distance, min(delay)::INT AS least,
         ${quantiles.join(', ')}
       FROM '${flightsFile}' WHERE delay >= -60 GROUP BY ALL`,
    );
    const lanes = reader.getRowObjectsJson() as readonly Record<string, string | number>[];
    expect(lanes.length).toBeGreaterThan(3_000);
    expect(Object.keys(results)).toHaveLength(lanes.length);
    for (const { lane = '', flights, late, total, worst, distance, least, ...exactly } of lanes) {
      const ours = results[lane] as Lane;
      expect({ ...ours, delay: undefined }, `${lane}`).toEqual({
        flights,
        late,
        lateShare: Number(late) / Number(flights),
        // Exact: delays are whole minutes, so that DuckDB's sum is.
        meanDelay: Number(total) / Number(flights),
        worst,
        distance,
        delay: undefined,
      });
      expect(ours.delay).toMatchObject({ count: flights, min: least, max: worst });
      for (const [name, exact] of Object.entries(exactly)) {
        const error = Math.abs((ours.delay[name] as number) - Number(exact));
        const promised = Math.abs(Number(exact)) * RELATIVE_ERROR + 1e-9;
        expect(error, `${lane} ${name}`).toBeLessThanOrEqual(promised);
      }
    }
  } finally {
    duck.closeSync();
  }
}
