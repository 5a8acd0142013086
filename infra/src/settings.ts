import { Duration } from 'aws-cdk-lib';
import type { BuildManifest, FunctionName } from './manifest.ts';
import type { CacheSettings, SluicePipelineProps } from './props.ts';

const MIB = 1024 * 1024;
/** A stream takes 10 MiB, but an event of Lambda holds 6 MB, its records in base64. */
const LARGEST_RECORD = 4 * MIB;
/** What a stream on demand starts with, and what it is counted with where nothing better is known. */
const ON_DEMAND_SHARDS = 4;

/** The props with their defaults, checked. */
export interface Settings {
  readonly functions: Readonly<
    Record<FunctionName, { readonly memoryMiB: number; readonly timeout: Duration }>
  >;
  readonly dispatchConcurrency: number;
  readonly transformConcurrency: number;
  /** `null`: the function's own default. */
  readonly rowTimeout: Duration | null;
  readonly transformPollers: { readonly minimum: number; readonly maximum: number } | null;
  readonly analyzeConcurrency: number;
  readonly reprocessConcurrency: number;
  readonly reprocessAutomatic: boolean;
  readonly reprocessUndelivered: boolean;
  /** `null`: as fast as it goes. */
  readonly reprocessRate: number | null;
  readonly parallelizationFactor: number;
  readonly batchSize: number;
  readonly batchingWindow: Duration;
  readonly retryAttempts: number;
  readonly maxRecordAge: Duration;
  /** `null`: on demand. */
  readonly shards: number | null;
  readonly recordBytes: number;
  readonly streamRetention: Duration;
  readonly messageQueue: boolean;
  /** `null`: nothing to claim. */
  readonly cache: CacheSettings | null;
  readonly maxReceives: number;
  readonly databaseConnections: number;
  readonly publishEvery: Duration;
  readonly failurePercent: number;
  readonly logRetentionDays: number;
  readonly logLevel: string;
  readonly metricsNamespace: string;
  readonly claimRetention: Duration;
  readonly undeliveredRetention: Duration;
}

/** @throws Error naming the prop, its value and its range */
export function settingsOf(props: SluicePipelineProps, manifest: BuildManifest): Settings {
  const { dispatch, transform, analyze, reprocess, stream } = props;
  const shards = stream?.shards === undefined || stream.shards === 'on-demand' ? null : stream.shards;
  const parallelizationFactor = analyze?.parallelizationFactor ?? 2;
  const fromElsewhere = (props.messageQueue ?? manifest.keyed) || (props.foreignStreams ?? []).length > 0;
  const settings: Settings = {
    functions: {
      dispatch: functionOf(dispatch, 1024, 5),
      transform: functionOf(transform, 1769, 5),
      analyze: functionOf(analyze, 1024, 2),
      reprocess: functionOf(reprocess, 1024, 5),
    },
    dispatchConcurrency: dispatch?.concurrency ?? 4,
    transformConcurrency: transform?.concurrency ?? 250,
    transformPollers: transform?.pollers ?? null,
    rowTimeout: transform?.rowTimeout ?? null,
    // A stream on demand doubles what it was used for: room for twice the shards that it starts with.
    analyzeConcurrency: analyze?.concurrency ?? (shards ?? 2 * ON_DEMAND_SHARDS) * parallelizationFactor + 1,
    reprocessConcurrency: reprocess?.concurrency ?? 2,
    reprocessAutomatic: reprocess?.automatic ?? false,
    reprocessUndelivered: reprocess?.undelivered ?? true,
    reprocessRate: reprocess?.rate ?? null,
    parallelizationFactor,
    batchSize: analyze?.batchSize ?? 100,
    batchingWindow: analyze?.batchingWindow ?? Duration.seconds(1),
    retryAttempts: analyze?.retryAttempts ?? 10,
    maxRecordAge: analyze?.maxRecordAge ?? Duration.hours(20),
    shards,
    recordBytes: stream?.recordBytes ?? MIB,
    streamRetention: stream?.retention ?? Duration.hours(24),
    messageQueue: props.messageQueue ?? manifest.keyed,
    cache: props.cache ?? (fromElsewhere ? { kind: 'serverless' } : null),
    maxReceives: props.maxReceives ?? 5,
    databaseConnections: props.databaseConnections ?? 2,
    publishEvery: props.publishEvery ?? Duration.minutes(5),
    failurePercent: props.failurePercent ?? 1,
    logRetentionDays: props.logRetentionDays ?? 30,
    logLevel: props.logLevel ?? 'info',
    metricsNamespace: props.metricsNamespace ?? 'Sluice',
    claimRetention: props.claimRetention ?? Duration.days(30),
    undeliveredRetention: props.undeliveredRetention ?? Duration.days(90),
  };
  check(settings);
  checkParts(manifest, { redis: settings.cache !== null, postgres: props.foundation !== null });
  if (props.lakes.length === 0 && !fromElsewhere)
    throw new Error('lakes is empty and no messages come from elsewhere: name a bucket of the lake');
  if (props.foundation === null && settings.cache !== null)
    throw new Error(
      'messages from elsewhere are claimed in Redis, and that is inside a network: without a foundation (results in S3) a pipeline only reads objects',
    );
  if (props.failureTopic === true && props.foundation?.reaches('sns') === false)
    throw new Error(
      'failureTopic: the functions cannot reach SNS from inside the network; add `sns` to the endpoints of the foundation',
    );
  return settings;
}

