import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failureMessage } from '../../src/adapters/aws/failure-message.ts';
import type { StreamRecord } from '../../src/adapters/inmemory/stream.ts';
import { InfrastructureError } from '../../src/domain/errors.ts';
import type { RoutedFailure } from '../../src/domain/ports/error-router.ts';
import { collect } from '../../src/testing/harness.ts';
import { Pace } from '../../src/entrypoints/lambda/pace.ts';
import {
  ARNS,
  BUILD,
  failedItems,
  jsonl,
  kinesisEvent,
  objectCreated,
  s3Notification,
  sqsEvent,
  STATE_BUCKET,
  testPipeline,
  unstopped,
  World,
  type TestRow,
} from './harness.ts';

const rows: readonly TestRow[] = [
  { lane: 'A', delay: 1 },
  { lane: 'A', delay: 2, fails: 'transform' },
  { lane: 'B', delay: 4, fails: 'analyze' },
  { lane: 'B', delay: 8, fails: 'transform' },
];

/** A world whose lake was run, with some rows that failed; its code is mended afterwards, by another build. */
async function withFailures(
  of: readonly TestRow[] = rows,
): Promise<{ world: World; letters: readonly RoutedFailure[] }> {
  const world = new World();
  world.lake.put({ bucket: 'lake', key: 'a.jsonl' }, jsonl(of));
  await world.dispatch()({ prefix: 's3://lake/', run: 'run-1' }, world.context());
  await world.drain();
  const letters = [...world.router.failures].filter(({ route }) => route === 'dead-letter');
  Object.assign(world, { pipeline: testPipeline({ mended: true }), build: 'build-2' });
  return { world, letters };
}

async function openIn({ store }: World): Promise<number> {
  return (await collect(store.failures({ state: 'open' }, unstopped))).length;
}

const bodies = (letters: readonly RoutedFailure[]) => letters.map((letter) => failureMessage(letter).body);

