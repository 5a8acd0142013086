import { describe, expect, it } from 'vitest';
import { RefusedObjects } from '../../src/application/dispatch/dispatch-summary.ts';
import { dispatch } from '../../src/application/dispatch/dispatch.ts';
import { generationOf } from '../../src/application/generation.ts';
import { transformTask } from '../../src/application/transform/transform.ts';
import type { Where } from '../../src/domain/where.ts';
import { failuresOf, newWorld, Process, resultsOf, type World } from './harness.ts';
import { broken, lakePipeline, type Settings } from './lake-pipeline.ts';
import { BUCKET, fillLake, type LakeFile, type LakeRow } from './lakes.ts';

const how: Settings = {
  limits: { sectionBytes: 1_000, maxFrameMessages: 10, maxFrameBytes: 10_000 },
  partitions: 3,
  partitioned: true,
  frames: 'packed',
};
const row: LakeRow = { id: 1, lane: 'ZRH-JFK', fan: 1, fate: 'ok', hurt: 9, flag: 9, value: 2, note: '' };
const file = (id: number): LakeFile => ({ form: 'csv', rows: [{ ...row, id }], brokenAt: null });
const pipeline = lakePipeline(how, broken);

function worldOf(files: number): World {
  const world = newWorld();
  fillLake(
    world.source,
    Array.from({ length: files }, (_, id) => file(id)),
  );
  return world;
}

async function keysOfTasks({ queue, signal }: Process): Promise<string[]> {
  const keys: string[] = [];
  for (;;) {
    const received = await queue.receive(10, 1_000, signal);
    if (received.length === 0) return keys.sort();
    keys.push(...received.map(({ task }) => task.object.key));
  }
}

describe('a listing that is longer than a call', () => {
  it('goes on where it stopped, until every object is planned once', async () => {
    const world = worldOf(12);
    const process = new Process(world, pipeline);
    let request: { locations: readonly string[]; after?: string } = { locations: [BUCKET] };
    let calls = 0;
    let objects = 0;
    for (;;) {
      // It is late as soon as it begins: one object is taken, so that a call never makes no progress.
      const summary = await dispatch(
        { run: 'run-1', ...request, isLate: () => true },
        process.context,
        process.ports,
      );
      calls++;
      objects += summary.objects;
      if (summary.rest === null) break;
      request = summary.rest;
    }
    expect(calls).toBe(12);
    expect(objects).toBe(12);
    const listed: string[] = [];
    for await (const { key } of world.source.list(BUCKET, process.signal)) listed.push(key);
    expect(await keysOfTasks(process)).toEqual(listed.sort());
  });

  it('takes the other locations from their start', async () => {
    const world = newWorld();
    for (const key of ['a/1.csv', 'a/2.csv', 'b/0.csv', 'b/1.csv'])
      world.source.put({ bucket: BUCKET, key }, 'id,lane\n1,ZRH-JFK\n');
    const process = new Process(world, pipeline);
    const first = await dispatch(
      { run: 'run-1', locations: [`${BUCKET}/a/`, `${BUCKET}/b/`], isLate: () => true },
      process.context,
      process.ports,
    );
    expect(first.rest).toEqual({ locations: [`${BUCKET}/a/`, `${BUCKET}/b/`], after: 'a/1.csv' });
    const second = await dispatch({ run: 'run-1', ...first.rest! }, process.context, process.ports);
    expect([first.objects, second.objects, second.rest]).toEqual([1, 3, null]);
  });
});

/** A list of what is asked of a port, by the name of the method. */
function recording<T extends object>(port: T, names: string[]): T {
  return new Proxy(port, {
    get: (target, name) => {
      const member = Reflect.get(target, name, target) as unknown;
      if (typeof member !== 'function') return member;
      return (...parameters: unknown[]): unknown => {
        names.push(String(name));
        return (member as (...all: unknown[]) => unknown).apply(target, parameters);
      };
    },
  });
}

