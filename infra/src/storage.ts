import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

/** Where what lies in the state bucket. */
export const prefixes = {
  /** The ledger of failures. */
  failures: 'failures/',
  /** What is too large for a queue or a stream. */
  claims: 'claims/',
  /** `bundles/<pipeline>/<build>/<function>.mjs` */
  bundles: 'bundles/',
  /** Verdicts on rows that hung a process or killed it. */
  killed: 'killed/',
  /** Results, where there is no database. */
  results: 'results/',
  /** Lambda's on-failure destination writes `aws/lambda/<mapping>/<shard>/<date>/…` and lets nobody choose another place. */
  undelivered: 'aws/lambda/',
} as const;

export interface StorageSettings {
  readonly claimRetention: Duration;
  readonly undeliveredRetention: Duration;
}

/** The state bucket of a pipeline, and the bucket of its access logs. */
export class Storage extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, key: IKey, settings: StorageSettings) {
    super(scope, id);
    const logs = new Bucket(this, 'AccessLogs', {
      // Access logs cannot be written under a key of the customer's.
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [{ id: 'old-logs', expiration: Duration.days(90) }],
    });
    this.bucket = new Bucket(this, 'State', {
      encryption: BucketEncryption.KMS,
      encryptionKey: key,
      bucketKeyEnabled: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      // Claims are named by their content and written once; versions of them would only cost.
      versioned: false,
      // Failures and kept bundles must not go with the stack.
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [
        { id: 'claims', prefix: prefixes.claims, expiration: settings.claimRetention },
        { id: 'undelivered', prefix: prefixes.undelivered, expiration: settings.undeliveredRetention },
        { id: 'broken-uploads', abortIncompleteMultipartUploadAfter: Duration.days(1) },
      ],
    });
    const accessLogPrefix = 'state/';
    const state = this.bucket.node.defaultChild as CfnBucket;
    state.loggingConfiguration = { destinationBucketName: logs.bucketName, logFilePrefix: accessLogPrefix };
    // Written here, and not by the prop of the same name: that brings a custom resource with a role of its own.
    state.notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
    logs.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('logging.s3.amazonaws.com')],
        actions: ['s3:PutObject'],
        resources: [logs.arnForObjects(`${accessLogPrefix}*`)],
        conditions: {
          ArnLike: { 'aws:SourceArn': this.bucket.bucketArn },
          StringEquals: { 'aws:SourceAccount': this.bucket.stack.account },
        },
      }),
    );
    acknowledge(logs, ['AwsSolutions-S1'], 'it holds the access logs themselves');
  }
}
