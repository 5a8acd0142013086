import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parquetMetadata } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parquetDecoder } from '../../../src/application/formats/parquet/decoder.ts';
import type { Where } from '../../../src/domain/where.ts';
import { DuckFiles, MemoryObject, optionsWith, readAll, signal } from './parquet-files.ts';

const path = fileURLToPath(
  new URL('../../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url),
);
let bytes: Uint8Array;
let duck: DuckFiles;
beforeAll(async () => {
  bytes = await readFile(path);
  duck = await DuckFiles.create();
});
afterAll(() => duck[Symbol.asyncDispose]());

interface Lane {
  flights: number;
  delay: number;
  distance: number;
  latest: number;
}

async function lanesOf(where: Where | undefined): Promise<{ lanes: Map<string, Lane>; accounted: number }> {
  const lanes = new Map<string, Lane>();
  let accounted = 0;
  const options = optionsWith({ columns: ['date', 'delay', 'distance', 'origin', 'destination'], where });
  for await (const batch of parquetDecoder.read(
    new MemoryObject(bytes),
    { from: 0, to: null },
    null,
    options,
    signal,
  )) {
    expect(batch.faults).toEqual([]);
    accounted += batch.rows.length + batch.pruned + batch.filtered;
    for (const row of batch.rows) {
      const key = `${row.origin as string}-${row.destination as string}`;
      let lane = lanes.get(key);
      if (lane === undefined) lanes.set(key, (lane = { flights: 0, delay: 0, distance: 0, latest: 0 }));
      lane.flights++;
      lane.delay += row.delay as number;
      lane.distance += row.distance as number;
      lane.latest = Math.max(lane.latest, (row.date as Date).getTime());
    }
  }
  return { lanes, accounted };
}

async function lanesByDuckDb(condition: string): Promise<Map<string, Lane>> {
  const reader = await duck.connection.runAndReadAll(
    `SELECT origin || '-' || destination, count(*)::DOUBLE, sum(delay)::DOUBLE, sum(distance)::DOUBLE, max(epoch_ms(date))::DOUBLE
     FROM read_parquet('${path.replaceAll("'", "''")}') WHERE ${condition} GROUP BY 1`,
  );
  return new Map(
    (reader.getRows() as [string, number, number, number, number][]).map(
      ([key, flights, delay, distance, latest]) => [key, { flights, delay, distance, latest }],
    ),
  );
}

describe('three million flights', () => {
  test.each<[string, Where | undefined, string]>([
    ['all', undefined, 'true'],
    [
      'late ones of some months',
      { delay: { $gt: 15 }, date: { $gte: '2001-02-01', $lt: '2001-04-01' } },
      `delay > 15 AND date >= '2001-02-01' AND date < '2001-04-01'`,
    ],
    [
      'of some airports',
      {
        $or: [{ origin: { $in: ['LAX', 'JFK'] } }, { destination: 'ANC' }],
        distance: { $not: { $lt: 500 } },
      },
      `(origin IN ('LAX', 'JFK') OR destination = 'ANC') AND NOT distance < 500`,
    ],
  ])('%s: counts and sums by lane are those of DuckDB', async (_, where, condition) => {
    const { lanes, accounted } = await lanesOf(where);
    expect(accounted).toBe(3_000_000);
    const expected = await lanesByDuckDb(condition);
    expect(lanes.size).toBe(expected.size);
    expect(lanes.size).toBeGreaterThan(50);
    expect(Object.fromEntries(lanes)).toEqual(Object.fromEntries(expected));
  });

  test('three columns cost the bytes of three columns', async () => {
    const columns = ['delay', 'origin', 'destination'];
    const object = new MemoryObject(bytes);
    const { accounted } = await readAll(object, optionsWith({ columns, where: { delay: { $gt: 1e6 } } }));
    expect(accounted).toBe(3_000_000);
    const all = new MemoryObject(bytes);
    await readAll(all, optionsWith({ columns, where: { delay: { $gt: 500 } } }));
    const needed = parquetMetadata(bytes)
      .row_groups.flatMap((group) => group.columns.map((column) => column.meta_data!))
      .filter((chunk) => columns.includes(chunk.path_in_schema[0]!))
      .reduce((sum, chunk) => sum + Number(chunk.total_compressed_size), 0);
    expect(all.bytesRead).toBeLessThan(needed * 1.2);
    // No flight is that late: the footer alone tells.
    expect(object.bytesRead).toBeLessThan(100_000);
  });
});
