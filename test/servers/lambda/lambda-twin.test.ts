import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PutRecordsCommand } from '@aws-sdk/client-kinesis';
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import type { KinesisStreamEvent } from 'aws-lambda';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  LambdaTwin,
  ProcessFunction,
  type ProcessFunctionSettings,
} from '../../../src/testing/lambda/index.ts';
import { depth, kinesisAt, type Peers, s3At, sqsAt, startPeers } from '../../testing-lambda/peers.ts';
import { bundleOf, runtimeClient } from './runtime-client.ts';

let peers: Peers;

beforeAll(async () => {
  peers = await startPeers();
});
afterAll(() => peers.stop());

/** Writes what it is done with into `done`; hangs, dies and runs out of memory at the first sight of such a body. */
const source = `
  import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
  const bodyOf = (record) => record.body ?? Buffer.from(record.kinesis.data, 'base64').toString();
  const first = (body) => { if (existsSync(body)) return false; writeFileSync(body, ''); return true; };
  export const handler = async ({ Records }) => {
    for (const record of Records) {
      const body = bodyOf(record);
      if (body === 'hang' && first(body)) await new Promise((resolve) => setTimeout(resolve, 60000));
      if (body === 'exit' && first(body)) process.exit(1);
      if (body === 'memory' && first(body)) for (const kept = []; ; ) kept.push(new Array(1000).fill(Math.random()));
      if (body === 'throw' && first(body)) throw new Error('as asked');
      if (body === 'poison') throw new Error('always');
      appendFileSync('done', body + '\\n');
    }
    return { batchItemFailures: [] };
  };`;

async function withFunction(
  settings: Partial<ProcessFunctionSettings>,
  trial: (twin: LambdaTwin, worker: ProcessFunction, done: () => Promise<readonly string[]>) => Promise<void>,
): Promise<void> {
  const { folder, remove } = await bundleOf(source);
  const worker = new ProcessFunction({ name: 'worker', folder, runtimeClient, ...settings });
  const twin = new LambdaTwin();
  twin.add(worker);
  try {
    await trial(twin, worker, async () => (await readFile(join(folder, 'done'), 'utf8')).trim().split('\n'));
  } finally {
    await twin.stop();
    await remove();
  }
}

const troubles = ['hang', 'exit', 'memory', 'throw'];
const soon = () => AbortSignal.timeout(90_000);

test('messages get through a function that hangs, exits, throws and runs out of memory', async () => {
  await withFunction({ timeoutMs: 3_000, memoryMb: 160, concurrency: 2 }, async (twin, worker, done) => {
    const sqs = sqsAt(peers.fauxqs.address);
    const queueUrl = peers.newQueue({ VisibilityTimeout: '5' });
    const bodies = [...troubles, ...Array.from({ length: 16 }, (_, at) => `fine-${at}`)];
    for (let at = 0; at < bodies.length; at += 10) {
      const Entries = bodies.slice(at, at + 10).map((MessageBody, id) => ({ Id: `${id}`, MessageBody }));
      await sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
    }
    const mapping = twin.mapQueue('worker', { sqs, queueUrl, batchSize: 2, reportBatchItemFailures: true });
    await twin.idle(soon());
    expect(new Set(await done())).toEqual(new Set(bodies));
    expect(await depth(sqs, queueUrl)).toEqual([0, 0]);
    expect(mapping.counts.deleted).toBe(bodies.length);
    expect(worker.counts).toMatchObject({ errors: 4, timeouts: 1, exits: 2, kills: 0 });
  });
});

test('records get through in order, but for the one that never does: that one is in the bucket', async () => {
  await withFunction({ timeoutMs: 3_000, memoryMb: 160 }, async (twin, worker, done) => {
    const kinesis = kinesisAt(peers.kinesalite.url);
    const s3 = s3At(peers.fauxqs.address);
    const bucket = peers.newBucket();
    const streamName = await peers.newStream(1);
    const bodies = [...troubles, 'a', 'b', 'poison', 'c', 'd'];
    const Records = bodies.map((body) => ({ PartitionKey: 'k', Data: Buffer.from(body) }));
    await kinesis.send(new PutRecordsCommand({ StreamName: streamName, Records }));
    const mapping = twin.mapStream('worker', {
      kinesis,
      streamName,
      reportBatchItemFailures: true,
      bisectBatchOnFunctionError: true,
      maximumRetryAttempts: 2,
      onFailure: { kind: 's3', s3, bucket },
    });
    await twin.idle(soon());
    const through = await done();
    expect(new Set(through)).toEqual(new Set(bodies.filter((body) => body !== 'poison')));
    expect(through.lastIndexOf('b')).toBeLessThan(through.indexOf('c'));
    expect(mapping.counts.discarded).toBe(1);
    expect(worker.counts).toMatchObject({ timeouts: 1, exits: 2 });
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: Contents[0]?.Key }));
    const { payload } = JSON.parse((await Body?.transformToString()) ?? '') as {
      payload: KinesisStreamEvent;
    };
    expect(payload.Records.map((record) => Buffer.from(record.kinesis.data, 'base64').toString())).toEqual([
      'poison',
    ]);
  });
});

test('functions that are killed in the middle lose nothing', async () => {
  await withFunction({ concurrency: 3 }, async (twin, worker, done) => {
    const sqs = sqsAt(peers.fauxqs.address);
    const queueUrl = peers.newQueue({ VisibilityTimeout: '1' });
    const bodies = Array.from({ length: 200 }, (_, at) => `m-${at}`);
    for (let at = 0; at < bodies.length; at += 10) {
      const Entries = bodies.slice(at, at + 10).map((MessageBody, id) => ({ Id: `${id}`, MessageBody }));
      await sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
    }
    twin.mapQueue('worker', { sqs, queueUrl, batchSize: 1, maximumConcurrency: 3 });
    for (let kills = 0; kills < 5;) {
      if (await worker.kill()) kills += 1;
      else await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await twin.idle(soon());
    expect(new Set(await done())).toEqual(new Set(bodies));
    expect(worker.counts.kills).toBe(5);
    expect(worker.counts.coldStarts).toBeGreaterThanOrEqual(6);
  });
});
