import { afterAll, beforeAll } from 'vitest';
import { S3KilledRows, type S3KilledRowsPorts } from '../../../src/adapters/aws/killed-rows.ts';
import { killedRowsContract } from '../../../src/testing/index.ts';
import { memoryS3 } from './memory-s3.ts';
import { startS3Twin, type S3Twin } from './s3-twin.ts';
import { surroundings } from './surroundings.ts';

let twin: S3Twin;

beforeAll(async () => {
  twin = await startS3Twin();
});

afterAll(() => twin.stop());

function harnessOver(calls: S3KilledRowsPorts['calls'], bucket: string) {
  const open = () => new S3KilledRows({ ...surroundings(), calls }, { bucket });
  return { killed: open(), again: async () => open(), dispose: async () => undefined };
}

killedRowsContract('S3KilledRows', async () => harnessOver(memoryS3(), 'state'));

// It replaces what is there, whatever `If-None-Match` says.
killedRowsContract('S3KilledRows on fauxqs', async () => harnessOver(twin.calls(), twin.newBucket()));
