import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ResultsLake } from '../../../src/adapters/aws/results-lake.ts';
import type { FolderPorts } from '../../../src/adapters/aws/results-lake/folder.ts';
import type { Effects, MergeStates, PublishedGroup } from '../../../src/domain/ports/result-store.ts';
import { resultStoreContract } from '../../../src/testing/result-store-contract.ts';
import { memoryS3 } from './memory-s3.ts';
import { startS3Twin, type S3Twin } from './s3-twin.ts';
import { never, surroundings } from './surroundings.ts';

let twin: S3Twin;

beforeAll(async () => {
  twin = await startS3Twin();
});

afterAll(() => twin.stop());

function fixtureOver(calls: FolderPorts['calls'], bucket: string, mergeStates: MergeStates) {
  const open = () =>
    new ResultsLake({ ...surroundings(), calls }, { bucket, prefix: 'flights/', mergeStates });
  return {
    store: open(),
    reopen: async () => open(),
    published: async (generation: string) => {
      const [pipeline, version] = generation.split('@');
      const key = `flights/results/pipeline=${pipeline}/version=${version}/results.jsonl.gz`;
      const body = await calls.fetch({ bucket, key }, never);
      return body === undefined ? [] : linesOf(body);
    },
    destroy: async () => {},
  };
}

