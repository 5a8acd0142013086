import { expect, test } from 'vitest';
import { hashValue } from '../../src/application/measures/hash.ts';

function hash(value: unknown): string {
  const into = { high: 0, low: 0 };
  expect(hashValue(value, into)).toBe(true);
  return into.high.toString(16).padStart(8, '0') + into.low.toString(16).padStart(8, '0');
}

// From another implementation of MurmurHash3, x86, 128 bits: the first half, over the bytes that docs/measures.md states.
test.each([
  ['', '88c4adec54d201b9'],
  ['LAX', '184d0dd24ec450b1'],
  ['a lane with more than sixteen bytes: Zürich–東京 🛫', '948c3e83615dcece'],
  [0, '64010da262e8bc17'],
  [-1.5, 'f7d6f60dcdabe9dd'],
  [7n, '21c88c5b38ab10ae'],
  [2n ** 64n, '359bbe5097c60973'],
  [true, 'f43da2c61ada2800'],
  [new Date(1e12), '5641ce53e74859db'],
])('%s hashes to %s', (value, expected) => {
  expect(hash(value)).toBe(expected);
});

test('equal values hash equally, and the type tells values apart', () => {
  expect(hash(-0)).toBe(hash(0));
  expect(hash(new Date(NaN))).not.toBe(hash(NaN));
  expect(new Set([1, 1n, '1', true, new Date(1)].map(hash)).size).toBe(5);
  expect(new Set(['\ud800', '\ud801', '\ufffd'].map(hash)).size).toBe(3);
});

test('other types are not hashed', () => {
  for (const value of [{}, [], null, undefined, Symbol('s'), () => 1, Object.create(Date.prototype)]) {
    expect(hashValue(value, { high: 0, low: 0 })).toBe(false);
  }
});

test('a flipped bit flips half of the hash', () => {
  let flipped = 0;
  const rounds = 2000;
  for (let i = 0; i < rounds; i++) {
    const differing = BigInt(`0x${hash(i * 1.5)}`) ^ BigInt(`0x${hash(i * 1.5 + 2 ** -20)}`);
    flipped += differing.toString(2).replaceAll('0', '').length;
  }
  expect(flipped / rounds).toBeGreaterThan(31);
  expect(flipped / rounds).toBeLessThan(33);
});
