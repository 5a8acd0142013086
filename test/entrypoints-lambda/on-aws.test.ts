import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { unpackFrame } from '../../src/application/frames/frame-codec.ts';
import { generationOf } from '../../src/application/generation.ts';
import type { Task } from '../../src/domain/section.ts';
import { createHandler as createAnalyze } from '../../src/entrypoints/lambda/analyze.ts';
import { createHandler as createDispatch } from '../../src/entrypoints/lambda/dispatch.ts';
import type { LambdaContext } from '../../src/entrypoints/lambda/events.ts';
import { createHandler as createReprocess } from '../../src/entrypoints/lambda/reprocess.ts';
import { createHandler as createTransform } from '../../src/entrypoints/lambda/transform.ts';
import { KinesisTwin } from '../adapters/aws/kinesis-twin.ts';
import { startS3Twin, type S3Twin } from '../adapters/aws/s3-twin.ts';
import { SqsTwin } from '../adapters/aws/sqs-twin.ts';
import { ARNS, failedItems, jsonl, kinesisEvent, sqsEvent, testPipeline, unstopped } from './harness.ts';

let s3: S3Twin;
let sqs: SqsTwin;
let kinesis: KinesisTwin;
let written: string[];

beforeAll(async () => {
  [s3, sqs, kinesis] = await Promise.all([startS3Twin(), SqsTwin.start(), KinesisTwin.start()]);
});
afterAll(() => Promise.all([s3.stop(), sqs.stop(), kinesis.stop()]));

