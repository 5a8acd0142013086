import fc from 'fast-check';
import type { FaultKind } from './faults.ts';
import type { Scenario } from './scenario.ts';

/**
 * Looks for a smaller history that fails, too: with fewer rows, fewer kinds of faults, and fewer of them.
 *
 * @param fails runs one
 * @param limitMs real time for it
 */
export async function shrink(
  scenario: Scenario,
  fails: (smaller: Scenario) => Promise<boolean>,
  limitMs: number,
): Promise<Scenario> {
  let smallest = scenario;
  const property = fc.asyncProperty(smallerThan(scenario), async (smaller) => {
    const failed = await fails(smaller);
    if (failed) smallest = smaller;
    return !failed;
  });
  await fc.check(property, {
    examples: [[scenario]],
    numRuns: 1,
    plugins: [fc.interruptAfterTimeLimit(limitMs)],
  });
  return smallest;
}

function smallerThan(scenario: Scenario): fc.Arbitrary<Scenario> {
  const upTo = (most: number, least = 0) => fc.integer({ min: least, max: most });
  return fc.record({
    seed: fc.constant(scenario.seed),
    maxFaults: upTo(scenario.maxFaults),
    rows: upTo(scenario.rows, 1),
    rates: fc.record(
      Object.fromEntries(Object.entries(scenario.rates).map(([kind, rate]) => [kind, upTo(rate)])) as Record<
        FaultKind,
        fc.Arbitrary<number>
      >,
    ),
    partitions: upTo(scenario.partitions, 1),
    shards: upTo(scenario.shards, 1),
    concurrency: upTo(scenario.concurrency, 1),
    batchRecords: upTo(scenario.batchRecords, 1),
    sectionBytes: fc.constant(scenario.sectionBytes),
    maxFrameMessages: fc.constant(scenario.maxFrameMessages),
    troubledMs: fc.constant(scenario.troubledMs),
    maxReceives: fc.constant(scenario.maxReceives),
  });
}
