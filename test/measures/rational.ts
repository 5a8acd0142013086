import fc from 'fast-check';

/** A whole number of 2^-1074, which is what every finite double and whole number is. */
export function inSmallestUnits(value: number | bigint): bigint {
  if (typeof value === 'bigint') return value << 1074n;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = (bits >> 52n) & 0x7ffn;
  const fraction = bits & 0xfffffffffffffn;
  const units = biased === 0n ? fraction : (fraction | 0x10000000000000n) << (biased - 1n);
  return bits >> 63n === 0n ? units : -units;
}

/** The double nearest to `units` × 2^-1074 ÷ `divisor`, found by bisection over all doubles; ties to even. */
export function nearest(units: bigint, divisor = 1n): number {
  const magnitude = units < 0n ? -units : units;
  const view = new DataView(new ArrayBuffer(8));
  const doubleOf = (bits: bigint): number => (view.setBigUint64(0, bits), view.getFloat64(0));
  const INFINITY = 0x7ff0000000000000n;
  const unitsOf = (bits: bigint): bigint =>
    bits === INFINITY ? 1n << 2098n : inSmallestUnits(doubleOf(bits));
  let low = 0n;
  let high = INFINITY;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (unitsOf(middle) * divisor <= magnitude) low = middle;
    else high = middle;
  }
  const below = magnitude - unitsOf(low) * divisor;
  const above = unitsOf(high) * divisor - magnitude;
  const bits = below < above || (below === above && low % 2n === 0n) ? low : high;
  return (units < 0n ? -1 : 1) * doubleOf(bits) + 0;
}

/** Doubles of every kind, with the ones that hurt. */
export const finite = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.integer({ min: -1000, max: 1000 }).map((hundredths) => hundredths / 100),
  fc.constantFrom(
    0,
    -0,
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    Number.MAX_VALUE,
    -Number.MAX_VALUE,
    2 ** 53,
    1e16,
    1,
    -1,
    2 ** 1023,
  ),
);

export const number = fc.oneof(
  { weight: 8, arbitrary: finite },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity) },
);

export const whole = fc.oneof(
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.constantFrom(0n, 2n ** 53n, -(2n ** 53n) - 1n, 2n ** 1024n, -(2n ** 1100n) + 1n),
);
