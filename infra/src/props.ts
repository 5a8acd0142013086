import type { Duration } from 'aws-cdk-lib';
import type { SluiceFoundation } from './foundation.ts';

/** A bucket of the lake, or a part of one. It is somebody else's: the stack reads it and changes nothing about it. */
export interface LakeProps {
  readonly bucketName: string;
  /** Only keys that start with it, e.g. `flights/`. Default: all of the bucket. */
  readonly prefix?: string;
  /** ARN of the KMS key of the bucket's objects, where it is one of the customer's. Default: none. */
  readonly keyArn?: string;
  /**
   * Whether new objects are dispatched as they arrive, and who tells of them. The bucket has to be set up for it: docs/deploy.md has the commands.
   *
   * - `true`: EventBridge, to which the bucket sends its events. It tells as many pipelines, and versions of one, as there are.
   * - `'s3'`: the bucket itself, which may put its notifications into the queue `orders`. S3 takes one receiver for a prefix.
   *
   * Default true.
   */
  readonly events?: boolean | 's3';
}

/** How one function runs. */
export interface FunctionSettings {
  /** In MiB, 128 to 10,240; CPU comes with it, a whole one at 1,769. */
  readonly memoryMiB?: number;
  /** At most 15 minutes. The visibility of its queues is six times that. */
  readonly timeout?: Duration;
}

export interface DispatchSettings extends FunctionSettings {
  /** Dispatches at once, 2 to 1,000; each takes `databaseConnections`. Default 4. */
  readonly concurrency?: number;
}

export interface TransformSettings extends FunctionSettings {
  /** Tasks at once, 2 to 1,000 (what an event source mapping of SQS takes). Default 250. */
  readonly concurrency?: number;
  /**
   * Above 1,000 tasks at once: dedicated pollers in place of `concurrency`, each for up to 10 tasks at once. Billed by the hour,
   * whether there is work or not. Minimum 2 to 200, maximum 2 to 2,000. Default: none.
   */
  readonly pollers?: { readonly minimum: number; readonly maximum: number };
  /**
   * How long one row may take where a task comes again and is probed: whole seconds, at most a third of `timeout`, which ends a row first. Default 30 seconds, or that
   * third.
   */
  readonly rowTimeout?: Duration;
}

export interface AnalyzeSettings extends FunctionSettings {
  /**
   * Batches at once over all shards: the reserved concurrency, which caps the connections to the database. Default: shards × parallelization factor,
   * for a stream on demand counted with 8 shards; one more for the scheduled publishing.
   */
  readonly concurrency?: number;
  /** Batches of one shard at once, 1 to 10; partitions stay in order. Default 2. */
  readonly parallelizationFactor?: number;
  /** Records in one batch at most, 1 to 10,000; 6 MB end it earlier. Default 100. */
  readonly batchSize?: number;
  /** How long records are gathered, up to 5 minutes: fewer and larger transactions for later results. Default 1 second. */
  readonly batchingWindow?: Duration;
  /** Tries of a batch after the first, 0 to 10,000, before its record goes to the state bucket. Default 10. */
  readonly retryAttempts?: number;
  /** Records older than that go to the state bucket unread; below the stream's retention, or they are gone. Default 20 hours. */
  readonly maxRecordAge?: Duration;
}

export interface ReprocessSettings extends FunctionSettings {
  /** Redrives at once, 2 to 1,000. Default 2. */
  readonly concurrency?: number;
  /**
   * Whether what arrives in the failure queue is redriven by itself: failures of other builds than the one that is deployed, which would only fail
   * its own again. Default false: it waits until you say so.
   */
  readonly automatic?: boolean;
  /**
   * Whether records that a mapping gave up, which lie under `aws/lambda/` of the state bucket, are put into their stream again by themselves: not before
   * results can be stored again, and three times at most. Default true; without it they wait for a direct call, `{"undelivered": "s3://…"}`.
   */
  readonly undelivered?: boolean;
  /**
   * Failures and undelivered records that one container sends again a second, where an event asked for it; a direct call says its own rate. A batch
   * of analyze has to fit into the timeout at it. Default: as fast as it goes.
   */
  readonly rate?: number;
}

