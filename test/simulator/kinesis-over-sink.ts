import { AsyncLocalStorage } from 'node:async_hooks';
import { Buffer } from 'node:buffer';
import { createKinesisCalls, type KinesisCalls } from '../../src/adapters/aws/kinesis-client.ts';
import type { RecordSink } from '../../src/domain/ports/record-sink.ts';

interface PutRecordsInput {
  readonly Records: readonly { readonly PartitionKey: string; readonly Data: string }[];
}

const unstopped = new AbortController().signal;

/** Whose call it is: one client serves all functions, as it does in a warm container. To make one takes longer than most functions. */
const sinkOfCall = new AsyncLocalStorage<RecordSink>();

const calls = createKinesisCalls({
  region: 'eu-central-1',
  credentials: { accessKeyId: 'simulated', secretAccessKey: 'simulated' },
  requestHandler: {
    async handle({ body }: { readonly body: string | Uint8Array }) {
      const { Records: records } = JSON.parse(
        typeof body === 'string' ? body : new TextDecoder().decode(body),
      ) as PutRecordsInput;
      const outcomes = await (sinkOfCall.getStore() as RecordSink).put(
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
});

/** Kinesis's own client, speaking to a stream in memory: all of it runs but the connection. */
export function kinesisOverSink(sink: RecordSink): Pick<KinesisCalls, 'putRecords'> {
  return {
    putRecords: (stream, records, signal) =>
      sinkOfCall.run(sink, () => calls.putRecords(stream, records, signal)),
  };
}
