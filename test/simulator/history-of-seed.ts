import type { Functions } from '../../src/testing/simulator/functions.ts';
import { useCases } from '../../src/testing/simulator/functions.ts';
import type { Scenario } from '../../src/testing/simulator/scenario.ts';
import { simulate, type Outcome } from '../../src/testing/simulator/simulate.ts';
import { lambdaFunctions } from './lambda-functions.ts';
import { subjectOfSeed } from './subject-of-seed.ts';

/** Every so many histories, the functions are those that are deployed: events, partial responses, Kinesis's own client. */
export const LAMBDA_EVERY = 4;

/** Runs one history of Sluice's own. */
export function play(scenario: Scenario): Promise<Outcome> {
  return simulate(scenario, subjectOfSeed(scenario.seed, scenario.rows), functionsOf(scenario.seed));
}

function functionsOf(seed: number): Functions {
  return seed % LAMBDA_EVERY === 0 ? lambdaFunctions : useCases;
}
