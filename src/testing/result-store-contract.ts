import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Failure } from '../domain/failure.ts';
import type { Generation } from '../domain/generation.ts';
import type { LakeObject, ObjectName } from '../domain/lake-object.ts';
import type {
  Effects,
  Flag,
  MergeStates,
  ObjectProgress,
  PublishedGroup,
  RedriveRef,
  ResultStore,
  RowTotals,
  SectionFrameRef,
  SectionRecordRef,
} from '../domain/ports/result-store.ts';
import { reconcileKeyed, reconcileObject } from '../domain/reconcile.ts';
import type { SectionRecord } from '../domain/section.ts';
import type { ResultStoreFixture } from './result-store-fixture.ts';
import { checkAgainstModel } from './result-store-model.ts';

export type { ResultStoreFixture };

export interface ResultStoreContract {
  readonly name: string;
  /** Makes an empty store that nobody else has. */
  readonly create: (mergeStates: MergeStates) => Promise<ResultStoreFixture>;
  /** Random histories that are compared with the model. Default 100. */
  readonly histories?: number;
  /**
   * The most objects, failures and the like that a test takes. Default 10,000; fewer, but over 1,001, where each is a request to a twin
   * that takes its time.
   */
  readonly most?: number;
}

const signal = new AbortController().signal;
const GENERATION = 'lanes@1';
const lanes: Generation = {
  id: GENERATION,
  pipeline: 'lanes',
  version: 1,
  fingerprint: 'f1',
  declared: '{"partitions":4}',
};
const other: Generation = { ...lanes, id: 'lanes@2', version: 2 };
const object: LakeObject = { bucket: 'lake', key: 'day/1.csv', version: 'v1', size: 100 };
const nothing: Effects = { groups: [], flags: [], failures: [], applied: 0 };
const POISON = 0xff;

/** A counter of eight bytes, little end first. A state that ends with 0xff cannot be merged. */
const addCounters: MergeStates = (stored, added) => {
  if (stored[7] === POISON || added[7] === POISON) throw new Error('poisoned');
  return counter(valueOf(stored) + valueOf(added));
};

