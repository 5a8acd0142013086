import { Buffer } from 'node:buffer';
import type { ObjectName } from '../../domain/lake-object.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import { isObject, kinesisRecordsOf, parseJson, resourceName, type KinesisRecord } from './events.ts';
import { wrong } from './fields.ts';
import { readWhole } from './kept-bundles.ts';
import { locationOf } from './order.ts';

/** Consecutive records of a shard. */
export interface ShardRange {
  readonly streamName: string;
  readonly shardId: string;
  /** Sequence numbers of its first and its last record. */
  readonly from: string;
  readonly to: string;
}

/** What an on-failure destination says of a batch that a mapping gave up. */
export interface Undelivered extends ShardRange {
  /** How many there were, where it says so. */
  readonly records: number | null;
  /** The records themselves: a destination on S3 keeps them, others only say where they were. */
  readonly kept: readonly KinesisRecord[] | null;
}

/** @returns `null` where it is no word of an on-failure destination for a stream */
export function undeliveredOf(value: unknown): Undelivered | null {
  const info = isObject(value) ? value['KinesisBatchInfo'] : undefined;
  if (!isObject(value) || !isObject(info)) return null;
  const { streamArn, shardId, startSequenceNumber: from, endSequenceNumber: to, batchSize } = info;
  if (![streamArn, shardId, from, to].every((field) => typeof field === 'string')) return null;
  if (!/^\d+$/.test(from as string) || !/^\d+$/.test(to as string)) return null;
  const range = { streamName: resourceName(streamArn as string), shardId, from, to } as ShardRange;
  const records = Number.isSafeInteger(batchSize) ? (batchSize as number) : null;
  return { ...range, records, kept: keptOf(value['payload']) };
}

/** What a destination on S3 has written. @throws DomainError `E_EVENT` where it is something else */
export async function readUndelivered(
  source: ObjectSource,
  name: ObjectName,
  signal: AbortSignal,
): Promise<Undelivered> {
  const bytes = await readWhole(source, await source.stat(name, signal), signal);
  const word = undeliveredOf(parseJson(Buffer.from(bytes).toString('utf8'), locationOf(name)));
  if (word === null) throw wrong(locationOf(name), 'is no word of an on-failure destination');
  return word;
}

function keptOf(payload: unknown): readonly KinesisRecord[] | null {
  const event =
    typeof payload === 'string' ? parseJson(payload, 'the payload of an on-failure destination') : payload;
  return kinesisRecordsOf(event);
}
