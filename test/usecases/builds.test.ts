import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { count, sum } from '../../src/domain/measure.ts';
import { definePipeline, type AnyPipeline } from '../../src/domain/pipeline.ts';
import { codeOfAsync } from '../values/damage.ts';
import {
  calm,
  failuresOf,
  imbalances,
  newWorld,
  Process,
  resultsOf,
  survives,
  type World,
} from './harness.ts';
import { backwards, broken, lakePipeline, mended, settings, type Settings } from './lake-pipeline.ts';
import { contentOf, fillLake, lake, nameOf, type LakeFile, type LakeRow } from './lakes.ts';

const how: Settings = {
  limits: { sectionBytes: 100, maxFrameMessages: 2, maxFrameBytes: 1_000 },
  partitions: 3,
  partitioned: true,
  frames: 'packed',
};
const row: LakeRow = { id: 1, lane: 'ZRH-JFK', fan: 2, fate: 'ok', hurt: 9, flag: 9, value: 2, note: '' };
const rows = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => ({ ...row, id: from + at }));
const file = (from: number, to: number): LakeFile => ({ form: 'csv', rows: rows(from, to), brokenAt: null });

const never = new AbortController().signal;

function worldOf(files: readonly LakeFile[]): World {
  const world = newWorld();
  fillLake(world.source, files);
  return world;
}