function counter(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

function valueOf(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
}

function counts(groups: Readonly<Record<string, number>>): Effects {
  const entries = Object.entries(groups);
  return {
    ...nothing,
    groups: entries.map(([group, value]) => ({ group, state: counter(value) })),
    applied: entries.reduce((sum, [, value]) => sum + value, 0),
  };
}

function frame(fields: Partial<SectionFrameRef> = {}): SectionFrameRef {
  const base = {
    generation: GENERATION,
    run: 'run-1',
    build: 'A',
    object,
    epoch: 1,
    section: 0,
    partition: 0,
    number: 0,
    at: 50,
    reach: 0,
    killed: [],
  };
  return { ...base, digest: 'd', ...fields };
}

function record(fields: Partial<SectionRecord> = {}, ref: Partial<SectionRecordRef> = {}): SectionRecordRef {
  const empty = { rows: 0, pruned: 0, filtered: 0, failed: 0, transformed: 0, messages: 0 };
  const full: SectionRecord = { section: 0, last: false, next: 10, frames: [], ...empty, ...fields };
  return {
    generation: GENERATION,
    run: 'run-1',
    build: 'A',
    object,
    epoch: 1,
    digest: 'r',
    record: full,
    reach: null,
    killed: [],
    ...ref,
  };
}

function failure(
  coordinate: number | null,
  fields: Partial<Failure> & { output?: number | null; of?: LakeObject } = {},
): Failure {
  const { output = null, of = object, ...rest } = fields;
  return {
    id: `${of.key}@${coordinate}[${output}]`,
    position: { kind: 'row', object: of, coordinate, output },
    stage: output === null ? 'transform' : 'analyze',
    code: output === null ? 'E_TRANSFORM' : 'E_ANALYZE',
    message: 'no such lane',
    rows: output === null && coordinate !== null ? 1 : 0,
    payload: new Uint8Array([1, 0, 255]),
    ...rest,
  };
}

function keyedFailure(key: string, output: number | null = null): Failure {
  return {
    ...failure(0, { output }),
    id: `${key}[${output}]`,
    position: { kind: 'key', source: 'pipe', key, output },
    rows: output === null ? 1 : 0,
  };
}

function redrive(id: string, fields: Partial<RedriveRef> = {}): RedriveRef {
  return {
    generation: GENERATION,
    run: 'run-2',
    build: 'B',
    failure: id,
    again: null,
    messages: 0,
    at: 90,
    ...fields,
  };
}

function flag(of: LakeObject, coordinate: number, output: number, kind = 'late'): Flag {
  return {
    position: { kind: 'row', object: of, coordinate, output },
    finding: { kind, message: `${of.key}@${coordinate}` },
  };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function* published(...groups: PublishedGroup[]): AsyncGenerator<PublishedGroup> {
  yield* groups;
}

/**
 * What every result store must do. Call it at the top of a test file; it registers its tests with vitest.
 *
 * Groups are counted with a merge of the contract's own, which the factory is given.
 */
export function resultStoreContract({
  name,
  create,
  histories = 100,
  most = 10_000,
}: ResultStoreContract): void {
  describe(`${name} as a ResultStore`, () => {
    let fixture: ResultStoreFixture;
    let store: ResultStore;

    beforeEach(async () => {
      fixture = await create(addCounters);
      store = fixture.store;
      await store.declare(lanes, signal);
    });

    afterEach(() => fixture.destroy());

    const plan = (
      fields: {
        build?: string;
        run?: string;
        object?: LakeObject;
        last?: number | null;
        keepsBuilds?: boolean;
      } = {},
    ) => {
      const { build = 'A', run = 'run-1', last = 0, keepsBuilds = false } = fields;
      const planned = { object: fields.object ?? object, lastSection: last };
      const request = { run, generation: GENERATION, build, keepsBuilds };
      return store.plan(request, [planned], signal).then(([only]) => only);
    };
    const apply = (ref: Partial<SectionFrameRef>, effects: Effects = nothing) =>
      store.applyFrame(frame(ref), effects, signal);
    const applyRecord = (fields: Partial<SectionRecord>, ref: Partial<SectionRecordRef> = {}) =>
      store.applySectionRecord(record(fields, ref), signal);
    const groups = async (generation = GENERATION) =>
      Object.fromEntries(
        (await all(store.groups(generation, signal))).map(({ group, state }) => [group, valueOf(state)]),
      );
    const progress = async (): Promise<ObjectProgress> => {
      const [first] = await all(store.objects({ generation: GENERATION }, signal));
      if (first === undefined) throw new Error('no object is known');
      return first;
    };
    const failures = (query = {}) => all(store.failures(query, signal));
    const isExactlyOnce = () => store.capabilities.exactlyOnce !== false;
    const failureIds = async (query = {}) => (await failures(query)).map(({ failure: { id } }) => id);

    describe('generations and runs', () => {
      it('finds a generation as it was declared', async () => {
        await store.declare(other, signal);
        await store.declare(lanes, signal);
        expect(await store.generations(signal)).toEqual([lanes, other]);
      });

      it('replaces a declaration of which nothing was applied', async () => {
        const changed = { ...lanes, fingerprint: 'f2' };
        await store.declare(changed, signal);
        expect(await store.generations(signal)).toEqual([changed]);
      });

      it('refuses the same id with another fingerprint and keeps the first', async () => {
        await plan();
        await apply({}, nothing);
        await expect(store.declare({ ...lanes, fingerprint: 'f2' }, signal)).rejects.toMatchObject({
          code: 'E_PIPELINE_CHANGED',
        });
        expect(await store.generations(signal)).toEqual([lanes]);
      });

      it('keeps the last that was saved of a run, oldest run first', async () => {
        const first = {
          id: 'b',
          generation: GENERATION,
          build: 'A',
          startedAt: 1,
          finishedAt: null,
          report: null,
        };
        const second = { ...first, id: 'a', startedAt: 2 };
        await store.saveRun(second, signal);
        await store.saveRun(first, signal);
        const ended = { ...first, finishedAt: 9, report: '{"rows":3}' };
        await store.saveRun(ended, signal);
        expect(await store.runs(signal)).toEqual([ended, second]);
        expect(await store.run('b', signal)).toEqual(ended);
        expect(await store.run('c', signal)).toBeUndefined();
      });

      it('has to be told of a generation before anything of it', async () => {
        const unknown = { generation: 'nobody@1', run: 'run-1', build: 'A' };
        const notFound = { code: 'E_NOT_FOUND' };
        await expect(store.plan(unknown, [{ object, lastSection: 0 }], signal)).rejects.toMatchObject(
          notFound,
        );
        await expect(
          store.openFailures('nobody@1', 'run-1', [failure(null)], 1, signal),
        ).rejects.toMatchObject(notFound);
        await expect(store.publish('nobody@1', published(), signal)).rejects.toMatchObject(notFound);
        const batch = {
          ...unknown,
          source: 'pipe',
          keys: ['k'],
          at: 1,
          fold: () => ({ effects: nothing, totals: rowTotals({}) }),
        };
        await expect(store.applyKeyed(batch, signal)).rejects.toMatchObject(notFound);
        expect(await store.applyFrame(frame({ generation: 'nobody@1' }), counts({ a: 1 }), signal)).toBe(
          'stale',
        );
        expect(await all(store.groups('nobody@1', signal))).toEqual([]);
      });
    });

    describe('plan', () => {
      it('binds an object that is new to the first epoch', async () => {
        expect(await plan({ last: 4 })).toEqual({
          object,
          verdict: 'process',
          epoch: 1,
          lastSection: 4,
          complete: [],
          held: [],
        });
        expect(await progress()).toMatchObject({
          object,
          epoch: 1,
          build: 'A',
          lastSection: 4,
          sectionsComplete: 0,
          complete: false,
        });
      });

      it('tells which sections are complete and where the next ones start', async () => {
        await plan({ last: 3 });
        await applyRecord({ section: 2, next: 30 });
        await applyRecord({ section: 0, next: 11 });
        await applyRecord({ section: 1, frames: [[0, 1]] });
        const again = await plan({ last: 3, run: 'run-2' });
        expect(again?.complete).toEqual([
          { section: 0, next: 11 },
          { section: 2, next: 30 },
        ]);
        expect(again).toMatchObject({ verdict: 'process', epoch: 1 });
      });

      it('keeps the last section that a section record told', async () => {
        await plan({ last: null });
        await applyRecord({ section: 1, last: true });
        expect(await plan({ last: null })).toMatchObject({ lastSection: 1 });
      });

      it('completes an object whose sections were waiting for nothing but to know the last one', async () => {
        await plan({ last: null });
        await applyRecord({ section: 0 });
        expect(await plan({ last: 0 })).toEqual({
          object,
          verdict: 'complete',
          epoch: 1,
          lastSection: 0,
          complete: [],
          held: [],
        });
      });

      it('says that a complete object is complete, to every build', async () => {
        await plan();
        await applyRecord({ last: true });
        expect(await plan({ build: 'B' })).toEqual({
          object,
          verdict: 'complete',
          epoch: 1,
          lastSection: 0,
          complete: [],
          held: [],
        });
        expect(await progress()).toMatchObject({ build: 'A', complete: true });
      });

      it('lets another build take over what is not begun, under a higher epoch', async () => {
        await plan();
        expect(await plan({ build: 'B' })).toMatchObject({ verdict: 'process', epoch: 2 });
        expect(await apply({}, counts({ a: 1 }))).toBe('stale');
        expect(await apply({ build: 'B', epoch: 2 }, counts({ a: 1 }))).toBe('applied');
      });

      it('refuses another build and another version of what is begun, and leaves the object as it is', async () => {
        await plan({ last: 1 });
        await apply({}, counts({ a: 1 }));
        await store.openFailures(GENERATION, 'run-1', [failure(null)], 1, signal);
        const before = await progress();
        expect(await plan({ build: 'B', run: 'run-2' })).toMatchObject({ verdict: 'other-build', epoch: 1 });
        expect(await plan({ object: { ...object, version: 'v2' }, run: 'run-2' })).toMatchObject({
          verdict: 'changed',
          epoch: 1,
        });
        expect(await progress()).toEqual(before);
        expect(await all(store.objects({ generation: GENERATION, run: 'run-2' }, signal))).toHaveLength(1);
        expect(await plan({ last: 1 })).toMatchObject({ verdict: 'process', epoch: 1 });
      });

      it('shares an object with another build that is kept: what is begun stays with it, the rest is taken over', async () => {
        await plan({ last: 4 });
        await applyRecord({ section: 0, next: 11 });
        await apply({ section: 1 }, counts({ a: 1 }));
        await applyRecord({ section: 3, frames: [[0, 1]] });
        const shared = await plan({ build: 'B', run: 'run-2', last: 4, keepsBuilds: true });
        expect(shared).toEqual({
          object,
          verdict: 'process',
          epoch: 2,
          lastSection: 4,
          complete: [{ section: 0, next: 11 }],
          held: [
            { section: 1, build: 'A', epoch: 1 },
            { section: 3, build: 'A', epoch: 1 },
          ],
        });
        const taken = { build: 'B', epoch: 2 };
        // Of what was taken over nothing counts that the old build still sends, of what was not nothing that the new one does.
        expect(await apply({ section: 2 }, counts({ a: 1 }))).toBe('stale');
        expect(await applyRecord({ section: 4, last: true })).toBe('stale');
        expect(await apply({ section: 1, number: 1, ...taken }, counts({ a: 1 }))).toBe('stale');
        expect(await apply({ section: 3, build: 'A', epoch: 2 }, counts({ a: 1 }))).toBe('stale');
        expect(await applyRecord({ section: 3, frames: [[0, 2]] }, taken)).toBe('stale');
        expect(await apply({ section: 0, ...taken }, counts({ a: 1 }))).toBe('stale');
        expect(await groups()).toEqual({ a: 1 });

        expect(await apply({ section: 1 }, counts({ a: 1 }))).toBe('duplicate');
        expect(await applyRecord({ section: 1, frames: [[0, 1]] })).toBe('applied');
        expect(await apply({ section: 2, ...taken }, counts({ b: 1 }))).toBe('applied');
        expect(await applyRecord({ section: 2, frames: [[0, 1]] }, taken)).toBe('applied');
        expect(await applyRecord({ section: 4, last: true }, taken)).toBe('applied');
        expect(await progress()).toMatchObject({ sectionsComplete: 4, complete: false });
        expect(await apply({ section: 3 }, counts({ a: 1 }))).toBe('applied');
        expect(await progress()).toMatchObject({
          frames: 3,
          applied: 3,
          sectionsComplete: 5,
          complete: true,
        });
        expect(await groups()).toEqual({ a: 2, b: 1 });
        expect(await plan({ build: 'B', last: 4, keepsBuilds: true })).toMatchObject({
          verdict: 'complete',
          complete: [],
          held: [],
        });
      });

      it('tells a build that comes back of what it began under its older epoch, and of what others began since', async () => {
        await plan({ last: 3 });
        await apply({ section: 0 });
        await plan({ build: 'B', last: 3, keepsBuilds: true });
        await apply({ section: 1, build: 'B', epoch: 2 });
        expect(await plan({ build: 'A', last: 3, keepsBuilds: true })).toMatchObject({
          verdict: 'process',
          epoch: 3,
          held: [
            { section: 0, build: 'A', epoch: 1 },
            { section: 1, build: 'B', epoch: 2 },
          ],
        });
        expect(await apply({ section: 0, number: 1, epoch: 3 })).toBe('stale');
        expect(await apply({ section: 0, number: 1 })).toBe('applied');
        expect(await apply({ section: 1, number: 1, build: 'B', epoch: 2 })).toBe('applied');
        for (const late of [
          { build: 'A', epoch: 1 },
          { build: 'B', epoch: 2 },
        ])
          expect(await apply({ section: 2, ...late })).toBe('stale');
        expect(await apply({ section: 2, epoch: 3 })).toBe('applied');
        // Planned again by the same build nothing changes.
        expect(await plan({ last: 3, keepsBuilds: true })).toMatchObject({ epoch: 3, held: [{}, {}] });
        // Who does not keep them refuses it as ever.
        expect(await plan({ build: 'C', last: 3 })).toMatchObject({ verdict: 'other-build', held: [] });
        expect(await progress()).toMatchObject({ build: 'A', epoch: 3, frames: 5 });
      });

      it('shares no object whose content is another one', async () => {
        await plan({ last: 3 });
        await apply({ section: 0 });
        const v2 = { ...object, version: 'v2' };
        expect(await plan({ object: v2, build: 'B', last: 3, keepsBuilds: true })).toMatchObject({
          verdict: 'changed',
          epoch: 1,
          held: [],
        });
        expect(await apply({ section: 1 })).toBe('applied');
      });

      it('begins anew with another version of what is not begun', async () => {
        await plan({ last: 7 });
        await store.openFailures(GENERATION, 'run-1', [failure(5)], 1, signal);
        const v2 = { ...object, version: 'v2', size: 7 };
        expect(await plan({ object: v2, last: null })).toEqual({
          object: v2,
          verdict: 'process',
          epoch: 2,
          lastSection: null,
          complete: [],
          held: [],
        });
        expect(await progress()).toMatchObject({
          object: v2,
          epoch: 2,
          lastSection: null,
          openRowFailures: 0,
          openFailedRows: 0,
        });
        expect(await failures()).toEqual([]);
        expect(await apply({ epoch: 2 })).toBe('stale');
        expect(await apply({ epoch: 2, object: v2 })).toBe('applied');
      });

      it('refuses another version where only a redrive applied something', async () => {
        await plan();
        await store.openFailures(GENERATION, 'run-1', [failure(5)], 1, signal);
        await store.applyRedrive(redrive(failure(5).id, { messages: 1 }), counts({ a: 1 }), signal);
        expect(await plan({ object: { ...object, version: 'v2' } })).toMatchObject({ verdict: 'changed' });
        expect(await plan({ build: 'B' })).toMatchObject({ verdict: 'process', epoch: 2 });
      });

      it('takes thousands of objects in a call, answers in their order and lists them by bucket and key', async () => {
        const objects = Array.from({ length: most }, (_, i) => ({
          ...object,
          key: `k${(i * 7919) % most}`,
        }));
        const request = { run: 'run-1', generation: GENERATION, build: 'A' };
        const plans = await store.plan(
          request,
          objects.map((one) => ({ object: one, lastSection: 0 })),
          signal,
        );
        expect(plans.map((one) => one.object.key)).toEqual(objects.map(({ key }) => key));
        const listed = await all(store.objects({ generation: GENERATION }, signal));
        expect(listed.map((one) => one.object.key)).toEqual(objects.map(({ key }) => key).sort());
      });

      it('lists the objects that come after one, of all or of a run', async () => {
        const objects = Array.from({ length: 5 }, (_, i) => ({ ...object, key: `day/${i}.csv` }));
        for (const [i, one] of objects.entries())
          await plan({ run: i % 2 === 0 ? 'even' : 'odd', object: one });
        const keys = async (query: { run?: string; after: ObjectName }) =>
          (await all(store.objects({ generation: GENERATION, ...query }, signal))).map(
            (one) => one.object.key,
          );
        const { bucket } = object;
        expect(await keys({ after: { bucket, key: 'day/1.csv' } })).toEqual([
          'day/2.csv',
          'day/3.csv',
          'day/4.csv',
        ]);
        expect(await keys({ after: { bucket, key: 'day/1.csv' }, run: 'even' })).toEqual([
          'day/2.csv',
          'day/4.csv',
        ]);
        expect(await keys({ after: { bucket, key: 'day/2' } })).toHaveLength(3);
        expect(await keys({ after: { bucket: `${bucket}!`, key: '' } })).toEqual([]);
        expect(await keys({ after: { bucket: '', key: 'z' } })).toHaveLength(5);
      });

      it('remembers which objects belong to which run, refused and complete ones too', async () => {
        const second = { ...object, key: 'day/2.csv' };
        await plan({ run: 'run-1' });
        await plan({ run: 'run-2', object: second });
        await applyRecord({ last: true });
        await plan({ run: 'run-3' });
        const keys = async (run: string) =>
          (await all(store.objects({ generation: GENERATION, run }, signal))).map((one) => one.object.key);
        expect(await keys('run-1')).toEqual([object.key]);
        expect(await keys('run-2')).toEqual([second.key]);
        expect(await keys('run-3')).toEqual([object.key]);
        expect(await keys('run-4')).toEqual([]);
      });

      it('closes the open failure of an object that could not be opened', async () => {
        await store.saveRun(
          { id: 'run-2', generation: GENERATION, build: 'B', startedAt: 70, finishedAt: null, report: null },
          signal,
        );
        const missing = { ...object, version: '', size: 0 };
        await store.openFailures(
          GENERATION,
          'run-1',
          [failure(null, { of: missing, stage: 'open' })],
          50,
          signal,
        );
        expect(await progress()).toMatchObject({
          object: missing,
          epoch: 0,
          openRowFailures: 1,
          complete: false,
        });
        expect(await all(store.objects({ generation: GENERATION, run: 'run-1' }, signal))).toHaveLength(1);
        expect(await apply({ epoch: 0, build: '', object: missing })).toBe('stale');
        expect(await plan({ run: 'run-2' })).toMatchObject({ verdict: 'process', epoch: 1 });
        expect(await progress()).toMatchObject({ object, openRowFailures: 0, closedRowFailures: 0 });
        expect(await failures()).toMatchObject([{ state: 'closed', openedAt: 50, closedAt: 70 }]);
      });
    });

    describe('frames', () => {
      it('counts a frame once, and tells when it was applied before', async () => {
        await plan({ last: 3 });
        expect(await apply({}, counts({ a: 2, b: 3 }))).toBe('applied');
        expect(await apply({}, counts({ a: 2, b: 3 }))).toBe('duplicate');
        expect(await apply({ number: 1 }, counts({ a: 1 }))).toBe('applied');
        expect(await apply({ partition: 1 }, counts({ a: 1 }))).toBe('applied');
        expect(await apply({ section: 1 }, counts({ a: 1 }))).toBe('applied');
        expect(await groups()).toEqual({ a: 5, b: 3 });
        expect(await progress()).toMatchObject({ frames: 4, applied: 8 });
      });

      it('refuses a frame that comes again with another digest', async () => {
        await plan();
        await apply({}, counts({ a: 1 }));
        expect(await apply({ digest: 'other' }, counts({ a: 1 }))).toBe('not-deterministic');
        expect(await groups()).toEqual({ a: 1 });
      });

      it('drops what belongs to no plan, another version, another build or another epoch', async () => {
        expect(await apply({})).toBe('stale');
        await plan();
        expect(await apply({ object: { ...object, version: 'v0' } }, counts({ a: 1 }))).toBe('stale');
        expect(await apply({ object: { ...object, key: 'elsewhere' } }, counts({ a: 1 }))).toBe('stale');
        expect(await apply({ build: 'B' }, counts({ a: 1 }))).toBe('stale');
        expect(await apply({ epoch: 2 }, counts({ a: 1 }))).toBe('stale');
        expect(await applyRecord({ last: true }, { epoch: 2 })).toBe('stale');
        expect(await groups()).toEqual({});
        expect(await progress()).toMatchObject({ frames: 0, applied: 0, sectionsComplete: 0 });
      });

      it('refuses frames that the section record does not count', async () => {
        await plan({ last: 1 });
        await applyRecord({ section: 1, frames: [[2, 1]] });
        expect(await apply({ section: 1, partition: 2, number: 1 }, counts({ a: 1 }))).toBe(
          'not-deterministic',
        );
        expect(await apply({ section: 1, partition: 3 }, counts({ a: 1 }))).toBe('not-deterministic');
        expect(await apply({ section: 2 }, counts({ a: 1 }))).toBe('not-deterministic');
        expect(await groups()).toEqual({});
        expect(await apply({ section: 1, partition: 2 }, counts({ a: 1 }))).toBe('applied');
      });

      it('applies a frame whole or not at all', async () => {
        await plan({ last: 1 });
        await apply({ number: 0 }, counts({ a: 1 }));
        const poisoned: Effects = {
          groups: [
            { group: 'a', state: counter(1) },
            { group: 'b', state: counter(1) },
            { group: 'a', state: new Uint8Array(8).fill(POISON) },
          ],
          flags: [flag(object, 1, 0)],
          failures: [failure(3)],
          applied: 2,
        };
        const before = await progress();
        await expect(apply({ number: 1 }, poisoned)).rejects.toThrow('poisoned');
        expect(await groups()).toEqual({ a: 1 });
        expect(await progress()).toEqual(before);
        expect(await all(store.flags(GENERATION, signal))).toEqual([]);
        expect(await failures()).toEqual([]);
        expect(await apply({ number: 1 }, counts({ a: 1, b: 1 }))).toBe('applied');
        expect(await groups()).toEqual({ a: 2, b: 1 });
      });

      it('opens failures with the frame, and one that is known already stays one', async () => {
        await plan({ last: 1 });
        const row = failure(3, { rows: 4 });
        const message = failure(5, { output: 2 });
        await store.openFailures(GENERATION, 'run-0', [row], 20, signal);
        expect(await apply({}, { ...nothing, failures: [row, message, message] })).toBe('applied');
        expect(await progress()).toMatchObject({
          openRowFailures: 1,
          openFailedRows: 4,
          openMessageFailures: 1,
        });
        expect(await failures()).toEqual([
          {
            generation: GENERATION,
            run: 'run-0',
            build: '',
            failure: row,
            state: 'open',
            attempts: 1,
            openedAt: 20,
            triedAt: 20,
            closedAt: null,
          },
          {
            generation: GENERATION,
            run: 'run-1',
            build: 'A',
            failure: message,
            state: 'open',
            attempts: 1,
            openedAt: 50,
            triedAt: 50,
            closedAt: null,
          },
        ]);
      });

      it('leaves a failure closed that was settled before its frame came', async () => {
        await plan();
        await store.openFailures(GENERATION, 'run-1', [failure(3)], 20, signal);
        await store.applyRedrive(redrive(failure(3).id, { messages: 1 }), counts({ a: 1 }), signal);
        await apply({}, { ...nothing, failures: [failure(3)] });
        await applyRecord({ last: true, rows: 1, failed: 1, frames: [[0, 1]] });
        const settled = await progress();
        expect(settled).toMatchObject({
          complete: true,
          openRowFailures: 0,
          closedRowFailures: 1,
          redriven: 1,
          applied: 1,
        });
        expect(reconcileObject(settled).balances).toBe(true);
      });

      it('keeps no bytes that belong to the caller, and gives none of its own', async () => {
        await plan();
        const bytes = Buffer.from(counter(1));
        const payload = Buffer.from([7]);
        await apply(
          {},
          { ...nothing, groups: [{ group: 'a', state: bytes }], failures: [failure(1, { payload })] },
        );
        bytes.fill(9);
        payload.fill(9);
        for await (const { state } of store.groups(GENERATION, signal)) state.fill(9);
        expect(await groups()).toEqual({ a: 1 });
        expect((await failures())[0]?.failure.payload).toEqual(new Uint8Array([7]));
      });
    });

    describe('section records', () => {
      const totals = { rows: 10, pruned: 1, filtered: 2, failed: 3, transformed: 4, messages: 5 };

      it('completes a section when its frames are exactly those that are counted, whichever comes first', async () => {
        await plan({ last: 2 });
        await apply({ section: 0 });
        await apply({ section: 0, partition: 3 });
        expect(
          await applyRecord({
            section: 0,
            frames: [
              [0, 2],
              [3, 1],
            ],
            ...totals,
          }),
        ).toBe('applied');
        expect(await progress()).toMatchObject({ sectionsComplete: 0, ...totals });
        expect(await apply({ section: 0, number: 1 })).toBe('applied');
        expect(await progress()).toMatchObject({ sectionsComplete: 1, complete: false });
        expect(await applyRecord({ section: 1, frames: [[1, 1]] })).toBe('applied');
        expect(await apply({ section: 1, partition: 1 })).toBe('applied');
        expect(await progress()).toMatchObject({ sectionsComplete: 2, complete: false });
        expect(await applyRecord({ section: 2, last: true })).toBe('applied');
        expect(await progress()).toMatchObject({
          sectionsComplete: 3,
          complete: true,
          lastSection: 2,
          frames: 4,
          ...totals,
        });
      });

      it('counts a record once', async () => {
        await plan({ last: 1 });
        await applyRecord({ frames: [[0, 1]], ...totals });
        expect(await applyRecord({ frames: [[0, 1]], ...totals })).toBe('duplicate');
        expect(await applyRecord({ frames: [[0, 1]], ...totals, rows: 11 }, { digest: 'other' })).toBe(
          'not-deterministic',
        );
        await apply({});
        expect(await applyRecord({ frames: [[0, 1]], ...totals })).toBe('duplicate');
        expect(await progress()).toMatchObject(totals);
      });

      it('takes everything of a complete section and object for a duplicate', async () => {
        await plan({ last: 1 });
        for (const section of [0, 1]) {
          await apply({ section }, counts({ a: 1 }));
          await applyRecord({ section, frames: [[0, 1]] });
          expect(await apply({ section: 0 }, counts({ a: 1 }))).toBe('duplicate');
          expect(await applyRecord({ section: 0, frames: [[0, 1]] })).toBe('duplicate');
        }
        expect(await groups()).toEqual({ a: 2 });
        expect(await apply({ section: 1, build: 'B' }, counts({ a: 1 }))).toBe('stale');
      });

      it('completes an object only when sections 0 to last are', async () => {
        await plan({ last: null });
        await applyRecord({ section: 2, last: true });
        await applyRecord({ section: 0 });
        expect(await progress()).toMatchObject({ lastSection: 2, sectionsComplete: 2, complete: false });
        await applyRecord({ section: 1 });
        expect(await progress()).toMatchObject({ sectionsComplete: 3, complete: true });
      });

      it('refuses a record that does not count a frame which was applied', async () => {
        await plan({ last: 1 });
        await apply({ partition: 2, number: 1 });
        expect(await applyRecord({ frames: [[2, 1]], rows: 1 })).toBe('not-deterministic');
        expect(await applyRecord({ frames: [[1, 2]], rows: 1 })).toBe('not-deterministic');
        expect(await progress()).toMatchObject({ rows: 0, sectionsComplete: 0 });
        expect(await applyRecord({ frames: [[2, 2]], rows: 1 })).toBe('applied');
      });

      it('refuses a record that is at odds with the end of the object', async () => {
        await plan({ last: null });
        await apply({ section: 3 });
        expect(await applyRecord({ section: 2, last: true })).toBe('not-deterministic');
        expect(await applyRecord({ section: 4, last: true })).toBe('applied');
        expect(await applyRecord({ section: 5 })).toBe('not-deterministic');
        expect(await applyRecord({ section: 3, last: true, frames: [[0, 1]] })).toBe('not-deterministic');
        expect(await progress()).toMatchObject({ lastSection: 4, sectionsComplete: 1 });
      });
    });

    describe('verdicts on rows', () => {
      // A try that reads past row 100, and one that has a verdict on it.
      const alive = { number: 1, reach: 150, digest: 'alive' };
      const killed = { number: 1, reach: 150, killed: [100], digest: 'killed' };
      const early = { number: 0, reach: 50 };
      const whole = { frames: [[0, 2]] as const };

      it('count from the first frame that reaches the row: what was sent before the verdict is dropped', async () => {
        await plan({ last: 1 });
        expect(await apply(early, counts({ early: 1 }))).toBe('applied');
        expect(await apply(killed, counts({ killed: 1 }))).toBe('applied');
        // Without transactions it is taken, and left out when it is read.
        const dropped = isExactlyOnce() ? 'stale' : 'applied';
        expect(await apply(alive, counts({ alive: 1 }))).toBe(dropped);
        expect(await apply({ ...alive, number: 7, reach: 100 }, counts({ alive: 1 }))).toBe(dropped);
        expect(await applyRecord(whole, { digest: 'alive' })).toBe('stale');
        expect(await apply(early, counts({ early: 1 }))).toBe('duplicate');
        expect(await apply(killed, counts({ killed: 1 }))).toBe('duplicate');
        expect(await progress()).toMatchObject({ frames: 2, applied: 2, sectionsComplete: 0 });
        expect(await applyRecord(whole, { killed: [100], digest: 'r killed' })).toBe('applied');
        expect(await applyRecord(whole, { killed: [100], digest: 'r killed' })).toBe('duplicate');
        expect(await groups()).toEqual({ early: 1, killed: 1 });
        expect(await progress()).toMatchObject({ frames: 2, sectionsComplete: 1, complete: false });
        expect(await plan({ last: 1 })).toMatchObject({ complete: [{ section: 0 }] });
        expect(await applyRecord({ section: 1 })).toBe('applied');
        expect(await progress()).toMatchObject({ frames: 2, applied: 2, complete: true });
        expect(await groups()).toEqual({ early: 1, killed: 1 });
      });

      it('are refused where something that was applied went past the row', async () => {
        await plan();
        await apply(alive, counts({ alive: 1 }));
        expect(await apply(killed, counts({ killed: 1 }))).toBe('not-deterministic');
        expect(await apply({ ...killed, number: 2 }, counts({ killed: 1 }))).toBe('not-deterministic');
        expect(await applyRecord(whole, { killed: [100], digest: 'killed' })).toBe('not-deterministic');
        expect(await groups()).toEqual({ alive: 1 });
        expect(await progress()).toMatchObject({ frames: 1, applied: 1, sectionsComplete: 0 });
        // On a row that nothing went past there may be one.
        const later = { number: 0, reach: 250, killed: [200], digest: 'later' };
        expect(await apply(later, counts({ later: 1 }))).toBe('applied');
        expect(await applyRecord(whole, { killed: [200] })).toBe('applied');
        expect(await groups()).toEqual({ alive: 1, later: 1 });
        expect(await progress()).toMatchObject({ complete: true });
      });

      it('come too late once the section record was applied, and change nothing once the section is complete', async () => {
        await plan({ last: 1 });
        await applyRecord(whole);
        expect(await apply(killed, counts({ killed: 1 }))).toBe('not-deterministic');
        await apply(early, counts({ early: 1 }));
        await apply(alive, counts({ alive: 1 }));
        expect(await apply(killed, counts({ killed: 1 }))).toBe('duplicate');
        expect(await applyRecord(whole, { killed: [100], digest: 'killed' })).toBe('duplicate');
        expect(await groups()).toEqual({ early: 1, alive: 1 });
        expect(await progress()).toMatchObject({ frames: 2, sectionsComplete: 1 });
      });

      it('of several rows, one after the other, all count', async () => {
        await plan();
        const both = { reach: 250, killed: [100, 200], digest: 'both' };
        expect(await apply({ ...killed, number: 0 }, counts({ killed: 1 }))).toBe('applied');
        expect(await apply({ ...both, number: 1 }, counts({ both: 1 }))).toBe('applied');
        expect(await apply({ ...killed, number: 2, reach: 260 }, counts({ zombie: 1 }))).toBe('stale');
        expect(await apply({ ...both, number: 2, killed: [200] }, counts({ zombie: 1 }))).toBe('stale');
        expect(await applyRecord(whole, { killed: [100], digest: 'one' })).toBe('stale');
        expect(await applyRecord(whole, { killed: [100, 200] })).toBe('applied');
        expect(await groups()).toEqual({ killed: 1, both: 1 });
        expect(await progress()).toMatchObject({ complete: true });
      });

      it('of one section are nothing to another, and go with their generation', async () => {
        await plan({ last: 1 });
        await apply(killed, counts({ killed: 1 }));
        expect(await apply({ ...alive, section: 1 }, counts({ alive: 1 }))).toBe('applied');
        await store.purge(GENERATION, signal);
        await store.declare(lanes, signal);
        await plan();
        expect(await apply(alive, counts({ alive: 1 }))).toBe('applied');
        expect(await groups()).toEqual({ alive: 1 });
      });
    });

    describe('purge', () => {
      it('forgets everything of a generation and nothing of others', async () => {
        await store.declare(other, signal);
        await store.plan(
          { run: 'run-1', generation: other.id, build: 'A' },
          [{ object, lastSection: 0 }],
          signal,
        );
        for (const generation of [GENERATION, other.id]) {
          await store.saveRun(
            { id: generation, generation, build: 'A', startedAt: 1, finishedAt: null, report: null },
            signal,
          );
          await plan({ last: 1 });
          await apply(
            { generation },
            { ...counts({ a: 1 }), flags: [flag(object, 1, 0)], failures: [failure(1)] },
          );
          await keyed(['k'], { generation });
          await store.publish(
            generation,
            published({ group: 'a', measures: { n: 1 }, findings: [] }),
            signal,
          );
        }
        const seen = async (generation: string) => [
          await groups(generation),
          await all(store.objects({ generation }, signal)),
          await all(store.objects({ generation, run: 'run-1' }, signal)),
          await all(store.flags(generation, signal)),
          await failures({ generation }),
          await store.keyedSources(generation, signal),
          await fixture.published(generation),
          (await store.runs(signal)).filter((run) => run.generation === generation),
        ];
        const kept = await seen(other.id);
        await store.purge(GENERATION, signal);
        await store.purge('nobody@1', signal);
        expect(await seen(GENERATION)).toEqual([{}, [], [], [], [], [], [], []]);
        expect(await store.generations(signal)).toEqual([other]);
        expect(await seen(other.id)).toEqual(kept);
        expect(kept.every((part) => Object.keys(part).length > 0)).toBe(true);
      });

      it('drops what is still on its way, and lets the same be done anew', async () => {
        await plan({ last: 0 });
        await apply({}, { ...counts({ a: 1 }), failures: [failure(1)] });
        await keyed(['k']);
        await store.purge(GENERATION, signal);
        expect(await apply({ number: 1 }, counts({ a: 1 }))).toBe('stale');
        expect(await applyRecord({ frames: [[0, 1]] })).toBe('stale');
        expect(await store.applyRedrive(redrive(failure(1).id), counts({ a: 1 }), signal)).toBe('closed');
        await store.declare({ ...lanes, fingerprint: 'f2' }, signal);
        expect(await apply({ number: 1 }, counts({ a: 1 }))).toBe('stale');
        expect(await plan()).toMatchObject({ verdict: 'process', epoch: 1 });
        expect(await apply({}, counts({ a: 1 }))).toBe('applied');
        expect((await keyed(['k'])).isNew).toEqual([true]);
        expect(await groups()).toEqual({ a: 1, k: 1 });
      });
    });

    const keyed = (
      keys: readonly string[],
      fields: { generation?: string; source?: string; failing?: string; at?: number } = {},
    ) => {
      const { generation = GENERATION, source = 'pipe', failing, at = 60 } = fields;
      const fold = (isNew: readonly boolean[]) => {
        const fresh = keys.filter((_, i) => isNew[i]);
        const good = fresh.filter((key) => key !== failing);
        const failed = fresh.length - good.length;
        return {
          effects: {
            ...counts(Object.fromEntries(good.map((key) => [key, 1]))),
            failures: failed === 0 ? [] : [keyedFailure(failing as string)],
          },
          totals: rowTotals({ rows: fresh.length, transformed: good.length, failed, messages: good.length }),
        };
      };
      return store.applyKeyed({ generation, run: 'run-1', build: 'A', source, keys, at, fold }, signal);
    };

    describe('messages from elsewhere', () => {
      it('applies a key once, also within one batch, and folds what is new alone', async () => {
        const first = await keyed(['a', 'b', 'a']);
        expect(first.isNew).toEqual([true, true, false]);
        expect(first.effects.applied).toBe(2);
        expect(first.totals.rows).toBe(2);
        expect((await keyed(['a', 'b', 'a'])).isNew).toEqual([false, false, false]);
        // At least once: a key that comes again in another batch counts again.
        const again = !isExactlyOnce();
        expect((await keyed(['c', 'b'])).isNew).toEqual([true, again]);
        expect((await keyed(['c', 'b'])).isNew).toEqual([false, false]);
        expect(await groups()).toEqual({ a: 1, b: again ? 2 : 1, c: 1 });
      });

      it('keeps the keys and totals of each source apart', async () => {
        await keyed(['a', 'b'], { failing: 'b' });
        await keyed(['a'], { source: 'earlier' });
        const sources = await store.keyedSources(GENERATION, signal);
        expect(sources).toMatchObject([
          { source: 'earlier', rows: 1, applied: 1, openRowFailures: 0 },
          {
            source: 'pipe',
            rows: 2,
            transformed: 1,
            failed: 1,
            messages: 1,
            applied: 1,
            openRowFailures: 1,
            openFailedRows: 1,
          },
        ]);
        expect(sources.every((source) => reconcileKeyed(source).balances)).toBe(true);
        expect(await failures()).toMatchObject([{ failure: keyedFailure('b'), openedAt: 60 }]);
      });

      it('settles their failures by redrive', async () => {
        await keyed(['a', 'b'], { failing: 'b' });
        const settled = redrive(keyedFailure('b').id, { messages: 2 });
        const effects = { ...counts({ b: 1 }), failures: [keyedFailure('b', 1)] };
        expect(await store.applyRedrive(settled, effects, signal)).toBe('applied');
        const [source] = await store.keyedSources(GENERATION, signal);
        expect(source).toMatchObject({
          applied: 2,
          redriven: 2,
          openRowFailures: 0,
          closedRowFailures: 1,
          openMessageFailures: 1,
        });
        expect(source !== undefined && reconcileKeyed(source).balances).toBe(true);
      });

      it('remembers no key of a batch that failed', async () => {
        const broken = {
          generation: GENERATION,
          run: 'run-1',
          build: 'A',
          source: 'pipe',
          keys: ['a'],
          at: 1,
        };
        const fold = (): never => {
          throw new Error('no fold');
        };
        await expect(store.applyKeyed({ ...broken, fold }, signal)).rejects.toThrow('no fold');
        const poison = {
          ...nothing,
          groups: [counter(1), new Uint8Array(8).fill(POISON)].map((state) => ({ group: 'a', state })),
        };
        const poisoned = { ...broken, fold: () => ({ effects: poison, totals: rowTotals({ rows: 1 }) }) };
        await expect(store.applyKeyed(poisoned, signal)).rejects.toThrow('poisoned');
        expect(await store.keyedSources(GENERATION, signal)).toEqual([]);
        expect((await keyed(['a'])).isNew).toEqual([true]);
        expect(await groups()).toEqual({ a: 1 });
      });
    });

    describe('keys of messages from elsewhere', () => {
      it('are forgotten once they were applied before a time; totals and groups stay', async () => {
        await store.declare(other, signal);
        await keyed(['a', '', 'b'], { at: 60 });
        await keyed(['a', 'c'], { at: 61 });
        await keyed(['a'], { at: 50, source: 'earlier' });
        await keyed(['a'], { at: 50, generation: other.id });
        const before = [await groups(), await store.keyedSources(GENERATION, signal)];
        expect(await store.purgeKeys(GENERATION, 50, signal)).toBe(0);
        expect(await store.purgeKeys('nobody@1', 90, signal)).toBe(0);
        const purged = isExactlyOnce();
        expect(await store.purgeKeys(GENERATION, 61, signal)).toBe(purged ? 4 : 0);
        expect([await groups(), await store.keyedSources(GENERATION, signal)]).toEqual(before);
        expect((await keyed(['a', 'c'])).isNew).toEqual([purged, false]);
        expect((await keyed(['a'], { source: 'earlier' })).isNew).toEqual([purged]);
        expect((await keyed(['a'], { generation: other.id })).isNew).toEqual([false]);
      });

      it('are forgotten however many there are', async () => {
        const many = Array.from({ length: 12_345 }, (_, i) => `k${i}`);
        const batch = { generation: GENERATION, run: 'run-1', build: 'A', source: 'pipe' };
        const fold = () => ({ effects: nothing, totals: rowTotals({}) });
        await store.applyKeyed({ ...batch, keys: many, at: 1, fold }, signal);
        await store.applyKeyed({ ...batch, keys: ['k', 'l'], at: 2, fold }, signal);
        expect(await store.purgeKeys(GENERATION, 2, signal)).toBe(isExactlyOnce() ? many.length : 0);
        expect(await store.purgeKeys(GENERATION, 2, signal)).toBe(0);
        const again = !isExactlyOnce();
        expect((await keyed(['k', 'k1', 'l'])).isNew).toEqual([again, true, again]);
      });

      it('bind the declaration also when they are forgotten', async () => {
        await keyed(['a']);
        await store.purgeKeys(GENERATION, 1_000, signal);
        await expect(store.declare({ ...lanes, fingerprint: 'f2' }, signal)).rejects.toMatchObject({
          code: 'E_PIPELINE_CHANGED',
        });
      });
    });

    describe('redrives', () => {
      const row = failure(3, { rows: 2 });
      const message = failure(4, { output: 1 });

      beforeEach(async () => {
        await plan();
        await apply({}, { ...counts({ a: 3 }), failures: [row, message] });
        await applyRecord({ last: true, frames: [[0, 1]], rows: 6, failed: 2, transformed: 4, messages: 4 });
      });

      it('settles a failure of a complete object once: effects and its end together', async () => {
        expect(await store.applyRedrive(redrive(row.id, { messages: 5 }), counts({ a: 5 }), signal)).toBe(
          'applied',
        );
        expect(await store.applyRedrive(redrive(row.id, { messages: 5 }), counts({ a: 5 }), signal)).toBe(
          'closed',
        );
        expect(await groups()).toEqual({ a: 8 });
        expect(await progress()).toMatchObject({
          complete: true,
          applied: 8,
          redriven: 5,
          openRowFailures: 0,
          openFailedRows: 0,
          closedRowFailures: 1,
          closedFailedRows: 2,
          openMessageFailures: 1,
          closedMessageFailures: 0,
        });
        expect(reconcileObject(await progress()).balances).toBe(true);
        expect(await failures({ id: row.id })).toEqual([
          {
            generation: GENERATION,
            run: 'run-2',
            build: 'B',
            failure: row,
            state: 'closed',
            attempts: 1,
            openedAt: 50,
            triedAt: 90,
            closedAt: 90,
          },
        ]);
      });

      it('balances after a message was settled, after nothing came of a row, and after a new failure', async () => {
        const late = failure(3, { output: 0 });
        await store.applyRedrive(redrive(message.id, { messages: 1 }), counts({ a: 1 }), signal);
        expect(reconcileObject(await progress()).balances).toBe(true);
        await store.applyRedrive(
          redrive(row.id, { messages: 2 }),
          { ...counts({ a: 1 }), failures: [late] },
          signal,
        );
        expect(await progress()).toMatchObject({
          openMessageFailures: 1,
          closedMessageFailures: 1,
          applied: 5,
          redriven: 3,
        });
        expect(reconcileObject(await progress()).balances).toBe(true);
        await store.applyRedrive(redrive(late.id), nothing, signal);
        expect(reconcileObject(await progress()).balances).toBe(true);
        expect(await failureIds({ state: 'open' })).toEqual([]);
      });

      it('updates a failure that is one again and applies nothing', async () => {
        const again: Failure = { ...row, stage: 'analyze', code: 'E_KEY', message: 'worse', payload: null };
        expect(
          await store.applyRedrive(redrive(row.id, { again, messages: 5 }), counts({ a: 5 }), signal),
        ).toBe('failed-again');
        expect(await groups()).toEqual({ a: 3 });
        expect(await failures({ id: row.id })).toEqual([
          {
            generation: GENERATION,
            run: 'run-2',
            build: 'B',
            failure: again,
            state: 'open',
            attempts: 2,
            openedAt: 50,
            triedAt: 90,
            closedAt: null,
          },
        ]);
        expect(await progress()).toMatchObject({
          openRowFailures: 1,
          openFailedRows: 2,
          applied: 3,
          redriven: 0,
        });
      });

      it('settles whole or not at all', async () => {
        const states = [counter(1), new Uint8Array(8).fill(POISON)];
        const poison = { ...counts({ b: 1 }), groups: states.map((state) => ({ group: 'a', state })) };
        await expect(store.applyRedrive(redrive(row.id, { messages: 1 }), poison, signal)).rejects.toThrow(
          'poisoned',
        );
        expect(await failureIds({ state: 'open' })).toEqual([row.id, message.id]);
        expect(await store.applyRedrive(redrive(row.id, { messages: 1 }), counts({ a: 1 }), signal)).toBe(
          'applied',
        );
      });

      it('does nothing for a failure that it does not know', async () => {
        expect(await store.applyRedrive(redrive('nobody'), counts({ a: 1 }), signal)).toBe('closed');
        expect(
          await store.applyRedrive(redrive(row.id, { generation: 'nobody@1' }), counts({ a: 1 }), signal),
        ).toBe('closed');
        expect(await groups()).toEqual({ a: 3 });
      });
    });

    describe('failures without a frame', () => {
      it('updates one that is open, and opens that of a whole object again', async () => {
        await store.saveRun(
          { id: 'run-1', generation: GENERATION, build: 'A', startedAt: 1, finishedAt: null, report: null },
          signal,
        );
        const missing = failure(null, { stage: 'open', code: 'E_OBJECT_NOT_FOUND' });
        const changed = { ...missing, message: 'gone again' };
        await store.openFailures(GENERATION, 'run-1', [missing, missing], 10, signal);
        expect(await failures()).toMatchObject([{ attempts: 2, state: 'open', build: 'A' }]);
        await plan();
        expect(await failures()).toMatchObject([{ attempts: 2, state: 'closed' }]);
        await store.openFailures(GENERATION, 'run-1', [changed], 30, signal);
        expect(await failures()).toEqual([
          {
            generation: GENERATION,
            run: 'run-1',
            build: 'A',
            failure: changed,
            state: 'open',
            attempts: 3,
            openedAt: 10,
            triedAt: 30,
            closedAt: null,
          },
        ]);
        expect(await progress()).toMatchObject({ openRowFailures: 1 });
      });

      it('does not open again what was settled', async () => {
        await plan();
        await store.openFailures(GENERATION, 'run-1', [failure(3)], 10, signal);
        await store.applyRedrive(redrive(failure(3).id), nothing, signal);
        await store.openFailures(GENERATION, 'run-1', [failure(3)], 10, signal);
        expect(await failures()).toMatchObject([{ state: 'closed', attempts: 1 }]);
        expect(await progress()).toMatchObject({ openRowFailures: 0, closedRowFailures: 1 });
      });

      it('is counted by code while it is open: of a generation, of the objects of a run, of a source', async () => {
        await plan();
        const later = { ...object, key: 'later.csv' };
        await plan({ object: later, run: 'run-2' });
        const list = [
          failure(1, { code: 'E_KEY' }),
          failure(2),
          failure(3),
          failure(4, { of: later }),
          keyedFailure('k'),
        ];
        await store.openFailures(GENERATION, 'run-1', list, 10, signal);
        await store.applyRedrive(redrive(failure(3).id), nothing, signal);
        const count = (query: object) =>
          store.countOpenFailures({ generation: GENERATION, ...query }, signal);
        expect(await count({})).toEqual({ E_KEY: 1, E_TRANSFORM: 3 });
        expect(await count({ run: 'run-1' })).toEqual({ E_KEY: 1, E_TRANSFORM: 1 });
        expect(await count({ run: 'run-2' })).toEqual({ E_TRANSFORM: 1 });
        expect(await count({ source: 'pipe' })).toEqual({ E_TRANSFORM: 1 });
        expect(await count({ run: 'run-2', source: 'pipe' })).toEqual({ E_TRANSFORM: 2 });
        expect(await count({ run: 'nobody' })).toEqual({});
        expect(await count({ generation: other.id })).toEqual({});
      });

      it('is found by each of its properties', async () => {
        await plan();
        const second = { ...object, bucket: 'pond', key: 'other.csv' };
        const list = [
          failure(1, { code: 'E_KEY' }),
          failure(2, { stage: 'read', rows: 9 }),
          failure(3, { of: second, payload: null }),
          failure(1, { output: 0 }),
          keyedFailure('k'),
        ];
        for (const [i, one] of list.entries())
          await store.openFailures(GENERATION, 'run-1', [one], 10 * i, signal);
        await store.applyRedrive(redrive(list[0]?.id as string), nothing, signal);
        const found = async (query: object) =>
          (await failures(query)).map((one) => list.findIndex(({ id }) => id === one.failure.id));
        expect((await failures()).map((one) => one.failure)).toEqual(list);
        expect(await found({ generation: GENERATION })).toEqual([0, 1, 2, 3, 4]);
        expect(await found({ generation: other.id })).toEqual([]);
        expect(await found({ id: list[2]?.id })).toEqual([2]);
        expect(await found({ state: 'open' })).toEqual([1, 2, 3, 4]);
        expect(await found({ state: 'closed' })).toEqual([0]);
        expect(await found({ code: 'E_TRANSFORM' })).toEqual(
          [1, 2, 4].filter((i) => list[i]?.code === 'E_TRANSFORM'),
        );
        expect(await found({ stage: 'read' })).toEqual([1]);
        expect(await found({ object: { bucket: 'pond' } })).toEqual([2]);
        expect(await found({ object: { key: object.key } })).toEqual([0, 1, 3]);
        expect(await found({ object: { bucket: 'pond', key: object.key } })).toEqual([]);
        expect(await found({ since: 20 })).toEqual([0, 2, 3, 4]);
        expect(await found({ until: 20 })).toEqual([1]);
        expect(await found({ since: 10, until: 40, state: 'open' })).toEqual([1, 2, 3]);
        expect(await found({ limit: 2 })).toEqual([0, 1]);
        expect(await found({ limit: 0 })).toEqual([]);
      });
    });

    describe('reading', () => {
      it('gives groups in the order of their UTF-8 bytes, whatever their names', async () => {
        await plan();
        const names = [
          '',
          '\0',
          ' ',
          '"',
          "'",
          '__proto__',
          'a',
          'a\0',
          'aa',
          'é',
          '\uffee',
          '\u{10000}',
          '\u{1f600}',
        ];
        await apply(
          {},
          { ...nothing, groups: names.toReversed().map((group, i) => ({ group, state: counter(i) })) },
        );
        const read = await all(store.groups(GENERATION, signal));
        expect(read.map(({ group }) => group)).toEqual(names);
        expect(read.map(({ state }) => valueOf(state))).toEqual(names.map((_, i) => names.length - 1 - i));
      });

      it('keeps texts whatever is in them, and however long they are', async () => {
        // Longer than an index takes, the same for long, and nothing that could be compressed.
        let [start, state] = ['', 1];
        while (start.length < 6_000) {
          state = (state * 48_271) % 2_147_483_647;
          start += String.fromCodePoint(0x4e00 + (state % 20_000));
        }
        const texts = [
          '\0',
          '\u0001',
          '\0\u0001',
          '\u0001\u0001',
          '\u0001\u0002',
          '\\\'"\n',
          start,
          `${start}\0`,
          `${start}a`,
        ];
        for (const [i, text] of texts.entries()) {
          const of = { ...object, key: `${i}`, version: text.slice(0, 9) };
          await plan({ object: of, last: 1 });
          const finding = { kind: text, message: text, details: { [text]: [text] } };
          const row = failure(1, { of, id: `row ${i}`, message: text });
          const ofRow = { position: { kind: 'row', object: of, coordinate: 1, output: 0 } as const, finding };
          await apply({ object: of }, { ...counts({ [text]: i }), flags: [ofRow], failures: [row] });
          const position = { kind: 'key', source: 'pipe', key: text, output: null } as const;
          const failed = { ...keyedFailure(''), id: `key ${i}`, message: text, position };
          const effects = { ...nothing, flags: [{ position, finding }], failures: [failed] };
          const batch = {
            generation: GENERATION,
            run: text,
            build: 'A',
            source: 'pipe',
            keys: [text],
            at: 1,
          };
          const fold = () => ({ effects, totals: rowTotals({}) });
          expect((await store.applyKeyed({ ...batch, fold }, signal)).isNew).toEqual([true]);
          expect((await store.applyKeyed({ ...batch, fold }, signal)).isNew).toEqual([false]);
          const run = {
            id: `${i}`,
            generation: GENERATION,
            build: text,
            startedAt: i,
            finishedAt: i,
            report: text,
          };
          await store.saveRun(run, signal);
          expect(await store.run(`${i}`, signal)).toEqual(run);
          expect(await failures({ id: row.id })).toMatchObject([{ failure: row }]);
          expect(await failures({ id: failed.id })).toMatchObject([{ failure: failed, run: text }]);
          expect(await all(store.flags(GENERATION, signal))).toContainEqual({ position, finding });
          expect(await all(store.flags(GENERATION, signal))).toContainEqual(ofRow);
        }
        const expected = texts.map((text, i) => ({ text, i }));
        const ordered = expected.toSorted((a, b) => Buffer.compare(Buffer.from(a.text), Buffer.from(b.text)));
        const read = await all(store.groups(GENERATION, signal));
        expect(read.map(({ group, state: bytes }) => ({ text: group, i: valueOf(bytes) }))).toEqual(ordered);
        await store.publish(
          GENERATION,
          published(...texts.map((group) => ({ group, measures: { n: 1 }, findings: [] }))),
          signal,
        );
        expect((await fixture.published(GENERATION)).map(({ group }) => group)).toEqual(
          ordered.map(({ text }) => text),
        );
      });

      it('keeps text as UTF-8: a lone surrogate becomes U+FFFD', async () => {
        await plan();
        await apply(
          {},
          {
            ...nothing,
            groups: ['\ud800', '\ud801', '\ufffd'].map((group) => ({ group, state: counter(1) })),
          },
        );
        expect(await groups()).toEqual({ '\ufffd': 3 });
      });

      it('reads results of any length while others are applied, and may be left early', async () => {
        await plan({ last: 1 });
        const many = Array.from({ length: Math.min(2_345, most) }, (_, i) => i);
        await apply(
          {},
          {
            groups: many.map((i) => ({ group: `g${String(i).padStart(5, '0')}`, state: counter(i) })),
            flags: many.map((i) => flag(object, i, 0)),
            failures: many.map((i) => failure(i)),
            applied: many.length,
          },
        );
        let number = 0;
        const values: number[] = [];
        for await (const { state } of store.groups(GENERATION, signal)) {
          if (values.push(valueOf(state)) % 1_000 === 0)
            expect(await apply({ number: ++number }, nothing)).toBe('applied');
        }
        expect(values).toEqual(many);
        expect((await all(store.flags(GENERATION, signal))).map(({ position }) => position)).toEqual(
          many.map((i) => flag(object, i, 0).position),
        );
        expect(await failureIds()).toEqual(many.map((i) => failure(i).id));
        expect(await failureIds({ limit: 1_001 })).toHaveLength(1_001);
        for await (const _ of store.failures({}, signal)) break;
        for await (const _ of store.groups(GENERATION, signal)) break;
        expect(await apply({ number: ++number }, counts({ a: 1 }))).toBe('applied');
      });

      it('gives flags by position, those of messages from elsewhere last', async () => {
        const first = { ...object, bucket: 'a' };
        await plan({ object: first });
        await plan();
        const ofKey = (key: string, output: number): Flag => ({
          position: { kind: 'key', source: 'pipe', key, output },
          finding: {
            kind: 'late',
            message: key,
            severity: 'critical',
            details: { minutes: 3, lanes: ['x'] },
          },
        });
        const effects = { ...nothing, flags: [ofKey('b', 0), ofKey('a', 1), ofKey('a', 0)] };
        const batch = {
          generation: GENERATION,
          run: 'run-1',
          build: 'A',
          source: 'pipe',
          keys: ['a', 'b'],
          at: 1,
        };
        await store.applyKeyed({ ...batch, fold: () => ({ effects, totals: rowTotals({}) }) }, signal);
        await apply({}, { ...nothing, flags: [flag(object, 10, 0), flag(object, 9, 1), flag(object, 9, 0)] });
        await apply({ object: first }, { ...nothing, flags: [flag(first, 11, 0)] });
        const ordered = [
          flag(first, 11, 0),
          flag(object, 9, 0),
          flag(object, 9, 1),
          flag(object, 10, 0),
          ofKey('a', 0),
          ofKey('a', 1),
          ofKey('b', 0),
        ];
        expect(await all(store.flags(GENERATION, signal))).toEqual(ordered);
        await apply({ number: 1 }, { ...nothing, flags: [flag(object, 9, 1, 'later')] });
        expect((await all(store.flags(GENERATION, signal)))[2]).toEqual(flag(object, 9, 1, 'later'));
      });
    });

    describe('publish', () => {
      const lane = (group: string, late: number): PublishedGroup => ({
        group,
        measures: { late, delay: { count: 2, p50: 1.5, p99: null }, first: 'x' },
        findings: [{ kind: 'late-lane', message: group, severity: 'warning' }],
      });

      it('replaces what other tools read, of this generation alone', async () => {
        await store.declare(other, signal);
        await store.publish(other.id, published(lane('z', 9)), signal);
        await store.publish(GENERATION, published(lane('b', 1), lane('a', 2)), signal);
        expect(await fixture.published(GENERATION)).toEqual([lane('a', 2), lane('b', 1)]);
        await store.publish(GENERATION, published(lane('c', 3)), signal);
        expect(await fixture.published(GENERATION)).toEqual([lane('c', 3)]);
        await store.publish(GENERATION, published(), signal);
        expect(await fixture.published(GENERATION)).toEqual([]);
        expect(await fixture.published(other.id)).toEqual([lane('z', 9)]);
      });

      it('replaces nothing where the results break off', async () => {
        await store.publish(GENERATION, published(lane('a', 1)), signal);
        const broken = async function* (): AsyncGenerator<PublishedGroup> {
          yield lane('b', 1);
          throw new Error('broken off');
        };
        await expect(store.publish(GENERATION, broken(), signal)).rejects.toThrow('broken off');
        expect(await fixture.published(GENERATION)).toEqual([lane('a', 1)]);
        await store.publish(GENERATION, published(lane('c', 1)), signal);
        expect(await fixture.published(GENERATION)).toEqual([lane('c', 1)]);
      });

      it('takes many groups, and lets others read and apply meanwhile', async () => {
        await plan({ last: 1 });
        const many = Array.from({ length: 1_234 }, (_, i) => lane(`g${String(i).padStart(5, '0')}`, i));
        let number = 0;
        const slowly = async function* (): AsyncGenerator<PublishedGroup> {
          for (const [i, one] of many.entries()) {
            if (i % 400 === 0) expect(await apply({ number: number++ }, counts({ a: 1 }))).toBe('applied');
            if (i === 777) await store.publish(GENERATION, published(lane('between', 1)), signal);
            yield one;
          }
        };
        await store.publish(GENERATION, slowly(), signal);
        expect(await fixture.published(GENERATION)).toEqual(many);
        expect(await groups()).toEqual({ a: number });
      });
    });

    it('changes nothing under a signal that is aborted already', async () => {
      await plan();
      await apply({}, { ...counts({ a: 1 }), failures: [failure(1)] });
      const seen = async () => [
        await groups(),
        await progress(),
        await failures(),
        await store.runs(signal),
        await store.generations(signal),
      ];
      const before = await seen();
      const reason = new Error('no more');
      const aborted = AbortSignal.abort(reason);
      const fold = () => ({ effects: counts({ a: 1 }), totals: rowTotals({ rows: 1 }) });
      const request = { run: 'run-1', generation: GENERATION, build: 'A' };
      const calls: (() => Promise<unknown>)[] = [
        () => store.declare(other, aborted),
        () => store.purge(GENERATION, aborted),
        () => store.purgeKeys(GENERATION, 1_000, aborted),
        () =>
          store.saveRun(
            { id: 'r', generation: GENERATION, build: 'A', startedAt: 1, finishedAt: null, report: null },
            aborted,
          ),
        () => store.plan(request, [{ object: { ...object, key: 'b' }, lastSection: 0 }], aborted),
        () => store.applyFrame(frame({ number: 1 }), counts({ a: 1 }), aborted),
        () => store.applySectionRecord(record({ frames: [[0, 1]] }), aborted),
        () => store.applyKeyed({ ...request, source: 'pipe', keys: ['a'], at: 1, fold }, aborted),
        () => store.applyRedrive(redrive(failure(1).id), counts({ a: 1 }), aborted),
        () => store.openFailures(GENERATION, 'run-1', [failure(2)], 1, aborted),
        () => store.publish(GENERATION, published({ group: 'a', measures: {}, findings: [] }), aborted),
        () => store.run('run-1', aborted),
        () => store.runs(aborted),
        () => store.generations(aborted),
        () => store.keyedSources(GENERATION, aborted),
        () => store.countOpenFailures({ generation: GENERATION }, aborted),
        () => all(store.objects({ generation: GENERATION }, aborted)),
        () => all(store.groups(GENERATION, aborted)),
        () => all(store.flags(GENERATION, aborted)),
        () => all(store.failures({}, aborted)),
      ];
      for (const call of calls) await expect(call()).rejects.toBe(reason);
      expect(await seen()).toEqual(before);
      expect(await fixture.published(GENERATION)).toEqual([]);
    });

    it('may be closed twice, and keeps everything if it says that it is durable', async () => {
      await plan();
      await apply({}, { ...counts({ a: 1 }), failures: [failure(1)], flags: [flag(object, 1, 0)] });
      await keyed(['k']);
      const seen = async () => [
        await groups(),
        await progress(),
        await failures(),
        await all(store.flags(GENERATION, signal)),
        await store.keyedSources(GENERATION, signal),
        await store.generations(signal),
      ];
      const before = await seen();
      if (store.capabilities.durable) {
        const closed = store;
        store = await reopen(fixture);
        expect(await seen()).toEqual(before);
        await closed.close();
      }
      await store.close();
      await store.close();
    });

    it('agrees with a model of it over random histories', async () => {
      expect(
        await checkAgainstModel({ create: () => create(addCounters), reopen, counter, valueOf, histories }),
      ).toBe(histories);
    }, 120_000);
  });
}

function rowTotals(totals: Partial<RowTotals>): RowTotals {
  return { rows: 0, pruned: 0, filtered: 0, failed: 0, transformed: 0, messages: 0, ...totals };
}

async function reopen(fixture: ResultStoreFixture): Promise<ResultStore> {
  if (fixture.reopen === undefined) throw new Error('a durable store needs `reopen` in its fixture');
  return fixture.reopen();
}
