import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeValue } from '../../src/application/values/value-reader.ts';
import { routeOf } from '../../src/domain/routing.ts';
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
import { broken, lakePipeline, mended, settings, type Settings } from './lake-pipeline.ts';
import { fillLake, hasBroken, lake, nameOf, SKIPPED, type LakeFile, type LakeRow } from './lakes.ts';

const BUILD_2 = 'build-2';

async function failedRun(files: readonly LakeFile[], how: Settings) {
  const world = newWorld();
  fillLake(world.source, files);
  const process = new Process(world, lakePipeline(how, broken));
  await process.run();
  return { world, generation: process.generation.id };
}

/** What must fail, by what is written in the rows. */
function expectedFailures(files: readonly LakeFile[], { partitioned }: Settings) {
  return files.flatMap((file, index) => {
    const { key } = nameOf(index, file);
    const of = (row: LakeRow | null, stage: string, code: string, output: number | null) => ({
      key,
      id: row?.id ?? null,
      stage,
      code,
      output,
    });
    const rows = file.rows
      .filter(({ lane }) => lane !== SKIPPED)
      .flatMap((row) => {
        const { fate, fan, hurt } = row;
        if (fate === 'throws') return [of(row, 'transform', 'E_TRANSFORM', null)];
        if (fate === 'rejects') return [of(row, 'transform', 'E_NO_LANE', null)];
        if (fate === 'unsendable' && fan > 0) return [of(row, 'transform', 'E_MESSAGE_UNSUPPORTED', null)];
        if (fate === 'large' && fan > 0) return [of(row, 'transform', 'E_MESSAGE_TOO_LARGE', null)];
        if (fate === 'nowhere' && fan > 0 && partitioned) return [of(row, 'transform', 'E_PARTITION', null)];
        return hurt < fan ? [of(row, 'analyze', 'E_ANALYZE', hurt)] : [];
      });
    const unread = of(null, 'read', file.form.startsWith('csv') ? 'E_CSV_FIELDS' : 'E_JSON', null);
    return hasBroken(file) ? [...rows, unread] : rows;
  });
}

const inOrder = (failures: readonly object[]) => failures.map((failure) => JSON.stringify(failure)).sort();

async function openFailures(world: World, generation: string) {
  return (await failuresOf(world, generation)).filter(({ state }) => state === 'open');
}