export interface StreamSettings {
  /** Shards that are provisioned, or `on-demand`: AWS scales, from 4 on. Default `on-demand`. */
  readonly shards?: number | 'on-demand';
  /** The largest record, in bytes, 1 MiB to 4 MiB (more does not fit an event of Lambda); a larger frame goes by claim check. Default 1 MiB. */
  readonly recordBytes?: number;
  /** 24 hours to 365 days; more than 24 hours costs extra. Default 24 hours. */
  readonly retention?: Duration;
}

/** Where claims of messages from elsewhere are kept. */
export type CacheSettings =
  /** Valkey that scales by itself and is billed by use. */
  | { readonly kind: 'serverless'; /** GB at most. Default 5. */ readonly maximumGiB?: number }
  /** Valkey on nodes of your choice: two of them, in two zones. */
  | { readonly kind: 'nodes'; /** Default `cache.t4g.small`. */ readonly nodeType?: string }
  /** One that is there. Its security group has to let the foundation's clients in. */
  | { readonly kind: 'existing'; /** `rediss://host:port`, without a password. */ readonly url: string };

/** Dispatches by the clock: objects that no event told of, or the same prefix every night. */
export interface ScheduleSettings {
  /** `rate(1 hour)`, `cron(15 3 * * ? *)`; in UTC. */
  readonly expression: string;
  /** What is listed, e.g. `s3://lake/flights/`. */
  readonly locations: readonly string[];
}

/** A Kinesis stream of somebody else's, whose records are messages for `transform`. */
export interface ForeignStreamSettings {
  readonly streamArn: string;
  /** ARN of the KMS key of the stream, where it is one of the customer's. Default: none. */
  readonly keyArn?: string;
}

export interface SluicePipelineProps {
  /** The folder that `sluice build my-pipeline.ts --out …` wrote. */
  readonly build: string;
  /**
   * Network and database; several pipelines, and versions of one, can share them. `null`: results lie in the state bucket under `results/`, without a
   * database (docs/result-store.md tells what that costs), and nothing runs inside a network, so that no Redis can be reached.
   */
  readonly foundation: SluiceFoundation | null;
  /** The lake. May be empty for a pipeline that only takes messages from elsewhere. */
  readonly lakes: readonly LakeProps[];

  readonly dispatch?: DispatchSettings;
  readonly transform?: TransformSettings;
  readonly analyze?: AnalyzeSettings;
  readonly reprocess?: ReprocessSettings;
  readonly stream?: StreamSettings;

  /** A queue for messages from elsewhere. Default: whether the pipeline names messages (`source.id`). */
  readonly messageQueue?: boolean;
  /** Default: none. */
  readonly foreignStreams?: readonly ForeignStreamSettings[];
  /** Default: serverless where messages come from elsewhere; none where not, since nothing is claimed then. */
  readonly cache?: CacheSettings;

  /** How often a task or an order is received before it is a dead letter, 2 to 1,000. Default 5. */
  readonly maxReceives?: number;
  /** Database connections of one container, 1 to 100. Default 2. */
  readonly databaseConnections?: number;
  /** Default: none, events only. */
  readonly schedule?: ScheduleSettings;
  /** How often complete results are published by `analyze`. Default 5 minutes. */
  readonly publishEvery?: Duration;

  /** A topic with one message for every failure, with attributes for filtering. Default false. */
  readonly failureTopic?: boolean;
  /** ARN of the SNS topic that alarms go to. Default: none, they show in the console. */
  readonly alarmTopicArn?: string;
  /** Failures among what was read, in percent, that raise an alarm. Default 1. */
  readonly failurePercent?: number;
  /** Default: 30. */
  readonly logRetentionDays?: number;
  /** `debug`, `info`, `warn` or `error`. Default `info`. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
  /** Names of fields that logs never show. Default: none. */
  readonly redact?: readonly string[];
  /** Namespace of the metrics in CloudWatch. Default `Sluice`. */
  readonly metricsNamespace?: string;

  /** How long stored claim checks (`claims/`) are kept; above the retention of every queue, 14 days. Default 30 days. */
  readonly claimRetention?: Duration;
  /** How long records are kept that could not be delivered (`aws/lambda/`). Default 90 days. */
  readonly undeliveredRetention?: Duration;
}
