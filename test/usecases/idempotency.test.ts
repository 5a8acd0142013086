import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calm, imbalances, newWorld, Process, resultsOf, survives, type Chaos } from './harness.ts';
import { broken, lakePipeline, settings, type Settings } from './lake-pipeline.ts';
import { fillLake, hasBroken, lake, SKIPPED, type LakeFile } from './lakes.ts';

const chaos: fc.Arbitrary<Chaos> = fc.record({
  seed: fc.integer(),
  duplicates: fc.constantFrom(0, 0.2, 0.5),
  shuffle: fc.boolean(),
  killAt: fc.option(fc.integer({ min: 1, max: 300 })),
  sectionsPerTask: fc.integer({ min: 1, max: 5 }),
  handOn: fc.constantFrom(0, 0.5, 1),
});

async function cleanRun(files: readonly LakeFile[], how: Settings) {
  const world = newWorld();
  fillLake(world.source, files);
  const process = new Process(world, lakePipeline(how, broken));
  await process.run();
  return { world, process, generation: process.generation.id };
}

describe('idempotency', () => {
  it('whatever is repeated, reordered or killed, the results are those of one clean run, to the byte', async () => {
    await fc.assert(
      fc.asyncProperty(
        lake,
        settings,
        fc.array(chaos, { minLength: 1, maxLength: 4 }),
        async (files, how, histories) => {
          const clean = await cleanRun(files, how);
          const expected = await resultsOf(clean.world, clean.generation);
          expect(await imbalances(clean.world, clean.generation)).toEqual([]);

          const world = newWorld({ chunkBytes: 1_000 });
          fillLake(world.source, files);
          const zombies: Uint8Array[] = [];
          for (const [index, history] of histories.entries()) {
            const process = new Process(world, lakePipeline(how, broken), 'build-1', history);
            const finished = await survives(process.run(`run-${index}`));
            if (finished) {
              expect(await resultsOf(world, clean.generation)).toEqual(expected);
            }
            zombies.push(...process.put);
          }
          const last = new Process(world, lakePipeline(how, broken), 'build-1');
          await last.run('run-last');
          expect(await resultsOf(world, clean.generation)).toEqual(expected);
          expect(await imbalances(world, clean.generation)).toEqual([]);

          // What was on its way when a process was killed arrives after all.
          for (const record of zombies) await last.analyze(record);
          expect(await resultsOf(world, clean.generation)).toEqual(expected);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('another run of what is complete sends nothing and applies nothing', async () => {
    await fc.assert(
      fc.asyncProperty(lake, settings, async (files, how) => {
        const { world } = await cleanRun(files, how);
        const again = new Process(world, lakePipeline(how, broken));
        const summary = await again.run('run-2');
        expect(summary).toMatchObject({ tasks: 0, completeObjects: files.length, bytesToRead: 0 });
        expect(again.put).toEqual([]);
        expect(again.metrics.total('bytesRead')).toBe(0);
      }),
      { numRuns: 10 },
    );
  });
});

describe('every row', () => {
  it('comes to exactly one end, and what comes out is what its content says', async () => {
    await fc.assert(
      fc.asyncProperty(lake, settings, async (files, how) => {
        const { world, generation } = await cleanRun(files, how);
        const { objects } = await resultsOf(world, generation);
        for (const [index, file] of files.entries()) {
          const kept = file.rows.filter(({ lane }) => lane !== SKIPPED);
          const good = kept.filter(({ fate, fan }) => {
            if (fate === 'throws' || fate === 'rejects') return false;
            return fate === 'ok' || fan === 0 || (fate === 'nowhere' && !how.partitioned);
          });
          const messages = good.reduce((sum, { fan }) => sum + fan, 0);
          const hurt = good.filter(({ hurt: output, fan }) => output < fan).length;
          const failed = kept.length - good.length + (hasBroken(file) ? 1 : 0);
          expect(objects[index]).toMatchObject({
            object: { key: `day=${index}/rows.${file.form}` },
            complete: true,
            rows: file.rows.length + (hasBroken(file) ? 1 : 0),
            filtered: file.rows.length - kept.length,
            pruned: 0,
            failed,
            transformed: good.length,
            messages,
            applied: messages - hurt,
            openRowFailures: failed,
            openMessageFailures: hurt,
          });
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('killed at every call', () => {
  it('one history, at each of its calls in turn', async () => {
    const row = {
      id: 1,
      lane: 'ZRH-JFK',
      fan: 3,
      fate: 'ok',
      hurt: 9,
      flag: 0,
      value: 0.1,
      note: '',
    } as const;
    const files: LakeFile[] = [
      {
        form: 'csv',
        brokenAt: 2,
        rows: [row, { ...row, id: 2, fate: 'throws' }, { ...row, id: 3, hurt: 1 }, { ...row, id: 4 }],
      },
      {
        form: 'jsonl.gz',
        brokenAt: null,
        rows: [row, { ...row, id: 5, lane: 'JFK-ZRH' }, { ...row, id: 6 }],
      },
    ];
    const how: Settings = {
      limits: { sectionBytes: 150, maxFrameMessages: 2, maxFrameBytes: 1_000 },
      partitions: 3,
      partitioned: true,
      frames: 'packed',
    };
    const clean = await cleanRun(files, how);
    const expected = await resultsOf(clean.world, clean.generation);
    for (let killAt = 1; ; killAt++) {
      const world = newWorld();
      fillLake(world.source, files);
      const killed = new Process(world, lakePipeline(how, broken), 'build-1', { ...calm, killAt });
      const finished = await survives(killed.run());
      const next = new Process(world, lakePipeline(how, broken), 'build-1', { ...calm, seed: killAt });
      await next.run('run-2');
      expect(await resultsOf(world, clean.generation), `killed at call ${killAt}`).toEqual(expected);
      if (finished) {
        expect(killAt).toBeGreaterThan(50);
        return;
      }
    }
  });
});
