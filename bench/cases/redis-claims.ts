/** Keys of messages from elsewhere: claimed and committed in Redis on loopback. */
import type { MakeCase } from '../harness/contender.ts';
import { speed } from '../harness/goals.ts';
import { moduleOf } from '../harness/places.ts';

const makeCase: MakeCase = ({ quick }) => {
  const keys = quick ? 200_000 : 1_000_000;
  return Promise.resolve({
    title: 'Claims: keys claimed and committed',
    unit: 'keys',
    contenders: [
      {
        name: 'RedisDedupStore',
        module: moduleOf('contenders/redis-claims'),
        options: { keys },
        amount: keys,
        expected: { committed: keys },
      },
    ],
    goals: [speed('RedisDedupStore', 'keys', 100_000)],
  });
};

export default makeCase;
