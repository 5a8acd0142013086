import { CfnEventSourceMapping, type Function } from 'aws-cdk-lib/aws-lambda';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { WorkQueue } from './queues.ts';
import type { Settings } from './settings.ts';

/** Only what failed comes again. */
const PARTIAL_RESPONSES = ['ReportBatchItemFailures'];
/** Counts of a mapping, also of what it gave up and where to. */
const METRICS = { metrics: ['EventCount'] };

export interface QueueMappingProps {
  readonly from: WorkQueue;
  readonly target: Function;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly pollers?: { readonly minimum: number; readonly maximum: number } | null;
  /** Default true. */
  readonly enabled?: boolean;
}

export function mapQueue(scope: Construct, id: string, props: QueueMappingProps): CfnEventSourceMapping {
  const { from, target, batchSize, concurrency, pollers = null, enabled = true } = props;
  const mapping = new CfnEventSourceMapping(scope, id, {
    eventSourceArn: from.queue.queueArn,
    functionName: target.functionName,
    enabled,
    batchSize,
    maximumBatchingWindowInSeconds: from.batchingWindow.toSeconds(),
    functionResponseTypes: PARTIAL_RESPONSES,
    metricsConfig: METRICS,
    ...(pollers === null
      ? { scalingConfig: { maximumConcurrency: concurrency } }
      : {
          provisionedPollerConfig: { minimumPollers: pollers.minimum, maximumPollers: pollers.maximum },
        }),
  });
  acknowledge(
    mapping,
    ['Serverless-LambdaEventSourceMappingDestination'],
    'a mapping of SQS has no destination: the queue has dead letters',
  );
  return mapping;
}

/** A stream to a function; what cannot be delivered goes to the state bucket, whole. */
export function mapStream(
  scope: Construct,
  id: string,
  props: {
    readonly streamArn: string;
    readonly target: Function;
    readonly undelivered: Bucket;
    readonly settings: Settings;
    readonly startingPosition: 'TRIM_HORIZON' | 'LATEST';
    /** Tries of a batch after the first. */
    readonly retryAttempts: number;
  },
): CfnEventSourceMapping {
  const { streamArn, target, undelivered, settings, startingPosition, retryAttempts } = props;
  return new CfnEventSourceMapping(scope, id, {
    eventSourceArn: streamArn,
    functionName: target.functionName,
    startingPosition,
    batchSize: settings.batchSize,
    maximumBatchingWindowInSeconds: settings.batchingWindow.toSeconds(),
    parallelizationFactor: settings.parallelizationFactor,
    functionResponseTypes: PARTIAL_RESPONSES,
    bisectBatchOnFunctionError: true,
    maximumRetryAttempts: retryAttempts,
    maximumRecordAgeInSeconds: settings.maxRecordAge.toSeconds(),
    destinationConfig: { onFailure: { destination: undelivered.bucketArn } },
    metricsConfig: METRICS,
  });
}
