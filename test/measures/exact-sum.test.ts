import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addFixedPoints,
  ExactSum,
  fixedPointOf,
  isSummand,
  toNumber,
  type FixedPoint,
} from '../../src/domain/exact-sum.ts';
import { finite, inSmallestUnits, nearest, whole } from './rational.ts';

function sumOf(values: readonly (number | bigint)[]): FixedPoint {
  const sum = new ExactSum();
  for (const value of values) {
    if (typeof value === 'bigint') sum.addWhole(value);
    else sum.add(value);
  }
  return sum.value();
}

function unitsOf({ sign, exponent, bytes, start, length }: FixedPoint): bigint {
  let units = 0n;
  for (let i = 0; i < length; i++) units += BigInt(bytes[start + i]!) << BigInt(8 * (exponent + i) + 1080);
  expect(units % 64n).toBe(0n);
  return (BigInt(sign) * units) / 64n;
}

function form({ sign, exponent, bytes, start, length }: FixedPoint): unknown {
  return { sign, exponent, bytes: [...bytes.subarray(start, start + length)] };
}

const summands = fc.array(fc.oneof({ weight: 4, arbitrary: finite }, whole), { maxLength: 40 });

test('a sum is the rational sum of doubles and whole numbers', () => {
  fc.assert(
    fc.property(summands, (values) => {
      const exact = values.reduce((total: bigint, value) => total + inSmallestUnits(value), 0n);
      expect(unitsOf(sumOf(values))).toBe(exact);
    }),
    { numRuns: 500 },
  );
});

test('a sum has one form, whatever the order and however it is split', () => {
  fc.assert(
    fc.property(summands, fc.nat(), fc.func(fc.integer()), (values, at, order) => {
      const shuffled = values.map((value, i) => ({ value, key: order(i) })).sort((a, b) => a.key - b.key);
      const split = at % (values.length + 1);
      const parts = addFixedPoints(sumOf(values.slice(0, split)), sumOf(values.slice(split)));
      expect(form(parts)).toEqual(form(sumOf(values)));
      expect(form(sumOf(shuffled.map(({ value }) => value)))).toEqual(form(sumOf(values)));
    }),
    { numRuns: 500 },
  );
});

test('the form has no zero byte at either end', () => {
  fc.assert(
    fc.property(summands, (values) => {
      const { sign, exponent, bytes, start, length } = sumOf(values);
      if (sign === 0) expect([exponent, length]).toEqual([0, 0]);
      else expect(bytes[start]! * bytes[start + length - 1]!).toBeGreaterThan(0);
    }),
  );
});

test('it is rounded once, to nearest and ties to even', () => {
  fc.assert(
    fc.property(summands, fc.constantFrom(1, 2, 3, 7, 10, 1000, 2 ** 53 - 1), (values, divisor) => {
      const exact = values.reduce((total: bigint, value) => total + inSmallestUnits(value), 0n);
      expect(toNumber(sumOf(values), divisor)).toBe(nearest(exact, BigInt(divisor)));
    }),
    { numRuns: 500 },
  );
});

test.each([
  [[0.1, 0.2, 0.3, -0.3, -0.2, -0.1], 0],
  [[1e308, 1e308, -1e308], 1e308],
  [[Number.MAX_VALUE, Number.MAX_VALUE], Infinity],
  [[-Number.MAX_VALUE, -1e300], -Infinity],
  // Half a unit in the last place above the largest double is the tie that goes to infinity; less stays.
  [[Number.MAX_VALUE, 2 ** 970], Infinity],
  [[Number.MAX_VALUE, 2 ** 970, -5e-324], Number.MAX_VALUE],
  [[2 ** 53, 1], 2 ** 53],
  [[2 ** 53, 1, 5e-324], 2 ** 53 + 2],
  [[2 ** 53, 3], 2 ** 53 + 4],
  [[5e-324, 5e-324, -5e-324], 5e-324],
  [[-0, -0], 0],
  [[1, 1e100, 1, -1e100], 2],
])('%j sum up to %d', (values, expected) => {
  expect(toNumber(sumOf(values))).toBe(expected);
});

test('every double is itself', () => {
  for (let exponent = -1074; exponent <= 1023; exponent++)
    expect(toNumber(fixedPointOf(2 ** exponent))).toBe(2 ** exponent);
  fc.assert(
    fc.property(finite, (value) => {
      expect(toNumber(fixedPointOf(value))).toBe(value + 0);
    }),
  );
});

test('the quotient of a tiny sum is never −0', () => {
  expect(toNumber(fixedPointOf(-5e-324), 3)).toBe(0);
});

test('a million tenths are summed without an error that adds up', () => {
  const sum = new ExactSum();
  for (let i = 0; i < 1_000_000; i++) sum.add(0.1);
  expect(unitsOf(sum.value())).toBe(1_000_000n * inSmallestUnits(0.1));
  expect(toNumber(sum.value())).toBe(100_000);
});

test('whole numbers are taken up to 65,536 bits', () => {
  const limit = 1n << 65_536n;
  expect([isSummand(limit - 1n), isSummand(limit), isSummand(1n - limit), isSummand(-limit)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
});
