/** Kinesis spreads keys over 128 bits; each shard holds one stretch of them. */
const HASH_SPACE = 2n ** 128n;

/**
 * The explicit hash key of a partition: the middle of its stretch where all partitions have equal ones. Of shards that
 * have equal ones, too, each gets as many partitions as any other, or one more; and since a middle never lies near the
 * end of a stretch, also after shards were split and merged, whatever way Kinesis rounds.
 */
export function hashOfPartition(partition: number, partitions: number): bigint {
  return (HASH_SPACE * (2n * BigInt(partition) + 1n)) / (2n * BigInt(partitions));
}
