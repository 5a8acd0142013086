import { tmpdir } from 'node:os';
import path from 'node:path';
import { KinesisClient } from '@aws-sdk/client-kinesis';
import { S3Client } from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SQSClient,
  type QueueAttributeName,
} from '@aws-sdk/client-sqs';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { startFaultProxy, type FaultProxy, type WireFault } from '../../../src/testing/lambda/index.ts';
import { KinesisTwin } from '../../adapters/aws/kinesis-twin.ts';
import { credentials, region, startS3Twin, type S3Twin } from '../../adapters/aws/s3-twin.ts';
import { startPostgres, type PostgresServer } from '../postgres-server.ts';
import { startRedis, type RedisServer } from '../redis-server.ts';

export interface PeerOptions {
  /** What goes wrong between the functions and S3, SQS and Kinesis. Default: nothing. */
  readonly faults?: readonly WireFault[];
  readonly seed?: number;
  readonly shards?: number;
  /** A task that failed comes back after so long. Default 12. AWS: six times the function's time. */
  readonly visibilitySeconds?: number;
}

/** What AWS is to the functions, on loopback: S3 and SQS by fauxqs, Kinesis by kinesalite, real Redis and PostgreSQL. */
export interface Peers {
  readonly sqs: SQSClient;
  readonly kinesis: KinesisClient;
  readonly s3: S3Client;
  /** What S3 and SQS are asked of. */
  readonly fauxqs: S3Twin;
  /** What Kinesis is asked of. */
  readonly kinesalite: KinesisTwin;
  readonly redis: RedisServer;
  readonly postgres: PostgresServer;
  readonly queues: Readonly<Record<QueueName, string>>;
  /** By queue that has one, its dead letters. */
  readonly deadLetters: Readonly<Record<'tasks' | 'dispatch', string>>;
  /** Between the functions and the peers; what the tests ask for goes past them. */
  readonly proxies: readonly FaultProxy[];
  /** What a function needs to reach them. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export type QueueName = 'tasks' | 'dispatch' | 'failures' | 'messages';

export const LAKE_BUCKET = 'lake';
export const STATE_BUCKET = 'state';
/** What the stream's mapping gives up. */
export const UNDELIVERED_BUCKET = 'undelivered';
/** Of pipelines that keep their results in S3. */
export const RESULTS_BUCKET = 'results';
export const STREAM = 'frames';

const VISIBILITY_SECONDS = 12;
const MAX_RECEIVES = 50;

export async function startPeers({
  faults = [],
  seed = 1,
  shards = 4,
  visibilitySeconds = VISIBILITY_SECONDS,
}: PeerOptions = {}): Promise<Peers> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const each of stops.toReversed()) await each();
  };
  const keep = <T extends { stop(): Promise<unknown> }>(started: T): T => {
    stops.push(() => started.stop());
    return started;
  };
  try {
    const fauxqs = keep(await startS3Twin());
    const kinesalite = keep(await KinesisTwin.start());
    const redis = keep(await startRedis());
    const postgres = keep(await startPostgres());
    const proxyOf = async (upstream: string) => keep(await startFaultProxy({ upstream, faults, seed }));
    const fauxqsProxy = await proxyOf(fauxqs.url);
    const kinesisProxy = await proxyOf(kinesalite.url);
    const shared = { region, credentials };
    const sqs = new SQSClient({ ...shared, endpoint: fauxqs.url });
    const kinesis = new KinesisClient({
      ...shared,
      endpoint: kinesalite.url,
      requestHandler: new NodeHttpHandler(),
    });
    const s3 = new S3Client({
      ...shared,
      endpoint: fauxqs.url,
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
    stops.push(async () => [sqs, kinesis, s3].forEach((client) => client.destroy()));
    for (const bucket of [LAKE_BUCKET, STATE_BUCKET, UNDELIVERED_BUCKET]) fauxqs.server.createBucket(bucket);
    // Nobody puts an object into it in parts, so that it can be listed as S3 lists.
    fauxqs.newBucket(RESULTS_BUCKET);
    await kinesalite.createStream(STREAM, shards);
    const tasks = await createQueueWithDeadLetters(sqs, 'tasks', visibilitySeconds);
    const dispatch = await createQueueWithDeadLetters(sqs, 'dispatch', visibilitySeconds);
    const queues = {
      tasks: tasks.url,
      dispatch: dispatch.url,
      failures: await createQueue(sqs, 'failures', {}),
      messages: await createQueue(sqs, 'messages', { VisibilityTimeout: `${visibilitySeconds}` }),
    };
    return {
      sqs,
      kinesis,
      s3,
      fauxqs,
      kinesalite,
      redis,
      postgres,
      queues,
      deadLetters: { tasks: tasks.deadLetters, dispatch: dispatch.deadLetters },
      proxies: [fauxqsProxy, kinesisProxy],
      environment: {
        AWS_REGION: region,
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_ENDPOINT_URL_S3: fauxqsProxy.url,
        AWS_ENDPOINT_URL_SQS: fauxqsProxy.url,
        AWS_ENDPOINT_URL_KINESIS: kinesisProxy.url,
        SLUICE_S3_PATH_STYLE: 'true',
        SLUICE_BUCKET: STATE_BUCKET,
        // A function that was killed starts again: the bundle is compiled once for all of them.
        NODE_COMPILE_CACHE: path.join(tmpdir(), 'node-compile-cache'),
        SLUICE_STREAM_NAME: STREAM,
        SLUICE_TASK_QUEUE_URL: queues.tasks,
        SLUICE_DISPATCH_QUEUE_URL: queues.dispatch,
        SLUICE_FAILURE_QUEUE_URL: queues.failures,
        SLUICE_MESSAGE_QUEUE_URL: queues.messages,
        SLUICE_REDIS_URL: redis.url,
        SLUICE_DATABASE_URL: postgres.url,
        SLUICE_LOG_LEVEL: 'info',
        NODE_OPTIONS: '--enable-source-maps',
      },
      stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function createQueueWithDeadLetters(sqs: SQSClient, name: string, visibilitySeconds: number) {
  const deadLetters = await createQueue(sqs, `${name}-dead`, {});
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: deadLetters, AttributeNames: ['QueueArn'] }),
  );
  const url = await createQueue(sqs, name, {
    VisibilityTimeout: `${visibilitySeconds}`,
    RedrivePolicy: JSON.stringify({
      deadLetterTargetArn: Attributes?.['QueueArn'],
      maxReceiveCount: MAX_RECEIVES,
    }),
  });
  return { url, deadLetters };
}

async function createQueue(
  sqs: SQSClient,
  name: string,
  attributes: Partial<Record<QueueAttributeName, string>>,
): Promise<string> {
  const { QueueUrl = '' } = await sqs.send(
    new CreateQueueCommand({ QueueName: name, Attributes: attributes }),
  );
  return QueueUrl;
}
