import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOf, MAX_KEY, valueOf, WIDEST_RATIO } from '../../src/application/measures/quantile-bins.ts';
import { finite } from './rational.ts';

/** The bins' values are rounded to a double themselves: among denormal numbers that is much. */
const HALF_STEP = 5e-324;

test('a bin value is within 1 % of every value in the bin', () => {
  fc.assert(
    fc.property(finite, (value) => {
      expect(Math.abs(valueOf(keyOf(value)) - value)).toBeLessThanOrEqual(0.01 * Math.abs(value) + HALF_STEP);
    }),
    { numRuns: 2000 },
  );
});

test('the widest bin is narrower than 1 % needs', () => {
  expect((WIDEST_RATIO - 1) / (WIDEST_RATIO + 1)).toBeLessThan(0.0099);
});

test('keys are in the order of values', () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      if (a <= b) expect(keyOf(a)).toBeLessThanOrEqual(keyOf(b));
      else expect(keyOf(a)).toBeGreaterThanOrEqual(keyOf(b));
    }),
  );
});

test('every key of the range names its own bin', () => {
  for (let key = 100 * 36; key <= MAX_KEY; key++) {
    if (keyOf(valueOf(key)) !== key || keyOf(valueOf(-key)) !== -key) expect.fail(`key ${key}`);
  }
  expect([keyOf(5e-324), keyOf(Number.MAX_VALUE), keyOf(-Number.MAX_VALUE), keyOf(0), keyOf(-0)]).toEqual([
    1,
    MAX_KEY,
    -MAX_KEY,
    0,
    0,
  ]);
});

test('borders are those of the whole-number root, on the grid', () => {
  // Keys of the octave from 1 to 2, told from exact powers: a grid step starts bin k where it is the nearest to 2^(k/36).
  const base = keyOf(1);
  for (let k = 1; k < 36; k++) {
    // Twice the grid position of the border, rounded: the largest odd half step below it, compared as 36th powers.
    let step = 0;
    while ((2n * (4096n + BigInt(step)) + 1n) ** 36n < 2n ** BigInt(k) * 8192n ** 36n) step++;
    expect(keyOf(1 + step / 4096) - base).toBe(k);
    expect(keyOf(1 + step / 4096 - 2 ** -52) - base).toBe(k - 1);
  }
});
