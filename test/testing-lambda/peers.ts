import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { KinesisTwin } from '../adapters/aws/kinesis-twin.ts';

const common = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  maxAttempts: 1,
};

/** Clients for an endpoint; none of them tries again by itself. */
export const sqsAt = (endpoint: string) => new SQSClient({ ...common, endpoint });
export const s3At = (endpoint: string) => new S3Client({ ...common, endpoint, forcePathStyle: true });
export const kinesisAt = (endpoint: string) =>
  // By itself it would speak HTTP/2, which no twin does.
  new KinesisClient({ ...common, endpoint, requestHandler: new NodeHttpHandler() });

/** S3, SQS and SNS of this process, and Kinesis. */
export interface Peers {
  readonly fauxqs: FauxqsServer;
  readonly kinesalite: KinesisTwin;
  /** A queue of its own; its URL. */
  newQueue(attributes?: Record<string, string>): string;
  /** A stream of its own; its name. */
  newStream(shards: number): Promise<string>;
  newBucket(): string;
  stop(): Promise<void>;
}

export async function startPeers(): Promise<Peers> {
  const fauxqs = await startFauxqs({ port: 0, logger: false });
  const kinesalite = await KinesisTwin.start();
  let made = 0;
  return {
    fauxqs,
    kinesalite,
    newQueue: (attributes = {}) => fauxqs.createQueue(`queue-${(made += 1)}`, { attributes }).queueUrl,
    newStream: async (shards) => {
      const name = `stream-${(made += 1)}`;
      await kinesalite.createStream(name, shards);
      return name;
    },
    newBucket: () => fauxqs.createBucket(`bucket-${(made += 1)}`).bucketName,
    stop: async () => {
      await fauxqs.stop();
      await kinesalite.stop();
    },
  };
}

/** Messages of a queue: to be received, and received but neither deleted nor back. */
export async function depth(sqs: SQSClient, QueueUrl: string): Promise<readonly [number, number]> {
  const { Attributes = {} } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
  );
  return [
    Number(Attributes['ApproximateNumberOfMessages']),
    Number(Attributes['ApproximateNumberOfMessagesNotVisible']),
  ];
}
