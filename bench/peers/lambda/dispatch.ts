/** Powertools: an order names a prefix; its objects become tasks. */
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { forQueue } from './surroundings.ts';

const s3 = new S3Client();
const sqs = new SQSClient();

export const handler = forQueue(
  async ({ bucket, prefix }: { readonly bucket: string; readonly prefix: string }) => {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    for (const { Key: key } of Contents)
      await sqs.send(
        new SendMessageCommand({
          QueueUrl: process.env['SLUICE_TASK_QUEUE_URL'],
          MessageBody: JSON.stringify({ bucket, key }),
        }),
      );
  },
);