beforeEach(() => {
  written = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => {
    written.push(String(line));
    return true;
  });
  vi.stubEnv('AWS_REGION', 'us-east-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'any');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'any');
  vi.stubEnv('AWS_ENDPOINT_URL_S3', s3.url);
  vi.stubEnv('AWS_ENDPOINT_URL_SQS', sqs.url);
  vi.stubEnv('AWS_ENDPOINT_URL_KINESIS', kinesis.url);
  vi.stubEnv('SLUICE_S3_PATH_STYLE', 'true');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

function context(awsRequestId = 'request-1'): LambdaContext {
  const endsAt = Date.now() + 20_000;
  return { awsRequestId, getRemainingTimeInMillis: () => endsAt - Date.now() };
}

const pipeline = testPipeline();
const build = 'build-1';
let made = 0;

/** An object in a bucket of its own, a stream, a task queue; and the task to transform it. */
async function surroundedTask(): Promise<{ task: Task; arn: string; stream: string }> {
  const bucket = s3.newBucket();
  const rows = Array.from({ length: 9 }, (_, delay) => ({ lane: `lane-${delay % 3}`, delay }));
  const content = Buffer.from(jsonl(rows));
  await s3
    .calls()
    .put({ bucket, key: 'day=1/ü a+b.jsonl' }, content, { contentType: 'application/jsonl' }, unstopped);
  const object = await s3.calls().head({ bucket, key: 'day=1/ü a+b.jsonl' }, unstopped);
  const stream = `frames-${made++}`;
  await kinesis.createStream(stream, 2);
  const { name, queueUrl } = sqs.createQueue();
  vi.stubEnv('SLUICE_BUCKET', s3.newBucket());
  vi.stubEnv('SLUICE_STREAM_NAME', stream);
  vi.stubEnv('SLUICE_TASK_QUEUE_URL', queueUrl);
  const task: Task = {
    id: 'task-1',
    run: 'run-1',
    generation: generationOf(pipeline, undefined).id,
    build,
    epoch: 1,
    where: null,
    object,
    sections: { from: 0, to: Math.ceil(content.length / pipeline.limits.sectionBytes) - 1 },
    start: 0,
    done: [],
  };
  return { task, arn: `arn:aws:sqs:us-east-1:000000000000:${name}`, stream };
}

describe('transform, made of the adapters of AWS', () => {
  it('reads from S3, puts into Kinesis, and tells of it in its log, without payloads', async () => {
    const { task, arn, stream } = await surroundedTask();
    const transform = createTransform(pipeline, { build });
    const read = await kinesis.reader(stream);
    expect(failedItems(await transform(sqsEvent(arn, [task]), context('first')))).toEqual([]);
    const first = await read();
    const frames = await Promise.all(first.map(({ data }) => unpackFrame(data)));
    const messages = frames.flatMap(({ body }) => (body.kind === 'messages' ? body.messages : []));
    expect(messages).toHaveLength(9);
    expect(frames.filter(({ body }) => body.kind === 'section')).toHaveLength((task.sections.to ?? 0) + 1);

    // In the same container: nothing is opened anew, and the same section gives the same frames.
    expect(failedItems(await transform(sqsEvent(arn, [task]), context('second')))).toEqual([]);
    const again = await Promise.all((await read()).map(({ data }) => unpackFrame(data)));
    const digests = (of: typeof frames) => of.map(({ header }) => header.digest).toSorted();
    expect(digests(again)).toEqual(digests(frames));

    const lines = written.map((line) => JSON.parse(line) as Record<string, unknown>);
    const counters = lines.filter((line) => '_aws' in line);
    expect(counters).toMatchObject([
      { requestId: 'first', pipeline: 'lanes', function: 'transform', build, messages: 9 },
      { requestId: 'second', messages: 9 },
    ]);
    expect(counters[0]?.['bytesRead']).toBeGreaterThan(0);
    expect(written.join('')).not.toContain('lane-1');
  });

  it('needs Redis for messages from elsewhere, and says so', async () => {
    await surroundedTask();
    const { name, queueUrl } = sqs.createQueue();
    vi.stubEnv('SLUICE_MESSAGE_QUEUE_URL', queueUrl);
    const event = sqsEvent(`arn:aws:sqs:us-east-1:000000000000:${name}`, [{ lane: 'A', delay: 1 }]);
    await expect(createTransform(pipeline, { build })(event, context())).rejects.toMatchObject({
      code: 'E_CONFIGURATION',
      message: expect.stringContaining('SLUICE_REDIS_URL') as unknown,
    });
  });
});

describe('a function whose environment is not set up', () => {
  const database = ['SLUICE_BUCKET', 'SLUICE_DATABASE_URL', 'SLUICE_RESULTS'];
  it.each([
    [
      'dispatch',
      createDispatch,
      [...database, 'SLUICE_TASK_QUEUE_URL', 'SLUICE_DISPATCH_QUEUE_URL', 'SLUICE_FAILURE_QUEUE_URL'],
    ],
    ['transform', createTransform, ['SLUICE_BUCKET', 'SLUICE_STREAM_NAME', 'SLUICE_TASK_QUEUE_URL']],
    ['analyze', createAnalyze, [...database, 'SLUICE_FAILURE_QUEUE_URL']],
    ['reprocess', createReprocess, [...database, 'SLUICE_STREAM_NAME', 'SLUICE_TASK_QUEUE_URL']],
  ])('says all that %s misses, and nothing that it does not need', async (_name, create, missing) => {
    const error = (await create(pipeline, { build })({}, context()).catch(
      (thrown: unknown) => thrown,
    )) as Error;
    expect(error).toMatchObject({ code: 'E_CONFIGURATION' });
    expect(error.message.match(/SLUICE_\w+/g)?.toSorted()).toEqual(missing.toSorted());
  });

  it('works as soon as it is', async () => {
    const transform = createTransform(pipeline, { build });
    await expect(transform({}, context())).rejects.toMatchObject({ code: 'E_CONFIGURATION' });
    const { task, arn } = await surroundedTask();
    expect(failedItems(await transform(sqsEvent(arn, [task]), context()))).toEqual([]);
  });

  it.each([
    ['dispatch', createDispatch, { prefix: 's3://lake/' }],
    ['analyze', createAnalyze, { publish: true }],
    ['reprocess', createReprocess, { dryRun: true }],
  ])('%s fails, each time anew, while its database is away', async (_name, create, event) => {
    await surroundedTask();
    // Nobody listens there.
    vi.stubEnv('SLUICE_DATABASE_URL', 'postgres://me:secret@127.0.0.1:9/lake');
    vi.stubEnv('SLUICE_FAILURE_QUEUE_URL', sqs.createQueue().queueUrl);
    vi.stubEnv('SLUICE_DISPATCH_QUEUE_URL', sqs.createQueue().queueUrl);
    const handler = create(pipeline, { build });
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(handler(event, context())).rejects.toMatchObject({
        kind: 'infrastructure',
        retryable: true,
      });
    expect(written.join('')).not.toContain('secret');
  });
});

it('an event of a stream is none of transform’s tasks', async () => {
  await surroundedTask();
  const record = { partition: 0, sequenceNumber: '1', data: Buffer.from('{}'), arrivedAt: Date.now() };
  const event = kinesisEvent(ARNS.elsewhere, [record]);
  await expect(createTransform(pipeline, { build })(event, context())).rejects.toMatchObject({
    code: 'E_CONFIGURATION',
  });
});
