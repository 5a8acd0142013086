import { ContainerModule } from 'inversify';
import type { Clock, Log, Metrics, Random } from '../../domain/ports/ambient.ts';
import { token, tokens } from '../tokens.ts';
import { S3ClaimCheck, type ClaimCheck } from './claim-check.ts';
import type { AwsClientSettings } from './client-settings.ts';
import { AwsErrorRouter } from './error-router.ts';
import { S3FailureLedger } from './failure-ledger.ts';
import { createKinesisCalls, type KinesisCalls } from './kinesis-client.ts';
import { S3KilledRows } from './killed-rows.ts';
import { S3ObjectSource } from './object-source.ts';
import { KinesisRecordSink } from './record-sink.ts';
import { ResultsLake } from './results-lake.ts';
import { createS3Calls, type S3Calls } from './s3-client.ts';
import { createSnsCalls, MAX_PUBLISH_BYTES, type SnsCalls } from './sns-client.ts';
import { SqsSender } from './sqs-batch.ts';
import { createSqsCalls, type SqsCalls } from './sqs-client.ts';
import { SqsTaskQueue } from './task-queue.ts';

/*
 * A function loads the modules that it needs; a bundler leaves out the clients of the others. Clients are made once for each
 * container, and `container.unbindAll()` closes them.
 *
 *     function     lake   stream   queues           failures   killed rows
 *     dispatch      ×              tasks, orders       ×
 *     transform     ×       ×      tasks                            ×
 *     analyze       ×                                  ×
 *     reprocess     ×       ×                          ×
 */

/** What the ports do not show: the clients, and what is put together from them. */
export const awsTokens = {
  s3: token<S3Calls>('aws.s3'),
  sqs: token<SqsCalls>('aws.sqs'),
  kinesis: token<KinesisCalls>('aws.kinesis'),
  sns: token<SnsCalls>('aws.sns'),
  /** What is too large to travel. */
  claims: token<ClaimCheck>('aws.claims'),
  /** To the dispatch queue. */
  orders: token<SqsSender>('aws.orders'),
  /** To the task queue: what is no task. */
  taskOrders: token<SqsSender>('aws.taskOrders'),
  /** To the queue of undelivered records. */
  undelivered: token<SqsSender>('aws.undelivered'),
  /** To the failure topic. */
  topic: token<SqsSender>('aws.topic'),
} as const;

export interface AwsLakeSettings {
  /** The state bucket: claims lie in it, under `claims/`. */
  readonly bucket: string;
  /** The bucket in the path of a URL instead of in its host. Default `false`. */
  readonly pathStyle?: boolean;
  readonly client?: AwsClientSettings;
}

/** Binds `objectSource`, `awsTokens.s3` and `awsTokens.claims`; needs `clock`, `random` and `metrics`. */
export function awsLakeModule({ bucket, pathStyle = false, client = {} }: AwsLakeSettings): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(awsTokens.s3)
      .toResolvedValue(() => createS3Calls({ pathStyle, config: client }))
      .inSingletonScope()
      .onDeactivation((calls) => calls.close());
    bind(awsTokens.claims)
      .toResolvedValue(
        (calls, clock, random, metrics) => new S3ClaimCheck({ calls, clock, random, metrics }, { bucket }),
        [awsTokens.s3, tokens.clock, tokens.random, tokens.metrics],
      )
      .inSingletonScope();
    bind(tokens.objectSource)
      .toResolvedValue(
        (calls, clock, random, metrics) => new S3ObjectSource({ calls, clock, random, metrics }),
        [awsTokens.s3, tokens.clock, tokens.random, tokens.metrics],
      )
      .inSingletonScope();
  });
}

/** Binds `killedRows` in the state bucket, under `killed/`; needs `awsTokens.s3`, `clock`, `random` and `metrics`. */
export function awsKilledRowsModule({ bucket }: Pick<AwsLakeSettings, 'bucket'>): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.killedRows)
      .toResolvedValue(
        (calls, clock, random, metrics) => new S3KilledRows({ calls, clock, random, metrics }, { bucket }),
        [awsTokens.s3, tokens.clock, tokens.random, tokens.metrics],
      )
      .inSingletonScope();
  });
}

export interface AwsResultsSettings {
  readonly bucket: string;
  /** Where in the bucket: empty, or ends with `/`. */
  readonly prefix: string;
}

/** Binds `resultStore` in S3, for pipelines without a database; needs `awsTokens.s3`, `mergeStates`, `clock`, `random` and `metrics`. */
export function awsResultsModule({ bucket, prefix }: AwsResultsSettings): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.resultStore)
      .toResolvedValue(
        (calls, mergeStates, clock, random, metrics) =>
          new ResultsLake({ calls, clock, random, metrics }, { bucket, prefix, mergeStates }),
        [awsTokens.s3, tokens.mergeStates, tokens.clock, tokens.random, tokens.metrics],
      )
      .inSingletonScope();
  });
}

export interface AwsStreamSettings {
  readonly streamName: string;
  /** The pipeline's partitions. */
  readonly partitions: number;
  /** What the stream takes as one record, in bytes: 1 MiB (default) to 10 MiB. */
  readonly streamRecordBytes?: number;
  /** What one PutRecords request takes, in bytes. Default 10 MiB; twins of Kinesis may take less. */
  readonly maxRequestBytes?: number;
  readonly client?: AwsClientSettings;
}

