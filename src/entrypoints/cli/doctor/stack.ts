import { functionNames, type FunctionName } from '../build/manifest.ts';
import { fieldOf, numberOf, ofType, referredTo, type Template } from './template.ts';

/** A function of Sluice in a template. */
export interface StackFunction {
  readonly id: string;
  readonly name: FunctionName;
  readonly runtime: string | undefined;
  /** In seconds; Lambda's default is 3. */
  readonly timeout: number;
  /** `null`: none is reserved. */
  readonly reserved: number | null;
  readonly recursiveLoop: string | undefined;
  readonly environment: Readonly<Record<string, unknown>>;
  /** What `SluicePipeline` says of its build in the description, 12 digits of it. */
  readonly build: string | undefined;
}

export interface StackQueue {
  readonly id: string;
  /** In seconds. */
  readonly visibility: number;
  /** `null`: no dead letters. */
  readonly maxReceives: number | null;
}

export interface StackStream {
  readonly id: string;
  /** `null`: on demand. */
  readonly shards: number | null;
  /** In hours. */
  readonly retention: number;
  /** In bytes. */
  readonly recordBytes: number;
}

interface MappingBase {
  readonly id: string;
  readonly target: StackFunction;
  readonly partialResponses: boolean;
  readonly filters: readonly unknown[];
  /** In seconds. */
  readonly batchingWindow: number;
}

export interface QueueMappingInStack extends MappingBase {
  readonly kind: 'queue';
  /** `undefined`: not in this template. */
  readonly queue: StackQueue | undefined;
  /** `null`: no cap. */
  readonly maximumConcurrency: number | null;
}

export interface StreamMappingInStack extends MappingBase {
  readonly kind: 'stream';
  /** `undefined`: not in this template, somebody else's. */
  readonly stream: StackStream | undefined;
  readonly parallelizationFactor: number;
  /** `-1`: for ever. */
  readonly retries: number;
  /** In seconds; `-1`: for ever. */
  readonly maxRecordAge: number;
  readonly bisect: boolean;
  /** What the destination is, as far as the template tells. */
  readonly onFailure: 'none' | 's3' | 'queue or topic' | 'unknown';
}

export type StackMapping = QueueMappingInStack | StreamMappingInStack;

/** Of a template, what Sluice has to do with. */
export interface Stack {
  readonly functions: readonly StackFunction[];
  readonly mappings: readonly StackMapping[];
  /** Connections that the databases of the template take, all together; `null`: unknown, or shared by a proxy. */
  readonly maxConnections: number | null;
  readonly hasProxy: boolean;
}

export function stackOf(template: Template): Stack {
  const functions = ofType(template, 'AWS::Lambda::Function').flatMap(([id, { properties }]) => {
    const found = functionOf(id, properties);
    return found === undefined ? [] : [found];
  });
  return {
    functions,
    mappings: ofType(template, 'AWS::Lambda::EventSourceMapping').flatMap(([id, { properties }]) => {
      const targetId = referredTo(properties['FunctionName']);
      const target = functions.find((one) => one.id === targetId);
      return target === undefined ? [] : [mappingOf(id, properties, target, template)];
    }),
    maxConnections: connectionsOf(template),
    hasProxy: ofType(template, 'AWS::RDS::DBProxy').length > 0,
  };
}

function functionOf(id: string, properties: Readonly<Record<string, unknown>>): StackFunction | undefined {
  const environment = (fieldOf(properties, 'Environment', 'Variables') ?? {}) as Record<string, unknown>;
  const description = typeof properties['Description'] === 'string' ? properties['Description'] : '';
  const described = /^Sluice\b[^:]*: (\w+) of /.exec(description)?.[1];
  // Of a stack that somebody wrote by hand: the name tells, and the environment that it is one of ours.
  const ours = Object.keys(environment).some((name) => name.startsWith('SLUICE_'));
  const named = [properties['FunctionName'], id].map(String).join(' ').toLowerCase();
  const name = functionNames.find((one) =>
    described === undefined ? ours && named.includes(one) : one === described,
  );
  if (name === undefined) return undefined;
  const runtime = properties['Runtime'];
  const recursiveLoop = properties['RecursiveLoop'];
  return {
    id,
    name,
    runtime: typeof runtime === 'string' ? runtime : undefined,
    timeout: numberOf(properties['Timeout']) ?? 3,
    reserved: numberOf(properties['ReservedConcurrentExecutions']) ?? null,
    recursiveLoop: typeof recursiveLoop === 'string' ? recursiveLoop : undefined,
    environment,
    build: /, build ([\w.-]+)$/.exec(description)?.[1],
  };
}

