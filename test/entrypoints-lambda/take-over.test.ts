import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { unpackFrame } from '../../src/application/frames/frame-codec.ts';
import { generationOf } from '../../src/application/generation.ts';
import type { Task } from '../../src/domain/section.ts';
import type { LambdaHandler } from '../../src/entrypoints/lambda/events.ts';
import { collect } from '../../src/testing/harness.ts';
import { resultsOf } from '../usecases/harness.ts';
import {
  ARNS,
  failedItems,
  jsonl,
  kinesisEvent,
  objectCreated,
  sqsEvent,
  STATE_BUCKET,
  unstopped,
  World,
} from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-take-over-'));
afterAll(() => rmSync(folder, { recursive: true }));

const GENERATION = 'lanes@1';
const keys = ['a.jsonl', 'b.jsonl', 'c.jsonl', 'd.jsonl'];

/** The second object has nine sections in three tasks, the others have one; some rows fail. */
function filled(): World {
  const world = new World(undefined, 'old');
  for (const [index, key] of keys.entries()) {
    const rows = Array.from({ length: index === 1 ? 60 : 6 }, (_, at) => ({
      lane: `lane-${at % 3}`,
      delay: at + index,
      ...(at === 5 ? { fails: 'transform' } : at === 4 ? { fails: 'analyze' } : {}),
    }));
    world.lake.put({ bucket: 'lake', key }, jsonl(rows));
  }
  return world;
}

let kept = 0;
/** What the kept bundles lead to. */
const oldFunctions: Record<string, LambdaHandler> = {};
Object.assign(globalThis, { keptByTakeOverTest: oldFunctions });

/** The new build where the old one was, which is kept in the state bucket; with its own functions. */
function deployOver(old: World): { world: World; transform: LambdaHandler; analyze: LambdaHandler } {
  const world = old.succeededBy('new');
  // Modules are cached by their path: each deployment has a folder of its own.
  const id = String(kept++);
  for (const name of ['transform', 'analyze'] as const) {
    oldFunctions[`${name} ${id}`] = old[name]();
    world.lake.put(
      { bucket: STATE_BUCKET, key: `bundles/lanes/old/${name}.mjs` },
      `export const handler = (event, context) => globalThis.keptByTakeOverTest['${name} ${id}'](event, context);`,
    );
  }
  return {
    world,
    transform: world.transform({ kept: world.kept('transform', join(folder, id)) }),
    analyze: world.analyze({ kept: world.kept('analyze', join(folder, id)) }),
  };
}

/** The old build plans, takes some tasks, and applies some of their frames. */
async function stopped(tasks: number, frames: number): Promise<World> {
  const old = filled();
  await old.dispatch()({ prefix: 's3://lake/', run: 'first' }, old.context());
  const bodies = await old.takeTasks(tasks);
  if (bodies.length > 0)
    expect(failedItems(await old.transform()(sqsEvent(ARNS.tasks, bodies), old.context()))).toEqual([]);
  let left = frames;
  for (let shard = 0; shard < old.stream.shards && left > 0; shard++) {
    const records = old.stream.read(shard, old.stream.checkpoint(shard), left, 6_000_000);
    const last = records.at(-1);
    if (last === undefined) continue;
    await old.analyze()(kinesisEvent(ARNS.stream, records), old.context());
    old.stream.setCheckpoint(shard, last.sequenceNumber);
    left -= records.length;
  }
  return old;
}

async function progressOf({ store }: World, generation = GENERATION) {
  return collect(store.objects({ generation }, unstopped));
}

async function clean() {
  const world = filled();
  await world.dispatch()({ prefix: 's3://lake/', run: 'first' }, world.context());
  await world.drain();
  return resultsOf(world, GENERATION);
}

