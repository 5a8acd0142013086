import { Stack } from 'aws-cdk-lib';
import { Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Bucket, CfnBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { Database } from './database.ts';
import type { FunctionName } from './manifest.ts';
import type { ForeignStreamSettings, LakeProps } from './props.ts';
import { prefixes } from './storage.ts';

/** Everything that a function of one pipeline may be allowed to touch. */
export interface Reach {
  readonly pipeline: string;
  readonly bucket: Bucket;
  readonly key: IKey;
  readonly stream: IStream;
  readonly tasks: IQueue;
  readonly dispatch: IQueue;
  readonly failures: IQueue;
  /** Word of records that a mapping gave up. */
  readonly undelivered: IQueue;
  /** Where calls go that nobody waits for and that failed. */
  readonly lostCalls: IQueue;
  readonly messages: IQueue | null;
  readonly topic: ITopic | null;
  /** `null`: results lie in the state bucket. */
  readonly database: Database | null;
  readonly lakes: readonly LakeProps[];
  readonly foreignStreams: readonly ForeignStreamSettings[];
}

/** Lambda's own needs of a function, whatever the function does. */
export interface Surroundings {
  readonly functionArn: string;
  readonly logs: ILogGroup;
  readonly inNetwork: boolean;
}

interface Permission {
  readonly statement: PolicyStatement;
  /** Of a resource that is not named to its end. */
  readonly wildcard?: {
    /** As cdk-nag writes it. */
    readonly finding: string;
    readonly reason: string;
  };
}

/**
 * One role for each function, with its exact actions on its exact resources, all in this file. Nothing else may add to it:
 * `infra/test/golden` holds what comes out, so that every change of it is seen in a review.
 */
export function roleOf(scope: Construct, name: FunctionName, reach: Reach, surroundings: Surroundings): Role {
  const work = {
    dispatch: dispatchPermissions,
    transform: transformPermissions,
    analyze: analyzePermissions,
    reprocess: reprocessPermissions,
  }[name](reach);
  const around = surroundingsPermissions(reach, surroundings);
  const document = (permissions: readonly Permission[]): PolicyDocument =>
    new PolicyDocument({ statements: permissions.map(({ statement }) => statement) });
  const role = new Role(scope, `${name}-role`, {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    description: `Sluice: ${name} of ${reach.pipeline}`,
    inlinePolicies: { Work: document(work), Surroundings: document(around) },
  });
  acknowledge(
    role,
    ['Serverless-LambdaStarPermissions'],
    'it names no single wildcard; AwsSolutions-IAM5 does, and each is acknowledged by itself',
  );
  for (const { wildcard } of [...work, ...around])
    if (wildcard !== undefined)
      acknowledge(role, [`AwsSolutions-IAM5[Resource::${wildcard.finding}]`], wildcard.reason);
  return role;
}

const UNDELIVERED = 'Lambda names what it could not deliver';

/** Plans objects, queues tasks, and goes on with a long listing by an order to itself. */
function dispatchPermissions(reach: Reach): Permission[] {
  return [
    takeFrom('TakeOrders', reach.dispatch),
    sendTo('ContinueItself', reach.dispatch),
    sendTo('QueueTasks', reach.tasks),
    ...readLake(reach),
    ...storeClaims(reach),
    ...routeFailures(reach),
    keepResults(reach),
  ];
}

/** Reads sections and sends frames. It has no database: a failure of an object travels as a frame, too. */
function transformPermissions(reach: Reach): Permission[] {
  return [
    takeFrom('TakeTasks', reach.tasks),
    sendTo('HandSectionsOn', reach.tasks),
    ...(reach.messages === null ? [] : [takeFrom('TakeMessages', reach.messages)]),
    ...reach.foreignStreams.map(({ streamArn }, index) => readStream(`ReadForeignStream${index}`, streamArn)),
    ...reach.foreignStreams.flatMap(({ keyArn }, index) =>
      keyArn === undefined ? [] : [allow(`DecryptForeignStream${index}`, ['kms:Decrypt'], [keyArn])],
    ),
    // What its mappings give up it takes in again, where reprocess says so.
    ...(reach.foreignStreams.length > 0 ? [keepUndelivered(reach), readUndelivered(reach)] : []),
    ...readLake(reach),
    ...storeClaims(reach),
    putFrames(reach),
    keepVerdicts(reach),
    keptBundles('transform', reach),
  ];
}

/** Applies frames. */
function analyzePermissions(reach: Reach): Permission[] {
  return [
    readStream('ReadFrames', reach.stream.streamArn),
    keepUndelivered(reach),
    ...storeClaims(reach),
    keptBundles('analyze', reach),
    ...routeFailures(reach),
    keepResults(reach),
  ];
}

/** Sends only what failed back to its stage. */
function reprocessPermissions(reach: Reach): Permission[] {
  return [
    takeFrom('TakeFailures', reach.failures),
    takeFrom('TakeUndelivered', reach.undelivered),
    sendTo('ContinueItself', reach.undelivered),
    readUndelivered(reach),
    // An on-failure destination that is a queue says only where in the stream the records were.
    allow('FetchAgain', ['kinesis:GetShardIterator', 'kinesis:GetRecords'], [reach.stream.streamArn]),
    ...readLake(reach),
    ...storeClaims(reach),
    putFrames(reach),
    sendTo('QueueTasks', reach.tasks),
    keptBundles('reprocess', reach),
    keepResults(reach),
  ];
}

function surroundingsPermissions(reach: Reach, { functionArn, logs, inNetwork }: Surroundings): Permission[] {
  const statements = [
    allow('WriteLogs', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logs.logGroupArn]),
    // The service authorization reference lists no resources for these two.
    allowAnywhere('Trace', ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], 'X-Ray knows no resources'),
    allow('KeepLostCalls', ['sqs:SendMessage'], [reach.lostCalls.queueArn]),
    allow('UseKey', ['kms:Decrypt', 'kms:GenerateDataKey'], [reach.key.keyArn]),
  ];
  if (!inNetwork) return statements;
  const network = [
    'ec2:CreateNetworkInterface',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSubnets',
    'ec2:DeleteNetworkInterface',
    'ec2:AssignPrivateIpAddresses',
    'ec2:UnassignPrivateIpAddresses',
  ];
  return [
    ...statements,
    // Lambda puts the function into the network with the function's role, and refuses a role that names resources here.
    allowAnywhere(
      'LambdaPlugsIn',
      network,
      'Lambda plugs functions into a network with their roles; their code is denied it',
    ),
    {
      // What runs inside the function may not do what Lambda does for it.
      statement: new PolicyStatement({
        sid: 'CodePlugsNothing',
        effect: Effect.DENY,
        actions: network,
        resources: ['*'],
        conditions: { ArnEquals: { 'lambda:SourceFunctionArn': functionArn } },
      }),
    },
  ];
}

