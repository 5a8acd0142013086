import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { StreamRecord } from '../../src/adapters/inmemory/stream.ts';
import { unpackFrame } from '../../src/application/frames/frame-codec.ts';
import { generationOf } from '../../src/application/generation.ts';
import { InfrastructureError } from '../../src/domain/errors.ts';
import type { ResultStore } from '../../src/domain/ports/result-store.ts';
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

/** A world with the frames of an object on its stream; as many as there are lanes, and a section record. */
async function withFrames(lanes = 8): Promise<{ world: World; records: readonly StreamRecord[] }> {
  const world = new World();
  world.lake.put(
    { bucket: 'lake', key: 'a.jsonl' },
    jsonl(Array.from({ length: lanes }, (_, index) => ({ lane: `lane-${index}`, delay: index }))),
  );
  await world.dispatch()({ prefix: 's3://lake/', run: 'run-1' }, world.context());
  await world.transform()(sqsEvent(ARNS.tasks, await world.takeTasks()), world.context());
  // As if of one shard: numbered through, from where numbers get another digit.
  const records = world
    .records()
    .map((record, index) => ({ ...record, sequenceNumber: String(97n + BigInt(index)) }));
  return { world, records };
}

async function appliedIn(world: World): Promise<number> {
  const [object] = await collect(world.store.objects({ generation: 'lanes@1' }, unstopped));
  return object?.applied ?? 0;
}

/** A store whose calls for some frames fail, by digest, and that counts how many are made at once. */
function watchedStore(store: ResultStore, fails: (digest: string) => Error | undefined | Promise<undefined>) {
  const seen = { now: 0, most: 0, order: [] as string[] };
  const apply = async <T>(digest: string, call: () => Promise<T>): Promise<T> => {
    seen.order.push(digest);
    seen.most = Math.max(seen.most, ++seen.now);
    try {
      // Some take longer than others.
      for (let turn = 0; turn < Number.parseInt(digest.slice(0, 1), 16); turn++)
        await new Promise((resolve) => void setImmediate(resolve));
      const error = await fails(digest);
      if (error !== undefined) throw error;
      return await call();
    } finally {
      seen.now--;
    }
  };
  const watched = new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name, target) as unknown;
      if (name !== 'applyFrame' && name !== 'applySectionRecord')
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      return (frame: { digest: string }, ...rest: unknown[]) =>
        apply(frame.digest, () =>
          (member as (...all: unknown[]) => Promise<unknown>).call(target, frame, ...rest),
        );
    },
  });
  return { store: watched, seen };
}

