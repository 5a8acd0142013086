import { randomUUID } from 'node:crypto';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** Where a stream's mapping sends what it gives up on. */
export type FailureDestination =
  /** Gets the invocation record with the whole event. */
  | { readonly kind: 's3'; readonly s3: S3Client; readonly bucket: string }
  /** Gets the invocation record, which says where the records are. */
  | { readonly kind: 'sqs'; readonly sqs: SQSClient; readonly queueUrl: string };

/** A batch that is given up. */
export interface DiscardedBatch {
  readonly mappingId: string;
  readonly functionArn: string;
  readonly streamArn: string;
  readonly shardId: string;
  readonly condition: 'RetryAttemptsExhausted' | 'RecordAgeExceeded';
  /** How often the function was called with it. */
  readonly invokeCount: number;
  /** Whether the function failed, or only said that records failed. */
  readonly functionError: boolean;
  /** First and last record. */
  readonly first: DiscardedRecord;
  readonly last: DiscardedRecord;
  readonly records: number;
  /** The event as the function got it. */
  readonly event: unknown;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface DiscardedRecord {
  readonly sequenceNumber: string;
  /** Milliseconds since 1970. */
  readonly arrival: number;
}

/** Delivers the invocation record in the form that AWS documents. */
export async function deliverDiscarded(
  destination: FailureDestination,
  discarded: DiscardedBatch,
): Promise<void> {
  const record = invocationRecord(discarded);
  if (destination.kind === 'sqs') {
    const { sqs, queueUrl } = destination;
    await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: JSON.stringify(record) }));
    return;
  }
  await destination.s3.send(
    new PutObjectCommand({
      Bucket: destination.bucket,
      Key: objectKey(discarded),
      Body: JSON.stringify({ ...record, payload: discarded.event }),
      ContentType: 'application/json',
    }),
  );
}

function invocationRecord(discarded: DiscardedBatch): object {
  const { condition, invokeCount, functionError, first, last } = discarded;
  return {
    requestContext: {
      requestId: randomUUID(),
      functionArn: discarded.functionArn,
      condition,
      approximateInvokeCount: invokeCount,
    },
    // Records that grew too old say nothing of an answer.
    ...(condition === 'RetryAttemptsExhausted'
      ? {
          responseContext: {
            statusCode: 200,
            executedVersion: '$LATEST',
            ...(functionError ? { functionError: 'Unhandled' } : {}),
          },
        }
      : {}),
    version: '1.0',
    timestamp: new Date(discarded.now).toISOString(),
    KinesisBatchInfo: {
      shardId: discarded.shardId,
      startSequenceNumber: first.sequenceNumber,
      endSequenceNumber: last.sequenceNumber,
      approximateArrivalOfFirstRecord: new Date(first.arrival).toISOString(),
      approximateArrivalOfLastRecord: new Date(last.arrival).toISOString(),
      batchSize: discarded.records,
      streamArn: discarded.streamArn,
    },
  };
}

/** `aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random>` */
function objectKey({ mappingId, shardId, now }: DiscardedBatch): string {
  const time = new Date(now).toISOString().slice(0, 19);
  const day = time.slice(0, 10).replaceAll('-', '/');
  return `aws/lambda/${mappingId}/${shardId}/${day}/${time.replaceAll(':', '.')}-${randomUUID()}`;
}
