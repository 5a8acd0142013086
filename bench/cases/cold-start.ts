/** Cold starts and bundles of our functions, against handlers with Powertools batch and idempotency that do the same. */
import { ourFunctions, powertoolsFunctions, type FunctionBundle } from '../data/function-bundles.ts';
import type { Contender, Goal, MakeCase } from '../harness/contender.ts';
import { moduleOf } from '../harness/places.ts';

const makeCase: MakeCase = async () => {
  const whole = await ourFunctions('all');
  const ours = await ourFunctions('least');
  const theirs = await powertoolsFunctions();
  const contender =
    (whose: string) =>
    (bundle: FunctionBundle): Contender => ({
      name: `${bundle.name}, ${whose}`,
      module: moduleOf('contenders/cold-start'),
      options: bundle,
      amount: 1,
      expected: {},
    });
  const smaller = (name: string, what: string, count: string): Goal => ({
    says: `${name}: ${what} over that with Powertools: at most 1`,
    value: (round) => {
      const [our = NaN, their = NaN] = ['sluice', 'Powertools'].map(
        (whose) => round(`${name}, ${whose}`).measured.counts[count],
      );
      return our / their;
    },
    atMost: 1,
  });
  // The function is a process of its own, so that the times in the goals are what tells; CPU and memory are the measuring process's.
  return {
    title: "Cold starts under AWS's runtime client, from the start of the process to its first reply",
    unit: 'starts',
    contenders: [
      ...ours.map(contender('sluice')),
      ...theirs.map(contender('Powertools')),
      ...whole.map(contender('sluice, all parts')),
    ],
    // Powertools' handlers know no PostgreSQL, no Redis and no tracing either.
    goals: ours.flatMap(({ name }) => [
      smaller(name, 'bundle', 'bundleBytes'),
      smaller(name, 'init', 'initMs'),
      smaller(name, 'first reply', 'firstReplyMs'),
    ]),
  };
};

export default makeCase;
