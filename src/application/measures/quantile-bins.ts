// DDSketch (Masson, Rim, Lee 2019) counts values in bins whose ends stand in a fixed ratio. The paper finds the bin by
// a logarithm, which engines may round differently in the last place: then two machines would put a value on a
// border into different bins. Here a power of two is divided into 36 bins, and the first 12 bits of the significand
// say which it is: exact, and no logarithm per value. The borders are those of 2^(k/36), rounded to 1/4,096.

const BINS = 36;
const GRID_BITS = 12;
const GRID = 1 << GRID_BITS;
/** 2^(1/36), the nearest double. */
const RATIO = 1.0194406437021448;

/** Of each bin, where it starts: 1 + start/4,096 times the power of two; at the end where the last one ends. */
const starts: readonly number[] = (() => {
  const found: number[] = [];
  // Products are the same on every machine; a power function need not be.
  for (let k = 0, border = 1; k < BINS; k++, border *= RATIO) found.push(Math.round((border - 1) * GRID));
  return [...found, GRID];
})();

const binOfGrid = (() => {
  const bins = new Uint8Array(GRID);
  for (let bin = 0; bin < BINS; bin++) bins.fill(bin, starts[bin], starts[bin + 1]);
  return bins;
})();

/** Largest over smallest significand of the widest bin. */
export const WIDEST_RATIO = Math.max(
  ...starts.slice(1).map((end, bin) => (GRID + end) / (GRID + starts[bin]!)),
);

const LOWEST_EXPONENT = -1074;
const HIGHEST_EXPONENT = 1023;

/** The key of the largest double's bin. */
export const MAX_KEY = (HIGHEST_EXPONENT - LOWEST_EXPONENT + 1) * BINS;

const double = new DataView(new ArrayBuffer(8));

/**
 * The bin of a value, in the order of values: 0 for zero, from 1 to `MAX_KEY` for positive numbers, the same below
 * zero for negative ones.
 *
 * @param value finite
 */
export function keyOf(value: number): number {
  if (value === 0) return 0;
  double.setFloat64(0, value);
  let high = double.getUint32(0);
  let shift = 0;
  if ((high & 0x7ff00000) === 0) {
    // Denormal: its significand has no leading 1 before it is scaled up.
    double.setFloat64(0, value * 2 ** 54);
    high = double.getUint32(0);
    shift = 54;
  }
  const exponent = ((high >>> 20) & 0x7ff) - 1023 - shift;
  const key = (exponent - LOWEST_EXPONENT) * BINS + binOfGrid[(high & 0xfffff) >>> (20 - GRID_BITS)]! + 1;
  return value < 0 ? -key : key;
}

/** The value whose relative distance from both ends of a bin is the same, and thus the smallest at worst. */
export function valueOf(key: number): number {
  if (key === 0) return 0;
  const index = Math.abs(key) - 1;
  const bin = index % BINS;
  const low = 1 + starts[bin]! / GRID;
  const high = 1 + starts[bin + 1]! / GRID;
  const exponent = (index - bin) / BINS + LOWEST_EXPONENT;
  const middle = (2 * low * high) / (low + high);
  const value = exponent < -1022 ? middle * 2 ** (exponent + 60) * 2 ** -60 : middle * 2 ** exponent;
  return key < 0 ? -value : value;
}
