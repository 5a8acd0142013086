import { expect, test } from 'vitest';
import { runCampaign } from './campaign.ts';
import { targets } from './targets.ts';

// The same inputs each time: a gate must not fail for what nobody has changed. `npm run fuzz` draws others.
test('nothing that reads crashes, hangs or differs from a second reader', { timeout: 240_000 }, async () => {
  const { totals, findings } = await runCampaign({ targets, inputs: 3_000, ms: null, seed: 20_261_128 });
  expect(findings).toEqual([]);
  expect([...totals.keys()]).toEqual(targets.map(({ name }) => name));
  for (const [target, { inputs, accepted, refused }] of totals) {
    expect(accepted + refused, target).toBe(inputs);
    // A corpus of which nothing is accepted, or nothing refused, tries nothing.
    expect(Math.min(accepted, refused), target).toBeGreaterThan(0);
  }
});
