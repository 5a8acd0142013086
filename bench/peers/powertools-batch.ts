/**
 * Powertools as its documentation has it: `processPartialResponse` with a `BatchProcessor` for Kinesis, the record handler made idempotent by the
 * record's own key, in a persistence layer of one's own that is a map in memory. The same messages as JSON, each a record; the same measures,
 * but quantiles, for which there is no sketch at hand: it keeps a count by minute.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import type { Context, KinesisStreamEvent, KinesisStreamRecord } from 'aws-lambda';
import { toMessage, type Item, type ItemMessage } from '../data/item.ts';
import type { Counts } from '../harness/contender.ts';
import { MemoryPersistence } from './memory-persistence.ts';

interface Options {
  readonly jsonl: string;
}

const RECORDS_A_BATCH = 1_000;

export async function prepare({ jsonl }: Options): Promise<KinesisStreamEvent[]> {
  const records: KinesisStreamRecord[] = [];
  for await (const line of createInterface({ input: createReadStream(jsonl) })) {
    const item = JSON.parse(line) as Item & { readonly ordered_at: string; readonly due_at: string };
    const message = toMessage({
      ...item,
      ordered_at: new Date(item.ordered_at),
      due_at: new Date(item.due_at),
    });
    records.push(recordOf(String(records.length), JSON.stringify(message)));
  }
  return Array.from({ length: Math.ceil(records.length / RECORDS_A_BATCH) }, (_, batch) => ({
    Records: records.slice(batch * RECORDS_A_BATCH, (batch + 1) * RECORDS_A_BATCH),
  }));
}

function recordOf(sequenceNumber: string, data: string): KinesisStreamRecord {
  return {
    awsRegion: 'eu-central-1',
    eventID: `shardId-000000000000:${sequenceNumber}`,
    eventName: 'aws:kinesis:record',
    eventSource: 'aws:kinesis',
    eventSourceARN: 'arn:aws:kinesis:eu-central-1:123456789012:stream/messages',
    eventVersion: '1.0',
    invokeIdentityArn: 'arn:aws:iam::123456789012:role/analyze',
    kinesis: {
      approximateArrivalTimestamp: 1_558_742_400,
      data: Buffer.from(data).toString('base64'),
      kinesisSchemaVersion: '1.0',
      partitionKey: 'lane',
      sequenceNumber,
    },
  };
}

interface Lane {
  items: number;
  late: number;
  quantity: number;
  penalty: number;
  readonly delays: Map<number, number>;
}

export default async function powertools(
  _options: Options,
  events: readonly KinesisStreamEvent[],
): Promise<Counts> {
  process.env['POWERTOOLS_SERVICE_NAME'] = 'analyze';
  const lanes = new Map<string, Lane>();
  let applied = 0;
  const config = new IdempotencyConfig({ eventKeyJmesPath: 'eventID' });
  const processor = new BatchProcessor(EventType.KinesisDataStreams);
  const handleRecord = makeIdempotent(
    async (record: KinesisStreamRecord) => {
      const message = JSON.parse(Buffer.from(record.kinesis.data, 'base64').toString()) as ItemMessage;
      measure(lanes, message);
      applied++;
    },
    { persistenceStore: new MemoryPersistence(), config },
  );
  const handler = (event: KinesisStreamEvent, context: Context) => {
    config.registerLambdaContext(context);
    return processPartialResponse(event, handleRecord, processor, { context });
  };
  const context = { getRemainingTimeInMillis: () => 60_000 } as Context;
  for (const event of events) {
    const { batchItemFailures } = await handler(event, context);
    if (batchItemFailures.length > 0) throw new Error('a record failed');
  }
  return { applied, lanes: lanes.size };
}

function measure(lanes: Map<string, Lane>, message: ItemMessage): void {
  const name = message.transportLaneIdentifier ?? '';
  let lane = lanes.get(name);
  if (lane === undefined)
    lanes.set(name, (lane = { items: 0, late: 0, quantity: 0, penalty: 0, delays: new Map() }));
  lane.items++;
  if (message.isDeliveredAfterDueDate) lane.late++;
  lane.quantity += message.orderedQuantity;
  lane.penalty += message.servicePenaltyTotalInLocalCurrency;
  const minutes = message.arrivalDelayInMinutes;
  lane.delays.set(minutes, (lane.delays.get(minutes) ?? 0) + 1);
}
