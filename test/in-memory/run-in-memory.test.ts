import { describe, expect, it } from 'vitest';
import { runInMemory } from 'sluice/in-memory';
import lanePerformance from '../../examples/lane-performance.ts';
import hubLoad from '../../examples/hub-load.ts';

const leg = (origin: string, destination: string, delay: number | null) => ({
  date: new Date('2001-01-01T10:00:00Z'),
  delay,
  distance: 236,
  origin,
  destination,
});

describe('runInMemory', () => {
  it('runs a pipeline over rows, whatever format it declares', async () => {
    const run = await runInMemory(lanePerformance, {
      monday: [leg('LAX', 'LAS', 3), leg('LAX', 'LAS', 40), leg('LAS', 'LAX', -61)],
      tuesday: [leg('LAX', 'LAS', 1500)],
    });
    expect(run.failures).toEqual([]);
    expect(run.complete).toBe(true);
    expect([...run.groups.keys()]).toEqual(['LAX-LAS']);
    expect(run.groups.get('LAX-LAS')).toMatchObject({ flights: 3, late: 2, worst: 1500 });
    expect(run.flags.map(({ finding }) => finding.kind)).toEqual(['lost-a-day']);
    expect(run.objects.map(({ rows, filtered, transformed }) => [rows, filtered, transformed])).toEqual([
      [3, 1, 2],
      [1, 0, 1],
    ]);
  });

  it('tells failures and goes on with the other rows', async () => {
    const run = await runInMemory(hubLoad, {
      'a.csv':
        'date,delay,distance,origin,destination\n2001-01-01,5,10,AAA,BBB\n2001-01-01,,10,AAA,BBB\n2001-01-01,x,10,AAA,BBB\n',
    });
    expect(new Map(run.failures.map(({ code, stage }) => [code, stage]))).toEqual(
      new Map([
        ['E_FLIGHT_INCOMPLETE', 'transform'],
        ['E_VALUE_TYPE', 'read'],
      ]),
    );
    expect(run.groups.get('AAA')).toEqual({
      visits: 1,
      departures: 1,
      lateArrivals: 0,
      connections: 1,
      miles: 10,
    });
    expect(run.complete).toBe(true);
  });

  it('is an open failure of the object where it cannot be read at all', async () => {
    const run = await runInMemory(hubLoad, {
      'a.csv': 'no,such,columns\n1,2,3\n',
      b: [leg('AAA', 'BBB', 1)],
    });
    expect(run.failures.map(({ code }) => code)).toEqual(['E_COLUMN_MISSING']);
    expect(run.groups.get('AAA')?.visits).toBe(1);
    expect(run.complete).toBe(false);
  });
});