/** As a mapping does. */
function takeFrom(sid: string, queue: IQueue): Permission {
  return allow(sid, ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], [queue.queueArn]);
}

function sendTo(sid: string, queue: IQueue): Permission {
  return allow(sid, ['sqs:SendMessage'], [queue.queueArn]);
}

function readStream(sid: string, streamArn: string): Permission {
  return allow(
    sid,
    [
      'kinesis:DescribeStream',
      'kinesis:DescribeStreamSummary',
      'kinesis:GetRecords',
      'kinesis:GetShardIterator',
      'kinesis:ListShards',
    ],
    [streamArn],
  );
}

function putFrames(reach: Reach): Permission {
  return allow('PutFrames', ['kinesis:PutRecords'], [reach.stream.streamArn]);
}

function readLake({ lakes, bucket }: Reach): Permission[] {
  const { partition } = Stack.of(bucket);
  return lakes.flatMap(({ bucketName, prefix = '', keyArn }, index): Permission[] => [
    {
      // Of a whole bucket also what makes a missing object a 404 and not a 403.
      statement: new PolicyStatement({
        sid: `ListLake${index}`,
        actions: ['s3:ListBucket'],
        resources: [`arn:${partition}:s3:::${bucketName}`],
        ...(prefix === '' ? {} : { conditions: { StringLikeIfExists: { 's3:prefix': [`${prefix}*`] } } }),
      }),
    },
    {
      ...allow(`ReadLake${index}`, ['s3:GetObject'], [`arn:${partition}:s3:::${bucketName}/${prefix}*`]),
      wildcard: {
        finding: `arn:<AWS::Partition>:s3:::${bucketName}/${prefix}*`,
        reason: 'which objects the lake has is not known ahead',
      },
    },
    ...(keyArn === undefined ? [] : [allow(`DecryptLake${index}`, ['kms:Decrypt'], [keyArn])]),
  ]);
}

