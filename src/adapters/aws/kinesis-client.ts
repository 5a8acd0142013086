import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  PutRecordsCommand,
  type KinesisClientConfig,
  type PutRecordsResultEntry,
} from '@aws-sdk/client-kinesis';
import type { PutOutcome } from '../../domain/ports/record-sink.ts';
import { explained, isRetryableCode, isThrottlingCode } from './errors.ts';
import { httpHandler } from './http-handler.ts';

/** What is asked of Kinesis, in our words. Everything above it knows no SDK. */
export interface KinesisCalls {
  /** One request: 500 records, and 10 MiB with keys at most. One outcome per record, in order. */
  putRecords(
    stream: string,
    records: readonly StreamEntry[],
    signal: AbortSignal,
  ): Promise<readonly PutOutcome[]>;
  /** Where to read on from: at a sequence number, or after it. */
  shardIterator(stream: string, shardId: string, place: ShardPlace, signal: AbortSignal): Promise<string>;
  /** One request: up to 10 MiB. */
  getRecords(iterator: string, signal: AbortSignal): Promise<ShardPage>;
  /** Closes its connections. */
  close(): void;
}

/** What is put. */
export interface StreamEntry {
  readonly key: string;
  /** Decides the shard: a whole number from 0 to 2^128 − 1. */
  readonly hash: bigint;
  readonly data: Uint8Array;
}

export interface ShardPlace {
  readonly position: 'at' | 'after';
  readonly sequenceNumber: string;
}

export interface ShardPage {
  readonly records: readonly ShardRecord[];
  /** `null`: the shard is closed, and ends here. */
  readonly next: string | null;
  /** Whether nothing was behind these records when they were read. */
  readonly latest: boolean;
}

export interface ShardRecord {
  /** A whole number in decimal digits, to be compared as BigInt. Ascending within a shard. */
  readonly sequenceNumber: string;
  readonly key: string;
  readonly data: Uint8Array;
  /** Milliseconds since 1970; `null` where the stream does not tell. */
  readonly arrivedAt: number | null;
}

/**
 * @param config beside the standard settings (`AWS_REGION`, `AWS_ENDPOINT_URL_KINESIS`, …), which the client reads by itself
 */
export function createKinesisCalls(config: KinesisClientConfig = {}): KinesisCalls {
  // Whoever calls retries what was rejected; a second layer would multiply tries and waits.
  const client = new KinesisClient({ maxAttempts: 1, requestHandler: httpHandler(), ...config });
  return {
    async putRecords(stream, records, signal) {
      const reply = await explained(`records cannot be put into ${stream}`, signal, () =>
        client.send(
          new PutRecordsCommand({
            StreamName: stream,
            Records: records.map(({ key, hash, data }) => ({
              PartitionKey: key,
              ExplicitHashKey: hash.toString(),
              Data: data,
            })),
          }),
          { abortSignal: signal },
        ),
      );
      if (reply.FailedRecordCount === 0) return records.map(() => ({ accepted: true }));
      return records.map((_, at) => outcomeOf(reply.Records?.[at]));
    },

    async shardIterator(stream, shardId, { position, sequenceNumber }, signal) {
      const reply = await explained(`${shardId} of ${stream} cannot be read`, signal, () =>
        client.send(
          new GetShardIteratorCommand({
            StreamName: stream,
            ShardId: shardId,
            ShardIteratorType: position === 'at' ? 'AT_SEQUENCE_NUMBER' : 'AFTER_SEQUENCE_NUMBER',
            StartingSequenceNumber: sequenceNumber,
          }),
          { abortSignal: signal },
        ),
      );
      return reply.ShardIterator ?? '';
    },

    async getRecords(iterator, signal) {
      const reply = await explained('records cannot be read', signal, () =>
        client.send(new GetRecordsCommand({ ShardIterator: iterator }), { abortSignal: signal }),
      );
      return {
        records: (reply.Records ?? []).map((record) => ({
          sequenceNumber: record.SequenceNumber ?? '',
          key: record.PartitionKey ?? '',
          data: record.Data ?? new Uint8Array(0),
          arrivedAt: record.ApproximateArrivalTimestamp?.getTime() ?? null,
        })),
        next: reply.NextShardIterator ?? null,
        latest: reply.MillisBehindLatest === 0,
      };
    },

    close: () => client.destroy(),
  };
}

function outcomeOf(entry: PutRecordsResultEntry | undefined): PutOutcome {
  if (entry?.ErrorCode === undefined || entry.ErrorCode === '') {
    if (entry?.SequenceNumber !== undefined) return { accepted: true };
    const message = 'the stream did not say what became of it';
    return { accepted: false, reason: 'failed', retryable: true, message };
  }
  const { ErrorCode: code, ErrorMessage: said } = entry;
  return {
    accepted: false,
    reason: isThrottlingCode(code) ? 'throttled' : 'failed',
    retryable: isRetryableCode(code),
    message: said === undefined ? code : `${code}: ${said}`,
  };
}
