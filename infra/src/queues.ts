import { Duration } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

/** AWS' advice for queues of functions: room for retries while a batch is throttled. */
const VISIBILITY_TIMEOUTS = 6;
/** The longest that SQS has. A claim check lives longer. */
const RETENTION = Duration.days(14);
/** SQS takes up to 1 MiB since August 2025. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** How long SQS goes on with one data key: fewer calls to KMS. */
const KEY_REUSE = Duration.hours(1);

/** A queue and where its dead letters go. */
export class WorkQueue extends Construct {
  readonly queue: Queue;
  readonly deadLetters: Queue;
  /** How long its mapping gathers messages: hidden time, too. */
  readonly batchingWindow: Duration;

  constructor(
    scope: Construct,
    id: string,
    settings: {
      readonly key: IKey;
      /** Of the function that takes from it. */
      readonly timeout: Duration;
      readonly maxReceives: number;
      /** Default 0. */
      readonly batchingWindow?: Duration;
    },
  ) {
    super(scope, id);
    this.batchingWindow = settings.batchingWindow ?? Duration.seconds(0);
    this.deadLetters = lastQueue(this, 'DeadLetters', settings.key);
    this.queue = encryptedQueue(
      this,
      'Queue',
      settings.key,
      Duration.seconds(settings.timeout.toSeconds() * VISIBILITY_TIMEOUTS + this.batchingWindow.toSeconds()),
      { queue: this.deadLetters, maxReceiveCount: settings.maxReceives },
    );
  }
}

/** Where what could not be done ends: nothing takes from it but people, and an alarm tells them. */
export function lastQueue(scope: Construct, id: string, key: IKey): Queue {
  const queue = encryptedQueue(scope, id, key, Duration.minutes(5));
  acknowledge(queue, ['Serverless-SQSRedrivePolicy'], 'dead letters end here, and an alarm tells of them');
  return queue;
}

function encryptedQueue(
  scope: Construct,
  id: string,
  key: IKey,
  visibilityTimeout: Duration,
  deadLetterQueue?: { queue: Queue; maxReceiveCount: number },
): Queue {
  return new Queue(scope, id, {
    encryption: QueueEncryption.KMS,
    encryptionMasterKey: key,
    dataKeyReuse: KEY_REUSE,
    enforceSSL: true,
    retentionPeriod: RETENTION,
    maxMessageSizeBytes: MAX_MESSAGE_BYTES,
    visibilityTimeout,
    ...(deadLetterQueue === undefined ? {} : { deadLetterQueue }),
  });
}
