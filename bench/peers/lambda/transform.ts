/** Powertools: a task names an object of Parquet; its rows become records of the stream. */
import { KinesisClient, PutRecordsCommand } from '@aws-sdk/client-kinesis';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { forQueue } from './surroundings.ts';

const s3 = new S3Client();
const kinesis = new KinesisClient();
const BATCH = 500;

export const handler = forQueue(
  async ({ bucket, key }: { readonly bucket: string; readonly key: string }) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const bytes = await Body?.transformToByteArray();
    if (bytes === undefined) throw new Error(`there is no ${key}`);
    const rows = await parquetReadObjects({ file: bytes.slice().buffer, compressors });
    for (let first = 0; first < rows.length; first += BATCH) {
      const Records = rows.slice(first, first + BATCH).map(({ origin, destination, delay, distance }) => {
        const lane = `${String(origin)}-${String(destination)}`;
        return { PartitionKey: lane, Data: Buffer.from(JSON.stringify({ lane, delay, distance })) };
      });
      await kinesis.send(new PutRecordsCommand({ StreamName: process.env['SLUICE_STREAM_NAME'], Records }));
    }
  },
);
