import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  burstOf,
  drainSeconds,
  functionsAt,
  rampOf,
  secondsUntil,
} from '../../../src/entrypoints/cli/estimate/burst.ts';
import { deployedByDefault, type Deployment } from '../../../src/entrypoints/cli/estimate/deployment.ts';
import { quantitiesOf } from '../../../src/entrypoints/cli/estimate/quantities.ts';
import { measuredRates } from '../../../src/entrypoints/cli/estimate/rates.ts';
import type { Workload } from '../../../src/entrypoints/cli/estimate/workload.ts';
import { simulateBurst } from './burst-simulation.ts';
import { requestOf } from './workloads.ts';

/** Of the simulation, by which a formula may be off: it takes all tasks for equally long, where those of the simulation differ by 30 % up and down. */
const TOLERANCE = 0.2;
const ACCOUNT = 20_000;
const LARGE_SECTIONS = 16 * 1024 * 1024;

interface Case {
  readonly name: string;
  readonly workload: Partial<Workload>;
  readonly deployment: Partial<Deployment>;
  readonly boundBy: 'functions' | 'stream' | 'analyze' | 'database';
  readonly rowsPerSecond?: number;
}

const provisioned = { transformPollers: { minimum: 10, maximum: 1_000 } };
/** Functions that take long for little: what a transform of much thought is like. */
const thoughtful = { rowsPerSecond: 300 };

const cases: readonly Case[] = [
  {
    name: '10,000 functions, dedicated pollers, a transform of much thought',
    workload: { objects: 20_000, rows: 800_000_000, groups: 1_000, partitioned: false },
    deployment: {
      ...provisioned,
      shards: 32,
      database: { ...deployedByDefault.database, maximumCapacity: 256 },
    },
    boundBy: 'functions',
    ...thoughtful,
  },
  {
    name: 'the queue’s own pollers, 1,000 at once',
    workload: { objects: 10_000, rows: 400_000_000, groups: 1_000, partitioned: false },
    deployment: {
      transformConcurrency: 1_000,
      shards: 16,
      database: { ...deployedByDefault.database, maximumCapacity: 64 },
    },
    boundBy: 'functions',
    rowsPerSecond: 1_000,
  },
  {
    name: 'as it is deployed by default',
    workload: { objects: 2_000, rows: 60_000_000, groups: 8_000_000 },
    deployment: {},
    boundBy: 'database',
  },
  {
    name: 'a database that is large enough, and many groups',
    workload: { objects: 2_000, rows: 60_000_000, groups: 8_000_000 },
    deployment: { shards: 4, database: { ...deployedByDefault.database, maximumCapacity: 256 } },
    boundBy: 'stream',
  },
  {
    name: 'large messages over few shards',
    workload: { objects: 4_000, rows: 40_000_000, groups: 1_000, messageBytes: 900 },
    deployment: {
      shards: 8,
      parallelizationFactor: 4,
      database: { ...deployedByDefault.database, maximumCapacity: 256 },
    },
    boundBy: 'stream',
  },
];