function functionOf(
  settings: { memoryMiB?: number; timeout?: Duration } | undefined,
  memoryMiB: number,
  minutes: number,
) {
  return {
    memoryMiB: settings?.memoryMiB ?? memoryMiB,
    timeout: settings?.timeout ?? Duration.minutes(minutes),
  };
}

function check(settings: Settings): void {
  for (const [name, { memoryMiB, timeout }] of Object.entries(settings.functions)) {
    between(`${name}.memoryMiB`, memoryMiB, 128, 10_240);
    between(`${name}.timeout in seconds`, timeout.toSeconds(), 10, 900);
  }
  // The range of MaximumConcurrency of an event source mapping.
  between('dispatch.concurrency', settings.dispatchConcurrency, 2, 1000);
  between('transform.concurrency', settings.transformConcurrency, 2, 1000);
  between('reprocess.concurrency', settings.reprocessConcurrency, 2, 1000);
  if (settings.reprocessRate !== null) between('reprocess.rate', settings.reprocessRate, 1, 1_000_000);
  if (settings.transformPollers !== null) {
    const { minimum, maximum } = settings.transformPollers;
    between('transform.pollers.minimum', minimum, 2, 200);
    between('transform.pollers.maximum', maximum, Math.max(2, minimum), 2000);
  }
  if (settings.rowTimeout !== null) {
    between(
      'transform.rowTimeout in seconds (at most a third of transform.timeout)',
      settings.rowTimeout.toSeconds({ integral: false }),
      1,
      settings.functions.transform.timeout.toSeconds() / 3,
    );
    if (!Number.isInteger(settings.rowTimeout.toSeconds({ integral: false })))
      throw new Error('transform.rowTimeout has to be whole seconds');
  }
  between('analyze.concurrency', settings.analyzeConcurrency, 1, 100_000);
  between('analyze.parallelizationFactor', settings.parallelizationFactor, 1, 10);
  between('analyze.batchSize', settings.batchSize, 1, 10_000);
  between('analyze.batchingWindow in seconds', settings.batchingWindow.toSeconds(), 0, 300);
  between('analyze.retryAttempts', settings.retryAttempts, 0, 10_000);
  if (settings.shards !== null) between('stream.shards', settings.shards, 1, 10_000);
  between('stream.recordBytes', settings.recordBytes, MIB, LARGEST_RECORD);
  if (settings.recordBytes % 1024 !== 0) throw new Error('stream.recordBytes has to be whole KiB');
  between('stream.retention in hours', settings.streamRetention.toHours(), 24, 8760);
  between(
    'analyze.maxRecordAge in seconds (below the retention of the stream)',
    settings.maxRecordAge.toSeconds(),
    60,
    Math.min(604_800, settings.streamRetention.toSeconds() - 1),
  );
  // The first time a row hangs the function, the second time it is looked for.
  between('maxReceives', settings.maxReceives, 2, 1000);
  between('databaseConnections', settings.databaseConnections, 1, 100);
  between('failurePercent', settings.failurePercent, 0, 100);
  between(
    'claimRetention in days (above the 14 days of the queues)',
    settings.claimRetention.toDays(),
    15,
    3650,
  );
}

/** What the stack has and the functions were built without would only show when they start. */
function checkParts({ without }: BuildManifest, has: Readonly<Record<string, boolean>>): void {
  for (const part of without) {
    if (has[part] !== false)
      throw new Error(
        `the functions were built without ${part}, which this stack has: build them again, without \`--without ${part}\``,
      );
  }
}

function between(what: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most))
    throw new Error(`${what} is ${value}; it has to be ${least} to ${most}`);
}
