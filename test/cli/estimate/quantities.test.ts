import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costOf, sumOf } from '../../../src/entrypoints/cli/estimate/cost.ts';
import { deployedByDefault } from '../../../src/entrypoints/cli/estimate/deployment.ts';
import { estimate } from '../../../src/entrypoints/cli/estimate/estimate.ts';
import { distinct, shapeOf } from '../../../src/entrypoints/cli/estimate/object-shape.ts';
import {
  processors,
  quantitiesOf,
  type Quantities,
} from '../../../src/entrypoints/cli/estimate/quantities.ts';
import { measuredRates } from '../../../src/entrypoints/cli/estimate/rates.ts';
import { breakEvenOf, serversOf } from '../../../src/entrypoints/cli/estimate/servers.ts';
import { scaled, type Workload } from '../../../src/entrypoints/cli/estimate/workload.ts';
import { everyDay, requestOf } from './workloads.ts';

const MIB = 1024 * 1024;

const workloads: fc.Arbitrary<Workload> = fc
  .record({
    objects: fc.integer({ min: 1, max: 100_000 }),
    rowsPerObject: fc.integer({ min: 1, max: 1_000_000 }),
    rowBytes: fc.integer({ min: 10, max: 2_000 }),
    keyedMessages: fc.integer({ min: 0, max: 100_000_000 }),
    format: fc.constantFrom('csv' as const, 'jsonl' as const),
    arrival: fc.constantFrom('events' as const, 'order' as const),
    hours: fc.constantFrom(0.5, 1, 24),
    groups: fc.integer({ min: 1, max: 10_000_000 }),
    partitions: fc.integer({ min: 1, max: 512 }),
    partitioned: fc.boolean(),
    messageBytes: fc.integer({ min: 5, max: 5_000 }),
  })
  .map(({ objects, rowsPerObject, rowBytes, ...rest }) => ({
    ...everyDay,
    ...rest,
    objects,
    rows: objects * rowsPerObject,
    bytes: objects * rowsPerObject * rowBytes,
  }));

const quantities = (workload: Workload) => quantitiesOf(workload, deployedByDefault, measuredRates);

