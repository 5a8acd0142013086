import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { InfrastructureError } from '../../src/domain/errors.ts';
import type { AnyPipeline } from '../../src/domain/pipeline.ts';
import type { RecordSink } from '../../src/domain/ports/record-sink.ts';
import { unpackFrame } from '../../src/application/frames/frame-codec.ts';
import type { KeyedBody } from '../../src/domain/frame.ts';
import type { Task } from '../../src/domain/section.ts';
import { collect } from '../../src/testing/harness.ts';
import {
  ARNS,
  failedItems,
  jsonl,
  kinesisEvent,
  sqsEvent,
  STATE_BUCKET,
  testPipeline,
  unstopped,
  World,
} from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-kept-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A world with the tasks of some objects, as bodies. */
async function withTasks(
  keys: readonly string[],
  rows = 3,
): Promise<{ world: World; tasks: readonly string[] }> {
  const world = new World();
  for (const key of keys)
    world.lake.put(
      { bucket: 'lake', key },
      jsonl(Array.from({ length: rows }, (_, index) => ({ lane: key, delay: index }))),
    );
  await world.dispatch()({ prefix: 's3://lake/', run: 'run-1' }, world.context());
  return { world, tasks: await world.takeTasks() };
}

async function entriesOf(
  world: World,
): Promise<readonly { key: string; time: number | null; code: string | undefined }[]> {
  const frames = await Promise.all(world.records().map(({ data }) => unpackFrame(data)));
  return frames.flatMap(({ body }) =>
    (body as KeyedBody).entries.map(({ key, time, failure }) => ({ key, time, code: failure?.code })),
  );
}

