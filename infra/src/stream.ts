import { RemovalPolicy } from 'aws-cdk-lib';
import { type CfnStream, type IStream, Stream, StreamEncryption, StreamMode } from 'aws-cdk-lib/aws-kinesis';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { Settings } from './settings.ts';

/** The stream of frames, from transform to analyze. What it has not delivered yet would be gone with it: it stays. */
export function frameStream(scope: Construct, id: string, key: IKey, settings: Settings): IStream {
  const { shards, recordBytes, streamRetention } = settings;
  const stream = new Stream(scope, id, {
    ...(shards === null
      ? { streamMode: StreamMode.ON_DEMAND }
      : { streamMode: StreamMode.PROVISIONED, shardCount: shards }),
    encryption: StreamEncryption.KMS,
    encryptionKey: key,
    retentionPeriod: streamRetention,
    removalPolicy: RemovalPolicy.RETAIN,
  });
  (stream.node.defaultChild as CfnStream).maxRecordSizeInKiB = recordBytes / 1024;
  acknowledge(
    stream,
    ['AwsSolutions-KDS3'],
    'the frames are under the key of the pipeline, as everything else of it; AWS bills a call to it every five minutes',
  );
  return stream;
}
