import { types } from 'node:util';

/** The first 64 bits of a MurmurHash3 (x86, 128 bits). */
export interface Hash64 {
  high: number;
  low: number;
}

// The type is the seed, so that 1, 1n, '1', true and a date of 1 ms are different values.
const STRING = 1;
const NUMBER = 2;
const BIGINT = 3;
const LONG_BIGINT = 4;
const BOOLEAN = 5;
const DATE = 6;

const double = new DataView(new ArrayBuffer(8));

/**
 * Hashes a value in the encoding that docs/measures.md states: a string by its UTF-16 code units, anything else
 * by eight bytes. The same on every machine.
 *
 * @returns false where the value has a type that is not counted
 */
export function hashValue(value: unknown, into: Hash64): boolean {
  switch (typeof value) {
    case 'string':
      hashText(value, STRING, into);
      return true;
    case 'number':
      hashDouble(value, NUMBER, into);
      return true;
    case 'boolean':
      hashDouble(value ? 1 : 0, BOOLEAN, into);
      return true;
    case 'bigint': {
      const asDouble = Number(value);
      if (Number.isSafeInteger(asDouble)) hashDouble(asDouble, BIGINT, into);
      else hashText(value.toString(16), LONG_BIGINT, into);
      return true;
    }
    default:
      if (!types.isDate(value)) return false;
      hashDouble(Date.prototype.getTime.call(value), DATE, into);
      return true;
  }
}

function hashDouble(value: number, seed: number, into: Hash64): void {
  // −0 is 0, and every NaN is the same one.
  double.setFloat64(0, Number.isNaN(value) ? NaN : value + 0, true);
  murmur3(double.getUint32(0, true), double.getUint32(4, true), seed, into);
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

/** Eight bytes: one incomplete block. */
function murmur3(first: number, second: number, seed: number, into: Hash64): void {
  const h2 = seed ^ Math.imul(rotate(Math.imul(second, C2), 16), C3);
  const h1 = seed ^ Math.imul(rotate(Math.imul(first, C1), 15), C2);
  finish(h1, h2, seed, seed, 8, into);
}

function hashText(text: string, seed: number, into: Hash64): void {
  let h1 = seed;
  let h2 = seed;
  let h3 = seed;
  let h4 = seed;
  const units = text.length;
  const whole = units - (units % 8);
  for (let i = 0; i < whole; i += 8) {
    h1 ^= Math.imul(rotate(Math.imul(pair(text, i), C1), 15), C2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(pair(text, i + 2), C2), 16), C3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(pair(text, i + 4), C3), 17), C4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(pair(text, i + 6), C4), 18), C1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  if (units > whole) {
    if (units > whole + 6) h4 ^= Math.imul(rotate(Math.imul(pair(text, whole + 6), C4), 18), C1);
    if (units > whole + 4) h3 ^= Math.imul(rotate(Math.imul(pair(text, whole + 4), C3), 17), C4);
    if (units > whole + 2) h2 ^= Math.imul(rotate(Math.imul(pair(text, whole + 2), C2), 16), C3);
    h1 ^= Math.imul(rotate(Math.imul(pair(text, whole), C1), 15), C2);
  }
  finish(h1, h2, h3, h4, 2 * units, into);
}

/** Two code units as four little-endian bytes; past the end there are zeros. */
function pair(text: string, at: number): number {
  return text.charCodeAt(at) | (at + 1 < text.length ? text.charCodeAt(at + 1) << 16 : 0);
}

function finish(h1: number, h2: number, h3: number, h4: number, bytes: number, into: Hash64): void {
  h1 ^= bytes;
  h2 ^= bytes;
  h3 ^= bytes;
  h4 ^= bytes;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = mix(h2 + h1);
  h3 = mix(h3 + h1);
  h4 = mix(h4 + h1);
  h1 = (mix(h1) + h2 + h3 + h4) | 0;
  into.high = h1 >>> 0;
  into.low = (h2 + h1) >>> 0;
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
