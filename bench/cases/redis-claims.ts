/** Keys of messages from elsewhere in Redis on loopback: claimed, and claimed and committed. */
import type { MakeCase } from '../harness/contender.ts';
import { speed } from '../harness/goals.ts';
import { moduleOf } from '../harness/places.ts';

const makeCase: MakeCase = ({ quick }) => {
  const keys = quick ? 200_000 : 1_000_000;
  return Promise.resolve({
    title: 'Claims of keys',
    unit: 'keys',
    contenders: [
      {
        name: 'claimed',
        module: moduleOf('contenders/redis-claims'),
        options: { keys, commit: false },
        amount: keys,
        expected: { claimed: keys, committed: 0 },
      },
      {
        name: 'claimed and committed',
        module: moduleOf('contenders/redis-claims'),
        options: { keys, commit: true },
        amount: keys,
        expected: { claimed: keys, committed: keys },
      },
    ],
    goals: [speed('claimed', 'keys', 100_000)],
  });
};

export default makeCase;