describe('the failure queue', () => {
  it('gives failures, which are settled by the code as it is now', async () => {
    const { world, letters } = await withFailures();
    expect(letters).toHaveLength(3);
    expect(await openIn(world)).toBe(3);
    const reply = await world.reprocess()(sqsEvent(ARNS.failures, bodies(letters)), world.context());
    expect(failedItems(reply)).toEqual([]);
    await world.drain();
    expect(await openIn(world)).toBe(0);
    const [object] = await collect(world.store.objects({ generation: 'lanes@1' }, unstopped));
    expect(object).toMatchObject({ rows: 4, applied: 4, complete: true });
    expect((await world.store.runs(unstopped)).map(({ id }) => id)).toContain('lanes@1-redrives-2026-11-23');
  });

  it('loses what is settled already, and gets back what is not open yet', async () => {
    const { world, letters } = await withFailures();
    await world.reprocess()(sqsEvent(ARNS.failures, bodies(letters.slice(0, 1))), world.context());
    await world.drain();
    const [settled, open, third] = letters as [RoutedFailure, RoutedFailure, RoutedFailure];
    const early = { ...third, failure: { ...third.failure, id: 'not-here-yet' } };
    const before = world.records().length;
    const reply = await world.reprocess()(
      sqsEvent(ARNS.failures, bodies([settled, early, open])),
      world.context(),
    );
    expect(failedItems(reply)).toEqual(['message-1']);
    expect(world.records()).toHaveLength(before + 1);
  });

  it('twice is harmless', async () => {
    const { world, letters } = await withFailures();
    const event = sqsEvent(ARNS.failures, bodies(letters));
    await world.reprocess()(event, world.context());
    await world.reprocess()(event, world.context());
    await world.drain();
    const [object] = await collect(world.store.objects({ generation: 'lanes@1' }, unstopped));
    expect(object).toMatchObject({ applied: 4 });
  });

  it('does not give a build what it has failed itself: nothing goes round for ever', async () => {
    const { world, letters } = await withFailures();
    Object.assign(world, { pipeline: testPipeline() });
    const waiting = [...letters];
    let rounds = 0;
    while (waiting.length > 0) {
      rounds++;
      const known = world.router.failures.length;
      const event = sqsEvent(ARNS.failures, bodies(waiting.splice(0)));
      expect(failedItems(await world.reprocess()(event, world.context()))).toEqual([]);
      await world.drain();
      // As the stack has it: what analyze routes is in the failure queue.
      waiting.push(...world.router.failures.slice(known));
      if (rounds > 5) throw new Error('it goes on for ever');
    }
    expect(rounds).toBe(2);
    const open = await collect(world.store.failures({ state: 'open' }, unstopped));
    expect(open.map(({ attempts, build }) => ({ attempts, build }))).toEqual(
      letters.map(() => ({ attempts: 2, build: 'build-2' })),
    );
    // Who asks for it gets it.
    expect(await world.reprocess()({}, world.context())).toMatchObject({ redriven: 3 });
  });

  it('does not give away a failure whose copy is ahead of the frame that fails it again', async () => {
    const { world, letters } = await withFailures();
    const again = letters.map((letter) => ({ ...letter, build: world.build }));
    const before = world.records().length;
    const reply = await world.reprocess()(sqsEvent(ARNS.failures, bodies(again)), world.context());
    expect(failedItems(reply)).toEqual([]);
    expect(world.records()).toHaveLength(before);
  });

  it('gets all of them back where they cannot be put', async () => {
    const { world, letters } = await withFailures();
    const sink = {
      capabilities: world.stream.capabilities,
      put: () => Promise.reject(new InfrastructureError('the stream is gone', { retryable: false })),
    };
    const reply = await world.reprocess({ sink: sink as never })(
      sqsEvent(ARNS.failures, bodies(letters)),
      world.context(),
    );
    expect(failedItems(reply)).toEqual(['message-0', 'message-1', 'message-2']);
  });

  it('gets back what is of another version, and what nobody knows', async () => {
    const { world, letters } = await withFailures();
    const other = { ...(letters[0] as RoutedFailure), generation: 'lanes@10' };
    const event = sqsEvent(ARNS.failures, [
      ...bodies([other]),
      '{"surprise":1}',
      'no JSON',
      ...bodies(letters.slice(0, 1)),
    ]);
    const reply = await world.reprocess()(event, world.context());
    expect(failedItems(reply)).toEqual(['message-0', 'message-1', 'message-2']);
  });

  it('keeps to the rate of its container, and gets back what there is no time for', async () => {
    const many = Array.from({ length: 10 }, (_, delay): TestRow => ({
      lane: 'A',
      delay,
      fails: 'transform',
    }));
    const { world, letters } = await withFailures(many);
    const reprocess = world.reprocess({ pace: new Pace(1, world.clock) });
    const begunAt = world.clock.now();
    const half = sqsEvent(ARNS.failures, bodies(letters.slice(0, 5)));
    expect(failedItems(await reprocess(half, world.context(600_000)))).toEqual([]);
    expect(world.clock.now() - begunAt).toBe(4_000);
    // The next invocation of the same container goes on at its rate.
    const short = await reprocess(sqsEvent(ARNS.failures, bodies(letters.slice(5))), world.context(4_000));
    expect(failedItems(short)).toEqual(['message-2', 'message-3', 'message-4']);
    expect(world.clock.now() - begunAt).toBe(6_000);
  });

  it('never quotes what it cannot read', async () => {
    const { world } = await withFailures();
    const key = 'aws/lambda/garbled';
    world.lake.put({ bucket: STATE_BUCKET, key }, 'secret row');
    const event = sqsEvent(ARNS.failures, [
      'secret row',
      '{"failure": secret row',
      objectCreated(STATE_BUCKET, key),
      { KinesisBatchInfo: { ...word([], false).KinesisBatchInfo }, payload: 'secret row' },
    ]);
    const reply = await world.reprocess()(event, world.context());
    expect(failedItems(reply)).toEqual(['message-0', 'message-1', 'message-2', 'message-3']);
    const errors = world.log.lines.filter(({ level }) => level === 'error');
    expect(errors.map(({ fields }) => fields['code'])).toEqual(failedItems(reply).map(() => 'E_EVENT'));
    for (const { fields, message } of errors) {
      expect(inspect([fields, message], { depth: 9 })).not.toContain('secret');
    }
  });

  it('property: whatever each message is, exactly what is not done comes back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('open', 'closed', 'early', 'garbled', 'task'), {
          minLength: 1,
          maxLength: 8,
        }),
        async (kinds) => {
          const { world, letters } = await withFailures();
          const [open, closed] = letters as [RoutedFailure, RoutedFailure];
          await world.reprocess()(sqsEvent(ARNS.failures, bodies([closed])), world.context());
          await world.drain();
          const early = { ...open, failure: { ...open.failure, id: 'early' } };
          const task = {
            id: 't',
            run: 'r',
            generation: 'lanes@1',
            build: BUILD,
            epoch: 1,
            where: null,
            object: { bucket: 'lake', key: 'k', version: 'v', size: 1 },
            sections: { from: 0, to: 0 },
            start: 0,
            done: [],
          };
          const texts = {
            open: bodies([open])[0] as string,
            closed: bodies([closed])[0] as string,
            early: bodies([early])[0] as string,
            garbled: '{',
            task: JSON.stringify(task),
          };
          const event = sqsEvent(
            ARNS.failures,
            kinds.map((kind) => texts[kind]),
          );
          const reply = await world.reprocess()(event, world.context());
          const back = kinds.flatMap((kind, index) =>
            kind === 'early' || kind === 'garbled' ? [`message-${index}`] : [],
          );
          expect(failedItems(reply)).toEqual(back);
          expect(await world.takeTasks()).toHaveLength(kinds.filter((kind) => kind === 'task').length);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('dead tasks', () => {
  it('go back to the task queue as they are', async () => {
    const world = new World();
    world.lake.put({ bucket: 'lake', key: 'a.jsonl' }, jsonl(rows));
    await world.dispatch()({ prefix: 's3://lake/' }, world.context());
    const tasks = await world.takeTasks();
    expect(failedItems(await world.reprocess()(sqsEvent(ARNS.tasks, tasks), world.context()))).toEqual([]);
    expect(await world.takeTasks()).toEqual(tasks);
  });
});

/** What a mapping says of a batch that it gave up. */
function word(records: readonly StreamRecord[], withPayload: boolean, streamArn: string = ARNS.stream) {
  return {
    requestContext: {
      requestId: 'r',
      functionArn: 'f',
      condition: 'RetryAttemptsExhausted',
      approximateInvokeCount: 5,
    },
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    version: '1.0',
    timestamp: '2026-11-23T09:00:00.000Z',
    KinesisBatchInfo: {
      shardId: 'shardId-000000000000',
      startSequenceNumber: records[0]?.sequenceNumber ?? '1',
      endSequenceNumber: records.at(-1)?.sequenceNumber ?? '1',
      approximateArrivalOfFirstRecord: '2026-11-23T08:00:00.000Z',
      approximateArrivalOfLastRecord: '2026-11-23T08:00:00.000Z',
      batchSize: records.length,
      streamArn,
    },
    ...(withPayload ? { payload: JSON.stringify(kinesisEvent(streamArn, records)) } : {}),
  };
}

describe('undelivered records', () => {
  const PLACE = `s3://${STATE_BUCKET}/aws/lambda/`;
  const KEY = 'aws/lambda/mapping/shardId-000000000000/2026/11/23/2026-11-23T09.00.00-x';

  async function undelivered(): Promise<{ world: World; records: readonly StreamRecord[] }> {
    const world = new World();
    world.lake.put({ bucket: 'lake', key: 'a.jsonl' }, jsonl(rows.slice(0, 1)));
    await world.dispatch()({ prefix: 's3://lake/' }, world.context());
    await world.transform()(sqsEvent(ARNS.tasks, await world.takeTasks()), world.context());
    const records = world.records();
    for (let shard = 0; shard < world.stream.shards; shard++) {
      const last = world.stream.read(shard, null, 1_000, Number.POSITIVE_INFINITY).at(-1);
      if (last !== undefined) world.stream.setCheckpoint(shard, last.sequenceNumber);
    }
    return { world, records };
  }

  it.each([
    [
      'a notification, through a queue',
      (event: object) => sqsEvent(ARNS.failures, [event]),
      s3Notification(STATE_BUCKET, encodeURIComponent(KEY)),
    ],
    [
      'EventBridge, through a queue',
      (event: object) => sqsEvent(ARNS.failures, [event]),
      objectCreated(STATE_BUCKET, KEY),
    ],
    ['a notification', (event: object) => event, s3Notification(STATE_BUCKET, KEY)],
    ['EventBridge', (event: object) => event, objectCreated(STATE_BUCKET, KEY)],
  ])('that S3 keeps go into the stream again: told by %s', async (_what, asEvent, event) => {
    const { world, records } = await undelivered();
    world.lake.put({ bucket: STATE_BUCKET, key: KEY }, JSON.stringify(word(records, true)));
    await world.reprocess()(asEvent(event), world.context());
    expect(world.records().map(({ data }) => Buffer.from(data))).toEqual(
      records.map(({ data }) => Buffer.from(data)),
    );
    await world.drain();
    const [object] = await collect(world.store.objects({ generation: 'lanes@1' }, unstopped));
    expect(object).toMatchObject({ applied: 1, complete: true });
  });

  it('of which only their place is known are fetched again', async () => {
    const { world, records } = await undelivered();
    world.shards.set(
      records[0]?.sequenceNumber ?? '',
      records.map(({ data }) => data),
    );
    const event = sqsEvent(ARNS.failures, [word(records, false)]);
    expect(failedItems(await world.reprocess()(event, world.context()))).toEqual([]);
    expect(world.records()).toHaveLength(records.length);
  });

  it('that are gone end as E_TRIMMED in the log, and come no more', async () => {
    const { world, records } = await undelivered();
    const readShard = async function* () {
      yield [{ key: '0', data: (records[0] as StreamRecord).data }];
      throw new InfrastructureError('they are gone', { code: 'E_TRIMMED' });
    };
    const event = sqsEvent(ARNS.failures, [word(records, false)]);
    const reply = await world.reprocess({ readShard })(event, world.context());
    expect(failedItems(reply)).toEqual([]);
    expect(world.records()).toHaveLength(1);
    expect(world.log.lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        message: expect.stringMatching(/have to be sent again/) as unknown,
        fields: expect.objectContaining({ code: 'E_TRIMMED', lost: records.length - 1 }) as unknown,
      }),
    );
    expect(world.flushed.at(-1)?.total('recordsLost')).toBe(records.length - 1);
  });

  it('go at the rate of the container', async () => {
    const { world, records } = await undelivered();
    const many = Array.from({ length: 6 }, () => records[0] as StreamRecord);
    const begunAt = world.clock.now();
    const reprocess = world.reprocess({ pace: new Pace(2, world.clock) });
    await reprocess(sqsEvent(ARNS.failures, [word(many, true)]), world.context());
    expect(world.records()).toHaveLength(6);
    expect(world.clock.now() - begunAt).toBe(2_000);
  });

  it('that would only come back stay out: damaged ones, and those of a build that nobody has', async () => {
    const { world, records } = await undelivered();
    const damaged = { ...(records[0] as StreamRecord), data: Buffer.from('no frame') };
    const newer = new World(world.pipeline, 'build-2');
    const event = word([damaged, ...records], true);
    await newer.reprocess()(sqsEvent(ARNS.failures, [event]), newer.context());
    expect(newer.records()).toEqual([]);
    expect(newer.errors()).toHaveLength(1 + records.length);
    expect(newer.flushed.at(-1)?.total('recordsLost')).toBe(1 + records.length);
    newer.lake.put({ bucket: STATE_BUCKET, key: 'bundles/lanes/build-1/analyze.mjs' }, 'kept');
    await newer.reprocess()(sqsEvent(ARNS.failures, [event]), newer.context());
    expect(newer.records()).toHaveLength(records.length);
  });

  it('go round three times by themselves, and then wait for a direct call', async () => {
    const { world, records } = await undelivered();
    let given = records;
    for (const round of [1, 2, 3]) {
      await world.reprocess()(sqsEvent(ARNS.failures, [word(given, true)]), world.context());
      given = world.records().filter((record) => record.round === round);
      expect(given).toHaveLength(records.length);
    }
    const put = world.records().length;
    const reply = await world.reprocess()(sqsEvent(ARNS.failures, [word(given, true)]), world.context());
    expect(failedItems(reply)).toEqual([]);
    expect(world.records()).toHaveLength(put);
    expect(world.errors()).toEqual([expect.stringMatching(/given up 4 times: they stay/)]);

    world.lake.put({ bucket: STATE_BUCKET, key: KEY }, JSON.stringify(word(given, true)));
    expect(await world.reprocess()({ undelivered: PLACE }, world.context())).toEqual({
      objects: 1,
      sent: records.length,
      lost: 0,
      left: 0,
      handedOn: 0,
      refused: 0,
      continues: false,
      after: null,
    });
    expect(world.records().filter(({ round }) => round === 1)).toHaveLength(2 * records.length);
  });

  it('wait in their queue while results cannot be stored: they would only be given up again', async () => {
    const { world, records } = await undelivered();
    const event = sqsEvent(ARNS.failures, [word(records, true)]);
    const away = Object.assign(Object.create(world.store) as typeof world.store, {
      run: async () => {
        throw new InfrastructureError('nobody answers', { code: 'E_RESULT_STORE' });
      },
    });
    expect(failedItems(await world.reprocess({ store: away })(event, world.context()))).toEqual([
      'message-0',
    ]);
    expect(world.records()).toEqual([]);
    expect(failedItems(await world.reprocess()(event, world.context()))).toEqual([]);
    expect(world.records()).toHaveLength(records.length);
  });

  it('below a place are put again by one call, at its rate, which goes on in others when its time is over', async () => {
    const { world, records } = await undelivered();
    const [record] = records as readonly [StreamRecord];
    for (let at = 0; at < 9; at++)
      world.lake.put(
        { bucket: STATE_BUCKET, key: `${KEY}-${at}` },
        at === 4 ? '{}' : JSON.stringify(word([record, record], true)),
      );
    const begunAt = world.clock.now();
    const reprocess = world.reprocess();
    const first = await reprocess({ undelivered: PLACE, rate: 1 }, world.context(10_000));
    expect(first).toMatchObject({ continues: true, after: null });
    let rounds = 1;
    for (let next = world.undeliveredCalls.shift(); next !== undefined; rounds++) {
      expect(next).toMatchObject({ pipeline: 'lanes', undelivered: PLACE, rate: 1 });
      // As it travels.
      expect(failedItems(await reprocess(sqsEvent(ARNS.failures, [next]), world.context(10_000)))).toEqual(
        [],
      );
      next = world.undeliveredCalls.shift();
    }
    expect(rounds).toBeGreaterThan(1);
    expect(world.records()).toHaveLength(16);
    expect(world.clock.now() - begunAt).toBeGreaterThanOrEqual(10_000);
    expect(world.errors()).toEqual([expect.stringMatching(/an object is left: /)]);
  });

  it('tell where to go on where no queue does it', async () => {
    const { world, records } = await undelivered();
    for (const at of [0, 1])
      world.lake.put({ bucket: STATE_BUCKET, key: `${KEY}-${at}` }, JSON.stringify(word(records, true)));
    const handOn = { ...world.reprocessPorts.handOn, toItself: null };
    const reprocess = world.reprocess({ handOn });
    const first = await reprocess({ undelivered: PLACE, rate: 1 }, world.context(4_000));
    expect(first).toMatchObject({ objects: 1, continues: true, after: `${KEY}-0` });
    const second = await reprocess({ undelivered: PLACE, after: `${KEY}-0` }, world.context());
    expect(second).toMatchObject({ objects: 1, continues: false, after: null });
    expect(world.records()).toHaveLength(2 * records.length);
  });

  it.each([
    [{ undelivered: '' }, /undelivered must be text/],
    [{ undelivered: 's3://state' }, /must be a place/],
    [{ undelivered: 's3://state/', rate: 0 }, /must be a place/],
    [{ undelivered: 's3://state/aws/lambda/', rate: 0 }, /rate must be a number/],
    [{ undelivered: 's3://state/aws/lambda/', prefix: 'x' }, /prefix is not known here/],
    [{ undelivered: 's3://state/aws/lambda/', pipeline: 'other' }, /belongs to lanes/],
  ])('refuse %j', async (event, message) => {
    const { world } = await undelivered();
    await expect(world.reprocess()(event, world.context())).rejects.toThrow(message);
  });

  it('of somebody else’s stream go to transform, under the keys that they would have had', async () => {
    const world = new World();
    const arrived = rows.map((row, index) => ({
      partition: 0,
      sequenceNumber: String(9_990 + index),
      data: Buffer.from(JSON.stringify(row)),
      arrivedAt: Date.UTC(2026, 10, 22, 23),
    }));
    // One of them was taken in before the mapping gave the batch up.
    await world.transform()(kinesisEvent(ARNS.elsewhere, arrived.slice(0, 1)), world.context());
    world.lake.put({ bucket: STATE_BUCKET, key: KEY }, JSON.stringify(word(arrived, true, ARNS.elsewhere)));
    const told = sqsEvent(ARNS.failures, [objectCreated(STATE_BUCKET, KEY)]);
    expect(failedItems(await world.reprocess()(told, world.context()))).toEqual([]);
    expect(world.taskOrders).toEqual([{ undelivered: `s3://${STATE_BUCKET}/${KEY}` }]);
    for (let times = 0; times < 2; times++) {
      const orders = sqsEvent(ARNS.tasks, world.taskOrders);
      expect(failedItems(await world.transform()(orders, world.context()))).toEqual([]);
    }
    await world.drain();
    const sources = await world.store.keyedSources('lanes@1', unstopped);
    expect(sources).toMatchObject([{ source: 'elsewhere', rows: rows.length }]);
    const direct = await world.reprocess()({ undelivered: PLACE }, world.context());
    expect(direct).toMatchObject({ objects: 1, sent: 0, handedOn: 1, refused: 0 });
  });

  it('of the stream of frames, and what is none, are nothing that transform takes in', async () => {
    const { world, records } = await undelivered();
    world.lake.put({ bucket: STATE_BUCKET, key: KEY }, JSON.stringify(word(records, true)));
    const orders = [
      { undelivered: `s3://${STATE_BUCKET}/${KEY}` },
      { undelivered: `s3://${STATE_BUCKET}/missing` },
      { undelivered: 'state' },
    ];
    const reply = await world.transform()(sqsEvent(ARNS.tasks, orders), world.context());
    expect(failedItems(reply)).toEqual(['message-0', 'message-1', 'message-2']);
    expect(world.records()).toEqual([]);
  });

  it('of another stream are refused, and so is an object that is something else', async () => {
    const { world, records } = await undelivered();
    world.lake.put({ bucket: STATE_BUCKET, key: 'claims/x' }, '{}');
    const event = sqsEvent(ARNS.failures, [
      word(records, true, ARNS.elsewhere),
      objectCreated(STATE_BUCKET, 'claims/x'),
    ]);
    expect(failedItems(await world.reprocess()(event, world.context()))).toEqual(['message-0', 'message-1']);
    expect(world.records()).toEqual([]);
  });
});

