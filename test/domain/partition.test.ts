import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmur3 } from '../../src/domain/hash.ts';
import { controlPartition, dealtPartition, partitionOfKey } from '../../src/domain/partition.ts';
import { codeOf } from '../values/damage.ts';

/** MurmurHash3 (x86, 32 bits) over bytes, as its author describes it, with BigInt: slow and plain. */
function murmur3OfBytes(bytes: Uint8Array, seed = 0n): number {
  const mask = 0xffff_ffffn;
  const rotate = (bits: bigint, by: bigint) => ((bits << by) | (bits >> (32n - by))) & mask;
  const mix = (block: bigint) => (rotate((block * 0xcc9e2d51n) & mask, 15n) * 0x1b873593n) & mask;
  const blockAt = (from: number, to: number) => {
    let block = 0n;
    for (let at = to - 1; at >= from; at--) block = (block << 8n) | BigInt(bytes[at] as number);
    return block;
  };
  let hash = seed;
  const whole = bytes.length - (bytes.length % 4);
  for (let at = 0; at < whole; at += 4) {
    hash = (rotate(hash ^ mix(blockAt(at, at + 4)), 13n) * 5n + 0xe6546b64n) & mask;
  }
  if (whole < bytes.length) hash ^= mix(blockAt(whole, bytes.length));
  hash ^= BigInt(bytes.length);
  hash = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) & mask;
  hash = ((hash ^ (hash >> 13n)) * 0xc2b2ae35n) & mask;
  return Number(hash ^ (hash >> 16n));
}

describe('murmur3', () => {
  it('of bytes gives the known answers: what follows is checked against the right thing', () => {
    const of = (text: string, seed = 0n) => murmur3OfBytes(Buffer.from(text, 'latin1'), seed);
    expect(of('')).toBe(0);
    expect(of('', 1n)).toBe(0x514e28b7);
    expect(of('hello')).toBe(0x248bfa47);
    expect(of('hello, world')).toBe(0x149bbb7f);
    expect(of('The quick brown fox jumps over the lazy dog')).toBe(0x2e4ff723);
  });

  it('of a text is that of its UTF-16 code units, low byte first', () => {
    const units = fc.array(fc.nat(0xffff), { maxLength: 20 }).map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), units), (text) => {
        expect(murmur3(text)).toBe(murmur3OfBytes(Buffer.from(text, 'utf16le')));
      }),
      { numRuns: 500 },
    );
  });

  it('does not change: partitions depend on it', () => {
    expect(['', 'a', 'ZRH-JFK', 'JFK-ZRH', '😀', '\ud800', '12'].map((text) => murmur3(text))).toEqual([
      0, 1867108634, 1498344113, 3004637189, 1443257913, 23418209, 3214503902,
    ]);
  });
});

describe('a partition', () => {
  const object = { bucket: 'lake', key: 'a/b.csv', version: 'v1', size: 1 };

  it('is the same for a number, a bigint and their text', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n }),
        fc.integer({ min: 1, max: 4096 }),
        (key, partitions) => {
          const partition = partitionOfKey(key, partitions);
          expect(partitionOfKey(Number(key), partitions)).toBe(partition);
          expect(partitionOfKey(String(key), partitions)).toBe(partition);
          expect(partition).toBeGreaterThanOrEqual(0);
          expect(partition).toBeLessThan(partitions);
        },
      ),
    );
  });

  it.each([null, undefined, true, {}, [], new Date(0), Symbol('s')])('of %s is refused', (key) => {
    expect(codeOf(() => partitionOfKey(key, 8))).toBe('E_PARTITION');
  });

  it('spreads keys evenly', () => {
    const counts = Array.from({ length: 32 }, () => 0);
    for (let key = 0; key < 32_000; key++) counts[partitionOfKey(`lane-${key}`, 32)]!++;
    for (const keys of counts) expect(Math.abs(keys - 1_000)).toBeLessThan(200);
  });

  it('of sections and dealt frames goes round, and depends on the name alone, not on the version', () => {
    const partitions = 7;
    const control = Array.from({ length: 14 }, (_, section) => controlPartition(object, section, partitions));
    expect(new Set(control.slice(0, 7)).size).toBe(7);
    expect(control.slice(7)).toEqual(control.slice(0, 7));
    expect(controlPartition({ ...object, version: 'v2', size: 9 }, 3, partitions)).toBe(control[3]);
    expect(dealtPartition(object, 3, 0, partitions)).toBe(control[3]);
    expect(dealtPartition(object, 3, 2, partitions)).toBe(control[5]);
  });
});
