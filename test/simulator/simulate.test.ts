import { describe, expect, it } from 'vitest';
import lanePerformance from '../../examples/lane-performance.ts';
import { useCases, type Functions } from '../../src/testing/simulator/functions.ts';
import { expectExactlyOnce } from '../../src/testing/simulator/expect-exactly-once.ts';
import { callFaults, noFaults, platformFaults, type FaultKind } from '../../src/testing/simulator/faults.ts';
import { scenarioOf, type Scenario } from '../../src/testing/simulator/scenario.ts';
import { shrink } from '../../src/testing/simulator/shrink.ts';
import { simulate } from '../../src/testing/simulator/simulate.ts';
import { definePipeline } from '../../src/domain/pipeline.ts';
import { count } from '../../src/domain/measure.ts';
import { play } from './history-of-seed.ts';
import { subjectOfSeed } from './subject-of-seed.ts';

const ROWS = 300;

const flights = Array.from({ length: 200 }, (_, index) => ({
  date: '2001-01-01T00:00:00Z',
  delay: (index % 90) - 10,
  distance: 100 + index,
  origin: index % 2 === 0 ? 'LAX' : 'LAS',
  destination: 'SFO',
}));

/** Functions of which one gives up what it should do. */
const lossy: Functions = {
  ...useCases,
  ingest: async (source, messages, call) => {
    await useCases.ingest(source, messages.slice(1), call);
    return [];
  },
};

/** A seed with messages from elsewhere, and not many rows. */
const someSeed = [1, 2, 3, 5, 6, 7, 9].find(
  (one) => subjectOfSeed(one, scenarioOf(one, ROWS).rows).messages.length > 1,
) as number;

describe('simulate', () => {
  it('gives the same history for the same seed, whichever functions run', async () => {
    for (const seed of [4, 7]) {
      const first = await play(scenarioOf(seed, ROWS));
      const second = await play(scenarioOf(seed, ROWS));
      expect(second).toEqual(first);
      expect(first.history.length).toBeGreaterThan(5);
    }
  });

  it('strikes with every fault that it has, and nothing is lost', async () => {
    const struck = Object.fromEntries([...callFaults, ...platformFaults].map((kind) => [kind, 0])) as Record<
      FaultKind,
      number
    >;
    for (let seed = 1; seed <= 30; seed++) {
      const outcome = await play(scenarioOf(seed, ROWS));
      expect(outcome).toMatchObject({ wrong: [], lost: 0, duplicated: 0 });
      for (const [kind, times] of Object.entries(outcome.struck)) struck[kind as FaultKind] += times;
    }
    expect(Object.entries(struck).filter(([, times]) => times === 0)).toEqual([]);
  });

  it('counts what is lost', async () => {
    const calm = { ...scenarioOf(someSeed, ROWS), rates: noFaults };
    const outcome = await simulate(calm, subjectOfSeed(someSeed, calm.rows), lossy);
    expect(outcome.lost).toBeGreaterThan(0);
    expect(outcome.wrong).not.toEqual([]);
  });

  it('makes a failing history smaller, and it fails still', async () => {
    const fails = async (scenario: Scenario) =>
      (await simulate(scenario, subjectOfSeed(someSeed, scenario.rows), lossy)).wrong.length > 0;
    const whole = scenarioOf(someSeed, ROWS);
    const smallest = await shrink(whole, fails, 3_000);
    expect(await fails(smallest)).toBe(true);
    expect(smallest.maxFaults).toBe(0);
  });
});

describe('expectExactlyOnce', () => {
  it('passes for a pipeline that is what it should be', async () => {
    await expectExactlyOnce(lanePerformance, flights, { seeds: 10 });
  });

  it('tells seed, history and scenario of a pipeline that is not deterministic', async () => {
    let calls = 0;
    const pipeline = definePipeline({
      name: 'moody',
      version: 1,
      source: {},
      transform: (row: object) => ({ ...row, call: calls++ }),
      analyze: { groupBy: () => 'all', measures: { rows: count() } },
    });
    const failing = expectExactlyOnce(pipeline, flights, { seeds: 50, shrinkMs: 500 });
    await expect(failing).rejects.toThrow(/seed \d+: .*what happened last:.*scenario: \{/s);
  });
});