describe('another build', () => {
  it('refuses tasks of the first, and reads nothing for them', async () => {
    const world = worldOf([file(0, 10)]);
    const first = new Process(world, lakePipeline(how, broken), 'build-1');
    await first.dispatch();
    const [received] = await first.queue.receive(1, 1_000, first.signal);
    const second = new Process(world, lakePipeline(how, mended), 'build-2');
    expect(await codeOfAsync(second.transform(received!.task))).toBe('E_OTHER_BUILD');
    expect(second.put).toEqual([]);
    expect(second.metrics.total('bytesRead')).toBe(0);
  });

  it('takes over what is not begun, refuses what is, and the results are of one build for each object', async () => {
    await fc.assert(
      fc.asyncProperty(
        lake,
        settings,
        fc.integer({ min: 1, max: 120 }),
        fc.integer(),
        async (files, set, killAt, seed) => {
          const world = worldOf(files);
          const first = new Process(world, lakePipeline(set, broken), 'build-1', {
            ...calm,
            seed,
            killAt,
            shuffle: true,
          });
          await survives(first.run());
          const generation = first.generation.id;
          const begun = new Map<string, boolean>();
          for await (const { object, frames, rows: counted, sectionsComplete } of world.store.objects(
            { generation },
            never,
          ))
            begun.set(object.key, frames > 0 || counted > 0 || sectionsComplete > 0);

          const second = new Process(world, lakePipeline(set, mended), 'build-2', { ...calm, seed });
          const summary = await second.run('run-2');
          for (const { object, code } of summary.refused.first) {
            expect(code).toBe('E_OTHER_BUILD');
            expect(begun.get(object.key)).toBe(true);
          }
          // What the first build still had on its way comes too late for what was taken over, and in time for the rest.
          const oldCode = new Process(world, lakePipeline(set, broken), 'build-1');
          for (const record of first.put) await oldCode.analyze(record);
          await new Process(world, lakePipeline(set, broken), 'build-1').run('run-3');

          expect(await imbalances(world, generation)).toEqual([]);
          const clean = { 1: worldOf(files), 2: worldOf(files) };
          await new Process(clean[1], lakePipeline(set, broken)).run();
          await new Process(clean[2], lakePipeline(set, mended)).run();
          const whole = {
            1: await resultsOf(clean[1], generation),
            2: await resultsOf(clean[2], generation),
          };
          const { objects } = await resultsOf(world, generation);
          const byBuild = new Map<string, string>();
          for await (const { object, build } of world.store.objects(
            { generation },
            new AbortController().signal,
          ))
            byBuild.set(object.key, build);
          objects.forEach((progress, index) => {
            const build = byBuild.get(progress.object.key) === 'build-1' ? 1 : 2;
            expect(progress).toEqual(whole[build].objects[index]);
          });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('that is kept shares objects with the next one, section by section, and back again, whenever each of them dies', async () => {
    let shared = 0;
    await fc.assert(
      fc.asyncProperty(
        lake,
        settings,
        fc.array(fc.integer({ min: 20, max: 160 }), { minLength: 1, maxLength: 3 }),
        fc.integer(),
        async (files, set, kills, seed) => {
          const world = worldOf(files);
          const pipelines = [lakePipeline(set, broken), backwards(lakePipeline(set, broken))] as const;
          const processOf = (turn: number, killAt: number | null) => {
            const [own, other] = turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
            const chaos = { ...calm, seed: seed + turn, killAt, shuffle: true, sectionsPerTask: 2 };
            return new Process(world, pipelines[own], `build-${own}`, chaos).keep(
              `build-${other}`,
              pipelines[other],
            );
          };
          const dead: Process[] = [];
          for (const [turn, killAt] of kills.entries()) {
            const process = processOf(turn, killAt);
            dead.push(process);
            await survives(process.run(`run-${turn}`));
          }
          const last = processOf(kills.length, null);
          const { refused, sharedObjects } = await last.dispatch('last');
          expect(refused.total).toBe(0);
          shared += sharedObjects;
          // What is still on its way comes between: frames of those who died, and their tasks.
          for (const { put } of dead) for (const record of put) await last.analyze(record);
          for (const { queue } of dead)
            for (const { task } of await queue.receive(10, 1_000, never))
              await last.queue.send([task], never);
          await last.drain();

          const { id } = last.generation;
          expect(await imbalances(world, id)).toEqual([]);
          const clean = worldOf(files);
          await new Process(clean, pipelines[0]).run();
          const [mixed, whole] = [await resultsOf(world, id), await resultsOf(clean, id)];
          expect(mixed.groups).toEqual(whole.groups);
          // Each build cuts frames of its own.
          const totals = ({ objects }: typeof whole) =>
            objects.map(({ frames: _frames, ...progress }) => progress);
          expect(totals(mixed)).toEqual(totals(whole));
        },
      ),
      { numRuns: 60 },
    );
    expect(shared).toBeGreaterThan(0);
  });

  it('of declared data that changed under the same version is refused as a whole', async () => {
    const world = worldOf([file(0, 3)]);
    await new Process(world, lakePipeline(how, broken)).run();
    const changed = lakePipeline({ ...how, partitions: 4 }, broken);
    expect(await codeOfAsync(new Process(world, changed, 'build-2').run('run-2'))).toBe('E_PIPELINE_CHANGED');
  });
});

describe('an object that changes', () => {
  it('is refused once it is begun, and taken as it is where it is not', async () => {
    const world = worldOf([file(0, 10), file(10, 20)]);
    const process = new Process(world, lakePipeline(how, broken));
    await process.run();
    const before = await resultsOf(world, process.generation.id);
    world.source.put(nameOf(0, file(0, 0)), contentOf(file(50, 70)));
    const again = new Process(world, lakePipeline(how, broken));
    expect((await again.run('run-2')).refused.first).toMatchObject([
      { object: { key: 'day=0/rows.csv' }, code: 'E_OBJECT_CHANGED' },
    ]);
    expect((await resultsOf(world, process.generation.id)).groups).toEqual(before.groups);

    const fresh = worldOf([file(0, 10)]);
    await new Process(fresh, lakePipeline(how, broken)).dispatch();
    fresh.source.put(nameOf(0, file(0, 0)), contentOf(file(0, 4)));
    const late = new Process(fresh, lakePipeline(how, broken));
    expect((await late.run('run-2')).refused.total).toBe(0);
    expect((await resultsOf(fresh, late.generation.id)).objects).toMatchObject([{ rows: 4, complete: true }]);
  });

  it('while its tasks are queued is an open failure, and not half of each', async () => {
    const world = worldOf([file(0, 10)]);
    const process = new Process(world, lakePipeline(how, broken));
    await process.dispatch();
    world.source.put(nameOf(0, file(0, 0)), contentOf(file(20, 60)));
    await process.drain();
    const { failures, groups } = await resultsOf(world, process.generation.id);
    expect(groups).toEqual({});
    expect(failures).toMatchObject([{ code: 'E_OBJECT_CHANGED', stage: 'open', state: 'open' }]);
  });
});

describe('what was purged', () => {
  it('does not come back by frames that were still on their way', async () => {
    const world = worldOf([file(0, 10)]);
    const old = new Process(world, lakePipeline(how, broken), 'build-1');
    await old.run();
    const generation = old.generation.id;
    const once = await resultsOf(world, generation);
    await world.store.purge(generation, old.signal);
    for (const record of old.put) await old.analyze(record);
    expect(old.metrics.total('stale')).toBe(old.put.length);
    expect(await resultsOf(world, generation)).toEqual({
      groups: {},
      flags: [],
      failures: [],
      objects: [],
      sources: [],
    });

    // Begun anew by another build: the old one's frames are of an older time.
    const next = new Process(world, lakePipeline(how, broken), 'build-2');
    await next.dispatch('run-2');
    // The new build leaves them alone, and the old one finds that they count no more.
    for (const record of old.put) {
      await expect(next.analyze(record)).rejects.toMatchObject({ code: 'E_OTHER_BUILD' });
      await old.analyze(record);
    }
    expect((await resultsOf(world, generation)).groups).toEqual({});
    await next.drain();
    expect((await resultsOf(world, generation)).groups).toEqual(once.groups);
  });
});

describe('a transform that is not deterministic', () => {
  function moody(answer: () => number): AnyPipeline {
    return definePipeline({
      name: 'moody',
      version: 1,
      source: { columns: ['id'] },
      transform: () => ({ n: answer() }),
      analyze: {
        groupBy: () => 'all',
        measures: { count: count(), n: sum((message: { n: number }) => message.n) },
      },
      partitions: 2,
      limits: { sectionBytes: 100, maxFrameMessages: 2 },
    }) as AnyPipeline;
  }

  it('is told when a section that was not finished is read again, and stays an open failure', async () => {
    let calls = 0;
    const world = worldOf([file(0, 12)]);
    const pipeline = moody(() => calls++);
    const first = new Process(world, pipeline);
    await first.dispatch();
    await first.drain();
    const frames = first.put.length;
    // Started anew: some frames of each section are there, its record is not.
    const half = worldOf([file(0, 12)]);
    const killed = new Process(half, pipeline, 'build-1', { ...calm, sectionsPerTask: 100, killAt: 30 });
    expect(await survives(killed.run())).toBe(false);
    const again = new Process(half, pipeline);
    await again.run('run-2');
    expect(frames).toBeGreaterThan(4);
    expect(await failuresOf(half, again.generation.id)).toMatchObject([
      {
        code: 'E_NOT_DETERMINISTIC',
        stage: 'transform',
        state: 'open',
        rows: 0,
        position: { coordinate: null },
      },
    ]);
    expect(half.router.failures.at(-1)).toMatchObject({
      route: 'ledger',
      failure: { code: 'E_NOT_DETERMINISTIC' },
    });
  });

  it('is told nothing where it is deterministic but throws texts that differ', async () => {
    let calls = 0;
    const world = worldOf([file(0, 6)]);
    const pipeline = moody(() => {
      throw new Error(`at ${calls++}`);
    });
    const first = new Process(world, pipeline, 'build-1', { ...calm, killAt: 25 });
    expect(await survives(first.run())).toBe(false);
    const again = new Process(world, pipeline);
    await again.run('run-2');
    expect(await imbalances(world, again.generation.id)).toEqual([]);
    const failures = await failuresOf(world, again.generation.id);
    expect(failures.map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => 'E_TRANSFORM'));
  });
});
