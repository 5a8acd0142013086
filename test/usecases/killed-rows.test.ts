import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unpackFrame } from '../../src/application/frames/frame-codec.ts';
import { decodeValue } from '../../src/application/values/value-reader.ts';
import type { Frame, SectionOrigin } from '../../src/domain/frame.ts';
import type { KilledRow } from '../../src/domain/ports/killed-rows.ts';
import { collect } from '../../src/testing/harness.ts';
import { calm, imbalances, newWorld, Process, resultsOf, survives, type World } from './harness.ts';
import { lakePipeline, mended, settings, type Settings } from './lake-pipeline.ts';
import { fillLake, lake, SKIPPED, type LakeFile, type LakeRow } from './lakes.ts';

const how: Settings = {
  limits: { sectionBytes: 150, maxFrameMessages: 2, maxFrameBytes: 1_000 },
  partitions: 3,
  partitioned: false,
  frames: 'packed',
};
const good: LakeRow = { id: 1, lane: 'ZRH-JFK', fan: 2, fate: 'ok', hurt: 9, flag: 9, value: 2, note: '' };
const file = (rows: readonly LakeRow[], brokenAt: number | null = null): LakeFile => ({
  form: 'jsonl',
  rows,
  brokenAt,
});
const tenRows = Array.from({ length: 10 }, (_, id) => ({ ...good, id }));
const never = new AbortController().signal;

function worldOf(files: readonly LakeFile[]): World {
  const world = newWorld();
  fillLake(world.source, files);
  return world;
}

async function framesOf(process: Process): Promise<readonly Frame[]> {
  return Promise.all(process.put.map(unpackFrame));
}

function sectionOrigin({ header }: Frame): SectionOrigin {
  if (header.origin.kind !== 'section') throw new Error('a frame of no section');
  return header.origin;
}

interface Place {
  readonly object: SectionOrigin['object'];
  readonly section: number;
  readonly coordinate: number;
}

/** Where every row stands that gives messages. */
async function rowsOf(files: readonly LakeFile[], set = how): Promise<readonly Place[]> {
  const process = new Process(worldOf(files), lakePipeline(set, mended));
  await process.run();
  const places = new Map<string, Place>();
  for (const frame of await framesOf(process)) {
    if (frame.body.kind !== 'messages') continue;
    const { object, section } = sectionOrigin(frame);
    for (const coordinate of frame.body.coordinates)
      places.set(`${object.key}@${coordinate}`, { object, section, coordinate });
  }
  return [...places.values()].sort((a, b) => a.coordinate - b.coordinate);
}

async function condemn(world: World, place: Place, build = 'build-1'): Promise<void> {
  const { object, section, coordinate } = place;
  const row: KilledRow = { section, coordinate, how: 'hung', message: 'transform went on for 30 s' };
  await world.killed.add({ generation: 'lake@1', build, object }, row, never);
}

const failuresIn = (world: World) => collect(world.store.failures({ generation: 'lake@1' }, never));

