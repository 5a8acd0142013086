import { Stack } from 'aws-cdk-lib';
import { CfnRule } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Key } from 'aws-cdk-lib/aws-kms';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { LakeProps, ScheduleSettings } from './props.ts';
import type { Settings } from './settings.ts';
import { prefixes } from './storage.ts';

export interface EventTargets {
  readonly dispatch: Queue;
  /** What EventBridge could not deliver. */
  readonly lostCalls: Queue;
}

/**
 * What starts work: objects that arrive, and the clock. Both become messages in the dispatch queue, so that stopping dispatch for a
 * deployment loses none of them.
 */
export function addEvents(
  scope: Construct,
  pipeline: string,
  { lakes, schedule }: { readonly lakes: readonly LakeProps[]; readonly schedule?: ScheduleSettings },
  targets: EventTargets,
): void {
  const rules: CfnRule[] = [];
  for (const [index, { bucketName, prefix = '', events = true }] of lakes.entries()) {
    if (events !== true) continue;
    rules.push(
      new CfnRule(scope, `ObjectCreated${index}`, {
        description: `Sluice: new objects of ${bucketName} for ${pipeline}`,
        eventPattern: {
          source: ['aws.s3'],
          'detail-type': ['Object Created'],
          detail: {
            bucket: { name: [bucketName] },
            ...(prefix === '' ? {} : { object: { key: [{ prefix }] } }),
          },
        },
        targets: [queueTarget(targets)],
      }),
    );
  }
  if (schedule !== undefined) {
    rules.push(
      new CfnRule(scope, 'Schedule', {
        description: `Sluice: dispatches ${pipeline} by the clock`,
        scheduleExpression: schedule.expression,
        targets: [
          {
            ...queueTarget(targets),
            input: JSON.stringify({ pipeline, objects: schedule.locations }),
          },
        ],
      }),
    );
  }
  allowRules(rules, [targets.dispatch, targets.lostCalls]);
}

/** Buckets that tell of their objects by themselves, into the dispatch queue: who sets that up for a bucket is its owner. */
export function allowNotifications(lakes: readonly LakeProps[], key: Key, dispatch: Queue): void {
  const buckets = lakes.filter(({ events }) => events === 's3').map(({ bucketName }) => bucketName);
  if (buckets.length === 0) return;
  const { partition, account } = Stack.of(dispatch);
  // The name of a bucket that is gone may be somebody else's by now.
  const ofThisAccount = { StringEquals: { 'aws:SourceAccount': account } };
  const sources = [...new Set(buckets)].map((bucket) => `arn:${partition}:s3:::${bucket}`);
  const s3 = new ServicePrincipal('s3.amazonaws.com');
  dispatch.addToResourcePolicy(
    new PolicyStatement({
      principals: [s3],
      actions: ['sqs:SendMessage'],
      resources: [dispatch.queueArn],
      conditions: { ...ofThisAccount, ArnEquals: { 'aws:SourceArn': sources } },
    }),
  );
  // The queue is encrypted, and S3 writes into it by itself.
  key.addToResourcePolicy(
    new PolicyStatement({
      sid: 'NotificationsOfLakes',
      principals: [s3],
      actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
      resources: ['*'],
      conditions: ofThisAccount,
    }),
  );
}

/** What a mapping gives up lies in the state bucket: S3 tells the queue that reprocess puts it again from. */
export function addUndelivered(
  scope: Construct,
  pipeline: string,
  bucket: Bucket,
  targets: { readonly undelivered: Queue; readonly lostCalls: Queue },
): void {
  const rule = new CfnRule(scope, 'RecordsGivenUp', {
    description: `Sluice: records of ${pipeline} that a mapping gave up`,
    eventPattern: {
      source: ['aws.s3'],
      'detail-type': ['Object Created'],
      detail: { bucket: { name: [bucket.bucketName] }, object: { key: [{ prefix: prefixes.undelivered }] } },
    },
    targets: [
      {
        id: 'reprocess',
        arn: targets.undelivered.queueArn,
        deadLetterConfig: { arn: targets.lostCalls.queueArn },
      },
    ],
  });
  allowRules([rule], [targets.undelivered, targets.lostCalls]);
}

/** Results are complete before they are published: somebody has to ask. */
export function addPublishing(
  scope: Construct,
  pipeline: string,
  settings: Settings,
  analyze: Function,
  lostCalls: Queue,
): void {
  const rule = new CfnRule(scope, 'Publishing', {
    description: `Sluice: publishes what is complete of ${pipeline}`,
    scheduleExpression: rateOf(settings.publishEvery.toMinutes()),
    targets: [
      {
        id: 'analyze',
        arn: analyze.functionArn,
        input: JSON.stringify({ publish: true }),
        deadLetterConfig: { arn: lostCalls.queueArn },
      },
    ],
  });
  analyze.addPermission('Publishing', {
    principal: new ServicePrincipal('events.amazonaws.com'),
    sourceArn: rule.attrArn,
  });
  allowRules([rule], [lostCalls]);
}

function rateOf(minutes: number): string {
  if (minutes < 1) throw new Error('publishEvery has to be at least a minute');
  return minutes === 1 ? 'rate(1 minute)' : `rate(${minutes} minutes)`;
}

function queueTarget({ dispatch, lostCalls }: EventTargets): CfnRule.TargetProperty {
  return { id: 'dispatch', arn: dispatch.queueArn, deadLetterConfig: { arn: lostCalls.queueArn } };
}

function allowRules(rules: readonly CfnRule[], queues: readonly Queue[]): void {
  for (const rule of rules) {
    for (const queue of queues) {
      queue.addToResourcePolicy(
        new PolicyStatement({
          principals: [new ServicePrincipal('events.amazonaws.com')],
          actions: ['sqs:SendMessage'],
          resources: [queue.queueArn],
          conditions: { ArnEquals: { 'aws:SourceArn': rule.attrArn } },
        }),
      );
    }
  }
}
