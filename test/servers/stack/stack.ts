import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { migrate } from '../../../src/adapters/postgres/migrate.ts';
import {
  functionNames,
  readManifest,
  type BuildManifest,
  type FunctionName,
} from '../../../src/entrypoints/cli/build/manifest.ts';
import {
  LambdaTwin,
  ProcessFunction,
  type FunctionLog,
  type StreamMappingTwin,
  type Switch,
} from '../../../src/testing/lambda/index.ts';
import { runtimeClient } from '../lambda/runtime-client.ts';
import {
  LAKE_BUCKET,
  startPeers,
  STATE_BUCKET,
  STREAM,
  UNDELIVERED_BUCKET,
  type PeerOptions,
  type Peers,
} from './peers.ts';

export { LAKE_BUCKET } from './peers.ts';

/** What the stream's mapping does with a batch that fails. */
export interface GivingUp {
  readonly maximumRetryAttempts: number;
  readonly bisectBatchOnFunctionError: boolean;
  /** `s3`: the bucket of what is not delivered; `sqs`: the queue of failures. */
  readonly to: 's3' | 'sqs';
}

export interface StackOptions extends PeerOptions {
  /** What `sluice build` wrote. */
  readonly build: string;
  /** Environments of a function at once. Default 2. */
  readonly concurrency?: number;
  readonly memoryMb?: number;
  readonly timeoutMs?: number;
  readonly log?: FunctionLog;
  /** Default: after 100 retries, batches are split, what is left goes to S3. */
  readonly givingUp?: GivingUp;
  /** More of the functions' environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A deployed pipeline, on one machine: its bundles under AWS's own runtime client, between the peers. */
export interface Stack {
  readonly peers: Peers;
  readonly twin: LambdaTwin;
  readonly functions: Readonly<Record<FunctionName, ProcessFunction>>;
  readonly manifest: BuildManifest;
  /** Of the stream to analyze. */
  readonly stream: StreamMappingTwin & Switch;
  /** Maps the stream to analyze once more, from its oldest record on; the other mapping has to be disabled. */
  mapStream(): StreamMappingTwin & Switch;
  /** Maps the queue of failures to reprocess: as on AWS, nobody reads it until somebody wants it. */
  mapFailures(): Switch;
  /** Functions of another build beside these, with the same surroundings; its bundles are kept. Stopped with the stack. */
  deployBeside(build: string): Promise<Readonly<Record<FunctionName, ProcessFunction>>>;
  /** Puts an object into the lake, and tells nobody. */
  put(key: string, body: Uint8Array): Promise<void>;
  stop(): Promise<void>;
}

const defaultGivingUp: GivingUp = {
  maximumRetryAttempts: 100,
  bisectBatchOnFunctionError: true,
  to: 's3',
};

/** fauxqs takes no larger body. */
const PART_BYTES = 6 * 1024 * 1024;

export async function startStack(options: StackOptions): Promise<Stack> {
  const peers = await startPeers(options);
  const twin = new LambdaTwin();
  const beside: ProcessFunction[] = [];
  const stop = async () => {
    try {
      await Promise.all([twin.stop(), ...beside.map((each) => each.stop())]);
    } finally {
      await peers.stop();
    }
  };
  try {
    await migrateDatabase(peers.postgres.url);
    const manifest = readManifest(options.build);
    const functions = await deploy(options.build, options, peers);
    for (const name of functionNames) twin.add(functions[name]);
    const { sqs, kinesis, queues } = peers;
    const queue = { sqs, reportBatchItemFailures: true, batchSize: 1, waitSeconds: 0 } as const;
    twin.mapQueue('dispatch', { ...queue, queueUrl: queues.dispatch });
    twin.mapQueue('transform', {
      ...queue,
      queueUrl: queues.tasks,
      maximumConcurrency: options.concurrency ?? 2,
    });
    twin.mapQueue('transform', { ...queue, queueUrl: queues.messages, batchSize: 100, batchWindowMs: 1_000 });
    const { to, ...givingUp } = options.givingUp ?? defaultGivingUp;
    const mapStream = () =>
      twin.mapStream('analyze', {
        kinesis,
        streamName: STREAM,
        reportBatchItemFailures: true,
        batchSize: 20,
        ...givingUp,
        onFailure:
          to === 's3'
            ? { kind: to, s3: peers.s3, bucket: UNDELIVERED_BUCKET }
            : { kind: to, sqs, queueUrl: queues.failures },
      });
    return {
      peers,
      twin,
      functions,
      manifest,
      stream: mapStream(),
      mapStream,
      mapFailures: () => twin.mapQueue('reprocess', { ...queue, queueUrl: queues.failures, batchSize: 10 }),
      deployBeside: async (build) => {
        const others = await deploy(build, options, peers);
        beside.push(...Object.values(others));
        return others;
      },
      put: (key, body) => putObject(peers, key, body),
      stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function deploy(
  build: string,
  options: StackOptions,
  peers: Peers,
): Promise<Record<FunctionName, ProcessFunction>> {
  await keepBundles(readManifest(build), build, peers);
  const functions = {} as Record<FunctionName, ProcessFunction>;
  for (const name of functionNames) {
    functions[name] = new ProcessFunction(
      {
        name,
        folder: path.resolve(build, name),
        runtimeClient,
        environment: { ...peers.environment, ...options.environment },
        concurrency: options.concurrency ?? 2,
        memoryMb: options.memoryMb ?? 1_024,
        timeoutMs: options.timeoutMs ?? 30_000,
      },
      options.log,
    );
  }
  return functions;
}

async function migrateDatabase(url: string): Promise<void> {
  const database = new PgDatabase({ url });
  try {
    await migrate(database, {}, new AbortController().signal);
  } finally {
    await database.close();
  }
}

/** As `sluice deploy` does: whoever meets work of this build later finds it. */
async function keepBundles(
  { pipeline, build, functions }: BuildManifest,
  folder: string,
  { s3 }: Peers,
): Promise<void> {
  for (const name of functionNames) {
    await s3.send(
      new PutObjectCommand({
        Bucket: STATE_BUCKET,
        Key: `bundles/${pipeline}/${build}/${name}.mjs`,
        Body: await readFile(path.join(folder, functions[name].file)),
      }),
    );
  }
}

async function putObject({ s3 }: Peers, key: string, body: Uint8Array): Promise<void> {
  const object = { Bucket: LAKE_BUCKET, Key: key };
  if (body.length <= PART_BYTES) {
    await s3.send(new PutObjectCommand({ ...object, Body: body }));
    return;
  }
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(object));
  const parts: { ETag: string | undefined; PartNumber: number }[] = [];
  for (let at = 0; at < body.length; at += PART_BYTES) {
    const part = { ...object, UploadId, PartNumber: parts.length + 1 };
    const { ETag } = await s3.send(
      new UploadPartCommand({ ...part, Body: body.subarray(at, at + PART_BYTES) }),
    );
    parts.push({ ETag, PartNumber: part.PartNumber });
  }
  await s3.send(
    new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts: parts } }),
  );
}