describe('a batch of the stream', () => {
  it('is applied, and seen again it changes nothing', async () => {
    const { world, records } = await withFrames();
    const event = kinesisEvent(ARNS.stream, records);
    expect(failedItems(await world.analyze()(event, world.context()))).toEqual([]);
    expect(await appliedIn(world)).toBe(8);
    expect(failedItems(await world.analyze()(event, world.context()))).toEqual([]);
    expect(await appliedIn(world)).toBe(8);
  });

  it('property: whatever can be tried again, it begins again at the lowest, and all before it is applied', async () => {
    const { records } = await withFrames();
    const digests = await Promise.all(
      records.map(async ({ data }) => (await unpackFrame(data)).header.digest),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat(records.length - 1), { maxLength: records.length }),
        fc.integer({ min: 1, max: 4 }),
        async (failing, concurrency) => {
          const { world } = await withFrames();
          const broken = new Set(failing.map((index) => digests[index]));
          const { store, seen } = watchedStore(world.store, (digest) =>
            broken.has(digest) ? new InfrastructureError('the database is away') : undefined,
          );
          const event = kinesisEvent(ARNS.stream, records);
          const reply = await world.analyze({ store, concurrency })(event, world.context());
          const lowest = failing.length === 0 ? undefined : Math.min(...failing);
          expect(failedItems(reply)).toEqual(lowest === undefined ? [] : [records[lowest]?.sequenceNumber]);
          for (const digest of digests.slice(0, lowest)) expect(seen.order).toContain(digest);
          expect(seen.most).toBeLessThanOrEqual(concurrency);
          // One by one, nothing is begun behind it.
          if (concurrency === 1 && lowest !== undefined)
            expect(seen.order).toEqual(digests.slice(0, lowest + 1));
          // Those of one partition in their order.
          const partitions = Map.groupBy(records.keys(), (index) => records[index]?.partition);
          for (const indexes of partitions.values()) {
            const expected = indexes.map((index) => digests[index] as string);
            expect(expected).toEqual(
              expect.arrayContaining(seen.order.filter((digest) => expected.includes(digest))),
            );
            expect(seen.order.filter((digest) => expected.includes(digest))).toEqual(
              expected.slice(0, seen.order.filter((digest) => expected.includes(digest)).length),
            );
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('works on partitions side by side, up to the limit', async () => {
    const { world, records } = await withFrames();
    // Nobody goes on before three are there.
    const together = Promise.withResolvers<undefined>();
    let arrived = 0;
    const { store, seen } = watchedStore(world.store, () => {
      if (++arrived === 3) together.resolve(undefined);
      return together.promise;
    });
    await world.analyze({ store, concurrency: 3 })(kinesisEvent(ARNS.stream, records), world.context());
    expect(seen.most).toBe(3);
  });

  it('with a damaged record in it gives back from there, and the others are applied', async () => {
    const { world, records } = await withFrames();
    const damaged = records.map((record, index) =>
      index === 1 ? { ...record, data: Buffer.from('no frame') } : record,
    );
    const reply = await world.analyze()(kinesisEvent(ARNS.stream, damaged), world.context());
    expect(failedItems(reply)).toEqual(['98']);
    const lost = (await unpackFrame((records[1] as StreamRecord).data)).body;
    const left = lost.kind === 'messages' ? 8 - lost.messages.length : 8;
    expect(await appliedIn(world)).toBe(left);
    expect(world.log.lines.find(({ level }) => level === 'error')).toMatchObject({
      fields: { code: 'E_FRAME_CORRUPT', record: 'shardId-000000000000:98' },
    });
  });

  it('stops before the deadline, where it has come to', async () => {
    const { world, records } = await withFrames();
    const { store } = watchedStore(world.store, async () => {
      await world.clock.advance(4_000);
      return undefined;
    });
    const reply = await world.analyze({ store, concurrency: 1 })(
      kinesisEvent(ARNS.stream, records),
      world.context(12_000),
    );
    expect(failedItems(reply)).toEqual(['99']);
  });

  it('says how far it came where a record hangs until the time is over', async () => {
    const { world, records } = await withFrames();
    const digests = await Promise.all(
      records.map(async ({ data }) => (await unpackFrame(data)).header.digest),
    );
    const hanging = new Proxy(world.store, {
      get(target, name) {
        const member = Reflect.get(target, name, target) as (...all: unknown[]) => unknown;
        if (name !== 'applyFrame') return typeof member === 'function' ? member.bind(target) : member;
        return async (frame: { digest: string }, effects: unknown, signal: AbortSignal) => {
          if (frame.digest !== digests[3]) return member.call(target, frame, effects, signal);
          void world.clock.advance(60_000);
          return new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        };
      },
    });
    const reply = await world.analyze({ store: hanging, concurrency: 1 })(
      kinesisEvent(ARNS.stream, records),
      world.context(60_000),
    );
    expect(failedItems(reply)).toEqual(['100']);
    expect(world.log.lines.find(({ level }) => level === 'warn')).toMatchObject({
      fields: { underWay: [{ call: 'store.applyFrame' }] },
    });
  });

  it('redeems what was too large to travel', async () => {
    const { world, records } = await withFrames();
    const kept = new Map(records.map(({ data }, index) => [`claim ${index}`, data]));
    const claims = records.map((record, index) => ({ ...record, data: Buffer.from(`claim ${index}`) }));
    const redeem = async (data: Uint8Array) => kept.get(Buffer.from(data).toString()) ?? data;
    const reply = await world.analyze({ claims: { redeem } })(
      kinesisEvent(ARNS.stream, claims),
      world.context(),
    );
    expect(failedItems(reply)).toEqual([]);
    expect(await appliedIn(world)).toBe(8);
  });

  it('gives a frame of another build to that build’s bundle, and back where nobody has it', async () => {
    const { world, records } = await withFrames();
    const newer = new World(world.pipeline, 'build-2');
    const event = kinesisEvent(ARNS.stream, records);
    expect(failedItems(await newer.analyze()(event, newer.context()))).toEqual(['97']);
    expect(newer.errors()).toHaveLength(records.length);

    const code = `export const handler = async (event) => {
      globalThis.seenByOldAnalyze = [...(globalThis.seenByOldAnalyze ?? []), ...event.Records.map((record) => record.kinesis.sequenceNumber)];
      return { batchItemFailures: [] };
    };`;
    newer.lake.put({ bucket: STATE_BUCKET, key: 'bundles/lanes/build-1/analyze.mjs' }, code);
    const reply = await newer.analyze({ kept: newer.kept('analyze', folder) })(event, newer.context());
    expect(failedItems(reply)).toEqual([]);
    const { seenByOldAnalyze } = globalThis as { seenByOldAnalyze?: readonly string[] };
    expect(seenByOldAnalyze?.toSorted()).toEqual(
      records.map(({ sequenceNumber }) => sequenceNumber).toSorted(),
    );
  });
});

describe('messages from elsewhere', () => {
  it('make their generation known when the first of them is applied', async () => {
    const world = new World();
    await world.transform()(sqsEvent(ARNS.messages, [{ lane: 'A', delay: 1 }]), world.context());
    const reply = await world.analyze()(kinesisEvent(ARNS.stream, world.records()), world.context());
    expect(failedItems(reply)).toEqual([]);
    expect(await world.store.keyedSources('lanes@1', unstopped)).toMatchObject([
      { source: 'messages', applied: 1 },
    ]);
  });

  it('of a generation that this code does not declare are given back', async () => {
    const world = new World();
    await world.transform()(sqsEvent(ARNS.messages, [{ lane: 'A', delay: 1 }]), world.context());
    const newer = new World(testPipeline({ version: 2 }));
    const reply = await newer.analyze()(kinesisEvent(ARNS.stream, world.records()), newer.context());
    expect(failedItems(reply)).toHaveLength(1);
    expect(await newer.store.generations(unstopped)).toEqual([]);
  });
});

describe('publishing', () => {
  const publish = (world: World, analyze = world.analyze()) => analyze({ publish: true }, world.context());

  it('shows results, ends runs whose objects are complete, and does nothing where nothing is new', async () => {
    const { world, records } = await withFrames();
    const analyze = world.analyze();
    await analyze(kinesisEvent(ARNS.stream, records.slice(0, 3)), world.context());
    expect(await publish(world, analyze)).toMatchObject({
      published: [{ generation: 'lanes@1' }],
      finished: [],
    });
    expect(await publish(world, analyze)).toEqual({ published: [], finished: [], purgedKeys: 0 });

    await analyze(kinesisEvent(ARNS.stream, records), world.context());
    expect(await publish(world, analyze)).toMatchObject({
      published: [{ generation: 'lanes@1', groups: 8, findings: 0 }],
      finished: ['run-1'],
    });
    const run = await world.store.run('run-1', unstopped);
    expect(run?.finishedAt).toBe(world.clock.now());
    expect(JSON.parse(run?.report ?? '')).toMatchObject({
      run: 'run-1',
      pipeline: 'lanes',
      version: 1,
      generation: 'lanes@1',
      kind: 'order',
      objects: 1,
      counts: { rows: 8, applied: 8 },
      failed: {},
      complete: true,
    });
    expect(await publish(world, analyze)).toMatchObject({ finished: [] });
    expect(await publish(world, analyze)).toEqual({ published: [], finished: [], purgedKeys: 0 });
  });

  it('does not end a run that is listing still, nor the arrivals of a day that is not over', async () => {
    const { world, records } = await withFrames();
    const listing = await world.store.run('run-1', unstopped);
    await world.store.saveRun({ ...(listing as never as object), report: null } as never, unstopped);
    world.lake.put({ bucket: 'lake', key: 'b.jsonl' }, jsonl([{ lane: 'A', delay: 1 }]));
    await world.dispatch()(
      {
        source: 'aws.s3',
        'detail-type': 'Object Created',
        detail: { bucket: { name: 'lake' }, object: { key: 'b.jsonl' } },
      },
      world.context(),
    );
    await world.analyze()(kinesisEvent(ARNS.stream, records), world.context());
    await world.drain();
    expect(await publish(world)).toMatchObject({ finished: [] });
    await world.clock.advance(17 * 60 * 60 * 1000);
    expect(await publish(world)).toMatchObject({ finished: ['lanes@1-arrivals-2026-11-23'] });
    await world.clock.advance(7 * 24 * 60 * 60 * 1000);
    expect(await publish(world)).toMatchObject({ finished: ['run-1'] });
  });

  it('shows messages from elsewhere as a run a day and source, where any came', async () => {
    const world = new World();
    const take = async (id: string) => {
      const event = sqsEvent(ARNS.messages, [{ lane: 'A', delay: 1 }]);
      const Records = event.Records.map((record) => ({ ...record, messageId: id }));
      await world.transform()({ Records }, world.context());
      await world.drain();
    };
    await take('m1');
    await publish(world);
    await world.clock.advance(24 * 60 * 60 * 1000);
    await publish(world);
    expect((await world.store.runs(unstopped)).map(({ id }) => id)).toEqual([
      'lanes@1-messages-messages-2026-11-23',
    ]);
    await take('m2');
    await publish(world);
    const runs = await world.store.runs(unstopped);
    expect(runs.map(({ id }) => id)).toEqual([
      'lanes@1-messages-messages-2026-11-23',
      'lanes@1-messages-messages-2026-11-24',
    ]);
    expect(JSON.parse(runs[1]?.report ?? '')).toMatchObject({ source: 'messages', counts: { rows: 2 } });
  });

  it('shows the generations of predicates of a run’s own, and none of another version or declaration', async () => {
    const { world, records } = await withFrames();
    await world.analyze()(kinesisEvent(ARNS.stream, records), world.context());
    await world.dispatch()({ prefix: 's3://lake/', where: { lane: 'lane-1' } }, world.context());
    await world.drain();
    const other = generationOf(testPipeline({ version: 2 }), undefined);
    await world.store.declare(other, unstopped);
    const adHoc = generationOf(world.pipeline, { lane: 'lane-1' }).id;
    const reply = (await publish(world)) as { published: readonly { generation: string }[] };
    expect(reply.published.map(({ generation }) => generation)).toEqual(['lanes@1', adHoc]);
  });

  it.each([
    ['are named by their arrival', {}, 1],
    ['have an id and a time', { id: (row: { id: string }) => row.id, time: () => 0 }, 1],
    ['have an id alone, for which there is no horizon', { id: (row: { id: string }) => row.id }, 0],
  ])('forgets old keys of messages that %s', async (_what, source, forgotten) => {
    const pipeline = testPipeline({
      source: { format: 'jsonl', ...source } as never,
      limits: { keyHorizonMs: Date.UTC(2100, 0) },
    });
    const world = new World(pipeline);
    await world.transform()(sqsEvent(ARNS.messages, [{ id: 'a', lane: 'A', delay: 1 }]), world.context());
    await world.drain();
    await world.clock.advance(1);
    expect(await publish(world)).toMatchObject({ purgedKeys: 0 });
    await world.clock.advanceTo(Date.UTC(2100, 0) + Date.UTC(2027, 0));
    expect(await publish(world)).toMatchObject({ purgedKeys: forgotten });
  });

  it.each([
    [{}],
    [{ publish: false }],
    [{ publish: 'yes' }],
    [{ publish: true, pipeline: 'other' }],
    [{ Records: [] }],
  ])('is not what %j asks for', async (event) => {
    const world = new World();
    await expect(world.analyze()(event, world.context())).rejects.toMatchObject({ code: 'E_EVENT' });
  });
});
