import type { Node } from 'constructs';
import type { DatabaseSettings } from './database.ts';
import type { EndpointName, NetworkSettings } from './network.ts';
import type { CacheSettings, LakeProps, SluicePipelineProps } from './props.ts';
import { Duration } from 'aws-cdk-lib';

/** Every `-c name=value` of the app, with what it says. `docs/deploy.md` lists them. */
export const parameters = {
  build: 'folder that `sluice build` wrote',
  pipeline: 'in the repository: a pipeline file, built on the way where no build is given',
  lake: 'buckets of the lake, comma separated: `flights`, `s3://flights/2024/`',
  lakeKey: 'ARN of the KMS key of the lake',
  lakeEvents:
    'who tells of new objects: `true`, EventBridge (default); `s3`, the bucket itself; `false`, nobody: they are not dispatched as they arrive',
  stack: 'name of the stack; default `sluice-<pipeline>-v<version>`',
  foundation:
    'name of the stack of network and database; default `sluice-<pipeline>`. Pipelines that name the same one share it',
  results: '`s3`: results in the state bucket; no database, no network, no foundation',
  zones: 'availability zones of a new network, 2 or 3',
  cidr: 'of a new network',
  endpoints:
    'of a new network, comma separated: sqs,kinesis,sns; default sqs,kinesis, and sns with failureTopic',
  vpc: 'id of a network that is there; needs `vpcZones` and `vpcSubnets`',
  vpcZones: 'its availability zones, comma separated',
  vpcSubnets: 'its subnets, one for each zone, comma separated',
  databaseCapacity: 'Aurora capacity units, `0.5-8`',
  databaseStandby: '`false`: no second instance',
  databaseProxy: '`true`: RDS Proxy',
  databaseHost: 'a database that is there; needs `databaseResource` and `databaseMaxConnections`',
  databasePort: 'its port; default 5432',
  databaseName: 'its database; default sluice',
  databaseUser: 'its user; default sluice',
  databaseResource: 'its resource id: cluster-…, db-…, prx-…',
  databaseMaxConnections: 'connections that it takes',
  databaseConnections: 'connections of one container',
  shards: 'shards of the stream, or on-demand',
  recordBytes: 'largest record of the stream, in bytes',
  streamRetentionHours: 'retention of the stream',
  parallelizationFactor: 'batches of one shard at once',
  retryAttempts: 'tries of a batch after the first',
  dispatchConcurrency: 'dispatches at once',
  transformConcurrency: 'tasks at once, up to 1,000',
  transformPollers: 'dedicated pollers, `10-200`, in place of transformConcurrency',
  transformMemory: 'MiB',
  transformTimeout: 'seconds',
  transformRowTimeout:
    'seconds that one row may take, where a task comes again; at most a third of transformTimeout',
  analyzeConcurrency: 'batches at once',
  analyzeMemory: 'MiB',
  reprocessAutomatic: '`true`: failures of other builds are redriven as they arrive',
  reprocessUndelivered: '`false`: records that a mapping gave up wait for a direct call',
  reprocessRate: 'failures a second and container at most, where they are redriven as they arrive',
  messageQueue: '`true`, `false`: a queue for messages from elsewhere',
  cache: '`serverless`, `nodes`, or rediss://… of one that is there',
  foreignStreams: 'ARNs of streams of somebody else, comma separated',
  schedule: '`rate(1 hour)`, `cron(…)`; needs `scheduleLocations`',
  scheduleLocations: 'what it lists, comma separated: s3://flights/2024/',
  publishMinutes: 'how often results are published',
  failureTopic: '`true`: an SNS topic of failures',
  alarmTopic: 'ARN of the SNS topic that alarms go to',
  logLevel: 'debug, info, warn, error',
  logRetentionDays: 'days',
  redact: 'names of fields that logs never show, comma separated',
} as const;

export type ParameterName = keyof typeof parameters;

/** Parameters as they come from the command line: all text. */
export class Parameters {
  readonly #context: (name: string) => unknown;

  constructor(node: Pick<Node, 'tryGetContext'>) {
    this.#context = (name) => node.tryGetContext(name) as unknown;
  }

  text(name: ParameterName): string | undefined {
    const value = this.#context(name);
    if (value === undefined || value === '') return undefined;
    return typeof value === 'string' ? value : JSON.stringify(value);
  }

  needed(name: ParameterName, why: string): string {
    const text = this.text(name);
    if (text === undefined) throw new Error(`-c ${name}=… is missing (${parameters[name]}): ${why}`);
    return text;
  }

  list(name: ParameterName): readonly string[] | undefined {
    return this.text(name)
      ?.split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }

  number(name: ParameterName): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : numberOf(name, text);
  }

  flag(name: ParameterName): boolean | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (text === 'true' || text === 'false') return text === 'true';
    throw new Error(`-c ${name}=${text}: it has to be true or false`);
  }

  /** `1-8` */
  range(name: ParameterName): readonly [least: number, most: number] | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const [least, most, more] = text.split('-');
    if (least === undefined || most === undefined || more !== undefined)
      throw new Error(`-c ${name}=${text}: it has to be like 1-8`);
    return [numberOf(name, least), numberOf(name, most)];
  }
}

function numberOf(name: ParameterName, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw new Error(`-c ${name}=${text}: it has to be a number`);
  return value;
}