describe('a row with a verdict', () => {
  it('fails without being transformed, with the row kept; the others are transformed, and it balances', async () => {
    const world = worldOf([file(tenRows)]);
    const [, , , third] = await rowsOf([file(tenRows)]);
    await condemn(world, third!);
    const seen: number[] = [];
    const process = new Process(
      world,
      lakePipeline(how, mended, ({ id }) => void seen.push(id)),
    );
    await process.run();
    expect(seen).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9]);
    expect(await imbalances(world, 'lake@1')).toEqual([]);
    const [only, ...others] = await failuresIn(world);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ state: 'open', build: 'build-1' });
    expect(only?.failure).toMatchObject({
      stage: 'transform',
      code: 'E_KILLED',
      message: 'transform went on for 30 s',
      rows: 1,
      position: { kind: 'row', coordinate: third!.coordinate, output: null },
    });
    expect(decodeValue(only!.failure.payload!)).toMatchObject({ id: 3 });
    const [progress] = await collect(world.store.objects({ generation: 'lake@1' }, never));
    expect(progress).toMatchObject({ rows: 10, transformed: 9, failed: 1, messages: 18, applied: 18 });
  });

  it('stands in every frame that reaches it, and in no other; read again they are the same', async () => {
    const places = await rowsOf([file(tenRows)]);
    const fourth = places[4]!;
    const clean = new Process(worldOf([file(tenRows)]), lakePipeline(how, mended));
    await clean.run();
    const framesWith = async (seed: number) => {
      const world = worldOf([file(tenRows)]);
      await condemn(world, fourth);
      const process = new Process(world, lakePipeline(how, mended), 'build-1', { ...calm, seed });
      await process.run();
      return framesOf(process);
    };
    const name = (frame: Frame) =>
      JSON.stringify([frame.header.partition, frame.header.body, frame.header.digest, sectionOrigin(frame)]);
    const frames = await framesWith(1);
    expect((await framesWith(2)).map(name).sort()).toEqual(frames.map(name).sort());

    const reaching = frames.filter((frame) => {
      const { section, reach } = sectionOrigin(frame);
      return section === fourth.section && (reach === null || reach >= fourth.coordinate);
    });
    expect(reaching.length).toBeGreaterThan(1);
    expect(reaching.length).toBeLessThan(frames.length);
    for (const frame of frames)
      expect(sectionOrigin(frame).killed).toEqual(reaching.includes(frame) ? [fourth.coordinate] : undefined);
    // What does not reach it is what would have been sent without the verdict.
    const before = new Set((await framesOf(clean)).map(name));
    for (const frame of frames) if (!reaching.includes(frame)) expect(before).toContain(name(frame));
  });

  it('of another build, another version or another section is transformed', async () => {
    const world = worldOf([file(tenRows)]);
    const [, , second] = await rowsOf([file(tenRows)]);
    await condemn(world, second!, 'build-2');
    await condemn(world, { ...second!, object: { ...second!.object, version: 'other' } });
    await condemn(world, { ...second!, section: second!.section + 1 });
    await new Process(world, lakePipeline(how, mended)).run();
    expect(await failuresIn(world)).toEqual([]);
    expect(await imbalances(world, 'lake@1')).toEqual([]);
  });

  it('that `where` refuses or that cannot be read ends as it would without', async () => {
    const rows = tenRows.map((row) => (row.id === 2 ? { ...row, lane: SKIPPED } : row));
    const files = [file(rows, 5)];
    const oneSection = { ...how, limits: { ...how.limits, sectionBytes: 100_000 } };
    const places = await rowsOf([file(tenRows)], oneSection);
    const without = worldOf(files);
    await new Process(without, lakePipeline(oneSection, mended)).run();
    const world = worldOf(files);
    const unread = (await failuresIn(without)).map(({ failure }) => failure.position);
    for (const position of unread)
      if (position.kind === 'row')
        await condemn(world, { object: position.object, section: 0, coordinate: position.coordinate! });
    await condemn(world, { ...places[2]!, object: (unread[0] as { object: Place['object'] }).object });
    await new Process(world, lakePipeline(oneSection, mended)).run();
    expect(unread).toHaveLength(1);
    expect(await resultsOf(world, 'lake@1')).toEqual(await resultsOf(without, 'lake@1'));
  });

  it('is not redriven by the build that it is about, and settled by another one', async () => {
    const world = worldOf([file(tenRows)]);
    const [, first] = await rowsOf([file(tenRows)]);
    await condemn(world, first!);
    await new Process(world, lakePipeline(how, mended)).run();
    const again = new Process(
      world,
      lakePipeline(how, mended, () => expect.fail('it was transformed')),
    );
    const { sent, notRedrivable } = await again.redrive();
    expect(sent).toBe(0);
    expect(notRedrivable).toHaveLength(1);
    expect(notRedrivable[0]?.reason).toContain('another build is needed');
    expect(await failuresIn(world)).toMatchObject([{ state: 'open', attempts: 1 }]);

    const other = new Process(world, lakePipeline(how, mended), 'build-2');
    expect(await other.redrive()).toEqual({ sent: 1, notRedrivable: [] });
    expect(await failuresIn(world)).toMatchObject([{ state: 'closed', build: 'build-2' }]);
    expect(await imbalances(world, 'lake@1')).toEqual([]);
    const clean = worldOf([file(tenRows)]);
    await new Process(clean, lakePipeline(how, mended)).run();
    expect((await resultsOf(world, 'lake@1')).groups).toEqual((await resultsOf(clean, 'lake@1')).groups);
  });
});

describe('a verdict that comes in the middle', () => {
  it('counts whole, or not at all, or is told: whatever was sent before, and whenever that arrives', async () => {
    const seen = { adopted: 0, late: 0, told: 0 };
    await fc.assert(
      fc.asyncProperty(
        lake,
        settings,
        fc.nat(),
        fc.integer({ min: 1, max: 150 }),
        fc.integer(),
        async (files, set, pick, killAt, seed) => {
          const places = await rowsOf(files, set);
          const place = places[pick % Math.max(1, places.length)];
          if (place === undefined) return;
          const pipeline = lakePipeline(set, mended);
          const world = worldOf(files);
          const chaos = { ...calm, seed, shuffle: true, duplicates: 0.2 };
          const first = new Process(world, pipeline, 'build-1', { ...chaos, killAt });
          await survives(first.run());
          await condemn(world, place);
          const second = new Process(world, pipeline, 'build-1', chaos);
          await second.run('run-2');
          const results = await resultsOf(world, 'lake@1');
          // A zombie: what the first one still had on its way.
          const late = new Process(world, pipeline);
          for (const record of first.put) await late.analyze(record);

          const told = (await failuresIn(world)).filter(
            ({ failure }) => failure.code === 'E_NOT_DETERMINISTIC',
          );
          if (told.length > 0) {
            seen.told++;
            expect(told).toMatchObject([{ failure: { position: { object: place.object } } }]);
            expect(told[0]?.failure.message).toContain(`${place.coordinate}`);
            return;
          }
          expect(await resultsOf(world, 'lake@1')).toEqual(results);
          expect(await imbalances(world, 'lake@1')).toEqual([]);
          const isAdopted = results.failures.some(({ code }) => code === 'E_KILLED');
          seen[isAdopted ? 'adopted' : 'late']++;
          const clean = worldOf(files);
          if (isAdopted) await condemn(clean, place);
          await new Process(clean, pipeline).run();
          expect(results).toEqual(await resultsOf(clean, 'lake@1'));
        },
      ),
      { numRuns: 40 },
    );
    for (const times of Object.values(seen)) expect(times).toBeGreaterThan(0);
  });
});
