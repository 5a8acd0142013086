/**
 * aws-lambda-stream as its README has it: units of work, events, `publishToKinesis`, `toPromise`. Its client for Kinesis is given a `send` that
 * puts into the in-memory stream; batches are as large as Kinesis takes. It compresses what is over 10 KiB: these events are not.
 */
import { createReadStream } from 'node:fs';
import { KinesisClient, type PutRecordsCommandInput } from '@aws-sdk/client-kinesis';
import { parse } from 'csv-parse';
import { toMessage, typedItem, type ItemMessage } from '../data/item.ts';
import type { Counts } from '../harness/contender.ts';
import { PeersStream } from '../harness/in-memory-stream.ts';

interface UnitOfWork {
  readonly event: {
    readonly id: string;
    readonly type: string;
    readonly timestamp: number;
    readonly partitionKey: string;
    readonly item: ItemMessage;
  };
}

export default async function awsLambdaStream({ csv }: { readonly csv: string }): Promise<Counts> {
  process.env['AWS_REGION'] = 'eu-central-1';
  const stream = new PeersStream();
  let messages = 0;
  KinesisClient.prototype.send = async (command: { readonly input: PutRecordsCommandInput }) => {
    const records = command.input.Records ?? [];
    messages += records.length;
    await stream.putBatch(records.map(({ Data }) => Data as Uint8Array));
    return { FailedRecordCount: 0, Records: records.map(() => ({ SequenceNumber: '1', ShardId: '1' })) };
  };
  const { default: highland } = await import('highland');
  const { publishToKinesis } = await import('aws-lambda-stream/sinks/kinesis');
  const { toPromise } = await import('aws-lambda-stream/utils/handler');
  const rows = createReadStream(csv).pipe(parse({ columns: true }));
  await highland<Parameters<typeof typedItem>[0]>(rows)
    .map((row): UnitOfWork => {
      const item = toMessage(typedItem(row));
      return {
        event: {
          id: String(item.itemLineNumber),
          type: 'item-read',
          timestamp: item.orderedAtMillisecondsSinceEpoch,
          partitionKey: item.transportLaneIdentifier ?? '',
          item,
        },
      };
    })
    .through(publishToKinesis({ streamName: 'frames', batchSize: 500, parallel: 8 }))
    .through(toPromise);
  return { messages, records: stream.records, bytesOut: stream.bytes };
}