describe('the time of a burst', () => {
  it.each(cases)(
    'is what a simulation comes to: $name',
    { timeout: 120_000 },
    ({ workload, deployment, boundBy, rowsPerSecond }) => {
      const rates = { ...measuredRates, ...(rowsPerSecond === undefined ? {} : { rowsPerSecond }) };
      const request = requestOf(
        { per: 'once', arrival: 'order', sectionBytes: LARGE_SECTIONS, ...workload },
        { deployment: { ...deployedByDefault, ...deployment }, rates, accountConcurrency: ACCOUNT },
      );
      const quantities = quantitiesOf(request.workload, request.deployment, rates);
      const said = burstOf(10_000, { ...request, quantities });
      const framesOfTask = Math.round(quantities.stream.records / quantities.tasks);
      const records = framesOfTask * quantities.tasks;
      // Of what the formulae say of all frames, the share of one: how they overlap and wait for each other is the simulation's.
      const lanes = said.shards * request.deployment.parallelizationFactor;
      const simulated = simulateBurst({
        deployment: request.deployment,
        accountConcurrency: ACCOUNT,
        tasks: said.tasks,
        secondsPerTask: said.secondsPerTask,
        partitions: request.workload.partitions,
        shards: said.shards,
        frames: framesOfTask,
        bytesPerFrame: quantities.stream.bytes / records,
        analyzeSeconds: (said.bounds.analyze * Math.min(lanes, request.workload.partitions)) / records,
        databaseSeconds: said.bounds.database / records,
      });
      expect(said.boundBy).toBe(boundBy);
      expect(Math.abs(said.seconds / simulated.seconds - 1)).toBeLessThan(TOLERANCE);
    },
  );

  it('10,000 functions come after ten minutes with two dedicated pollers to start with, as simulated', () => {
    const deployment = { ...deployedByDefault, transformPollers: { minimum: 2, maximum: 1_000 } };
    const ramp = rampOf(deployment, ACCOUNT);
    const simulated = simulateBurst({
      deployment,
      accountConcurrency: ACCOUNT,
      tasks: 200_000,
      secondsPerTask: 240,
      partitions: 1,
      shards: 1,
      frames: 0,
      bytesPerFrame: 0,
      analyzeSeconds: 0,
      databaseSeconds: 0,
    });
    expect(secondsUntil(ramp, 10_000)).toBeCloseTo(598.8, 1);
    expect(simulated.mostFunctions).toBe(10_000);
    expect(Math.abs((simulated.secondsUntil(10_000) as number) / 598.8 - 1)).toBeLessThan(0.02);
  });

  it('without dedicated pollers 10,000 functions never come: 1,000 do, after little more than three minutes', () => {
    const ramp = rampOf({ ...deployedByDefault, transformConcurrency: 1_000 }, ACCOUNT);
    expect(secondsUntil(ramp, 10_000)).toBeNull();
    expect(secondsUntil(ramp, 1_000)).toBe(199);
    expect(ramp).toMatchObject({ start: 5, perSecond: 5, most: 1_000, keptBy: 'concurrency' });
  });

  it('an account that may run fewer is what keeps them down', () => {
    expect(rampOf({ ...deployedByDefault, ...provisioned }, 1_000)).toMatchObject({
      most: 1_000,
      keptBy: 'account',
    });
  });
});

describe('the formula of drained tasks', () => {
  const ramps = fc.record({
    start: fc.integer({ min: 1, max: 2_000 }),
    perSecond: fc.double({ min: 0.1, max: 100, noNaN: true }),
    most: fc.integer({ min: 2_000, max: 20_000 }),
    keptBy: fc.constant('pollers' as const),
  });
  const seconds = fc.double({ min: 0.5, max: 900, noNaN: true });

  it('takes longer for more tasks, and for slower ones, and never less than one task', () => {
    fc.assert(
      fc.property(ramps, fc.integer({ min: 1, max: 50_000 }), seconds, (ramp, tasks, each) => {
        const drained = drainSeconds(ramp, tasks, each);
        expect(drained).toBeGreaterThanOrEqual(each);
        expect(drainSeconds(ramp, tasks + 1_000, each)).toBeGreaterThanOrEqual(drained - 1e-2);
        expect(drainSeconds(ramp, tasks, each * 1.5)).toBeGreaterThanOrEqual(drained - 1e-2);
      }),
      { numRuns: 60 },
    );
  });

  it('cannot do more than all functions at all times, and with as many as there are tasks each begins at once', () => {
    fc.assert(
      fc.property(ramps, fc.integer({ min: 1, max: 50_000 }), seconds, (ramp, tasks, each) => {
        const drained = drainSeconds(ramp, tasks, each);
        expect(drained * functionsAt(ramp, drained)).toBeGreaterThanOrEqual(tasks * each * 0.999);
      }),
      { numRuns: 60 },
    );
    expect(drainSeconds({ start: 50, perSecond: 1, most: 100, keptBy: 'pollers' }, 50, 7)).toBe(7);
    expect(drainSeconds({ start: 50, perSecond: 1, most: 100, keptBy: 'pollers' }, 0, 7)).toBe(0);
  });
});