/** What is too large for a queue or a stream: frames, tasks, failures, orders. */
function storeClaims(reach: Reach): Permission[] {
  return [
    allowObjects(
      'CheckAndRedeemClaims',
      ['s3:PutObject', 's3:GetObject'],
      reach,
      `${prefixes.claims}*`,
      'claims are named by their content',
    ),
    // Without it, a claim or a bundle that is not there is a 403, and cannot be told from a missing permission.
    allow('FindStateBucket', ['s3:ListBucket'], [reach.bucket.bucketArn]),
  ];
}

/** On rows that hung a process or killed it; found by listing, which it may do of the whole bucket. */
function keepVerdicts(reach: Reach): Permission {
  return allowObjects(
    'KeepVerdicts',
    ['s3:GetObject', 's3:PutObject'],
    reach,
    `${prefixes.killed}*`,
    'verdicts are named by the objects of the lake and by coordinates',
  );
}

function keptBundles(name: FunctionName, reach: Reach): Permission {
  return allowObjects(
    'LoadKeptBundles',
    ['s3:GetObject'],
    reach,
    `${prefixes.bundles}${reach.pipeline}/*/${name}.mjs`,
    'its own bundles of builds that came before; their digests are not known ahead',
  );
}

function routeFailures(reach: Reach): Permission[] {
  return [
    sendTo('SendFailures', reach.failures),
    allowObjects(
      'WriteLedger',
      ['s3:PutObject'],
      reach,
      `${prefixes.failures}*`,
      'the ledger names its objects by time',
    ),
    ...(reach.topic === null ? [] : [allow('PublishFailures', ['sns:Publish'], [reach.topic.topicArn])]),
  ];
}

/** Of a mapping that gives records up: Lambda writes them with the function's role, and looks whether the bucket is there. */
function keepUndelivered(reach: Reach): Permission {
  return allowObjects('KeepUndelivered', ['s3:PutObject'], reach, `${prefixes.undelivered}*`, UNDELIVERED);
}

function readUndelivered(reach: Reach): Permission {
  return allowObjects('ReadUndelivered', ['s3:GetObject'], reach, `${prefixes.undelivered}*`, UNDELIVERED);
}

function keepResults(reach: Reach): Permission {
  if (reach.database !== null)
    return allow('LogIntoDatabase', ['rds-db:connect'], [reach.database.connectArn]);
  return allowObjects(
    'KeepResults',
    ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
    reach,
    `${prefixes.results}*`,
    'results name their objects by generation and frame',
  );
}

function allow(sid: string, actions: readonly string[], resources: readonly string[]): Permission {
  return { statement: new PolicyStatement({ sid, actions: [...actions], resources: [...resources] }) };
}

/** Objects of the state bucket whose keys are only known when they are there. */
function allowObjects(
  sid: string,
  actions: readonly string[],
  { bucket }: Reach,
  keys: string,
  reason: string,
): Permission {
  const logicalId = Stack.of(bucket).getLogicalId(bucket.node.defaultChild as CfnBucket);
  return {
    ...allow(sid, actions, [bucket.arnForObjects(keys)]),
    wildcard: { finding: `<${logicalId}.Arn>/${keys}`, reason },
  };
}

/** Where AWS has nothing finer. */
function allowAnywhere(sid: string, actions: readonly string[], reason: string): Permission {
  return { ...allow(sid, actions, ['*']), wildcard: { finding: '*', reason } };
}
