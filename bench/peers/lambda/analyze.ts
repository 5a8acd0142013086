/** Powertools: messages of the stream are measured by lane, and the measures kept in S3. */
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { forStream } from './surroundings.ts';

const s3 = new S3Client();

interface Leg {
  readonly lane: string;
  readonly delay: number;
  readonly distance: number;
}

export const handler = forStream(async ({ id, lane, delay, distance }: Leg & { readonly id: string }) => {
  const measures = { flights: 1, late: delay > 15 ? 1 : 0, delay, worst: delay, distance };
  await s3.send(
    new PutObjectCommand({
      Bucket: process.env['SLUICE_BUCKET'],
      Key: `results/${lane}/${id}.json`,
      Body: JSON.stringify(measures),
    }),
  );
});