function linesOf(body: Uint8Array): PublishedGroup[] {
  const lines = gunzipSync(body).toString('utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as PublishedGroup);
}

resultStoreContract({
  name: 'ResultsLake',
  histories: 60,
  create: async (mergeStates) => fixtureOver(memoryS3(), 'lake', mergeStates),
});

resultStoreContract({
  name: 'ResultsLake on fauxqs',
  histories: 1,
  most: 1_010,
  create: async (mergeStates) => fixtureOver(twin.calls(), twin.newBucket(), mergeStates),
});

const lanes = { id: 'lanes@1', pipeline: 'lanes', version: 1, fingerprint: 'f', declared: '{}' };
const object = { bucket: 'lake', key: 'day/1.csv', version: 'v1', size: 100 };
const concat: MergeStates = (stored, added) => Uint8Array.from([...stored, ...added]).sort();

function adding(...states: number[]): Effects {
  const groups = states.map((state) => ({ group: 'a', state: Uint8Array.of(state) }));
  return { groups, flags: [], failures: [], applied: states.length };
}

async function statesOf(store: ResultsLake, generation = lanes.id): Promise<number[]> {
  const groups = await Array.fromAsync(store.groups(generation, never));
  return groups.flatMap(({ state }) => [...state]);
}

describe('ResultsLake', () => {
  const planned = async (calls = memoryS3()) => {
    const { store } = fixtureOver(calls, 'lake', concat);
    await store.declare(lanes, never);
    const request = { run: 'r', generation: lanes.id, build: 'A' };
    await store.plan(request, [{ object, lastSection: 0 }], never);
    return { calls, store };
  };
  const frame = {
    generation: lanes.id,
    run: 'r',
    build: 'A',
    object,
    epoch: 1,
    section: 0,
    partition: 0,
    at: 5,
    reach: 50,
    killed: [],
  };

  it('applies a frame once that many apply at the same moment, whatever they make of it', async () => {
    const { store } = await planned();
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        store.applyFrame({ ...frame, number: 0, digest: `d${i % 2}` }, adding(1 + (i % 2)), never),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'applied')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(5);
    expect(outcomes.filter((outcome) => outcome === 'not-deterministic')).toHaveLength(6);
    expect(await statesOf(store)).toHaveLength(1);
  });

  it('settles a failure once, and applies a batch of messages once, however many do it at the same moment', async () => {
    const { store } = await planned();
    const failure = {
      id: 'f',
      position: { kind: 'row' as const, object, coordinate: 1, output: null },
      stage: 'transform' as const,
      code: 'E_TRANSFORM',
      message: '',
      rows: 1,
      payload: null,
    };
    await store.openFailures(lanes.id, 'r', [failure], 1, never);
    const redrive = {
      generation: lanes.id,
      run: 'r',
      build: 'A',
      failure: 'f',
      again: null,
      messages: 1,
      at: 2,
    };
    const batch = { generation: lanes.id, run: 'r', build: 'A', source: 'pipe', keys: ['k'], at: 3 };
    const fold = (isNew: readonly boolean[]) => ({
      effects: isNew[0] === true ? adding(9) : adding(),
      totals: { rows: 0, pruned: 0, filtered: 0, failed: 0, transformed: 0, messages: 0 },
    });
    const times = Array.from({ length: 8 });
    const settled = await Promise.all(times.map(() => store.applyRedrive(redrive, adding(7), never)));
    expect(settled.filter((outcome) => outcome === 'applied')).toHaveLength(1);
    const applied = await Promise.all(times.map(() => store.applyKeyed({ ...batch, fold }, never)));
    expect(applied.filter(({ isNew }) => isNew[0])).toHaveLength(1);
    expect(await statesOf(store)).toEqual([7, 9]);
  });

  it('counts nothing of those who planned an object at the same moment and lost', async () => {
    const { calls, store } = await planned();
    await store.applyFrame({ ...frame, number: 0, digest: 'd' }, adding(1), never);
    // As somebody's plan would be written who did not see the other's frame yet.
    const name = [...calls.objects.keys()].find((key) => key.includes('/plans/')) ?? '';
    const plan = (JSON.parse(gunzipSync(calls.objects.get(name) ?? '').toString()) ?? {}) as object;
    const body = gzipSync(`${JSON.stringify({ ...plan, build: 'B' })}\n`);
    await calls.put({ bucket: 'lake', key: name }, body, { contentType: 'application/gzip' }, never);
    expect(await statesOf(store)).toEqual([]);
    expect(await store.applyFrame({ ...frame, number: 0, digest: 'd' }, adding(1), never)).toBe('stale');
    const ofB = { ...frame, build: 'B', number: 0, digest: 'd' };
    expect(await store.applyFrame(ofB, adding(2), never)).toBe('applied');
    expect(await statesOf(store)).toEqual([2]);
  });

  describe('while a plan is made that shares an object', () => {
    const plan = (store: ResultsLake, build: string, lastSection: number | null) =>
      store.plan(
        { run: 'r', generation: lanes.id, build, keepsBuilds: true },
        [{ object, lastSection }],
        never,
      );
    const record = (section: number, last: boolean, frames: readonly (readonly [number, number])[]) => {
      const rows = { rows: 0, pruned: 0, filtered: 0, failed: 0, transformed: 0, messages: 0 };
      return { section, last, next: 10, frames, ...rows };
    };
    const { section: _section, partition: _partition, at: _at, ...bound } = frame;
    const end = { ...bound, digest: 'r', reach: null };

    /** Something that the old build does after the new plan has looked at its sections, and before it is written. */
    async function racing(lastSection: number | null, meanwhile: (store: ResultsLake) => Promise<void>) {
      const calls = memoryS3();
      const { store } = fixtureOver(calls, 'lake', concat);
      await store.declare(lanes, never);
      await plan(store, 'A', lastSection);
      await store.applyFrame({ ...frame, section: 2, number: 0, digest: 'd' }, adding(1), never);
      const late = fixtureOver(
        {
          ...calls,
          put: async (place, body, options, signal) => {
            if (place.key.includes('/plans/')) await meanwhile(store);
            return calls.put(place, body, options, signal);
          },
        },
        'lake',
        concat,
      );
      const [shared] = await plan(late.store, 'B', lastSection);
      expect(shared).toMatchObject({ epoch: 2, held: [{ section: 2, build: 'A', epoch: 1 }] });
      return { store, ofB: { ...frame, build: 'B', epoch: 2 }, endOfB: { ...end, build: 'B', epoch: 2 } };
    }

    it('what the old build begins is not its own any more, and counts nothing', async () => {
      const { store, ofB } = await racing(3, async (old) => {
        const begun = { ...frame, section: 1, number: 0, digest: 'd' };
        expect(await old.applyFrame(begun, adding(2), never)).toBe('applied');
      });
      expect(await statesOf(store)).toEqual([1]);
      const late = { ...frame, section: 1, number: 1, digest: 'd' };
      expect(await store.applyFrame(late, adding(2), never)).toBe('stale');
      expect(await store.applyFrame({ ...ofB, section: 1, number: 0, digest: 'b' }, adding(3), never)).toBe(
        'applied',
      );
      expect(await store.applyFrame({ ...frame, section: 2, number: 1, digest: 'd' }, adding(4), never)).toBe(
        'applied',
      );
      expect(await statesOf(store)).toEqual([1, 3, 4]);
      const [progress] = await Array.fromAsync(store.objects({ generation: lanes.id }, never));
      expect(progress).toMatchObject({ build: 'B', frames: 3, applied: 3 });
    });

    it('what the old build tells of the end of the object is known', async () => {
      const { store, endOfB } = await racing(null, async (old) => {
        expect(await old.applySectionRecord({ ...end, record: record(2, true, [[0, 1]]) }, never)).toBe(
          'applied',
        );
      });
      for (const section of [0, 1])
        expect(await store.applySectionRecord({ ...endOfB, record: record(section, false, []) }, never)).toBe(
          'applied',
        );
      const beyond = { ...endOfB, record: record(3, true, []) };
      expect(await store.applySectionRecord(beyond, never)).not.toBe('applied');
      const [progress] = await Array.fromAsync(store.objects({ generation: lanes.id }, never));
      expect(progress).toMatchObject({ lastSection: 2, sectionsComplete: 3, complete: true });
      expect(await statesOf(store)).toEqual([1]);
    });
  });

  it('keeps ad-hoc results in a lake of their own', async () => {
    const { calls, store } = await planned();
    const adHoc = { ...lanes, id: 'lanes@1?3fa81c02' };
    await store.declare(adHoc, never);
    const group = { group: 'a', measures: { n: 1n, at: Number.NaN }, findings: [] };
    const results = async function* () {
      yield group;
    };
    await store.publish(adHoc.id, results(), never);
    const key = 'flights/ad-hoc/pipeline=lanes/version=1/where=3fa81c02/results.jsonl.gz';
    const body = calls.objects.get(key);
    expect(body && linesOf(body)).toEqual([{ ...group, measures: { n: 1, at: null } }]);
    await store.purge(adHoc.id, never);
    expect(calls.objects.has(key)).toBe(false);
    expect([...calls.objects.keys()].filter((name) => name.includes('3fa81c02'))).toEqual([]);
    expect(await store.generations(never)).toEqual([lanes]);
  });
});

describe('S3Calls, asked to create an object', () => {
  it.each([
    [200, true],
    [412, false],
  ])('take the answer %i for %s', async (status, created) => {
    const asked: unknown[] = [];
    const server = createServer((request, response) => {
      asked.push(request.headers['if-none-match']);
      request.resume();
      request.on('end', () => response.writeHead(status, { etag: '"e"' }).end());
    }).listen(0, '127.0.0.1');
    try {
      const calls = twin.calls(await urlOf(server));
      const options = { contentType: 'application/gzip' };
      expect(await calls.create({ bucket: 'b', key: 'k' }, Uint8Array.of(1), options, never)).toBe(created);
      expect(asked).toEqual(['*']);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it('try again where somebody else is writing it', async () => {
    const server = createServer((request, response) => {
      request.resume();
      request.on('end', () => response.writeHead(409).end());
    }).listen(0, '127.0.0.1');
    try {
      const calls = twin.calls(await urlOf(server));
      const options = { contentType: 'application/gzip' };
      await expect(
        calls.create({ bucket: 'b', key: 'k' }, Uint8Array.of(1), options, never),
      ).rejects.toMatchObject({ code: 'E_INFRASTRUCTURE', retryable: true });
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

async function urlOf(server: Server): Promise<string> {
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
