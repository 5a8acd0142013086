import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll } from 'vitest';
import { ResultsLake } from '../../../src/adapters/aws/results-lake.ts';
import type { FolderPorts } from '../../../src/adapters/aws/results-lake/folder.ts';
import type { MergeStates, PublishedGroup } from '../../../src/domain/ports/result-store.ts';
import { resultStoreContract } from '../../../src/testing/result-store-contract.ts';
import { memoryS3 } from './memory-s3.ts';
import { startS3Twin, type S3Twin } from './s3-twin.ts';
import { never, surroundings } from './surroundings.ts';

let twin: S3Twin;

beforeAll(async () => {
  twin = await startS3Twin();
});

afterAll(() => twin.stop());

function fixtureOver(calls: FolderPorts['calls'], bucket: string, mergeStates: MergeStates) {
  const open = () =>
    new ResultsLake({ ...surroundings(), calls }, { bucket, prefix: 'flights/', mergeStates });
  return {
    store: open(),
    reopen: async () => open(),
    published: async (generation: string) => {
      const [pipeline, version] = generation.split('@');
      const key = `flights/results/pipeline=${pipeline}/version=${version}/results.jsonl.gz`;
      const body = await calls.fetch({ bucket, key }, never);
      return body === undefined ? [] : linesOf(body);
    },
    destroy: async () => {},
  };
}

function linesOf(body: Uint8Array): PublishedGroup[] {
  const lines = gunzipSync(body).toString('utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as PublishedGroup);
}

resultStoreContract({
  name: 'ResultsLake',
  histories: 60,
  create: async (mergeStates) => fixtureOver(memoryS3(), 'lake', mergeStates),
});

resultStoreContract({
  name: 'ResultsLake on fauxqs',
  histories: 1,
  most: 1_010,
  create: async (mergeStates) => fixtureOver(twin.calls(), twin.newBucket(), mergeStates),
});
