import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ingest, type ArrivedMessage } from '../../src/application/ingest/ingest.ts';
import { DomainError } from '../../src/domain/errors.ts';
import { count, sum } from '../../src/domain/measure.ts';
import { definePipeline, type AnyPipeline } from '../../src/domain/pipeline.ts';
import { emptyRow, type Row } from '../../src/domain/row.ts';
import { withFaults } from '../../src/testing/faults.ts';
import { calm, failuresOf, imbalances, newWorld, Process, resultsOf, survives } from './harness.ts';
import { broken, lakePipeline, mended, settings, type Settings } from './lake-pipeline.ts';
import { lakeRow, type LakeRow } from './lakes.ts';

const how: Settings = {
  limits: { sectionBytes: 1_000, maxFrameMessages: 3, maxFrameBytes: 1_000 },
  partitions: 3,
  partitioned: true,
  frames: 'packed',
};
const GENERATION = 'lake@1';

const rowOf = (fields: object): Row => Object.assign(emptyRow(), fields);
const arrive = (fields: object, key: string | null = null): ArrivedMessage => ({
  key,
  time: null,
  row: rowOf(fields),
});
const base: LakeRow = { id: 1, lane: 'ZRH-JFK', fan: 2, fate: 'ok', hurt: 9, flag: 9, value: 2, note: '' };

const messages = fc.uniqueArray(lakeRow, { selector: ({ id }) => id, maxLength: 25, size: 'max' });

async function started(process: Process): Promise<Process> {
  const { store, generation } = { store: process.ports.store, generation: process.generation };
  await store.declare(generation, process.signal);
  return process;
}

async function once(rows: readonly LakeRow[], set: Settings) {
  const world = newWorld();
  const process = await started(new Process(world, lakePipeline(set, broken)));
  await process.ingest(
    'pipe',
    rows.map((row) => arrive(row)),
  );
  await process.drain();
  return resultsOf(world, GENERATION);
}