/** Every number of it. */
function numbersOf(value: unknown, path = ''): (readonly [string, number])[] {
  if (typeof value === 'number') return [[path, value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => numbersOf(each, `${path}.${key}`));
}

describe('the quantities of any workload', () => {
  it('are numbers from 0, and as many rows have at least as many tasks, records and seconds', () => {
    fc.assert(
      fc.property(workloads, fc.double({ min: 1, max: 50, noNaN: true }), (workload, factor) => {
        const some = quantities(workload);
        for (const [path, value] of numbersOf(some)) {
          expect(Number.isFinite(value), path).toBe(true);
          expect(value, path).toBeGreaterThanOrEqual(0);
        }
        const more = quantities(scaled(workload, factor));
        const grown: (readonly [string, (of: Quantities) => number])[] = [
          ['tasks', (of) => of.tasks],
          ['reads', (of) => of.s3.gets],
          ['lists', (of) => of.s3.lists],
          ['records', (of) => of.stream.records],
          ['bytes', (of) => of.stream.bytes],
          ['transactions', (of) => of.database.transactions],
          ['GB-seconds', (of) => of.functions.transform.gigabyteSeconds],
        ];
        for (const [name, of] of grown) expect(of(more), name).toBeGreaterThanOrEqual(of(some) * (1 - 1e-9));
      }),
      { numRuns: 300 },
    );
  });

  it('hold together: a record for each section, a group changed by no more frames than messages, units for all bytes', () => {
    fc.assert(
      fc.property(workloads, (workload) => {
        const { shape, stream, database, messages, tasks, sqs } = quantities(workload);
        expect(stream.records).toBeGreaterThanOrEqual(workload.objects * shape.sections * (1 - 1e-9));
        expect(database.groupChanges).toBeLessThanOrEqual(messages * (1 + 1e-6) + 1);
        expect(stream.payloadUnits * 25 * 1024).toBeGreaterThanOrEqual(stream.bytes * (1 - 1e-6));
        expect(stream.roundedBytes).toBeGreaterThanOrEqual(stream.bytes * (1 - 1e-6));
        expect(shape.tasks).toBeLessThanOrEqual(shape.sections);
        expect(sqs.sends).toBeGreaterThanOrEqual(tasks / 10);
      }),
      { numRuns: 300 },
    );
  });
});

describe('one object', () => {
  const shape = (changes: Partial<Workload>) =>
    shapeOf({ ...everyDay, objects: 1, ...changes }, measuredRates);

  it('of at most 1 MiB is one task that dispatch does not open, read in one go up to 64 KiB and in two from there', () => {
    expect(shape({ rows: 100, bytes: 64 * 1024 })).toMatchObject({
      sections: 1,
      tasks: 1,
      opened: false,
      dispatchReads: 0,
      transformReads: 1,
    });
    expect(shape({ rows: 100, bytes: MIB })).toMatchObject({ opened: false, transformReads: 2 });
    expect(shape({ rows: 100, bytes: MIB + 1 })).toMatchObject({ opened: true, dispatchReads: 1 });
  });

  it('of 1 GiB is 64 sections in 16 tasks, whose beginnings are looked for in all of CSV and beside them in JSON Lines', () => {
    const large = { rows: 4_000_000, bytes: 1024 * MIB };
    // A task of 64 MiB: its head, and nine parts of 8 MiB with what hangs over.
    expect(shape({ ...large, format: 'jsonl' })).toMatchObject({
      sections: 64,
      tasks: 16,
      singleSends: 15,
      dispatchReads: 1 + 15,
      searchedBytes: 0,
    });
    expect(shape({ ...large, format: 'csv' })).toMatchObject({
      dispatchReads: 1 + 120,
      searchedBytes: 960 * MIB,
    });
    expect(shape({ ...large, format: 'csv', multiline: false }).dispatchReads).toBe(16);
    // The first and the last task have eight parts, the others nine.
    expect(shape(large).transformReads).toBe(16 + 14 * 9 + 2 * 8);
  });

  it('has a frame for each partition and section, more where they are full, and few where there are few groups', () => {
    const section = { rows: 50_000, bytes: 16 * MIB };
    expect(shape(section).frames).toBeCloseTo(32, 5);
    expect(shape({ ...section, groups: 1 }).frames).toBe(5);
    expect(shape({ ...section, partitioned: false }).frames).toBe(5);
    expect(shape({ ...section, groups: 3 }).frames).toBeLessThan(5 * 3);
  });
});

it('as many different ones are among those picked as a dice gives', () => {
  expect(distinct(6, 0)).toBe(0);
  expect(distinct(6, 1)).toBeCloseTo(1, 9);
  expect(distinct(6, 2)).toBeCloseTo(11 / 6, 9);
  expect(distinct(1, 5)).toBe(1);
  expect(distinct(8_000_000, 10)).toBeCloseTo(10, 3);
});

it('a whole processor comes with 1,769 MiB, and no more than one is of use', () => {
  expect(processors(1_769)).toBe(1);
  expect(processors(3_538)).toBe(1);
  expect(processors(884.5)).toBe(0.5);
});

describe('cost', () => {
  it('adds up, line by line, and is no less for more work', () => {
    fc.assert(
      fc.property(workloads, fc.double({ min: 1, max: 20, noNaN: true }), (workload, factor) => {
        const request = requestOf(workload);
        const { work, standing, workUsd, standingUsd } = costOf(quantities(workload), request);
        for (const line of [...work, ...standing]) {
          expect(line.usd).toBeCloseTo(line.quantity * line.price, 9);
          expect(line.usd).toBeGreaterThanOrEqual(0);
        }
        expect(sumOf(work)).toBe(workUsd);
        expect(sumOf(standing)).toBe(standingUsd);
        const larger = scaled(workload, factor);
        const more = costOf(quantities(larger), { ...request, workload: larger });
        expect(more.workUsd).toBeGreaterThanOrEqual(workUsd * (1 - 1e-6));
      }),
      { numRuns: 200 },
    );
  });

  it('of a month is that of its days and what stands', () => {
    const made = estimate(requestOf());
    expect(made.usdPerMonth).toBeCloseTo((made.cost.workUsd * 730) / 24 + made.cost.standingUsd, 9);
    expect(estimate(requestOf({ per: 'once', arrival: 'order' })).usdPerMonth).toBeNull();
  });

  it('of shards is by the shard and the payload unit, on demand by the GB', () => {
    const lines = (shards: number | null) => {
      const deployment = { ...deployedByDefault, shards };
      const made = costOf(quantities(everyDay), requestOf({}, { deployment }));
      return [...made.work, ...made.standing]
        .filter(({ service }) => service === 'Kinesis')
        .map(({ what }) => what);
    };
    expect(lines(null)).toEqual(['GB in', 'GB out', 'hours of a stream']);
    expect(lines(4)).toEqual(['million put payload units', 'hours of a shard']);
  });
});

describe('servers', () => {
  it('are two at least, and more as the peak and the work ask for', () => {
    const servers = (factor: number, peak: number) => {
      const workload = scaled(everyDay, factor);
      return serversOf(quantities(workload), requestOf(workload, { peak })).servers;
    };
    expect(servers(1, 1)).toBe(2);
    expect(servers(1_000, 3)).toBeGreaterThan(servers(1_000, 1));
    expect(servers(1_000, 1)).toBeGreaterThan(2);
  });

  it('are cheaper from the break-even on and not below it', () => {
    const request = requestOf();
    const { points, messagesPerDay } = breakEvenOf(request);
    const from = messagesPerDay as number;
    const below = points.findLast((point) => point.messagesPerDay < from * 0.999);
    const above = points.filter((point) => point.messagesPerDay > from * 1.001);
    expect(below?.serversUsdPerMonth).toBeGreaterThanOrEqual(below?.serverlessUsdPerMonth ?? Number.NaN);
    expect(above.length).toBeGreaterThan(0);
    for (const point of above) expect(point.serversUsdPerMonth).toBeLessThan(point.serverlessUsdPerMonth);
  });

  it('are nowhere cheaper where they would have to be many for a short peak', () => {
    const { messagesPerDay } = breakEvenOf(requestOf({ hours: 0.5 }, { peak: 10_000 }));
    expect(messagesPerDay).toBeNull();
  });

  it('are cheaper from the least on where they cost nothing', () => {
    const request = requestOf();
    const free = { ...request, prices: { ...request.prices, serverHour: 0, diskGigabyteMonth: 0 } };
    expect(breakEvenOf(free).messagesPerDay).toBe(1e6);
  });
});

describe('notes', () => {
  const notes = (...of: Parameters<typeof requestOf>) => estimate(requestOf(...of)).notes.join('\n');

  it('say what quota, pollers, shards and database are in the way', () => {
    expect(notes({}, { functions: 10_000 })).toContain('transformPollers=10-1000');
    const deployment = { ...deployedByDefault, transformPollers: { minimum: 2, maximum: 1_000 } };
    expect(notes({}, { functions: 10_000, deployment })).toContain('ask AWS for a higher quota');
    expect(notes({}, { functions: 30_000, deployment, accountConcurrency: 40_000 })).toContain(
      'need 3000 pollers, 1000 are given',
    );
    expect(notes(scaled(everyDay, 1_000))).toContain('as many shards as the pipeline has partitions');
    expect(notes({ ...scaled(everyDay, 30), hours: 1 })).toContain('8 capacity units');
    expect(notes()).toContain('the database binds');
  });

  it('are none where nothing is', () => {
    expect(notes({ objects: 10, rows: 10_000, bytes: 2_900_000, groups: 10, partitioned: false })).toBe('');
  });
});

it('servers need the queue and the cache of messages from elsewhere, too', () => {
  const workload = { ...everyDay, objects: 0, rows: 0, bytes: 0, keyedMessages: 60_000_000 };
  const made = estimate(requestOf(workload));
  const services = new Set(made.servers.lines.map(({ service }) => service));
  expect([...services].sort()).toEqual(['EC2', 'S3', 'SQS', 'Valkey']);
  expect(made.notes.join('\n')).toContain('Redis has room for 63 %');
  expect(made.cost.standing.find(({ service }) => service === 'Valkey')?.quantity).toBe(5 * 730);
});
