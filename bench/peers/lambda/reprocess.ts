/** Powertools: a failure names what is kept of a message; it is put into the stream again. */
import { KinesisClient, PutRecordCommand } from '@aws-sdk/client-kinesis';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { forQueue } from './surroundings.ts';

const s3 = new S3Client();
const kinesis = new KinesisClient();

export const handler = forQueue(async ({ key }: { readonly key: string }) => {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: process.env['SLUICE_BUCKET'], Key: key }));
  const Data = await Body?.transformToByteArray();
  await kinesis.send(
    new PutRecordCommand({ StreamName: process.env['SLUICE_STREAM_NAME'], PartitionKey: key, Data }),
  );
});
