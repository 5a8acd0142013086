import { afterAll, beforeAll } from 'vitest';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import { SystemRandom } from '../../../src/adapters/inmemory/random.ts';
import { S3ObjectSource } from '../../../src/adapters/aws/object-source.ts';
import { objectSourceContract } from '../../../src/testing/index.ts';
import { startS3Twin, type S3Twin } from './s3-twin.ts';
import { S3Client, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { credentials, region } from './s3-twin.ts';

let twin: S3Twin;

beforeAll(async () => {
  twin = await startS3Twin();
});

afterAll(() => twin.stop());

const settings = {
  'as it is': {},
  'parts of 100,000 bytes, chunks of 7,000, pages of 3 keys': {
    partBytes: 100_000,
    chunkBytes: 7_000,
    pageKeys: 3,
  },
};

for (const [name, options] of Object.entries(settings)) {
  objectSourceContract(`S3ObjectSource: ${name}`, async () => {
    const calls = twin.calls();
    const clock = new SystemClock();
    const ports = { calls, clock, random: new SystemRandom({ clock }), metrics: new InMemoryMetrics() };
    const bucket = twin.newBucket();
    const client = new S3Client({ endpoint: twin.url, region, credentials, forcePathStyle: true });
    const { signal } = new AbortController();
    return {
      source: new S3ObjectSource(ports, options),
      put: (key, content) => calls.put({ bucket, key }, content, { contentType: 'text/csv' }, signal),
      remove: async (key) => void (await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))),
      locationOf: (key = '') => `s3://${bucket}/${key}`,
      nameOf: (key) => ({ bucket, key }),
      openReads: async () => {
        await twin.settled();
        return 0;
      },
      dispose: async () => {
        calls.close();
        client.destroy();
      },
    };
  });
}
