import { randomFillSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3ClaimCheck } from '../../../src/adapters/aws/claim-check.ts';
import { createKinesisCalls, type KinesisCalls } from '../../../src/adapters/aws/kinesis-client.ts';
import { KinesisRecordSink } from '../../../src/adapters/aws/record-sink.ts';
import { SqsSender } from '../../../src/adapters/aws/sqs-batch.ts';
import { createSqsCalls, type SqsCalls } from '../../../src/adapters/aws/sqs-client.ts';
import { messageLineOfBody } from '../../../src/adapters/aws/sqs-message.ts';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import { SystemRandom } from '../../../src/adapters/inmemory/random.ts';
import { clientConfig } from './client-config.ts';
import { KinesisTwin } from './kinesis-twin.ts';
import { startS3Twin, type S3Twin } from './s3-twin.ts';

const MIB = 1024 * 1024;
const never = new AbortController().signal;
const clock = new SystemClock();
const ambient = { clock, random: new SystemRandom({ clock }), metrics: new InMemoryMetrics() };

let s3: S3Twin;
let stream: KinesisTwin;
let kinesis: KinesisCalls;
let sqs: SqsCalls;
let claims: S3ClaimCheck;
beforeAll(async () => {
  [s3, stream] = await Promise.all([startS3Twin(), KinesisTwin.start()]);
  await stream.createStream('frames', 2);
  kinesis = createKinesisCalls(clientConfig(stream.url));
  sqs = createSqsCalls(clientConfig(`http://127.0.0.1:${s3.server.port}`));
  claims = new S3ClaimCheck({ calls: s3.calls(), ...ambient }, { bucket: s3.newBucket() });
});
afterAll(async () => {
  kinesis.close();
  sqs.close();
  await stream.stop();
  await s3.stop();
});

describe('What is too large to travel comes back whole', () => {
  it('from the stream', async () => {
    const sink = new KinesisRecordSink({ calls: kinesis, claims }, { streamName: 'frames', partitions: 2 });
    const frames = [randomFillSync(new Uint8Array(3 * MIB)), randomFillSync(new Uint8Array(500))];
    const outcomes = await sink.put(
      frames.map((data, partition) => ({ partition, data })),
      never,
    );
    expect(outcomes).toEqual([{ accepted: true }, { accepted: true }]);
    const records = await (await stream.reader('frames'))();
    for (const { key, data } of records) {
      const redeemed = await claims.redeem(data, never);
      expect(Buffer.compare(redeemed, frames[Number(key)] as Uint8Array)).toBe(0);
    }
    expect(records.map(({ data }) => data.length < 1_000)).toEqual([true, true]);
  });

  it('from a queue', async () => {
    const { queueUrl } = s3.server.createQueue('messages');
    const message = JSON.stringify({ text: 'ü'.repeat(MIB) });
    const sender = new SqsSender({ calls: sqs, claims, ...ambient }, { queueUrl });
    await sender.send([{ body: message }, { body: '{"small":1}' }], never);
    const bodies = (await sqs.receive(queueUrl, 10, 1, never)).map(({ body }) => body);
    expect(bodies.map((body) => body.length < 1_000)).toEqual([true, true]);
    const lines = await Promise.all(bodies.map((body) => messageLineOfBody(body, claims, never)));
    const texts = lines.map((line) => Buffer.from(line).toString());
    expect(texts.toSorted((a, b) => b.length - a.length)).toEqual([message, '{"small":1}']);
  });
});
