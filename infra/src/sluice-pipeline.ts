import { CfnOutput, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { CfnEventSourceMapping, Function } from 'aws-cdk-lib/aws-lambda';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { Alarms } from './alarms.ts';
import { checkConnectionBudget } from './budget.ts';
import { Cache } from './cache.ts';
import { addDashboard } from './dashboard.ts';
import { addEvents, addPublishing, addUndelivered, allowNotifications } from './events.ts';
import { sluiceFunction, type FunctionContext } from './functions.ts';
import { readManifest, type BuildManifest, type FunctionName } from './manifest.ts';
import { mapQueue, mapStream } from './mappings.ts';
import { PipelineMetrics } from './metrics.ts';
import type { Reach } from './permissions.ts';
import type { SluicePipelineProps } from './props.ts';
import { lastQueue, WorkQueue } from './queues.ts';
import { settingsOf, type Settings } from './settings.ts';
import { prefixes, Storage } from './storage.ts';
import { frameStream } from './stream.ts';

/** What a deployment has to find again, by the keys of its outputs. */
export const outputKeys = {
  bucket: 'SluiceBucket',
  taskQueue: 'SluiceTaskQueueUrl',
  dispatchQueue: 'SluiceDispatchQueueUrl',
  dispatchMapping: 'SluiceDispatchMapping',
  analyzeFunction: 'SluiceAnalyzeFunction',
  build: 'SluiceBuild',
} as const;

/** Whoever sets up notifications of a bucket needs it. */
const NOTIFIED_OUTPUT = 'SluiceDispatchQueueArn';

/** Word of undelivered records comes again every six timeouts of reprocess while the database is away: with the defaults ten hours long. */
const RECEIVES_OF_AN_OUTAGE = 20;

/**
 * One version of one pipeline on AWS: lake → dispatch → task queue → transform → stream → analyze → database, and what failed through reprocess.
 *
 * ```ts
 * const foundation = new SluiceFoundation(stack, 'Foundation');
 * new SluicePipeline(stack, 'Lanes', { build: 'build/lanes', foundation, lakes: [{ bucketName: 'flights' }] });
 * ```
 */
export class SluicePipeline extends Construct {
  readonly manifest: BuildManifest;
  readonly key: Key;
  readonly bucket: Bucket;
  readonly stream: IStream;
  readonly tasks: WorkQueue;
  readonly orders: WorkQueue;
  readonly failures: WorkQueue;
  /** Word of records that a mapping gave up. */
  readonly undelivered: WorkQueue;
  /** `null` where no messages come from elsewhere by a queue. */
  readonly messages: WorkQueue | null;
  readonly failureTopic: Topic | null;
  readonly functions: Readonly<Record<FunctionName, Function>>;

  /** @throws Error where the build folder is none, a prop is out of its range, or the database has too few connections */
  constructor(scope: Construct, id: string, props: SluicePipelineProps) {
    super(scope, id);
    const manifest = readManifest(props.build);
    const settings = settingsOf(props, manifest);
    const { foundation } = props;
    checkConnectionBudget(
      {
        dispatch: settings.dispatchConcurrency,
        analyze: settings.analyzeConcurrency,
        // From the queue of failures, and from that of undelivered records.
        reprocess: 2 * settings.reprocessConcurrency,
      },
      settings.databaseConnections,
      foundation === null ? null : foundation.database.maxConnections,
    );
    this.manifest = manifest;

    this.key = this.#key(manifest);
    this.bucket = new Storage(this, 'Storage', this.key, settings).bucket;
    const { maxReceives } = settings;
    const workQueue = (
      name: string,
      target: FunctionName,
      { batchingWindow, receives = maxReceives }: { batchingWindow?: Duration; receives?: number } = {},
    ): WorkQueue =>
      new WorkQueue(this, name, {
        key: this.key,
        timeout: settings.functions[target].timeout,
        maxReceives: receives,
        ...(batchingWindow === undefined ? {} : { batchingWindow }),
      });
    this.tasks = workQueue('Tasks', 'transform');
    this.orders = workQueue('Orders', 'dispatch', { batchingWindow: Duration.seconds(2) });
    this.failures = workQueue('Failures', 'reprocess');
    this.undelivered = workQueue('Undelivered', 'reprocess', {
      receives: Math.max(maxReceives, RECEIVES_OF_AN_OUTAGE),
    });
    this.messages = settings.messageQueue
      ? workQueue('Messages', 'transform', { batchingWindow: Duration.seconds(1) })
      : null;
    const lostCalls = lastQueue(this, 'LostCalls', this.key);
    this.stream = frameStream(this, 'Frames', this.key, settings);
    this.failureTopic =
      props.failureTopic === true
        ? new Topic(this, 'FailureTopic', { masterKey: this.key, enforceSSL: true })
        : null;
    const cache =
      settings.cache === null || foundation === null
        ? null
        : new Cache(this, 'Cache', settings.cache, foundation.network, this.key);

    const reach: Reach = {
      pipeline: manifest.pipeline,
      bucket: this.bucket,
      key: this.key,
      stream: this.stream,
      tasks: this.tasks.queue,
      dispatch: this.orders.queue,
      failures: this.failures.queue,
      undelivered: this.undelivered.queue,
      lostCalls,
      messages: this.messages?.queue ?? null,
      topic: this.failureTopic,
      database: foundation === null ? null : foundation.database,
      lakes: props.lakes,
      foreignStreams: props.foreignStreams ?? [],
    };
    const common = this.#environment(props, settings);
    const withResults: Record<string, string> =
      foundation === null
        ? { ...common, SLUICE_RESULTS: `s3://${this.bucket.bucketName}/${prefixes.results}` }
        : {
            ...common,
            SLUICE_DATABASE_URL: foundation.database.url,
            SLUICE_DATABASE_CONNECTIONS: String(settings.databaseConnections),
          };
    const make = (
      name: FunctionName,
      environment: FunctionContext['environment'],
      network: FunctionContext['network'],
      reserved?: number,
    ): Function =>
      sluiceFunction(this, name, {
        manifest,
        folder: props.build,
        settings,
        reach,
        environment,
        network,
        reserved,
      });
    const inside =
      foundation === null ? null : { network: foundation.network, groups: [foundation.network.clients] };
    const lake = props.lakes.map(({ bucketName, prefix = '' }) => `s3://${bucketName}/${prefix}`);
    const dispatch = make('dispatch', { ...withResults, SLUICE_LAKE: lake.join(',') }, inside);
    const transform = make(
      'transform',
      {
        ...common,
        ...(cache === null ? {} : { SLUICE_REDIS_URL: cache.url }),
        ...(settings.rowTimeout === null
          ? {}
          : { SLUICE_ROW_TIMEOUT: String(settings.rowTimeout.toSeconds()) }),
      },
      // Without Redis nothing inside the network is called: outside it starts sooner and needs no endpoints.
      cache === null || inside === null ? null : { ...inside, groups: [...inside.groups, cache.clients] },
    );
    // A stream's mapping has no cap of its own: the reserved concurrency is what keeps the connections in their budget.
    const analyze = make('analyze', withResults, inside, settings.analyzeConcurrency);
    const rate = settings.reprocessRate;
    const reprocess = make(
      'reprocess',
      {
        ...withResults,
        SLUICE_UNDELIVERED_QUEUE_URL: this.undelivered.queue.queueUrl,
        ...(rate === null ? {} : { SLUICE_REPROCESS_RATE: String(rate) }),
      },
      inside,
    );
    this.functions = { dispatch, transform, analyze, reprocess };

    const mappings = this.#map(props, settings);
    addEvents(this, manifest.pipeline, props, { dispatch: this.orders.queue, lostCalls });
    allowNotifications(props.lakes, this.key, this.orders.queue);
    if (settings.reprocessUndelivered) {
      addUndelivered(this, manifest.pipeline, this.bucket, {
        undelivered: this.undelivered.queue,
        lostCalls,
      });
    }
    addPublishing(this, manifest.pipeline, settings, analyze, lostCalls);

    const metrics = new PipelineMetrics(settings.metricsNamespace, manifest);
    const queues = {
      Tasks: this.tasks,
      Orders: this.orders,
      Failures: this.failures,
      Undelivered: this.undelivered,
      ...(this.messages === null ? {} : { Messages: this.messages }),
    };
    const alarms = new Alarms(this, 'Alarms', {
      functions: this.functions,
      deadLetters: {
        ...Object.fromEntries(Object.entries(queues).map(([name, { deadLetters }]) => [name, deadLetters])),
        LostCalls: lostCalls,
      },
      streams: {
        Frames: { mapping: mappings.analyze, reader: 'analyze', records: 'Frames' },
        ...Object.fromEntries(
          mappings.foreign.map((mapping, index) => [
            `ForeignStream${index}`,
            { mapping, reader: 'transform', records: `Records of ${mapping.eventSourceArn ?? ''}` } as const,
          ]),
        ),
      },
      metrics,
      maxRecordAge: settings.maxRecordAge.toSeconds(),
      failurePercent: settings.failurePercent,
      topicArn: props.alarmTopicArn,
    });
    addDashboard(this, 'Dashboard', {
      name: Stack.of(this).stackName,
      functions: this.functions,
      queues: Object.fromEntries(Object.entries(queues).map(([name, { queue }]) => [name, queue])),
      stream: this.stream,
      metrics,
      alarms: alarms.all,
    });
    this.#output(mappings.dispatch);
    if (props.lakes.some(({ events }) => events === 's3'))
      new CfnOutput(this, 'DispatchQueueArnOutput', {
        value: this.orders.queue.queueArn,
        description: 'What the notifications of the lake go to',
      }).overrideLogicalId(NOTIFIED_OUTPUT);
  }

  #key(manifest: BuildManifest): Key {
    const key = new Key(this, 'Key', {
      description: `Sluice: ${manifest.pipeline}@${manifest.version}`,
      enableKeyRotation: true,
      // What it encrypted stays readable.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // EventBridge writes into encrypted queues by itself. It cannot be bound to the rules: they depend on the queues, and those on the key.
    key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'RulesOfThisAccount',
        principals: [new ServicePrincipal('events.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
    );
    return key;
  }

  /** What `src/entrypoints/lambda/configuration.ts` of Sluice reads. */
  #environment(props: SluicePipelineProps, settings: Settings): Record<string, string> {
    const { redact = [] } = props;
    return {
      SLUICE_BUCKET: this.bucket.bucketName,
      SLUICE_TASK_QUEUE_URL: this.tasks.queue.queueUrl,
      SLUICE_DISPATCH_QUEUE_URL: this.orders.queue.queueUrl,
      SLUICE_FAILURE_QUEUE_URL: this.failures.queue.queueUrl,
      ...(this.messages === null ? {} : { SLUICE_MESSAGE_QUEUE_URL: this.messages.queue.queueUrl }),
      ...(this.failureTopic === null ? {} : { SLUICE_FAILURE_TOPIC_ARN: this.failureTopic.topicArn }),
      SLUICE_STREAM_NAME: this.stream.streamName,
      SLUICE_STREAM_RECORD_BYTES: String(settings.recordBytes),
      SLUICE_LOG_LEVEL: settings.logLevel,
      SLUICE_METRICS_NAMESPACE: settings.metricsNamespace,
      ...(redact.length === 0 ? {} : { SLUICE_REDACT: redact.join(',') }),
    };
  }

  #map(
    props: SluicePipelineProps,
    settings: Settings,
  ): {
    dispatch: CfnEventSourceMapping;
    analyze: CfnEventSourceMapping;
    foreign: readonly CfnEventSourceMapping[];
  } {
    const { dispatch, transform, analyze, reprocess } = this.functions;
    const dispatchMapping = mapQueue(this, 'OrdersToDispatch', {
      from: this.orders,
      target: dispatch,
      // Events of single objects are planned together.
      batchSize: 10,
      concurrency: settings.dispatchConcurrency,
    });
    mapQueue(this, 'TasksToTransform', {
      from: this.tasks,
      target: transform,
      // A task is sized to fill a function; two in one would only wait for each other.
      batchSize: 1,
      concurrency: settings.transformConcurrency,
      pollers: settings.transformPollers,
    });
    if (this.messages !== null) {
      mapQueue(this, 'MessagesToTransform', {
        from: this.messages,
        target: transform,
        batchSize: 1000,
        concurrency: settings.transformConcurrency,
      });
    }
    const foreign = (props.foreignStreams ?? []).map(({ streamArn }, index) =>
      mapStream(this, `ForeignStream${index}ToTransform`, {
        streamArn,
        target: transform,
        undelivered: this.bucket,
        settings,
        startingPosition: 'LATEST',
        // Whoever is killed holds its claims as long as it might have run: tries, which are a second apart or more, have to last longer.
        retryAttempts: Math.max(settings.retryAttempts, settings.functions.transform.timeout.toSeconds()),
      }),
    );
    mapQueue(this, 'FailuresToReprocess', {
      from: this.failures,
      target: reprocess,
      batchSize: 10,
      concurrency: settings.reprocessConcurrency,
      enabled: settings.reprocessAutomatic,
    });
    mapQueue(this, 'UndeliveredToReprocess', {
      from: this.undelivered,
      target: reprocess,
      // One holds a whole batch of a stream, or a listing.
      batchSize: 1,
      concurrency: settings.reprocessConcurrency,
    });
    const analyzeMapping = mapStream(this, 'FramesToAnalyze', {
      streamArn: this.stream.streamArn,
      target: analyze,
      undelivered: this.bucket,
      settings,
      // Frames may be put before the mapping is there.
      startingPosition: 'TRIM_HORIZON',
      retryAttempts: settings.retryAttempts,
    });
    return { dispatch: dispatchMapping, analyze: analyzeMapping, foreign };
  }

  #output(dispatchMapping: CfnEventSourceMapping): void {
    const values: Record<keyof typeof outputKeys, string> = {
      bucket: this.bucket.bucketName,
      taskQueue: this.tasks.queue.queueUrl,
      dispatchQueue: this.orders.queue.queueUrl,
      dispatchMapping: dispatchMapping.ref,
      analyzeFunction: this.functions.analyze.functionName,
      build: this.manifest.build,
    };
    for (const [name, value] of Object.entries(values)) {
      const key = outputKeys[name as keyof typeof outputKeys];
      new CfnOutput(this, `${key}Output`, { value }).overrideLogicalId(key);
    }
  }
}