describe('objects of one section', () => {
  it('are not opened: they are planned in one go, and their tasks are sent together', async () => {
    const world = worldOf(300);
    const process = new Process(world, pipeline);
    const calls: string[] = [];
    const { source, store, tasks } = process.ports;
    const ports = {
      ...process.ports,
      source: recording(source, calls),
      store: recording(store, calls),
      tasks: recording(tasks, calls),
    };
    const summary = await dispatch({ run: 'run-1', locations: [BUCKET] }, process.context, ports);
    expect(calls).toEqual(['declare', 'list', 'plan', 'send']);
    expect(summary).toMatchObject({ objects: 300, tasks: 300, rest: null });
    expect(summary.bytesToRead).toBe(summary.bytes);
  });

  it('end where their task meets the end', async () => {
    const world = worldOf(3);
    const process = new Process(world, pipeline);
    await process.run('run-1');
    const { objects } = await resultsOf(world, process.generation.id);
    expect(objects).toMatchObject(
      [1, 1, 1].map((transformed) => ({ transformed, lastSection: 0, complete: true })),
    );
    expect(await process.dispatch('run-2')).toMatchObject({ completeObjects: 3, tasks: 0 });
  });

  it('that nobody can read are failures by way of the stream; an empty one shows at once', async () => {
    const world = worldOf(1);
    world.source.put({ bucket: BUCKET, key: 'noise.bin' }, Uint8Array.of(0, 1, 2, 3, 255));
    world.source.put({ bucket: BUCKET, key: 'nothing.csv' }, '');
    const process = new Process(world, pipeline);
    expect(await process.dispatch()).toMatchObject({ objects: 3, failedObjects: 1, tasks: 2 });
    expect(process.metrics.total('failuresOpened')).toBe(1);
    await process.drain();
    expect(process.metrics.total('failuresOpened')).toBe(2);
    const failures = await failuresOf(world, process.generation.id);
    expect(failures.map(({ code, state }) => `${code} ${state}`).sort()).toEqual([
      'E_FORMAT_UNKNOWN open',
      'E_OBJECT_EMPTY open',
    ]);
  });
});

describe('objects that have to be opened', () => {
  const rows = Array.from({ length: 60 }, (_, id) => ({ ...row, id }));

  it('are steps, between which a call can stop: what it stopped behind is planned once', async () => {
    const world = newWorld();
    fillLake(
      world.source,
      Array.from({ length: 20 }, () => ({ form: 'csv' as const, rows, brokenAt: null })),
    );
    const process = new Process(world, pipeline);
    let request: { locations: readonly string[]; after?: string } = { locations: [BUCKET] };
    const taken: number[] = [];
    for (;;) {
      // Time is over after the first step, as it is asked for anew before each.
      let isOver = false;
      const summary = await dispatch(
        { run: 'run-1', ...request, isLate: () => isOver },
        process.context,
        process.ports,
        () => {
          isOver = true;
        },
      );
      taken.push(summary.objects);
      if (summary.rest === null) break;
      request = summary.rest;
    }
    expect(taken).toEqual([8, 8, 4]);
    const keys = await keysOfTasks(process);
    expect(new Set(keys).size).toBe(20);
    const { objects } = await resultsOf(world, process.generation.id);
    expect(objects).toHaveLength(20);
    expect(objects.every(({ lastSection }) => lastSection !== null && lastSection > 0)).toBe(true);
  });
});

describe('objects that are refused', () => {
  it('are counted by code, and the first ones kept', () => {
    const refused = new RefusedObjects();
    const object = { bucket: BUCKET, key: 'a', version: '1', size: 1 };
    for (let many = 0; many < 150; many++) refused.add({ object, code: 'E_OBJECT_CHANGED' });
    refused.add({ object, code: 'E_OTHER_BUILD' });
    expect(refused.total).toBe(151);
    expect(refused.byCode).toEqual({ E_OBJECT_CHANGED: 150, E_OTHER_BUILD: 1 });
    expect(refused.first).toHaveLength(100);
  });
});

describe('a predicate of a run', () => {
  it('travels in its tasks: who transforms them needs to be told nothing', async () => {
    const world = worldOf(5);
    const where: Where = { id: { $lt: 2 } };
    const process = new Process(world, pipeline);
    const generation = generationOf(pipeline, where);
    await dispatch(
      { run: 'run-1', locations: [BUCKET] },
      { ...process.context, generation, where },
      process.ports,
    );
    for (const { task } of await process.queue.receive(100, 1_000, process.signal)) {
      expect(task.where).toEqual(where);
      await transformTask(JSON.parse(JSON.stringify(task)), process.context, process.ports);
    }
    for (const record of process.put) await process.analyze(record);
    const { objects } = await resultsOf(world, generation.id);
    expect(objects.reduce((sum, { transformed }) => sum + transformed, 0)).toBe(2);
    expect(objects.reduce((sum, { filtered }) => sum + filtered, 0)).toBe(3);
  });
});

describe('an object that is gone when its task comes', () => {
  it('is an open failure by way of the stream, and the others are processed', async () => {
    const world = worldOf(3);
    const process = new Process(world, pipeline);
    await process.dispatch();
    const [gone] = await keysOfTasks(process);
    world.source.delete({ bucket: BUCKET, key: gone! });
    await world.clock.sleep(2_000, process.signal);
    await process.drain();
    const generation = process.generation.id;
    expect(await failuresOf(world, generation)).toMatchObject([
      { state: 'open', stage: 'open', code: 'E_OBJECT_NOT_FOUND', position: { object: { key: gone } } },
    ]);
    const { objects } = await resultsOf(world, generation);
    expect(objects.map(({ transformed }) => transformed).sort((a, b) => a - b)).toEqual([0, 1, 1]);
  });
});