describe('messages from elsewhere', () => {
  it('count once, in whatever batches they come and however often, with what dedup remembers or without it', async () => {
    await fc.assert(
      fc.asyncProperty(
        messages,
        settings,
        fc.array(
          fc.record({
            batches: fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 8 }),
            backwards: fc.boolean(),
            doubled: fc.boolean(),
            seed: fc.integer(),
            killAt: fc.option(fc.integer({ min: 1, max: 60 })),
          }),
          { minLength: 1, maxLength: 3 },
        ),
        async (rows, set, deliveries) => {
          const expected = await once(rows, set);
          const world = newWorld();
          const zombies: Uint8Array[] = [];
          for (const { batches, backwards, doubled, seed, killAt } of deliveries) {
            // A new process: its store of keys has forgotten everything.
            const process = new Process(world, lakePipeline(set, broken), 'build-1', {
              ...calm,
              seed,
              killAt,
              shuffle: true,
              duplicates: 0.3,
            });
            const arrived = (backwards ? rows.toReversed() : rows).flatMap((row) =>
              doubled ? [arrive(row), arrive(row)] : [arrive(row)],
            );
            await survives(
              (async () => {
                await started(process);
                for (let at = 0, turn = 0; at < arrived.length; turn++) {
                  const size = batches[turn % Math.max(1, batches.length)] ?? 100;
                  await process.ingest('pipe', arrived.slice(at, at + size));
                  at += size;
                }
                await process.drain();
              })(),
            );
            zombies.push(...process.put);
          }
          const last = await started(new Process(world, lakePipeline(set, broken)));
          await last.ingest(
            'pipe',
            rows.map((row) => arrive(row)),
          );
          await last.drain();
          expect(await resultsOf(world, GENERATION)).toEqual(expected);
          expect(await imbalances(world, GENERATION)).toEqual([]);
          for (const record of zombies) await last.analyze(record);
          expect(await resultsOf(world, GENERATION)).toEqual(expected);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('are sent, duplicates or busy, in their order', async () => {
    const process = await started(new Process(newWorld(), lakePipeline(how, broken)));
    const batch = [arrive(base), arrive({ ...base, id: 2 }), arrive(base)];
    expect(await process.ingest('pipe', batch)).toEqual(['sent', 'sent', 'busy']);
    expect(await process.ingest('pipe', batch)).toEqual(['duplicate', 'duplicate', 'duplicate']);
    expect(process.put).not.toEqual([]);
    // Another source has the same ids for other messages.
    expect(await process.ingest('other', batch)).toEqual(['sent', 'sent', 'busy']);
    await process.drain();
    const { sources } = await resultsOf({ store: process.ports.store }, GENERATION);
    expect(sources).toMatchObject([
      { source: 'other', rows: 2, applied: 4 },
      { source: 'pipe', rows: 2, applied: 4 },
    ]);
  });

  it('are busy while somebody else has them, and free again when the put fails', async () => {
    const world = newWorld();
    const process = await started(new Process(world, lakePipeline(how, broken)));
    const { generation, ...context } = process.context;
    const shared = { ...context, generation: generation.id, run: 'r', source: 'pipe' };
    const lost = Array.from({ length: 20 }, (_, call) => ({ kind: 'lost-call', on: 'put', call }) as const);
    const { port: sink, struck } = withFaults(process.ports.sink, lost, { clock: world.clock });
    let meanwhile: readonly string[] = [];
    const dedup = process.dedup;
    const watching = {
      ...process.ports,
      sink: {
        capabilities: sink.capabilities,
        put: async (records: Parameters<typeof sink.put>[0], signal: AbortSignal) => {
          meanwhile = await ingest([arrive(base)], shared, process.ports);
          return sink.put(records, signal);
        },
      },
    };
    await expect(ingest([arrive(base)], shared, watching)).rejects.toMatchObject({ code: 'E_SINK_REJECTED' });
    expect(meanwhile).toEqual(['busy']);
    expect(struck.length).toBe(8);
    expect(dedup.size).toBe(0);
    expect(await ingest([arrive(base)], shared, process.ports)).toEqual(['sent']);
  });

  it('are open failures where they are older than keys are kept', async () => {
    const horizon = 1_000_000;
    const timed = definePipeline({
      name: 'timed',
      version: 1,
      source: { id: (r) => r['id'] as number, time: (r) => r['at'] as string | number },
      transform: (r) => ({ n: r['id'] as number }),
      analyze: { groupBy: () => 'all', measures: { count: count() } },
      limits: { keyHorizonMs: horizon },
    }) as AnyPipeline;
    const world = newWorld();
    const process = await started(new Process(world, timed));
    const now = world.clock.now();
    const arrived = [
      arrive({ id: 1, at: now }),
      arrive({ id: 2, at: new Date(now - horizon / 2).toISOString() }),
      arrive({ id: 3, at: now - 2 * horizon }),
      arrive({ id: 4, at: 'yesterday' }),
      // Its key tells when it arrived, whatever the message says.
      { ...arrive({ id: 5, at: now }, '2001-01-01-s-1-1'), time: now - 2 * horizon },
    ];
    await process.ingest('queue', arrived);
    await process.drain();
    const failures = await failuresOf(world, 'timed@1');
    expect(
      failures.map(({ code, position }) => `${code} ${position.kind === 'key' ? position.key : ''}`).sort(),
    ).toEqual(['E_BEYOND_HORIZON 2001-01-01-s-1-1', 'E_BEYOND_HORIZON 3', 'E_KEY 4']);
    const { sources } = await resultsOf(world, 'timed@1');
    expect(sources).toMatchObject([{ rows: 5, failed: 3, transformed: 2, applied: 2 }]);
    expect(await imbalances(world, 'timed@1')).toEqual([]);
  });

  it('say why they were not put, also where their keys cannot be given back', async () => {
    const process = await started(new Process(newWorld(), lakePipeline(how, broken)));
    const { generation, ...context } = process.context;
    const refuse = () => Promise.reject(new Error('not there'));
    const ports = {
      ...process.ports,
      sink: { capabilities: process.stream.capabilities, put: refuse },
      dedup: Object.assign(Object.create(process.dedup) as typeof process.dedup, {
        capabilities: process.dedup.capabilities,
        claim: process.dedup.claim.bind(process.dedup),
        release: refuse,
      }),
    };
    await expect(
      ingest([arrive(base)], { ...context, generation: generation.id, run: 'r', source: 'pipe' }, ports),
    ).rejects.toMatchObject({ code: 'E_SINK_REJECTED' });
  });

  it('fail each by itself, with a key of their own, and are redriven from what is kept', async () => {
    const world = newWorld();
    const process = await started(new Process(world, lakePipeline(how, broken)));
    const deep = JSON.parse(`${'['.repeat(99)}${']'.repeat(99)}`) as unknown;
    const arrived: ArrivedMessage[] = [
      arrive({ ...base, id: 1, fate: 'throws' }),
      arrive({ ...base, id: 2, hurt: 1 }),
      // Without an id: named by their content, which may be large.
      arrive({ ...base, id: null, note: 'n'.repeat(70_000) }),
      arrive({ ...base, id: null, note: 'm'.repeat(70_000) }),
      arrive({ ...base, id: 5, value: 'much' }),
      {
        key: null,
        time: null,
        fault: { coordinate: 77, code: 'E_JSON', message: 'no JSON', rows: 1, raw: Buffer.from('{') },
      },
      arrive({ ...base, id: 6, note: deep }, 'deep'),
    ];
    expect(await process.ingest('pipe', arrived)).toEqual(arrived.map(() => 'sent'));
    await process.drain();
    const codes = async () =>
      (await failuresOf(world, GENERATION))
        .filter(({ state }) => state === 'open')
        .map(({ code }) => code)
        .sort();
    expect(await codes()).toEqual([
      'E_ANALYZE',
      'E_JSON',
      'E_KEY',
      'E_KEY',
      'E_TRANSFORM',
      'E_VALUE_TYPE',
      'E_VALUE_TYPE',
    ]);
    expect(await imbalances(world, GENERATION)).toEqual([]);

    const redriven = new Process(world, lakePipeline(how, mended), 'build-2');
    const { notRedrivable } = await redriven.redrive();
    // Too large to be kept, or never a row: they have to be sent again.
    expect(notRedrivable).toHaveLength(3);
    expect(await codes()).toEqual(['E_JSON', 'E_KEY', 'E_KEY', 'E_VALUE_TYPE', 'E_VALUE_TYPE']);
    expect((await resultsOf(world, GENERATION)).sources).toMatchObject([
      { rows: 7, failed: 6, applied: 4, redriven: 3, closedRowFailures: 1, closedMessageFailures: 1 },
    ]);
    expect(await imbalances(world, GENERATION)).toEqual([]);
  });

  it('whose row fails in analyze when it is redriven keep the row', async () => {
    const world = newWorld();
    const process = await started(new Process(world, lakePipeline(how, broken)));
    await process.ingest('pipe', [arrive({ ...base, fate: 'rejects', fan: 3, hurt: 2 })]);
    await process.drain();
    await new Process(world, lakePipeline(how, { transform: true, analyze: false }), 'b2').redrive();
    await new Process(world, lakePipeline(how, mended), 'b3').redrive();
    expect((await resultsOf(world, GENERATION)).sources).toMatchObject([
      { applied: 3, redriven: 3, openRowFailures: 0 },
    ]);
  });

  it('give transform the declared columns as their types, in a redrive as at first', async () => {
    const seen: unknown[] = [];
    const pipeline = (works: boolean): AnyPipeline =>
      definePipeline({
        name: 'typed',
        version: 1,
        source: { columns: { at: 'timestamp', n: 'bigint', extra: 'json', gone: 'string' }, id: () => 'k' },
        transform: (row) => {
          seen.push({ ...row });
          if (!works) throw new DomainError('not yet');
          return row;
        },
        analyze: {
          groupBy: () => 'all',
          measures: { count: count(), n: sum((row: { n: bigint | null }) => row.n) },
        },
      }) as AnyPipeline;
    const world = newWorld();
    const process = await started(new Process(world, pipeline(false)));
    await process.ingest('pipe', [
      arrive({ at: '2019-05-25T00:00:00Z', n: 7, extra: '"\\"a\\""', undeclared: 1 }),
    ]);
    await process.drain();
    await new Process(world, pipeline(true), 'b2').redrive();
    expect(seen).toEqual([
      { at: new Date(Date.UTC(2019, 4, 25)), n: 7n, extra: '"a"', gone: null },
      { at: new Date(Date.UTC(2019, 4, 25)), n: 7n, extra: '"a"', gone: null },
    ]);
    expect((await resultsOf(world, 'typed@1')).sources).toMatchObject([{ applied: 1, openRowFailures: 0 }]);
  });
});
