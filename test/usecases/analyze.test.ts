import { describe, expect, it } from 'vitest';
import { EffectsFold } from '../../src/application/analyze/effects.ts';
import { readResults } from '../../src/application/results/read-results.ts';
import { decodeValue } from '../../src/application/values/value-reader.ts';
import { DomainError } from '../../src/domain/errors.ts';
import { declaredMeasures } from '../../src/domain/generation.ts';
import { count, sum } from '../../src/domain/measure.ts';
import { definePipeline, type AnyPipeline } from '../../src/domain/pipeline.ts';
import { collect } from '../../src/testing/harness.ts';
import { codeOfAsync } from '../values/damage.ts';
import { newWorld, Process } from './harness.ts';
import { broken, lakePipeline } from './lake-pipeline.ts';
import { fillLake } from './lakes.ts';

const object = { bucket: 'lake', key: 'a', version: 'v', size: 1 };
const positionOf = (output: number) => ({ kind: 'row', object, coordinate: 7, output }) as const;

function pipelineOf(analyze: object): AnyPipeline {
  return definePipeline({
    name: 'p',
    version: 1,
    source: {},
    transform: (row: unknown) => row,
    analyze: {
      groupBy: () => 'all',
      measures: { all: count(), n: sum((message: { n: number }) => message.n) },
      ...analyze,
    },
  } as never);
}

function effectsOf(analyze: object, messages: readonly unknown[] = [{ n: 1 }]) {
  const fold = new EffectsFold(pipelineOf(analyze), 'p@1');
  messages.forEach((message, index) => fold.add(message, index, positionOf));
  return fold.finish();
}

const cycle: Record<string, unknown> = { kind: 'k', message: 'm' };
cycle['details'] = { cycle };

describe('a message that fails in analyze', () => {
  it('leaves nothing but its failure, with the message as payload; the others count', () => {
    const { groups, flags, failures, applied } = effectsOf(
      { flag: (message: { n: unknown }) => ({ kind: 'seen', message: String(message.n) }) },
      [{ n: 1 }, { n: 'much' }, { n: 3 }],
    );
    expect({ groups: groups.length, flags: flags.length, applied }).toEqual({
      groups: 1,
      flags: 2,
      applied: 2,
    });
    expect(failures).toMatchObject([
      { stage: 'analyze', code: 'E_MEASURE_VALUE', rows: 0, position: { coordinate: 7, output: 1 } },
    ]);
    expect(decodeValue(failures[0]?.payload as Uint8Array)).toEqual({ n: 'much' });
  });

  it.each<[string, object, string]>([
    [
      'groupBy throws',
      {
        groupBy: () => {
          throw new Error('x');
        },
      },
      'E_ANALYZE',
    ],
    ['groupBy gives an object', { groupBy: () => ({}) }, 'E_ANALYZE'],
    [
      'flag throws',
      {
        flag: () => {
          throw new Error('x');
        },
      },
      'E_ANALYZE',
    ],
    [
      'flag throws its own',
      {
        flag: () => {
          throw new DomainError('x', { code: 'E_MINE' });
        },
      },
      'E_MINE',
    ],
    ['flag is asynchronous', { flag: async () => Promise.reject(new Error('late')) }, 'E_ANALYZE'],
    ['flag gives no kind', { flag: () => ({ message: 'm' }) }, 'E_ANALYZE'],
    [
      'flag gives another severity',
      { flag: () => ({ kind: 'k', message: 'm', severity: 'bad' }) },
      'E_ANALYZE',
    ],
    ['flag has a cycle in its details', { flag: () => cycle }, 'E_MESSAGE_UNSUPPORTED'],
    [
      'flag has a function in its details',
      { flag: () => ({ kind: 'k', message: 'm', details: { f: () => 1 } }) },
      'E_MESSAGE_UNSUPPORTED',
    ],
  ])('%s', (_what, analyze, code) => {
    const { groups, flags, failures, applied } = effectsOf(analyze);
    expect({ groups, flags, applied }).toEqual({ groups: [], flags: [], applied: 0 });
    expect(failures).toMatchObject([{ code }]);
  });
});

describe('results', () => {
  it('have the findings of each group; what findings throw is an E_FINDING of that group alone', async () => {
    const how = {
      limits: { sectionBytes: 1_000, maxFrameMessages: 9, maxFrameBytes: 9_000 },
      partitions: 2,
      partitioned: true,
      frames: 'packed',
    } as const;
    const world = newWorld();
    const row = { id: 1, lane: 'a', fan: 2, fate: 'ok', hurt: 9, flag: 9, value: 2, note: '' } as const;
    fillLake(world.source, [
      { form: 'csv', rows: [row, { ...row, lane: 'b' }, { ...row, lane: 'c' }], brokenAt: null },
    ]);
    const process = new Process(world, lakePipeline(how, broken));
    await process.run();
    const pipeline = lakePipeline(how, broken);
    const telling: AnyPipeline = {
      ...pipeline,
      analyze: {
        ...pipeline.analyze,
        findings: (group: string, measures: { messages?: unknown }) => {
          if (group === 'b') throw new Error('no');
          return group === 'a' ? { kind: 'many', message: String(measures.messages) } : null;
        },
      },
    };
    const measures = declaredMeasures(process.generation);
    const results = await collect(
      readResults(world.store, process.generation.id, telling, measures, process.signal),
    );
    expect(
      results.map(({ group, findings, error }) => [group, findings.length, error?.code ?? null]),
    ).toEqual([
      ['a', 1, null],
      ['b', 0, 'E_FINDING'],
      ['c', 0, null],
    ]);
    expect(results[0]).toMatchObject({
      measures: { messages: 2, value: 4 },
      findings: [{ kind: 'many', message: '2' }],
    });
    // Without the pipeline's file there are measures all the same.
    const bare = await collect(
      readResults(world.store, process.generation.id, undefined, measures, process.signal),
    );
    expect(bare.map(({ findings }) => findings)).toEqual([[], [], []]);
  });
});

it('a record that is no frame is an E_FRAME_CORRUPT, and applies nothing', async () => {
  const world = newWorld();
  const how = {
    limits: { sectionBytes: 1_000, maxFrameMessages: 9, maxFrameBytes: 9_000 },
    partitions: 2,
    partitioned: true,
    frames: 'packed',
  } as const;
  const process = new Process(world, lakePipeline(how, broken));
  expect(await codeOfAsync(process.analyze(Buffer.from('hello')))).toBe('E_FRAME_CORRUPT');
});