describe('failures', () => {
  it('each has position, stage, code and payload, and a copy where the policy sends it', async () => {
    await fc.assert(
      fc.asyncProperty(lake, settings, async (files, how) => {
        const { world, generation } = await failedRun(files, how);
        const failures = await failuresOf(world, generation);
        const seen = failures.map(({ position, stage, code, payload, rows }) => {
          if (position.kind !== 'row') throw new Error(position.kind);
          expect(rows).toBe(position.output === null ? 1 : 0);
          const kept = decodeValue(Buffer.from(payload as string, 'hex')) as LakeRow;
          return {
            key: position.object.key,
            id: stage === 'read' ? null : kept.id,
            stage,
            code,
            output: position.output,
          };
        });
        expect(inOrder(seen)).toEqual(inOrder(expectedFailures(files, how)));

        const copies = new Map(world.router.failures.map((copy) => [copy.failure.id, copy]));
        expect([...copies.keys()].sort()).toEqual(failures.map(({ id }) => id));
        for (const { failure, route, pipeline, version, run, build } of copies.values()) {
          expect({ pipeline, version, run, build }).toEqual({
            pipeline: 'lake',
            version: 1,
            run: 'run-1',
            build: 'build-1',
          });
          expect(route).toBe(failure.stage === 'read' ? 'ledger' : 'dead-letter');
          expect(route).toBe(routeOf(failure));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('stand where their rows do: what is read there is the row that failed', async () => {
    await fc.assert(
      fc.asyncProperty(lake, settings, async (files, how) => {
        const { world, generation } = await failedRun(files, how);
        const rowsSeen: number[] = [];
        const watching = lakePipeline(how, mended, ({ id }) => rowsSeen.push(id));
        const before = await openFailures(world, generation);
        await new Process(world, watching, BUILD_2).redrive({ stage: 'transform' });
        const ids = before
          .filter(({ stage }) => stage === 'transform')
          .map(({ payload }) => (decodeValue(Buffer.from(payload as string, 'hex')) as LakeRow).id);
        // Those rows, each once, and no others.
        expect(rowsSeen.sort((a, b) => a - b)).toEqual(ids.sort((a, b) => a - b));
      }),
      { numRuns: 25 },
    );
  });
});

describe('a redrive', () => {
  it('with mended code leaves the results of a pipeline that never failed; twice is harmless', async () => {
    await fc.assert(
      fc.asyncProperty(lake, settings, fc.integer(), async (files, how, seed) => {
        const { world, generation } = await failedRun(files, how);
        const redriven = new Process(world, lakePipeline(how, mended), BUILD_2, {
          ...calm,
          seed,
          duplicates: 0.4,
          shuffle: true,
        });
        const summary = await redriven.redrive();
        // The lines that cannot be read are read again, and fail again.
        const unread = files.filter(hasBroken).length;
        expect(summary.notRedrivable).toEqual([]);
        expect(await openFailures(world, generation)).toHaveLength(unread);

        const good = newWorld();
        fillLake(good.source, files);
        await new Process(good, lakePipeline(how, mended)).run();
        const after = await resultsOf(world, generation);
        const never = await resultsOf(good, generation);
        expect(after.groups).toEqual(never.groups);
        expect(after.flags).toEqual(never.flags);
        expect(await imbalances(world, generation)).toEqual([]);

        await new Process(world, lakePipeline(how, mended), BUILD_2).redrive({}, 'redrive-2');
        for (const record of redriven.put) await redriven.analyze(record);
        expect(await resultsOf(world, generation)).toEqual(after);
      }),
      { numRuns: 40 },
    );
  });

  it('killed in between, or mended in steps, ends the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        lake,
        settings,
        fc.array(
          fc.record({
            killAt: fc.option(fc.integer({ min: 1, max: 60 })),
            seed: fc.integer(),
            mended: fc.record({ transform: fc.boolean(), analyze: fc.boolean() }),
          }),
          { maxLength: 4 },
        ),
        async (files, how, steps) => {
          const { world, generation } = await failedRun(files, how);
          const zombies: [Process, Uint8Array][] = [];
          for (const [index, { killAt, seed, mended: code }] of steps.entries()) {
            const build = `build-${code.transform}-${code.analyze}`;
            const process = new Process(world, lakePipeline(how, code), build, {
              ...calm,
              seed,
              killAt,
              shuffle: true,
              duplicates: 0.2,
            });
            await survives(process.redrive({}, `redrive-${index}`));
            for (const record of process.put)
              zombies.push([new Process(world, lakePipeline(how, code), build), record]);
          }
          await new Process(world, lakePipeline(how, mended), BUILD_2).redrive({}, 'redrive-last');

          const good = newWorld();
          fillLake(good.source, files);
          await new Process(good, lakePipeline(how, mended)).run();
          const expected = await resultsOf(good, generation);
          const check = async () => {
            const after = await resultsOf(world, generation);
            expect(after.groups).toEqual(expected.groups);
            expect(after.flags).toEqual(expected.flags);
            expect(await imbalances(world, generation)).toEqual([]);
          };
          await check();
          for (const [process, record] of zombies) await process.analyze(record);
          await check();
        },
      ),
      { numRuns: 40 },
    );
  });

  const row: LakeRow = {
    id: 1,
    lane: 'ZRH-JFK',
    fan: 3,
    fate: 'throws',
    hurt: 1,
    flag: 9,
    value: 2,
    note: 'x',
  };
  const how: Settings = {
    limits: { sectionBytes: 1_000, maxFrameMessages: 100, maxFrameBytes: 10_000 },
    partitions: 2,
    partitioned: true,
    frames: 'packed',
  };

  it('whose row fails in analyze keeps the whole row for the next one', async () => {
    const { world, generation } = await failedRun([{ form: 'jsonl', rows: [row], brokenAt: null }], how);
    await new Process(world, lakePipeline(how, { transform: true, analyze: false }), 'b2').redrive();
    expect(await openFailures(world, generation)).toMatchObject([
      { stage: 'analyze', code: 'E_ANALYZE', rows: 1, position: { output: null } },
    ]);
    expect((await resultsOf(world, generation)).groups).toEqual({});
    await new Process(world, lakePipeline(how, mended), 'b3').redrive();
    expect((await resultsOf(world, generation)).objects).toMatchObject([
      { applied: 3, redriven: 3, openRowFailures: 0, openMessageFailures: 0, closedRowFailures: 1 },
    ]);
    expect(await imbalances(world, generation)).toEqual([]);
  });

  it('whose object is gone takes the row as it was kept', async () => {
    const files: LakeFile[] = [{ form: 'csv', rows: [row, { ...row, id: 2 }], brokenAt: 1 }];
    const { world, generation } = await failedRun(files, how);
    world.source.delete(nameOf(0, files[0] as LakeFile));
    const process = new Process(world, lakePipeline(how, { transform: true, analyze: false }), 'b2');
    expect((await process.redrive()).notRedrivable).toHaveLength(1);
    const last = new Process(world, lakePipeline(how, mended), 'b3');
    expect((await last.redrive()).notRedrivable).toHaveLength(1);
    expect(await openFailures(world, generation)).toMatchObject([{ stage: 'read', code: 'E_CSV_FIELDS' }]);
    expect((await resultsOf(world, generation)).objects).toMatchObject([{ applied: 6, redriven: 6 }]);
  });

  it('says why a failure of an object cannot be redriven', async () => {
    const world = newWorld();
    world.source.put({ bucket: 'lake', key: 'x.csv' }, 'no,such\ncolumns,here\n');
    const process = new Process(world, lakePipeline(how, broken));
    await process.run();
    const generation = process.generation.id;
    expect(await openFailures(world, generation)).toMatchObject([
      { stage: 'open', code: 'E_COLUMN_MISSING', rows: 0, position: { coordinate: null } },
    ]);
    expect(world.router.failures).toMatchObject([{ route: 'ledger' }]);
    const { sent, notRedrivable } = await new Process(world, lakePipeline(how, mended)).redrive();
    expect({ sent, notRedrivable: notRedrivable.length }).toEqual({ sent: 0, notRedrivable: 1 });

    // Once the object can be opened, a run takes it up and closes its failure.
    fillLake(world.source, [{ form: 'csv', rows: [], brokenAt: null }]);
    world.source.delete({ bucket: 'lake', key: 'x.csv' });
    world.source.put(
      { bucket: 'lake', key: 'x.csv' },
      'id,lane,fan,fate,hurt,flag,value,note\n1,L,1,ok,9,9,1,n\n',
    );
    await new Process(world, lakePipeline(how, broken)).run('run-2');
    expect(await openFailures(world, generation)).toEqual([]);
    expect(await imbalances(world, generation)).toEqual([]);
  });
});
