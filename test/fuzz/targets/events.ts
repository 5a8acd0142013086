import { encodeValue } from '../../../src/application/values/value-writer.ts';
import { failureMessage } from '../../../src/adapters/aws/failure-message.ts';
import { isSluiceError } from '../../../src/domain/errors.ts';
import type { RoutedFailure } from '../../../src/domain/ports/error-router.ts';
import type { LambdaHandler } from '../../../src/entrypoints/lambda/events.ts';
import {
  ARNS,
  kinesisEvent,
  objectCreated,
  s3Notification,
  sqsEvent,
  STATE_BUCKET,
  World,
} from '../../entrypoints-lambda/harness.ts';
import { must, type Target, type Verdict } from '../target.ts';

const object = { bucket: 'lake', key: 'a.jsonl', version: 'v', size: 10 };
const task = {
  id: 't',
  run: 'r',
  generation: 'lanes@1',
  build: 'build-1',
  epoch: 0,
  where: null,
  object,
  sections: { from: 0, to: null },
  start: null,
  done: [],
};
const failure = {
  generation: 'lanes@1',
  pipeline: 'lanes',
  version: 1,
  run: 'r',
  build: 'build-1',
  route: 'ledger',
  at: 0,
  failure: {
    id: 'f',
    position: { kind: 'row', object, coordinate: 1, output: null },
    stage: 'transform',
    code: 'E',
    message: 'm',
    rows: 1,
    payload: encodeValue({ a: 1 }),
  },
} as unknown as RoutedFailure;
const record = (data: string) => ({
  partition: 1,
  sequenceNumber: '49590338271490256608559692538361571095921575989136588898',
  data: Buffer.from(data),
  arrivedAt: 1_764_000_000_000,
});
const lost = (payload: unknown) => ({
  KinesisBatchInfo: {
    streamArn: ARNS.stream,
    shardId: 'shardId-000000000000',
    startSequenceNumber: '1',
    endSequenceNumber: '2',
  },
  ...(payload === undefined ? {} : { payload }),
});

const EVENTS: readonly object[] = [
  sqsEvent(ARNS.tasks, [task, '{"lane":']),
  sqsEvent(ARNS.messages, [{ lane: 'a', delay: 1 }, 'no JSON', '[]']),
  sqsEvent(ARNS.failures, [failureMessage(failure).body, task, lost(undefined)]),
  sqsEvent(ARNS.dispatch, [{ prefix: 's3://lake/' }]),
  sqsEvent(ARNS.dispatch, [objectCreated('lake', 'a.jsonl'), s3Notification('lake', 'a.jsonl', 'bad%ZZ')]),
  kinesisEvent(ARNS.stream, [record('no frame'), record('')]),
  kinesisEvent(ARNS.elsewhere, [record('{"lane":"b","delay":2}'), record('\u00ff')]),
  objectCreated('lake', 'a.jsonl'),
  s3Notification('lake', 'a.jsonl'),
  { Service: 'Amazon S3', Event: 's3:TestEvent', Bucket: 'lake' },
  { prefix: 's3://lake/', run: 'r', where: { delay: { $gt: 1 } }, pipeline: 'lanes' },
  { objects: ['s3://lake/a.jsonl'], after: 'a' },
  { publish: true },
  { code: 'E_TRANSFORM', stage: 'transform', since: '2026-01-01', limit: 3, rate: 2, dryRun: true },
  lost(kinesisEvent(ARNS.stream, [record('x')])),
  lost(JSON.stringify(kinesisEvent(ARNS.stream, [record('x')]))),
];

/**
 * Events to each of the functions, whole: a function answers, or it refuses with an error of ours. What it answers to a batch names
 * records of that batch, or all of it.
 */
export const eventsTarget: Target = {
  name: 'events',
  share: 4,
  isJson: true,
  tokens: ['null', '{}', '[]', '""', '"Records":[]', '"eventSource":"aws:sqs"', '1e999'],
  open: () => ({
    corpus: EVENTS.map((event) => new Uint8Array(Buffer.from(JSON.stringify(event)))),
    async check(input) {
      let event: unknown;
      try {
        // Lambda hands over nothing that is no JSON.
        event = JSON.parse(Buffer.from(input).toString('utf8'));
      } catch {
        return 'refused';
      }
      const world = new World();
      world.lake.put({ bucket: 'lake', key: 'a.jsonl' }, '{"lane":"a","delay":1}\n');
      world.lake.put({ bucket: STATE_BUCKET, key: 'a.jsonl' }, '{"lane":"a","delay":1}\n');
      const handlers = [world.dispatch(), world.transform(), world.analyze(), world.reprocess()];
      let verdict: Verdict = 'refused';
      for (const handler of handlers) if (await answers(handler, event, world)) verdict = 'accepted';
      for (const { fields } of world.log.lines) mustBeOurs((fields as { error?: unknown }).error);
      return verdict;
    },
  }),
};

async function answers(handler: LambdaHandler, event: unknown, world: World): Promise<boolean> {
  let reply: unknown;
  try {
    reply = await handler(event, world.context());
  } catch (thrown) {
    mustBeOurs(thrown);
    return false;
  }
  if (typeof reply === 'object' && reply !== null && 'batchItemFailures' in reply) {
    const text = JSON.stringify(event);
    for (const { itemIdentifier } of (reply as { batchItemFailures: { itemIdentifier: unknown }[] })
      .batchItemFailures)
      must(
        typeof itemIdentifier === 'string' && text.includes(JSON.stringify(itemIdentifier)),
        'a record that was not in the event',
      );
  }
  return true;
}

/** A TypeError is a field that nobody looked at. */
function mustBeOurs(thrown: unknown): void {
  if (thrown !== undefined && !isSluiceError(thrown)) throw thrown;
}
