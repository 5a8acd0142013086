import { Buffer } from 'node:buffer';
import type { KinesisClientConfig } from '@aws-sdk/client-kinesis';
import type { RecordSink } from '../../src/domain/ports/record-sink.ts';

interface PutRecordsInput {
  readonly Records: readonly { readonly PartitionKey: string; readonly Data: string }[];
}

const unstopped = new AbortController().signal;

/** Settings of Kinesis's own client with which it speaks to a stream in memory: all of it runs but the connection. */
export function kinesisOverSink(sink: RecordSink): KinesisClientConfig {
  return {
    region: 'eu-central-1',
    credentials: { accessKeyId: 'simulated', secretAccessKey: 'simulated' },
    requestHandler: {
      async handle({ body }: { readonly body: string | Uint8Array }) {
        const { Records: records } = JSON.parse(
          typeof body === 'string' ? body : new TextDecoder().decode(body),
        ) as PutRecordsInput;
        const outcomes = await sink.put(
          records.map(({ PartitionKey, Data }) => ({
            partition: Number(PartitionKey),
            data: Buffer.from(Data, 'base64'),
          })),
          unstopped,
        );
        const reply = {
          FailedRecordCount: outcomes.filter(({ accepted }) => !accepted).length,
          Records: outcomes.map((outcome) =>
            outcome.accepted
              ? { SequenceNumber: '1', ShardId: 'shardId-000000000000' }
              : {
                  ErrorCode:
                    outcome.reason === 'throttled'
                      ? 'ProvisionedThroughputExceededException'
                      : 'InternalFailure',
                  ErrorMessage: outcome.message,
                },
          ),
        };
        return {
          response: {
            statusCode: 200,
            headers: { 'content-type': 'application/x-amz-json-1.1' },
            body: Buffer.from(JSON.stringify(reply), 'utf8'),
          },
        };
      },
    },
  };
}
