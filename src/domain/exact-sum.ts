/**
 * A number without rounding, as the binary floating-point numbers and whole numbers give it by addition:
 * `sign` × the magnitude in `length` little-endian bytes from `start` of `bytes`, × 256 to the power of `exponent`.
 *
 * There is one form for each number: the lowest and the highest byte of the magnitude are not 0; zero has sign 0
 * and length 0.
 */
export interface FixedPoint {
  readonly sign: -1 | 0 | 1;
  readonly exponent: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

const ZERO: FixedPoint = { sign: 0, exponent: 0, bytes: new Uint8Array(0), start: 0, length: 0 };

/** Whole numbers from 2 to this power on are not summed: 65,536 bits. */
export const MAX_SUMMAND_BITS = 65_536;

const SUMMAND_LIMIT = 1n << BigInt(MAX_SUMMAND_BITS);

export function isSummand(value: bigint): boolean {
  return value < SUMMAND_LIMIT && value > -SUMMAND_LIMIT;
}

/** Below it no step of the error-free addition can overflow. */
const SAFE_MAGNITUDE = 2 ** 1021;

/** Doubles and whole numbers, added without rounding: the same in whatever order. */
export class ExactSum {
  // The sum is #high + #low + #rest. Nearly all sums fit the first two, which costs no allocation: the rounding
  // error of an addition is itself a double (Knuth, Møller; Shewchuk 1997 builds expansions from it). Only where
  // the second addition has an error too does a part move to #rest.
  #high = 0;
  #low = 0;
  #rest: FixedPoint = ZERO;

  /** @param value finite */
  add(value: number): void {
    const high = this.#high;
    const sum = high + value;
    if (!(
      sum < SAFE_MAGNITUDE &&
      sum > -SAFE_MAGNITUDE &&
      value < SAFE_MAGNITUDE &&
      value > -SAFE_MAGNITUDE
    )) {
      this.#rest = addFixedPoints(this.#rest, fixedPointOf(value));
      return;
    }
    this.#high = sum;
    const error = errorOfSum(high, value, sum);
    if (error === 0) return;
    const low = this.#low;
    const lowSum = low + error;
    const lowError = errorOfSum(low, error, lowSum);
    if (lowError === 0) {
      this.#low = lowSum;
      return;
    }
    this.#rest = addFixedPoints(this.#rest, fixedPointOf(lowSum));
    this.#low = lowError;
  }

  addWhole(value: bigint): void {
    const double = Number(value);
    if (Number.isSafeInteger(double)) this.add(double);
    else this.#rest = addFixedPoints(this.#rest, fixedPointOfWhole(value));
  }