function mappingOf(
  id: string,
  properties: Readonly<Record<string, unknown>>,
  target: StackFunction,
  template: Template,
): StackMapping {
  const responses = properties['FunctionResponseTypes'];
  const filters = fieldOf(properties, 'FilterCriteria', 'Filters');
  const base = {
    id,
    target,
    partialResponses: Array.isArray(responses) && responses.includes('ReportBatchItemFailures'),
    filters: Array.isArray(filters) ? (filters as unknown[]) : [],
    batchingWindow: numberOf(properties['MaximumBatchingWindowInSeconds']) ?? 0,
  };
  const source = properties['EventSourceArn'];
  const sourceId = referredTo(source);
  const resource = sourceId === undefined ? undefined : template.get(sourceId);
  // Only streams have a starting position.
  if (properties['StartingPosition'] === undefined && resource?.type !== 'AWS::Kinesis::Stream') {
    return {
      ...base,
      kind: 'queue',
      queue: resource?.type === 'AWS::SQS::Queue' ? queueOf(sourceId ?? '', resource.properties) : undefined,
      maximumConcurrency: numberOf(fieldOf(properties, 'ScalingConfig', 'MaximumConcurrency')) ?? null,
    };
  }
  return {
    ...base,
    kind: 'stream',
    stream:
      resource?.type === 'AWS::Kinesis::Stream' ? streamOf(sourceId ?? '', resource.properties) : undefined,
    parallelizationFactor: numberOf(properties['ParallelizationFactor']) ?? 1,
    retries: numberOf(properties['MaximumRetryAttempts']) ?? -1,
    maxRecordAge: numberOf(properties['MaximumRecordAgeInSeconds']) ?? -1,
    bisect: properties['BisectBatchOnFunctionError'] === true,
    onFailure: destinationOf(fieldOf(properties, 'DestinationConfig', 'OnFailure', 'Destination'), template),
  };
}

function queueOf(id: string, properties: Readonly<Record<string, unknown>>): StackQueue {
  return {
    id,
    visibility: numberOf(properties['VisibilityTimeout']) ?? 30,
    maxReceives: numberOf(fieldOf(properties, 'RedrivePolicy', 'maxReceiveCount')) ?? null,
  };
}

function streamOf(id: string, properties: Readonly<Record<string, unknown>>): StackStream {
  return {
    id,
    shards: numberOf(properties['ShardCount']) ?? null,
    retention: numberOf(properties['RetentionPeriodHours']) ?? 24,
    recordBytes: (numberOf(properties['MaxRecordSizeInKiB']) ?? 1024) * 1024,
  };
}

function destinationOf(destination: unknown, template: Template): StreamMappingInStack['onFailure'] {
  if (destination === undefined) return 'none';
  if (typeof destination === 'string') {
    if (/^arn:[\w-]+:s3:/.test(destination)) return 's3';
    return /^arn:[\w-]+:(sqs|sns):/.test(destination) ? 'queue or topic' : 'unknown';
  }
  const type = template.get(referredTo(destination) ?? '')?.type;
  if (type === 'AWS::S3::Bucket') return 's3';
  return type === 'AWS::SQS::Queue' || type === 'AWS::SNS::Topic' ? 'queue or topic' : 'unknown';
}

/** `max_connections` of Aurora Serverless v2 by its largest capacity, rounded down; lower where it may shrink to almost nothing. */
function connectionsOf(template: Template): number | null {
  const clusters = ofType(template, 'AWS::RDS::DBCluster').map(([, { properties }]) => {
    const least = numberOf(fieldOf(properties, 'ServerlessV2ScalingConfiguration', 'MinCapacity'));
    const most = numberOf(fieldOf(properties, 'ServerlessV2ScalingConfiguration', 'MaxCapacity'));
    return least === undefined || most === undefined
      ? null
      : Math.min(least < 1 ? 2_000 : 5_000, Math.floor(most * CONNECTIONS_PER_CAPACITY));
  });
  return clusters.length === 1 ? (clusters[0] ?? null) : null;
}

/** One capacity unit has 189 of them; larger ones a tenth more each. */
const CONNECTIONS_PER_CAPACITY = 189;
