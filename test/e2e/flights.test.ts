import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repository, Scratch } from '../cli/harness.ts';
import { expectLanesOfDuckDb, type Lane } from './lanes-of-duckdb.ts';

const FLIGHTS = join(repository, 'node_modules/vega-datasets/data/flights-3m.parquet');
/** `hub-load` makes two messages a row and counts distinct values: a tenth of the flights tells as much. */
const HUB_ROWS = 300_000;

describe('the flights of the examples', { timeout: 240_000 }, () => {
  let scratch: Scratch;
  let duck: DuckDBConnection;

  beforeAll(async () => {
    scratch = await Scratch.make();
    await cp(join(repository, 'examples'), scratch.path('examples'), { recursive: true });
    duck = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
  });

  afterAll(async () => {
    duck.closeSync();
    await scratch[Symbol.asyncDispose]();
  });

  async function query(sql: string): Promise<readonly Record<string, unknown>[]> {
    return (await duck.runAndReadAll(sql)).getRowObjectsJson();
  }

  test('lane-performance: every lane as DuckDB has it', async () => {
    const { report, code } = await scratch.run('examples/lane-performance.ts', FLIGHTS);
    expect(code).toBe(0);
    const results = scratch.results('lane-performance@1') as unknown as Record<string, Lane>;
    await expectLanesOfDuckDb(results, FLIGHTS);

    const [all] = await query(
      `SELECT count(*)::INT AS rows, count(*) FILTER (delay >= -60)::INT AS kept, count(*) FILTER (delay > 1440)::INT AS lost FROM '${FLIGHTS}'`,
    );
    expect(report).toMatchObject({
      objects: 1,
      rowsRead: Number(all?.['rows']) - report.rowsPruned,
      messages: all?.['kept'],
      applied: all?.['kept'],
      duplicates: 0,
      failed: { total: 0 },
      groups: Object.keys(results).length,
      complete: true,
    });
    expect(report.rowsFiltered + report.rowsPruned).toBe(Number(all?.['rows']) - Number(all?.['kept']));
    expect(
      scratch.count(
        'SELECT count(*) FROM objects WHERE complete = 0 OR sections_complete <> last_section + 1',
      ),
    ).toBe(0);
    expect(scratch.count('SELECT sections_complete FROM objects')).toBe(report.sections);
    expect(scratch.count("SELECT count(*) FROM flags WHERE kind = 'lost-a-day'")).toBe(all?.['lost']);

    // Findings follow from the measures, and from nothing else.
    const lateLanes = Object.values(results).filter(
      ({ flights, late }) => flights >= 500 && late / flights > 0.3,
    );
    expect(report.findings).toBe(lateLanes.length + Number(all?.['lost']));
    const { answer } = await scratch.json('reconcile');
    expect(answer).toMatchObject({ complete: true, balanced: true, unbalanced: [] });
  });

  test('hub-load: both ends of every flight as DuckDB counts them', async () => {
    await mkdir(scratch.path('some'));
    const part = scratch.path('some/part.parquet');
    await duck.run(
      `COPY (SELECT * FROM '${FLIGHTS}' LIMIT ${HUB_ROWS}) TO '${part}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)`,
    );
    const { report, code } = await scratch.run('examples/hub-load.ts', 'some', '--out', 'hubs');
    expect(code).toBe(0);
    expect(report).toMatchObject({ rowsRead: HUB_ROWS, messages: 2 * HUB_ROWS, applied: 2 * HUB_ROWS });
    const hubs = await query(
      `WITH visits AS (
         SELECT origin AS hub, destination AS other, true AS departs, delay, distance FROM '${part}' UNION ALL
         SELECT destination, origin, false, delay, distance FROM '${part}')
       SELECT hub, count(*)::INT AS visits, count(*) FILTER (departs)::INT AS departures,
         count(*) FILTER (NOT departs AND delay > 15)::INT AS "lateArrivals",
         count(DISTINCT other)::INT AS connections, sum(distance)::DOUBLE AS miles
       FROM visits GROUP BY hub ORDER BY hub`,
    );
    expect(scratch.results('hub-load@1', 'hubs')).toEqual(
      Object.fromEntries(hubs.map(({ hub, ...measures }) => [hub, measures])),
    );
  });
});