describe('the task queue', () => {
  it('gives tasks, which are put as frames', async () => {
    const { world, tasks } = await withTasks(['a.jsonl', 'b.jsonl']);
    const reply = await world.transform()(sqsEvent(ARNS.tasks, tasks), world.context());
    expect(failedItems(reply)).toEqual([]);
    expect(world.records().length).toBeGreaterThan(2);
    expect(world.flushed.at(-1)?.total('sectionsSent')).toBe(2);
  });

  it('property: whatever fails, the reply names exactly that', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('ok', 'away', 'garbled', 'other-build'), { minLength: 1, maxLength: 6 }),
        async (fates) => {
          const { world, tasks } = await withTasks(fates.map((_, index) => `${index}.jsonl`));
          const keyOf = (body: string) => (JSON.parse(body) as Task).object.key;
          const byKey = new Map(tasks.map((body) => [keyOf(body), body]));
          const { source } = world;
          const away: typeof source = {
            ...source,
            read: (object, range, signal) => {
              if (fates[Number.parseInt(object.key, 10)] === 'away')
                throw new InfrastructureError('the lake is away', { retryable: true });
              return source.read(object, range, signal);
            },
          };
          const bodies = fates.map((fate, index) => {
            const body = byKey.get(`${index}.jsonl`) as string;
            if (fate === 'garbled') return body.slice(1);
            return fate === 'other-build' ? body.replace('build-1', 'build-0') : body;
          });
          const reply = await world.transform({ source: away })(
            sqsEvent(ARNS.tasks, bodies),
            world.context(),
          );
          expect(failedItems(reply)).toEqual(
            fates.flatMap((fate, index) => (fate === 'ok' ? [] : [`message-${index}`])),
          );
          expect(world.flushed.at(-1)?.total('sectionsSent')).toBe(
            fates.filter((fate) => fate === 'ok').length,
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  it('gets back what there is no time to begin', async () => {
    const { world, tasks } = await withTasks(['a.jsonl', 'b.jsonl', 'c.jsonl']);
    const slow: RecordSink = {
      capabilities: world.stream.capabilities,
      put: async (records, signal) => {
        const outcomes = await world.stream.put(records, signal);
        await world.clock.advance(6_000);
        return outcomes;
      },
    };
    const reply = await world.transform({ sink: slow as never })(
      sqsEvent(ARNS.tasks, tasks),
      world.context(36_000),
    );
    // A section is two puts, 12 s. After two of them 11 s are left, without the margin.
    expect(failedItems(reply)).toEqual(['message-2']);
  });

  it('gets the rest of a long task as a new one, before the deadline', async () => {
    const { world, tasks } = await withTasks(['long.jsonl'], 60);
    const slow: RecordSink = {
      capabilities: world.stream.capabilities,
      put: async (records, signal) => {
        const outcomes = await world.stream.put(records, signal);
        await world.clock.advance(1_000);
        return outcomes;
      },
    };
    const transform = world.transform({ sink: slow as never });
    expect(tasks.length).toBeGreaterThan(1);
    const sections = JSON.parse(tasks[0] as string) as Task;
    expect(sections.sections).toEqual({ from: 0, to: 3 });
    expect(
      failedItems(await transform(sqsEvent(ARNS.tasks, tasks.slice(0, 1)), world.context(6_000))),
    ).toEqual([]);
    const [rest] = (await world.takeTasks()).map((body) => JSON.parse(body) as Task);
    expect(rest?.sections.from).toBeGreaterThan(0);
    expect(rest?.sections.to).toBe(3);
    expect(world.flushed.at(-1)?.total('sectionsSent')).toBe(rest?.sections.from);
  });

  it('learns within its first task how long sections take: a cold container hands on, and is not stopped', async () => {
    const { world, tasks } = await withTasks(['long.jsonl'], 60);
    const slow: RecordSink = {
      capabilities: world.stream.capabilities,
      put: async (records, signal) => {
        const outcomes = await world.stream.put(records, signal);
        // A section is two puts, or three: twice what is assumed of it, and less than half of the time.
        await world.clock.advance(8_000);
        return outcomes;
      },
    };
    const reply = await world.transform({ sink: slow as never })(
      sqsEvent(ARNS.tasks, tasks.slice(0, 1)),
      world.context(61_000),
    );
    expect(failedItems(reply)).toEqual([]);
    const [rest] = (await world.takeTasks()).map((body) => JSON.parse(body) as Task);
    const sent = world.flushed.at(-1)?.total('sectionsSent') ?? 0;
    expect(sent).toBeGreaterThan(1);
    expect(rest?.sections).toEqual({ from: sent, to: 3 });
    expect(world.log.lines.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  /** Takes some puts, and no more. */
  function closing({ stream, clock }: World, puts: number): RecordSink {
    let taken = 0;
    return {
      capabilities: stream.capabilities,
      put: async (records, signal) => {
        await clock.advance(400);
        if (taken++ < puts) return stream.put(records, signal);
        return records.map(() => ({
          accepted: false,
          reason: 'throttled',
          retryable: true,
          message: 'not now',
        }));
      },
    };
  }

  it('gets what is unsent at the deadline as a new task, from the last section that is done', async () => {
    const { world, tasks } = await withTasks(['long.jsonl'], 60);
    const sink = closing(world, 5);
    const reply = await world.transform({ sink: sink as never })(
      sqsEvent(ARNS.tasks, tasks.slice(0, 1)),
      world.context(4_000),
    );
    expect(failedItems(reply)).toEqual([]);
    const [rest] = (await world.takeTasks()).map((body) => JSON.parse(body) as Task);
    const sent = world.flushed.at(-1)?.total('sectionsSent') ?? 0;
    expect(sent).toBeGreaterThan(0);
    expect(rest?.sections).toEqual({ from: sent, to: 3 });
    expect(rest?.id).not.toBe((JSON.parse(tasks[0] as string) as Task).id);
    // What was put twice counts once.
    await world.transform()(sqsEvent(ARNS.tasks, [JSON.stringify(rest), ...tasks.slice(1)]), world.context());
    await world.drain();
    const [object] = await collect(world.store.objects({ generation: 'lanes@1' }, unstopped));
    expect(object).toMatchObject({ rows: 60, applied: 60, complete: true });
  });

  it('gets a task back in which no section was done by the deadline: it would be handed on for ever', async () => {
    const { world, tasks } = await withTasks(['long.jsonl'], 60);
    const sink = closing(world, 1);
    const reply = await world.transform({ sink: sink as never })(
      sqsEvent(ARNS.tasks, tasks.slice(0, 1)),
      world.context(4_000),
    );
    expect(failedItems(reply)).toEqual(['message-0']);
    expect(await world.takeTasks()).toEqual([]);
    expect(world.log.lines.at(-1)?.fields['code']).toBe('E_DEADLINE');
  });

  it('gives a task of another build to that build’s bundle', async () => {
    const { world, tasks } = await withTasks(['a.jsonl', 'b.jsonl', 'c.jsonl']);
    // It says which object it was given, and that it failed with b.
    const code = `export const handler = async (event, context) => {
      const { messageId, body } = event.Records[0];
      globalThis.seenByOldBuild = [...(globalThis.seenByOldBuild ?? []), JSON.parse(body).object.key, context.awsRequestId];
      return { batchItemFailures: body.includes('b.jsonl') ? [{ itemIdentifier: messageId }] : [] };
    };`;
    world.lake.put({ bucket: STATE_BUCKET, key: 'bundles/lanes/build-0/transform.mjs' }, code);
    const bodies = tasks.map((body) =>
      body.includes('c.jsonl') ? body : body.replace('"build":"build-1"', '"build":"build-0"'),
    );
    const context = world.context();
    const reply = await world.transform({ kept: world.kept('transform', folder) })(
      sqsEvent(ARNS.tasks, bodies),
      context,
    );
    expect(failedItems(reply)).toEqual(['message-1']);
    const { seenByOldBuild } = globalThis as { seenByOldBuild?: unknown };
    const id = context.awsRequestId;
    expect(seenByOldBuild).toEqual(['a.jsonl', id, 'b.jsonl', id]);
    expect(world.flushed.at(-1)?.total('sectionsSent')).toBe(1);
  });

  it('keeps a task whose build nobody has, and never takes a name for a path', async () => {
    const { world, tasks } = await withTasks(['a.jsonl']);
    const code = 'export const handler = async () => ({ batchItemFailures: [] });';
    world.lake.put({ bucket: STATE_BUCKET, key: 'bundles/lanes/../../x/transform.mjs' }, code);
    const [task] = tasks as [string];
    const bodies = ['build-0', '../../x'].map((build) =>
      JSON.stringify({ ...(JSON.parse(task) as Task), build }),
    );
    const kept = world.kept('transform', join(folder, 'a', 'b'));
    const reply = await world.transform({ kept })(sqsEvent(ARNS.tasks, bodies), world.context());
    expect(failedItems(reply)).toEqual(['message-0', 'message-1']);
    expect(
      world.log.lines.filter(({ level }) => level === 'error').map(({ fields }) => fields['code']),
    ).toEqual(['E_OTHER_BUILD', 'E_OTHER_BUILD']);
  });

  it('whose object cannot be read is done: its failure travels as a frame', async () => {
    const { world, tasks } = await withTasks(['a.jsonl']);
    world.lake.put({ bucket: 'lake', key: 'a.jsonl' }, 'something else');
    expect(failedItems(await world.transform()(sqsEvent(ARNS.tasks, tasks), world.context()))).toEqual([]);
    const [frame] = await Promise.all(world.records().map(({ data }) => unpackFrame(data)));
    expect(frame?.header.origin.kind).toBe('object');
  });
});

const keyed = (time = false): AnyPipeline =>
  testPipeline({
    source: {
      format: 'jsonl',
      id: (row: Record<string, unknown>) => row['id'] as string,
      ...(time ? { time: (row: Record<string, unknown>) => row['at'] as number } : {}),
    } as never,
  });

describe('the message queue', () => {
  it('gives messages, named by the pipeline', async () => {
    const world = new World(keyed());
    const bodies = [
      { id: 'a', lane: 'A', delay: 1 },
      { id: 'b', lane: 'B', delay: 2 },
    ];
    expect(failedItems(await world.transform()(sqsEvent(ARNS.messages, bodies), world.context()))).toEqual(
      [],
    );
    expect(await entriesOf(world)).toEqual(
      expect.arrayContaining([
        { key: 'a', time: null, code: undefined },
        { key: 'b', time: null, code: undefined },
      ]),
    );
    // Once more, as SQS may: nothing is put again.
    const before = world.records().length;
    expect(failedItems(await world.transform()(sqsEvent(ARNS.messages, bodies), world.context()))).toEqual(
      [],
    );
    expect(world.records()).toHaveLength(before);
  });

  it('names messages by their ids, and when they were sent, where the pipeline does not', async () => {
    const world = new World();
    await world.transform()(sqsEvent(ARNS.messages, [{ lane: 'A', delay: 1 }]), world.context());
    expect(await entriesOf(world)).toEqual([
      { key: 'message-0', time: Date.UTC(2026, 10, 23, 8), code: undefined },
    ]);
  });

  it('what cannot be parsed is a failure of that message, each its own', async () => {
    const world = new World(keyed());
    const bodies = ['{ broken', 'also broken', '[1]', { id: 'a', lane: 'A', delay: 1 }];
    expect(failedItems(await world.transform()(sqsEvent(ARNS.messages, bodies), world.context()))).toEqual(
      [],
    );
    const entries = await entriesOf(world);
    expect(entries.filter(({ code }) => code === 'E_JSON')).toHaveLength(3);
    expect(new Set(entries.map(({ key }) => key)).size).toBe(4);
    // In another place among others it is the same message still.
    expect(
      failedItems(await world.transform()(sqsEvent(ARNS.messages, ['also broken']), world.context())),
    ).toEqual([]);
    expect(await entriesOf(world)).toHaveLength(4);
  });

  it('a message over the limit is the same failure wherever it stands in a batch', async () => {
    const { source } = keyed();
    const world = new World(testPipeline({ source, limits: { maxRowBytes: 100 } }));
    const small = { id: 'a', lane: 'A', delay: 1 };
    const large = { id: 'b', lane: 'B'.repeat(200), delay: 1 };
    for (const bodies of [[small, large], [large]])
      expect(failedItems(await world.transform()(sqsEvent(ARNS.messages, bodies), world.context()))).toEqual(
        [],
      );
    const entries = await entriesOf(world);
    expect(entries.filter(({ code }) => code === 'E_ROW_TOO_LARGE')).toHaveLength(1);
  });

  it('messages over the limit that begin alike are failures each of its own', async () => {
    const { source } = keyed();
    const world = new World(testPipeline({ source, limits: { maxRowBytes: 100 } }));
    const padding = 'x'.repeat(100_000);
    for (const id of ['a', 'b'])
      await world.transform()(
        sqsEvent(ARNS.messages, [{ padding, id, lane: 'A', delay: 1 }]),
        world.context(),
      );
    const entries = await entriesOf(world);
    expect(entries.map(({ code }) => code)).toEqual(['E_ROW_TOO_LARGE', 'E_ROW_TOO_LARGE']);
  });

  it('gets back what somebody else has in hand, and nothing else', async () => {
    const world = new World(keyed());
    const claim = JSON.stringify(['lanes@1', 'messages', 'b']);
    await world.dedup.claim([claim], 60_000, unstopped);
    const bodies = ['a', 'b', 'c'].map((id) => ({ id, lane: id, delay: 1 }));
    const reply = await world.transform()(sqsEvent(ARNS.messages, bodies), world.context());
    expect(failedItems(reply)).toEqual(['message-1']);
  });

  it('gets all back, and nothing empty, where they cannot be put', async () => {
    const world = new World(keyed());
    const broken: RecordSink = {
      capabilities: world.stream.capabilities,
      put: () => Promise.reject(new InfrastructureError('the stream is gone', { retryable: false })),
    };
    const bodies = ['a', 'b'].map((id) => ({ id, lane: id, delay: 1 }));
    const reply = await world.transform({ sink: broken as never })(
      sqsEvent(ARNS.messages, bodies),
      world.context(),
    );
    expect(failedItems(reply)).toEqual(['message-0', 'message-1']);
  });

  it('is taken in slices: what there is no time for comes back, and nothing else', async () => {
    const world = new World(keyed());
    const slow: RecordSink = {
      capabilities: world.stream.capabilities,
      put: async (records, signal) => {
        await world.clock.advance(10_000);
        return world.stream.put(records, signal);
      },
    };
    const bodies = Array.from({ length: 2_000 }, (_, id) => ({ id: `k${id}`, lane: 'A', delay: 1 }));
    const transform = world.transform({ sink: slow as never });
    const reply = await transform(sqsEvent(ARNS.messages, bodies), world.context(36_000));
    // A slice of 500 is a put of four partitions, 10 s: after three of them 5 s are left, without the margin.
    const back = failedItems(reply);
    expect(back).toHaveLength(500);
    expect(back[0]).toBe('message-1500');
    expect((await entriesOf(world)).length).toBe(1_500);
    const { Records } = sqsEvent(ARNS.messages, bodies);
    const again = Records.filter(({ messageId }) => back.includes(messageId));
    expect(failedItems(await world.transform()({ Records: again }, world.context()))).toEqual([]);
    expect(new Set((await entriesOf(world)).map(({ key }) => key)).size).toBe(2_000);
  });

  it('belongs to one run a day', async () => {
    const world = new World(keyed());
    const transform = world.transform();
    for (const id of ['a', 'b']) {
      await transform(sqsEvent(ARNS.messages, [{ id, lane: 'A', delay: 1 }]), world.context());
    }
    const frames = await Promise.all(world.records().map(({ data }) => unpackFrame(data)));
    expect(new Set(frames.map(({ header }) => header.run))).toEqual(
      new Set(['lanes@1-messages-messages-2026-11-23']),
    );
  });

  it('needs a store of keys', async () => {
    const world = new World(keyed());
    await expect(
      world.transform({ dedup: null as never })(sqsEvent(ARNS.messages, [{ id: 'a' }]), world.context()),
    ).rejects.toMatchObject({ code: 'E_CONFIGURATION' });
  });
});

describe('somebody else’s stream', () => {
  const arrivedAt = Date.UTC(2026, 10, 23, 8, 30);
  const records = (values: readonly (object | Uint8Array)[], from = 99n) =>
    values.map((value, index) => ({
      partition: 0,
      sequenceNumber: String(from + BigInt(index)),
      data: value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value)),
      arrivedAt,
    }));

  it('gives messages named by when and where they arrived', async () => {
    const world = new World();
    const event = kinesisEvent(
      ARNS.elsewhere,
      records([{ lane: 'A', delay: 1 }, new Uint8Array([0xff, 0x00])]),
    );
    expect(failedItems(await world.transform()(event, world.context()))).toEqual([]);
    expect(await entriesOf(world)).toEqual(
      expect.arrayContaining([
        { key: '2026-11-23-elsewhere-shardId-000000000000-99', time: arrivedAt, code: undefined },
        { key: '2026-11-23-elsewhere-shardId-000000000000-100', time: arrivedAt, code: 'E_UTF8' },
      ]),
    );
  });

  it('an empty record is a failure of its own', async () => {
    const world = new World(keyed());
    const event = kinesisEvent(
      ARNS.elsewhere,
      records([{ id: 'a', lane: 'A', delay: 1 }, new Uint8Array(0)]),
    );
    expect(failedItems(await world.transform()(event, world.context()))).toEqual([]);
    const codes = (await entriesOf(world)).map(({ code }) => code);
    expect(new Set(codes)).toEqual(new Set([undefined, 'E_JSON']));
  });

  it('property: begins again at the lowest that is not done, by number and not by text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
        fc.bigInt({ min: 95n, max: 10n ** 30n }),
        async (busy, from) => {
          const world = new World(keyed());
          const values = busy.map((_, index) => ({ id: `k${index}`, lane: 'A', delay: index }));
          const claims = busy.flatMap((isBusy, index) =>
            isBusy ? [JSON.stringify(['lanes@1', 'elsewhere', `k${index}`])] : [],
          );
          if (claims.length > 0) await world.dedup.claim(claims, 60_000, unstopped);
          const event = kinesisEvent(ARNS.elsewhere, records(values, from));
          const reply = await world.transform()(event, world.context());
          const lowest = busy.indexOf(true);
          expect(failedItems(reply)).toEqual(lowest < 0 ? [] : [String(from + BigInt(lowest))]);
        },
      ),
      { numRuns: 50 },
    );
  });
});

it.each([
  ['of another queue', sqsEvent(ARNS.failures, ['{}'])],
  ['of nothing that is known', { hello: 'world' }],
  ['that mixes sources', { Records: [...sqsEvent(ARNS.tasks, ['{}']).Records, { eventSource: 'aws:s3' }] }],
])('an event %s is refused', async (_what, event) => {
  const world = new World();
  await expect(world.transform()(event, world.context())).rejects.toMatchObject({ code: 'E_EVENT' });
});
