import type { FunctionName } from './manifest.ts';

/** Nobody answers there, and nobody is asked: whoever starts a function only makes clients. */
const NOWHERE = 'http://127.0.0.1:9';

const queueUrl = (name: string) => `${NOWHERE}/000000000000/${name}`;

/** All that any of the functions needs so that it can start, without anything to work with. */
export const firstEnvironment: Readonly<Record<string, string>> = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'none',
  AWS_SECRET_ACCESS_KEY: 'none',
  AWS_ENDPOINT_URL: NOWHERE,
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024',
  // As the stack has it.
  NODE_OPTIONS: '--enable-source-maps',
  SLUICE_BUCKET: 'state',
  SLUICE_RESULTS: 's3://state/results/',
  SLUICE_STREAM_NAME: 'frames',
  SLUICE_TASK_QUEUE_URL: queueUrl('tasks'),
  SLUICE_DISPATCH_QUEUE_URL: queueUrl('dispatch'),
  SLUICE_FAILURE_QUEUE_URL: queueUrl('failures'),
  SLUICE_LOG_LEVEL: 'silent',
};

/** What each function gets from its mapping, with a record in it that cannot be read: it is given back, and nobody is asked for anything. */
export const firstEvents: Readonly<Record<FunctionName, object>> = {
  dispatch: messageFrom('dispatch'),
  transform: messageFrom('tasks'),
  analyze: {
    Records: [
      {
        kinesis: {
          partitionKey: '0',
          sequenceNumber: '1',
          data: Buffer.from('no frame').toString('base64'),
          approximateArrivalTimestamp: 0,
        },
        eventID: 'shardId-000000000000:1',
        eventSource: 'aws:kinesis',
        eventSourceARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/frames',
      },
    ],
  },
  reprocess: messageFrom('failures'),
};

/** What each of them replies. */
export const firstReply = { batchItemFailures: [{ itemIdentifier: '1' }] };

function messageFrom(queue: string): object {
  const eventSourceARN = `arn:aws:sqs:us-east-1:000000000000:${queue}`;
  return { Records: [{ messageId: '1', body: 'no JSON', eventSource: 'aws:sqs', eventSourceARN }] };
}