/** Binds `recordSink` and `awsTokens.kinesis`; needs `awsTokens.claims`. */
export function awsStreamModule({ client = {}, ...options }: AwsStreamSettings): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(awsTokens.kinesis)
      .toResolvedValue(() => createKinesisCalls(client))
      .inSingletonScope()
      .onDeactivation((calls) => calls.close());
    bind(tokens.recordSink)
      .toResolvedValue(
        (calls, claims) => new KinesisRecordSink({ calls, claims }, options),
        [awsTokens.kinesis, awsTokens.claims],
      )
      .inSingletonScope();
  });
}

export interface AwsQueueSettings {
  /** Default: there is no task queue. */
  readonly taskQueueUrl?: string;
  /** Default: there is no dispatch queue. */
  readonly dispatchQueueUrl?: string;
  /** Default: there is no queue of undelivered records. */
  readonly undeliveredQueueUrl?: string;
  readonly client?: AwsClientSettings;
}

/**
 * Binds `awsTokens.sqs`; `taskQueue` and `awsTokens.taskOrders` where there is one, `awsTokens.orders` where there is a dispatch queue, and
 * `awsTokens.undelivered` where there is one of undelivered records. Needs `awsTokens.claims`, `clock`, `random`, `metrics` and `log`.
 */
export function awsQueueModule({
  taskQueueUrl,
  dispatchQueueUrl,
  undeliveredQueueUrl,
  client = {},
}: AwsQueueSettings): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(awsTokens.sqs)
      .toResolvedValue(() => createSqsCalls(client))
      .inSingletonScope()
      .onDeactivation((calls) => calls.close());
    const bindSender = (to: typeof awsTokens.orders, queueUrl: string | undefined) => {
      if (queueUrl === undefined) return;
      bind(to)
        .toResolvedValue(
          (calls, claims, clock, random, metrics) =>
            new SqsSender({ calls, claims, clock, random, metrics }, { queueUrl }),
          [awsTokens.sqs, awsTokens.claims, tokens.clock, tokens.random, tokens.metrics],
        )
        .inSingletonScope();
    };
    bindSender(awsTokens.orders, dispatchQueueUrl);
    bindSender(awsTokens.undelivered, undeliveredQueueUrl);
    bindSender(awsTokens.taskOrders, taskQueueUrl);
    if (taskQueueUrl !== undefined) {
      bind(tokens.taskQueue)
        .toResolvedValue(
          (calls, sender, claims, clock, log) =>
            new SqsTaskQueue({ calls, sender, claims, clock, log }, { queueUrl: taskQueueUrl }),
          [awsTokens.sqs, awsTokens.taskOrders, awsTokens.claims, tokens.clock, tokens.log],
        )
        .inSingletonScope();
    }
  });
}

export interface AwsFailureSettings {
  /** The state bucket: the ledger lies in it, under `failures/`. */
  readonly bucket: string;
  readonly failureQueueUrl: string;
  /** Gets word of every failure. Default: nobody does. */
  readonly failureTopicArn?: string;
  /** A failure's payload as JSON text, for the ledger. */
  readonly payloadToJson: (payload: Uint8Array) => string;
  /** Of the topic; queue and ledger have the clients of their modules. */
  readonly client?: AwsClientSettings;
}

/** What queue and ledger of failures are made of. */
type Parts = [S3Calls, SqsCalls, ClaimCheck, Log, Clock, Random, Metrics];

/**
 * Binds `errorRouter`, and `awsTokens.sns` and `awsTokens.topic` where there is one; needs `awsTokens.s3`, `awsTokens.sqs`,
 * `awsTokens.claims`, `log`, `clock`, `random` and `metrics`.
 */
export function awsFailureModule(settings: AwsFailureSettings): ContainerModule {
  const { bucket, failureQueueUrl, failureTopicArn, payloadToJson, client = {} } = settings;
  const routerOf = (
    topic: SqsSender | undefined,
    ...[s3, sqs, claims, log, clock, random, metrics]: Parts
  ) => {
    const retry = { clock, random, metrics };
    const ledger = new S3FailureLedger({ calls: s3, ...retry }, { bucket, payloadToJson });
    const queue = new SqsSender({ calls: sqs, claims, ...retry }, { queueUrl: failureQueueUrl });
    return new AwsErrorRouter({ ledger, queue, log, ...(topic === undefined ? {} : { topic }) });
  };
  const ambient = [tokens.clock, tokens.random, tokens.metrics] as const;
  const parts = [awsTokens.s3, awsTokens.sqs, awsTokens.claims, tokens.log, ...ambient] as const;
  return new ContainerModule(({ bind }) => {
    if (failureTopicArn === undefined) {
      bind(tokens.errorRouter)
        .toResolvedValue((...given: Parts) => routerOf(undefined, ...given), [...parts])
        .inSingletonScope();
      return;
    }
    bind(awsTokens.sns)
      .toResolvedValue(() => createSnsCalls(client))
      .inSingletonScope()
      .onDeactivation((calls) => calls.close());
    bind(awsTokens.topic)
      .toResolvedValue(
        (calls, claims, clock, random, metrics) =>
          new SqsSender(
            { calls, claims, clock, random, metrics },
            { queueUrl: failureTopicArn, maxBatchBytes: MAX_PUBLISH_BYTES },
          ),
        [awsTokens.sns, awsTokens.claims, ...ambient],
      )
      .inSingletonScope();
    bind(tokens.errorRouter)
      .toResolvedValue(routerOf, [awsTokens.topic, ...parts])
      .inSingletonScope();
  });
}