  value(): FixedPoint {
    const high = fixedPointOf(this.#high);
    const both = this.#low === 0 ? high : addFixedPoints(high, fixedPointOf(this.#low));
    return addFixedPoints(both, this.#rest);
  }
}

/** What rounding took from `sum` = `a` + `b`; exact whatever their sizes, unless something overflows. */
function errorOfSum(a: number, b: number, sum: number): number {
  const bRounded = sum - a;
  return a - (sum - bRounded) + (b - bRounded);
}

const double = new DataView(new ArrayBuffer(8));

/** @param value finite */
export function fixedPointOf(value: number): FixedPoint {
  if (value === 0) return ZERO;
  double.setFloat64(0, value);
  const high = double.getUint32(0);
  const low = double.getUint32(4);
  const biased = (high >>> 20) & 0x7ff;
  const significandHigh = biased === 0 ? high & 0xfffff : (high & 0xfffff) | 0x100000;
  const scale = (biased === 0 ? 1 : biased) - 1075;
  const exponent = Math.floor(scale / 8);
  const shift = scale - 8 * exponent;
  const low32 = low << shift;
  const high32 = shift === 0 ? significandHigh : (significandHigh << shift) | (low >>> (32 - shift));
  const bytes = new Uint8Array(8);
  bytes[0] = low32;
  bytes[1] = low32 >>> 8;
  bytes[2] = low32 >>> 16;
  bytes[3] = low32 >>> 24;
  bytes[4] = high32;
  bytes[5] = high32 >>> 8;
  bytes[6] = high32 >>> 16;
  bytes[7] = high32 >>> 24;
  return trimmed(value < 0 ? -1 : 1, exponent, bytes, 8);
}

function fixedPointOfWhole(value: bigint): FixedPoint {
  if (value === 0n) return ZERO;
  const hex = (value < 0n ? -value : value).toString(16);
  const bytes = new Uint8Array((hex.length + 1) >> 1);
  for (let i = 0, end = hex.length; i < bytes.length; i++, end -= 2)
    bytes[i] = Number.parseInt(hex.slice(Math.max(0, end - 2), end), 16);
  return trimmed(value < 0n ? -1 : 1, 0, bytes, bytes.length);
}

export function addFixedPoints(a: FixedPoint, b: FixedPoint): FixedPoint {
  if (a.sign === 0) return b;
  if (b.sign === 0) return a;
  const exponent = Math.min(a.exponent, b.exponent);
  const length = Math.max(a.exponent + a.length, b.exponent + b.length) - exponent + 1;
  if (a.sign === b.sign) return addMagnitudes(a, b, exponent, length);
  const order = compareMagnitudes(a, b);
  if (order === 0) return ZERO;
  return order > 0 ? subtractMagnitudes(a, b, exponent, length) : subtractMagnitudes(b, a, exponent, length);
}

function addMagnitudes(a: FixedPoint, b: FixedPoint, exponent: number, length: number): FixedPoint {
  const bytes = new Uint8Array(length);
  place(a, exponent, bytes);
  let carry = 0;
  let at = b.exponent - exponent;
  for (let i = b.start, end = b.start + b.length; i < end; i++, at++) {
    carry += bytes[at]! + b.bytes[i]!;
    bytes[at] = carry;
    carry >>= 8;
  }
  for (; carry !== 0; at++) {
    carry += bytes[at]!;
    bytes[at] = carry;
    carry >>= 8;
  }
  return trimmed(a.sign, exponent, bytes, length);
}

/** `larger` − `smaller`, with the sign of `larger`. */
function subtractMagnitudes(
  larger: FixedPoint,
  smaller: FixedPoint,
  exponent: number,
  length: number,
): FixedPoint {
  const bytes = new Uint8Array(length);
  place(larger, exponent, bytes);
  let borrow = 0;
  let at = smaller.exponent - exponent;
  for (let i = smaller.start, end = smaller.start + smaller.length; i < end; i++, at++) {
    borrow += bytes[at]! - smaller.bytes[i]!;
    bytes[at] = borrow;
    borrow >>= 8;
  }
  for (; borrow !== 0; at++) {
    borrow += bytes[at]!;
    bytes[at] = borrow;
    borrow >>= 8;
  }
  return trimmed(larger.sign, exponent, bytes, length);
}

function place(value: FixedPoint, exponent: number, bytes: Uint8Array): void {
  for (
    let i = value.start, end = value.start + value.length, at = value.exponent - exponent;
    i < end;
    i++, at++
  )
    bytes[at] = value.bytes[i]!;
}

function compareMagnitudes(a: FixedPoint, b: FixedPoint): number {
  const top = a.exponent + a.length - (b.exponent + b.length);
  if (top !== 0) return top;
  const shared = Math.min(a.length, b.length);
  for (let i = 1; i <= shared; i++) {
    const difference = a.bytes[a.start + a.length - i]! - b.bytes[b.start + b.length - i]!;
    if (difference !== 0) return difference;
  }
  // The lowest byte is never 0, so the longer one is the larger one.
  return a.length - b.length;
}

function trimmed(sign: -1 | 0 | 1, exponent: number, bytes: Uint8Array, length: number): FixedPoint {
  let start = 0;
  let end = length;
  while (bytes[start] === 0) start++;
  while (bytes[end - 1] === 0) end--;
  return { sign, exponent: exponent + start, bytes, start, length: end - start };
}

/**
 * `value` over `divisor` as the nearest double, ties to even: rounded once. Too large is an infinity; zero is +0.
 *
 * @param divisor a whole number from 1
 */
export function toNumber(value: FixedPoint, divisor = 1): number {
  if (value.sign === 0) return 0;
  let hex = '';
  for (let i = value.start; i < value.start + value.length; i++)
    hex = (value.bytes[i]! + 256).toString(16).slice(1) + hex;
  const scale = 8 * value.exponent;
  const numerator = BigInt(`0x${hex}`) << BigInt(Math.max(0, scale));
  const denominator = BigInt(divisor) << BigInt(Math.max(0, -scale));
  // + 0 makes 0 of the −0 that a tiny negative quotient rounds to.
  return value.sign * nearestDouble(numerator, denominator) + 0;
}

/** Bits in a double's significand. */
const PRECISION = 53;
const LOWEST_EXPONENT = -1074;

function nearestDouble(numerator: bigint, denominator: bigint): number {
  // The quotient is taken to 53 bits, or to as many as a denormal number has, and rounded by its remainder.
  let exponent = Math.max(bitLength(numerator) - bitLength(denominator) - PRECISION, LOWEST_EXPONENT);
  let { quotient, remainder, by } = divide(numerator, denominator, exponent);
  if (bitLength(quotient) > PRECISION)
    ({ quotient, remainder, by } = divide(numerator, denominator, ++exponent));
  const twice = 2n * remainder;
  if (twice > by || (twice === by && quotient % 2n === 1n)) quotient += 1n;
  return scaled(Number(quotient), exponent);
}

function divide(
  numerator: bigint,
  denominator: bigint,
  exponent: number,
): { quotient: bigint; remainder: bigint; by: bigint } {
  const dividend = exponent < 0 ? numerator << BigInt(-exponent) : numerator;
  const by = exponent < 0 ? denominator : denominator << BigInt(exponent);
  return { quotient: dividend / by, remainder: dividend % by, by };
}

/** `significand` × 2 to the power of `exponent`, where the product is a double or too large for one. */
function scaled(significand: number, exponent: number): number {
  if (exponent > 971) return Infinity;
  // Two steps, as 2 to the power of −1074 and of less cannot be a factor without rounding twice.
  return exponent < -1022 ? significand * 2 ** (exponent + 52) * 2 ** -52 : significand * 2 ** exponent;
}

function bitLength(value: bigint): number {
  const hex = value.toString(16);
  return 4 * hex.length - (Math.clz32(Number.parseInt(hex[0]!, 16)) - 28);
}