export function networkOf(given: Parameters): NetworkSettings {
  const vpcId = given.text('vpc');
  if (vpcId !== undefined) {
    const why = 'nothing is looked up, so that the stack can be synthesized without AWS';
    return {
      kind: 'existing',
      vpcId,
      availabilityZones: given.needed('vpcZones', why).split(','),
      subnetIds: given.needed('vpcSubnets', why).split(','),
    };
  }
  const endpoints = given.list('endpoints') ?? [
    'sqs',
    'kinesis',
    ...(given.flag('failureTopic') === true ? ['sns'] : []),
  ];
  for (const name of endpoints) {
    if (!['sqs', 'kinesis', 'sns'].includes(name)) throw new Error(`-c endpoints: there is no ${name}`);
  }
  return {
    kind: 'new',
    endpoints: endpoints as readonly EndpointName[],
    ...defined({ cidr: given.text('cidr'), zones: given.number('zones') }),
  };
}

export function databaseSettingsOf(given: Parameters): DatabaseSettings {
  const host = given.text('databaseHost');
  if (host !== undefined) {
    return {
      kind: 'existing',
      host,
      resourceId: given.needed('databaseResource', 'roles are allowed to connect to it alone'),
      maxConnections: numberOf(
        'databaseMaxConnections',
        given.needed('databaseMaxConnections', 'the functions must not take more'),
      ),
      ...defined({
        port: given.number('databasePort'),
        name: given.text('databaseName'),
        user: given.text('databaseUser'),
      }),
    };
  }
  const capacity = given.range('databaseCapacity');
  return {
    kind: 'aurora',
    ...defined({
      minimumCapacity: capacity?.[0],
      maximumCapacity: capacity?.[1],
      standby: given.flag('databaseStandby'),
      proxy: given.flag('databaseProxy'),
    }),
  };
}

export function pipelinePropsOf(given: Parameters): Omit<SluicePipelineProps, 'build' | 'foundation'> {
  const pollers = given.range('transformPollers');
  const retention = given.number('streamRetentionHours');
  const timeout = given.number('transformTimeout');
  const rowTimeout = given.number('transformRowTimeout');
  const publishMinutes = given.number('publishMinutes');
  const shards = given.text('shards');
  const schedule = given.text('schedule');
  return {
    lakes: lakesOf(given),
    dispatch: defined({ concurrency: given.number('dispatchConcurrency') }),
    transform: defined({
      concurrency: given.number('transformConcurrency'),
      memoryMiB: given.number('transformMemory'),
      timeout: timeout === undefined ? undefined : Duration.seconds(timeout),
      rowTimeout: rowTimeout === undefined ? undefined : Duration.seconds(rowTimeout),
      pollers: pollers === undefined ? undefined : { minimum: pollers[0], maximum: pollers[1] },
    }),
    analyze: defined({
      concurrency: given.number('analyzeConcurrency'),
      memoryMiB: given.number('analyzeMemory'),
      parallelizationFactor: given.number('parallelizationFactor'),
      retryAttempts: given.number('retryAttempts'),
    }),
    reprocess: defined({
      automatic: given.flag('reprocessAutomatic'),
      undelivered: given.flag('reprocessUndelivered'),
      rate: given.number('reprocessRate'),
    }),
    stream: defined({
      shards: shards === undefined || shards === 'on-demand' ? shards : numberOf('shards', shards),
      recordBytes: given.number('recordBytes'),
      retention: retention === undefined ? undefined : Duration.hours(retention),
    }),
    ...defined({
      messageQueue: given.flag('messageQueue'),
      foreignStreams: given.list('foreignStreams')?.map((streamArn) => ({ streamArn })),
      cache: cacheOf(given),
      databaseConnections: given.number('databaseConnections'),
      schedule:
        schedule === undefined
          ? undefined
          : {
              expression: schedule,
              locations: given
                .needed('scheduleLocations', 'the schedule has to know what to list')
                .split(','),
            },
      publishEvery: publishMinutes === undefined ? undefined : Duration.minutes(publishMinutes),
      failureTopic: given.flag('failureTopic'),
      alarmTopicArn: given.text('alarmTopic'),
      logLevel: logLevelOf(given),
      logRetentionDays: given.number('logRetentionDays'),
      redact: given.list('redact'),
    }),
  };
}

function lakesOf(given: Parameters): LakeProps[] {
  return (given.list('lake') ?? []).map((location) => {
    const [bucketName = '', ...prefix] = location.replace(/^s3:\/\//, '').split('/');
    return {
      bucketName,
      ...defined({
        prefix: prefix.join('/') || undefined,
        keyArn: given.text('lakeKey'),
        events: lakeEventsOf(given),
      }),
    };
  });
}

function lakeEventsOf(given: Parameters): LakeProps['events'] {
  const events = given.text('lakeEvents');
  if (events === undefined || events === 's3') return events;
  if (events === 'true' || events === 'false') return events === 'true';
  throw new Error(`-c lakeEvents=${events}: it has to be true, s3 or false`);
}

function cacheOf(given: Parameters): CacheSettings | undefined {
  const cache = given.text('cache');
  if (cache === undefined) return undefined;
  if (cache === 'serverless' || cache === 'nodes') return { kind: cache };
  if (/^rediss?:\/\//.test(cache)) return { kind: 'existing', url: cache };
  throw new Error(`-c cache=${cache}: it has to be serverless, nodes or rediss://…`);
}

function logLevelOf(given: Parameters): SluicePipelineProps['logLevel'] {
  const level = given.text('logLevel');
  if (level === undefined || level === 'debug' || level === 'info' || level === 'warn' || level === 'error')
    return level;
  throw new Error(`-c logLevel=${level}: it has to be debug, info, warn or error`);
}

type Defined<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

/** Without the fields that nobody gave, so that their defaults hold. */
function defined<Fields extends object>(fields: Fields): Defined<Fields> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Defined<Fields>;
}

/** Whether results are to lie in S3, which needs no foundation. */
export function resultsAreInS3(given: Parameters): boolean {
  const results = given.text('results');
  if (results !== undefined && results !== 's3' && results !== 'database')
    throw new Error(`-c results=${results}: it has to be s3 or database`);
  return results === 's3';
}
