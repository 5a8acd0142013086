/** What an estimate has to know of a stack. */
export interface Deployment {
  /** In MiB. */
  readonly memoryMiB: Readonly<Record<'dispatch' | 'transform' | 'analyze', number>>;
  /** Longest invocation of transform, in seconds. */
  readonly transformTimeoutSeconds: number;
  /** Tasks at once by the queue's own pollers, at most 1,000. */
  readonly transformConcurrency: number;
  /** Dedicated pollers in their place; `null`: none. */
  readonly transformPollers: { readonly minimum: number; readonly maximum: number } | null;
  /** `null`: on demand. */
  readonly shards: number | null;
  /** Batches of one shard at once. */
  readonly parallelizationFactor: number;
  /** Records in a batch of analyze. */
  readonly batchSize: number;
  readonly batchingWindowSeconds: number;
  readonly ordersBatchSize: number;
  readonly ordersBatchingWindowSeconds: number;
  readonly messagesBatchSize: number;
  readonly messagesBatchingWindowSeconds: number;
  /** Connections of one container of analyze: frames that it applies at once. */
  readonly databaseConnections: number;
  readonly publishEverySeconds: number;
  /** Queues that a mapping polls all the time: tasks, orders, undelivered records. */
  readonly polledQueues: number;
  /** Interface endpoints (SQS, Kinesis), and zones in which each is billed. */
  readonly endpoints: number;
  readonly zones: number;
  /** Aurora capacity units of one instance, and how many instances. */
  readonly database: {
    readonly minimumCapacity: number;
    readonly maximumCapacity: number;
    readonly instances: number;
  };
  /** What serverless Valkey may hold, in bytes: then it forgets the oldest. */
  readonly cacheBytes: number;
  readonly alarms: number;
  readonly dashboards: number;
  /** Keys of KMS: the pipeline's and the foundation's. */
  readonly keys: number;
}

/** What `sluice deploy` makes where nothing else is said. The package `sluice-infra` decides; its tests compare (infra/test/estimate.test.ts). */
export const deployedByDefault: Deployment = {
  memoryMiB: { dispatch: 1024, transform: 1769, analyze: 1024 },
  transformTimeoutSeconds: 300,
  transformConcurrency: 250,
  transformPollers: null,
  shards: null,
  parallelizationFactor: 2,
  batchSize: 100,
  batchingWindowSeconds: 1,
  ordersBatchSize: 10,
  ordersBatchingWindowSeconds: 2,
  messagesBatchSize: 1000,
  messagesBatchingWindowSeconds: 1,
  databaseConnections: 2,
  publishEverySeconds: 300,
  polledQueues: 3,
  endpoints: 2,
  zones: 2,
  database: { minimumCapacity: 0.5, maximumCapacity: 8, instances: 2 },
  cacheBytes: 5e9,
  alarms: 17,
  dashboards: 1,
  keys: 2,
};
