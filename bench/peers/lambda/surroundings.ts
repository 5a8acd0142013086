import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import type { Context, KinesisStreamEvent, KinesisStreamRecord, SQSEvent, SQSRecord } from 'aws-lambda';

const config = new IdempotencyConfig({ eventKeyJmesPath: 'id' });
const persistenceStore = new DynamoDBPersistenceLayer({ tableName: 'idempotency' });

/** What is done once for each of a batch's records, by the id that it is given with. */
export type Once<Work> = (work: Work & { readonly id: string }) => Promise<void>;

export function forQueue<Work>(once: Once<Work>) {
  const processor = new BatchProcessor(EventType.SQS);
  const idempotent = makeIdempotent(once, { persistenceStore, config });
  const handleRecord = async ({ messageId, body }: SQSRecord) =>
    idempotent({ ...(JSON.parse(body) as Work), id: messageId });
  return (event: SQSEvent, context: Context) => {
    config.registerLambdaContext(context);
    return processPartialResponse(event, handleRecord, processor, {
      context,
      throwOnFullBatchFailure: false,
    });
  };
}

export function forStream<Work>(once: Once<Work>) {
  const processor = new BatchProcessor(EventType.KinesisDataStreams);
  const idempotent = makeIdempotent(once, { persistenceStore, config });
  const handleRecord = async ({ eventID, kinesis }: KinesisStreamRecord) =>
    idempotent({ ...(JSON.parse(Buffer.from(kinesis.data, 'base64').toString()) as Work), id: eventID });
  return (event: KinesisStreamEvent, context: Context) => {
    config.registerLambdaContext(context);
    return processPartialResponse(event, handleRecord, processor, {
      context,
      throwOnFullBatchFailure: false,
    });
  };
}