describe('a take-over', () => {
  it('at any moment of the old build comes to what a clean run does, and nobody waits for anybody', async () => {
    const expected = await clean();
    expect(expected.objects.every(({ complete }) => complete)).toBe(true);
    const builds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 6 }),
        fc.integer({ min: 0, max: 40 }),
        fc.boolean(),
        async (tasks, frames, again) => {
          const old = await stopped(tasks, frames);
          const { world, transform, analyze } = deployOver(old);
          const order = sqsEvent(ARNS.dispatch, [{ pipeline: 'lanes', takeOver: true }]);
          const dispatch = world.dispatch();
          // SQS may deliver it twice.
          for (let deliveries = again ? 2 : 1; deliveries > 0; deliveries--)
            expect(failedItems(await dispatch(order, world.context()))).toEqual([]);
          await world.drain(transform, analyze);
          expect(await resultsOf(world, GENERATION)).toEqual(expected);
          for (const { build } of await progressOf(world)) builds.add(build);
        },
      ),
      {
        numRuns: 15,
        // Drawn, one time in four the old build has applied all frames of an object's section: these always.
        examples: [
          [1, 40, false],
          [2, 40, true],
          [0, 0, true],
        ],
      },
    );
    expect([...builds].sort()).toEqual(['new', 'old']);
  });

  it('leaves to the old build the sections that it began, and takes over those beside them', async () => {
    const rows = Array.from({ length: 60 }, (_, at) => ({ lane: `lane-${at % 3}`, delay: at }));
    const lake = () => {
      const world = new World(undefined, 'old');
      world.lake.put({ bucket: 'lake', key: 'b.jsonl' }, jsonl(rows));
      return world;
    };
    const old = lake();
    await old.dispatch()({ prefix: 's3://lake/', run: 'first' }, old.context());
    await old.transform()(sqsEvent(ARNS.tasks, await old.takeTasks(1)), old.context());
    const [record] = old.records();
    if (record === undefined) throw new Error('nothing was sent');
    await old.analyze()(kinesisEvent(ARNS.stream, [record]), old.context());
    expect(await progressOf(old)).toMatchObject([{ lastSection: 8, frames: 1, sectionsComplete: 0 }]);

    const { world, transform, analyze } = deployOver(old);
    expect(await world.dispatch()({ takeOver: true }, world.context())).toEqual({
      takenOver: [
        expect.objectContaining({
          run: 'lanes@1-take-over-new',
          generation: GENERATION,
          objects: 1,
          sharedObjects: 1,
          begunObjects: 0,
          goneObjects: 0,
          failedObjects: 0,
          tasks: 3,
        }),
      ],
      continues: false,
    });
    // What is left to others is no failure.
    expect(world.errors()).toEqual([]);
    expect(await progressOf(world)).toMatchObject([{ build: 'new', epoch: 2 }]);
    // The old build gets a task again for what it began, and for nothing else.
    const queued = (await world.takeTasks()).map((body) => JSON.parse(body) as Task);
    expect(
      queued.map(({ run, build, epoch, sections }) => [run, build, epoch, sections.from, sections.to]),
    ).toEqual([
      ['first', 'old', 1, 4, 7],
      ['first', 'old', 1, 8, 8],
      ['lanes@1-take-over-new', 'old', 1, 0, 0],
      ['lanes@1-take-over-new', 'new', 2, 1, 4],
      ['lanes@1-take-over-new', 'new', 2, 5, 8],
    ]);

    await world.queue.send(queued, unstopped);
    await world.drain(transform, analyze);
    const untroubled = lake();
    await untroubled.dispatch()({ prefix: 's3://lake/' }, untroubled.context());
    await untroubled.drain();
    expect(await resultsOf(world, GENERATION)).toEqual(await resultsOf(untroubled, GENERATION));
    // Of sections 1 to 8 the old tasks were done all the same, and nobody stumbled over it.
    const stale = old.flushed.reduce((total, metrics) => total + metrics.total('stale'), 0);
    expect(stale).toBeGreaterThanOrEqual(16);
    expect(world.errors()).toEqual([]);
  });

  it('leaves an object to the build that began its only section', async () => {
    const old = new World(undefined, 'old');
    for (const key of ['a.jsonl', 'b.jsonl'])
      old.lake.put({ bucket: 'lake', key }, jsonl([{ lane: 'A', delay: 1 }]));
    await old.dispatch()({ prefix: 's3://lake/', run: 'first' }, old.context());
    await old.transform()(sqsEvent(ARNS.tasks, await old.takeTasks(1)), old.context());
    const frames = old.records();
    // The section record, which tells that there is no other section, and no frame of those that it counts.
    const bodies = await Promise.all(frames.map(({ data }) => unpackFrame(data)));
    const ends = frames.filter((_, at) => bodies[at]?.body.kind === 'section');
    await old.analyze()(kinesisEvent(ARNS.stream, ends), old.context());
    expect((await progressOf(old))[0]).toMatchObject({ lastSection: 0, rows: 1, complete: false });
    const { world, transform, analyze } = deployOver(old);
    expect(await world.dispatch()({ takeOver: true }, world.context())).toMatchObject({
      takenOver: [{ objects: 1, begunObjects: 1, sharedObjects: 0, tasks: 1 }],
    });
    expect((await progressOf(world)).map(({ build }) => build)).toEqual(['old', 'new']);
    await world.drain(transform, analyze);
    expect((await progressOf(world)).map(({ complete }) => complete)).toEqual([true, true]);
  });

  it('drops what the old build still sends of what was taken over', async () => {
    const old = await stopped(6, 0);
    const sent = old.records().length;
    const { world, transform, analyze } = deployOver(old);
    await world.dispatch()({ takeOver: true }, world.context());
    await world.drain(transform, analyze);
    expect(world.records()).toEqual([]);
    const stale = old.flushed.reduce((total, metrics) => total + metrics.total('stale'), 0);
    expect(stale).toBe(sent);
    expect(await resultsOf(world, GENERATION)).toEqual(await clean());
  });

  it('plans what was replaced in the lake as it is now, and leaves what is gone to the tasks that are there', async () => {
    const old = await stopped(0, 0);
    old.lake.put({ bucket: 'lake', key: 'a.jsonl' }, jsonl([{ lane: 'new', delay: 1 }]));
    old.lake.delete({ bucket: 'lake', key: 'c.jsonl' });
    const { world, transform, analyze } = deployOver(old);
    expect(await world.dispatch()({ takeOver: true }, world.context())).toMatchObject({
      takenOver: [{ objects: 3, goneObjects: 1, failedObjects: 0 }],
    });
    await world.drain(transform, analyze);
    const [a, , c] = await progressOf(world);
    expect(a).toMatchObject({ build: 'new', complete: true, rows: 1 });
    expect(c).toMatchObject({ build: 'old', complete: false, openRowFailures: 1 });
  });

  it('goes on in a new call where time runs out, generation by generation, and leaves none out', async () => {
    const old = new World(undefined, 'old');
    const many = Array.from({ length: 1_200 }, (_, index) => `${String(index).padStart(4, '0')}.jsonl`);
    for (const key of many) old.lake.put({ bucket: 'lake', key }, jsonl([{ lane: 'A', delay: 1 }]));
    const where = { lane: 'A' };
    await old.dispatch()({ prefix: 's3://lake/' }, old.context());
    await old.dispatch()({ prefix: 's3://lake/', where }, old.context());
    const { world } = deployOver(old);
    await world.takeTasks();
    const { queue, clock } = world;
    const send: typeof queue.send = async (tasks, signal) => {
      await queue.send(tasks, signal);
      await clock.advance(80 * tasks.length);
    };
    const slow = new Proxy(queue, {
      get: (target, name) => (name === 'send' ? send : (Reflect.get(target, name, target) as unknown)),
    });
    const dispatch = world.dispatch({ tasks: slow });
    expect(await dispatch({ takeOver: true }, world.context())).toMatchObject({ continues: true });
    let calls = 1;
    for (let order = world.orders.shift(); order !== undefined; order = world.orders.shift()) {
      expect(failedItems(await dispatch(sqsEvent(ARNS.dispatch, [order]), world.context()))).toEqual([]);
      calls++;
    }
    expect(calls).toBeGreaterThan(4);
    const tasks = (await world.takeTasks()).map((body) => JSON.parse(body) as Task);
    const adHoc = generationOf(world.pipeline, where).id;
    for (const generation of [GENERATION, adHoc]) {
      const own = tasks.filter((task) => task.generation === generation);
      expect(own.map(({ object }) => object.key).toSorted()).toEqual(many);
      for (const task of own) {
        expect(task).toMatchObject({ build: 'new', epoch: 2 });
        expect(task.where).toEqual(generation === adHoc ? where : null);
      }
      expect(await world.store.run(`${generation}-take-over-new`, unstopped)).toMatchObject({
        report: '{"kind":"order"}',
      });
    }
  });

  it('of nothing leaves nothing behind', async () => {
    const old = filled();
    await old.dispatch()({ prefix: 's3://lake/', run: 'first' }, old.context());
    await old.drain();
    const { world } = deployOver(old);
    const reply = await world.dispatch()({ takeOver: true }, world.context());
    expect(reply).toMatchObject({ takenOver: [{ objects: 0, begunObjects: 0, tasks: 0 }] });
    expect((await world.store.runs(unstopped)).map(({ id }) => id)).toEqual(['first']);
    expect(await world.takeTasks()).toEqual([]);
  });

  it('and an arrival that comes first are done once', async () => {
    const old = await stopped(0, 0);
    const { world, transform, analyze } = deployOver(old);
    const dispatch = world.dispatch();
    await dispatch(objectCreated('lake', 'a.jsonl'), world.context());
    await dispatch({ takeOver: true }, world.context());
    expect((await progressOf(world)).map(({ epoch }) => epoch)).toEqual([2, 2, 2, 2]);
    await world.drain(transform, analyze);
    expect(await resultsOf(world, GENERATION)).toEqual(await clean());
  });

  it.each([
    [{ takeOver: false }, /takeOver must be true/],
    [{ takeOver: 'yes' }, /takeOver must be true or false/],
    [{ takeOver: true, prefix: 's3://lake/' }, /prefix is not known/],
    [{ takeOver: true, pipeline: 'other' }, /pipeline is other/],
    [{ takeOver: true, after: 's3://lake/a' }, /after needs a generation/],
    [{ takeOver: true, generation: GENERATION, after: 'lake/a' }, /after is no object/],
  ])('that makes no sense is told so: %j', async (event, message) => {
    const world = filled();
    await expect(world.dispatch()(event, world.context())).rejects.toMatchObject({
      code: 'E_EVENT',
      message: expect.stringMatching(message) as unknown,
    });
  });
});