describe('a direct call', () => {
  it('redrives what it selects', async () => {
    const { world } = await withFailures();
    const reply = await world.reprocess()(
      { pipeline: 'lanes', stage: 'transform', limit: 1 },
      world.context(),
    );
    expect(reply).toMatchObject({ redriven: 1, notRedrivable: { total: 0 }, more: false });
    await world.drain();
    expect(await openIn(world)).toBe(2);
    await world.reprocess()({ object: 's3://lake/a.jsonl', code: 'E_ANALYZE' }, world.context());
    await world.drain();
    expect(await openIn(world)).toBe(1);
    await world.reprocess()({ object: 's3://lake/other.jsonl' }, world.context());
    await world.drain();
    expect(await openIn(world)).toBe(1);
    await world.reprocess()({ since: '2026-11-23', until: '2026-11-24' }, world.context());
    await world.drain();
    expect(await openIn(world)).toBe(0);
    expect(await world.reprocess()({}, world.context())).toMatchObject({ redriven: 0 });
  });

  it('only says which it would be, where it is asked to', async () => {
    const { world, letters } = await withFailures();
    const before = world.records().length;
    const reply = (await world.reprocess()({ dryRun: true }, world.context())) as {
      wouldRedrive: readonly string[];
    };
    expect(reply.wouldRedrive.toSorted()).toEqual(letters.map(({ failure }) => failure.id).toSorted());
    expect(world.records()).toHaveLength(before);
  });

  it('keeps to its rate, and says where there is more to do', async () => {
    const many = Array.from({ length: 30 }, (_, delay): TestRow => ({
      lane: 'A',
      delay,
      fails: 'transform',
    }));
    const { world } = await withFailures(many);
    const startedAt = world.clock.now();
    const reply = await world.reprocess()({ rate: 5, limit: 12 }, world.context(600_000));
    expect(reply).toMatchObject({ redriven: 12, more: false });
    expect(world.clock.now() - startedAt).toBeGreaterThanOrEqual(2_000);
    expect(world.clock.now() - startedAt).toBeLessThan(4_000);
    const short = await world.reprocess()({ rate: 2 }, world.context(8_000));
    expect(short).toMatchObject({ more: true });
  });

  it.each([
    [{ stage: 'somewhere' }, /stage must be one of/],
    [{ since: 'yesterday' }, /since must be a time/],
    [{ rate: 0 }, /rate must be/],
    [{ everything: true }, /everything is not known/],
    [{ pipeline: 'other' }, /belongs to lanes/],
  ])('that makes no sense is told so: %j', async (event, message) => {
    const { world } = await withFailures();
    await expect(world.reprocess()(event, world.context())).rejects.toMatchObject({
      code: 'E_EVENT',
      message: expect.stringMatching(message) as unknown,
    });
  });
});
