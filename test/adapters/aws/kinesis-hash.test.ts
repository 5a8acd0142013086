import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashOfPartition } from '../../../src/adapters/aws/kinesis-hash.ts';

const SPACE = 2n ** 128n;

/** Starts of the hash ranges of so many even shards: some twins and the service round in other ways. */
const roundings: Record<string, (shard: bigint, shards: bigint) => bigint> = {
  'each start rounded down': (shard, shards) => (SPACE * shard) / shards,
  'each start rounded up': (shard, shards) => (SPACE * shard + shards - 1n) / shards,
  'equal ranges, the last takes the rest': (shard, shards) => shard * (SPACE / shards),
};

describe('hashOfPartition', () => {
  it.each(Object.keys(roundings))(
    'spreads partitions over even shards, as evenly as it goes: %s',
    (rounding) => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 3_000 }),
          fc.integer({ min: 1, max: 300 }),
          (partitions, shards) => {
            const starts = Array.from({ length: shards }, (_, shard) =>
              (roundings[rounding] as (shard: bigint, shards: bigint) => bigint)(
                BigInt(shard),
                BigInt(shards),
              ),
            );
            const counts = new Array<number>(shards).fill(0);
            let shard = 0;
            for (let partition = 0; partition < partitions; partition++) {
              const hash = hashOfPartition(partition, partitions);
              expect(hash >= 0n && hash < SPACE).toBe(true);
              while (shard + 1 < shards && hash >= (starts[shard + 1] as bigint)) shard++;
              counts[shard] = (counts[shard] as number) + 1;
            }
            expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.floor(partitions / shards));
            expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil(partitions / shards));
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  it('keeps the order of partitions, and each at a place of its own', () => {
    const hashes = Array.from({ length: 32 }, (_, partition) => hashOfPartition(partition, 32));
    expect(hashes).toEqual(hashes.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(new Set(hashes).size).toBe(32);
    expect(hashOfPartition(0, 1)).toBe(SPACE / 2n);
  });
});
