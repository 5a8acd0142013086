import { DomainError } from './errors.ts';
import { murmur3 } from './hash.ts';
import type { LakeObject } from './lake-object.ts';

/**
 * The partition of a key. A number and its decimal text are the same key.
 *
 * @throws DomainError `E_PARTITION` where the key is of another type
 */
export function partitionOfKey(key: unknown, partitions: number): number {
  if (typeof key === 'string') return murmur3(key) % partitions;
  if (typeof key === 'number' || typeof key === 'bigint') return murmur3(String(key)) % partitions;
  throw new DomainError(`partitionBy gave ${key === null ? 'null' : typeof key}`, { code: 'E_PARTITION' });
}

/** Where a section sends its record and its failed rows. Sections of an object spread over all partitions. */
export function controlPartition(object: LakeObject, section: number, partitions: number): number {
  return (murmur3(`${object.bucket}/${object.key}`) + section) % partitions;
}

/** Where the n-th frame of a section goes when nothing else says: frames are dealt round, whole. */
export function dealtPartition(
  object: LakeObject,
  section: number,
  frame: number,
  partitions: number,
): number {
  return (controlPartition(object, section, partitions) + frame) % partitions;
}
