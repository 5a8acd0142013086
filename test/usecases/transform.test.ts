import { type } from 'arktype';
import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { packFrame, unpackFrame } from '../../src/application/frames/frame-codec.ts';
import { createMessageEncoding } from '../../src/application/frames/encodings.ts';
import { createRowTransformer } from '../../src/application/transform/row-transformer.ts';
import { SectionWriter } from '../../src/application/transform/section-writer.ts';
import { DomainError, InfrastructureError } from '../../src/domain/errors.ts';
import type { Frame } from '../../src/domain/frame.ts';
import { count } from '../../src/domain/measure.ts';
import { definePipeline, type AnyPipeline, type PipelineDeclaration } from '../../src/domain/pipeline.ts';
import type { Row } from '../../src/domain/row.ts';
import type { SectionRecord, Task } from '../../src/domain/section.ts';
import { calm, newWorld, Process } from './harness.ts';
import { broken, lakePipeline, settings } from './lake-pipeline.ts';
import { fillLake, lake, type LakeFile } from './lakes.ts';

const object = { bucket: 'lake', key: 'a.csv', version: 'v1', size: 10 };

type Declaration = Partial<PipelineDeclaration<readonly string[], unknown, unknown, Record<string, never>>>;

function pipelineOf(declaration: Declaration): AnyPipeline {
  return definePipeline({
    name: 'p',
    version: 1,
    source: {},
    transform: (row: Row) => row,
    analyze: { groupBy: () => 'all', measures: { count: count() } },
    ...declaration,
  } as never);
}

/** What one section makes of these rows. */
function section(pipeline: AnyPipeline, rows: readonly object[]) {
  const writer = new SectionWriter({
    pipeline,
    generation: 'p@1',
    build: 'b',
    run: 'r',
    object,
    epoch: 1,
    section: 0,
    encoding: createMessageEncoding(pipeline.frames),
    transformRow: createRowTransformer(pipeline),
    killed: new Map(),
  });
  rows.forEach((row, index) => writer.addRow(row as Row, index * 10));
  return writer.finish({ last: true, next: rows.length * 10 });
}

async function failuresOf(pipeline: AnyPipeline, rows: readonly object[]) {
  const { frames, record } = section(pipeline, rows);
  const bodies = await Promise.all(
    frames.map(async (draft) => {
      return (await unpackFrame((await packFrame(draft)).bytes)).body;
    }),
  );
  const messages = bodies.flatMap((body) => (body.kind === 'messages' ? body.messages : []));
  const failures = bodies.flatMap((body) => (body.kind === 'failures' ? body.failures : []));
  return { messages, failures, record };
}

/** Every frame that a lake gives, with its place. */
async function framesOf(process: Process): Promise<readonly Frame[]> {
  return Promise.all(process.put.map((record) => unpackFrame(record)));
}

const placeOf = ({ header: { origin, partition, digest, body } }: Frame) =>
  origin.kind === 'section'
    ? `${origin.object.key} ${origin.section}/${partition}/${origin.number} ${body} ${digest}`
    : origin.kind;

describe('a section', () => {
  it('read again gives the same frames: by any tasks, in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        lake,
        settings,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 200 }),
        async (files, how, sectionsPerTask, chunkBytes) => {
          const framesBy = async (tasks: number, chunk: number) => {
            const world = newWorld({ chunkBytes: chunk });
            fillLake(world.source, files);
            const process = new Process(world, lakePipeline(how, broken), 'b', {
              ...calm,
              sectionsPerTask: tasks,
            });
            await process.run();
            return (await framesOf(process)).map(placeOf).sort();
          };
          expect(await framesBy(sectionsPerTask, chunkBytes)).toEqual(await framesBy(1_000, 1_000_000));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('numbers the frames of each partition from 0, and its record counts them', async () => {
    await fc.assert(
      fc.asyncProperty(lake, settings, async (files, how) => {
        const world = newWorld();
        fillLake(world.source, files);
        const process = new Process(world, lakePipeline(how, broken));
        await process.run();
        const numbers = new Map<string, number[]>();
        const records = new Map<string, SectionRecord>();
        for (const { header, body } of await framesOf(process)) {
          if (header.origin.kind !== 'section') throw new Error(header.origin.kind);
          const { key } = header.origin.object;
          if (body.kind === 'section') records.set(`${key} ${body.record.section}`, body.record);
          else {
            const place = `${key} ${header.origin.section}/${header.partition}`;
            numbers.set(place, [...(numbers.get(place) ?? []), header.origin.number]);
          }
          if (body.kind === 'messages') {
            expect(body.messages.length).toBeLessThanOrEqual(how.limits.maxFrameMessages);
            expect(header.partition).toBeLessThan(how.partitions);
          }
        }
        const counted = new Map<string, number>();
        for (const [place, { frames, rows, pruned, filtered, failed, transformed }] of records) {
          expect(rows).toBe(pruned + filtered + failed + transformed);
          expect(frames.map(([partition]) => partition)).toEqual(
            frames.map(([partition]) => partition).toSorted((a, b) => a - b),
          );
          for (const [partition, count_] of frames) counted.set(`${place}/${partition}`, count_);
        }
        expect([...numbers.keys()].sort()).toEqual([...counted.keys()].sort());
        for (const [place, all] of numbers)
          expect(all).toEqual(Array.from({ length: counted.get(place)! }, (_, at) => at));
      }),
      { numRuns: 30 },
    );
  });

  it('takes rows and what cannot be read in the order in which they stand, wherever a batch ends', async () => {
    const rows = Array.from(
      { length: 8 },
      (_, id) => ({ id, lane: 'L', fan: 1, fate: 'ok', hurt: 9, flag: 9, value: 1, note: '' }) as const,
    );
    const world = newWorld();
    fillLake(world.source, [{ form: 'jsonl', rows, brokenAt: 5 }]);
    const limits = { sectionBytes: 100_000, maxFrameMessages: 1, maxFrameBytes: 150 };
    const how = { limits, partitions: 1, partitioned: true, frames: 'packed' } as const;
    const process = new Process(world, lakePipeline(how, broken));
    await process.run();
    // The message of the row before the broken line is in its frame, and that is not full yet.
    const kinds = (await framesOf(process)).map(({ body }) => body.kind);
    expect(kinds).toEqual([
      ...Array(4).fill('messages'),
      'failures',
      ...Array(4).fill('messages'),
      'section',
    ]);
  });

  it('sends equal keys of partitionBy to the same partition, and deals whole frames round without it', () => {
    const rows = Array.from({ length: 60 }, (_, id) => ({ id, lane: id % 7 }));
    const limits = { maxFrameMessages: 5 };
    const keyed = section(
      pipelineOf({ partitionBy: (message) => (message as { lane: number }).lane, partitions: 4, limits }),
      rows,
    );
    const dealt = section(pipelineOf({ partitions: 4, limits }), rows);
    expect(dealt.frames.map(({ partition }) => partition)).toEqual(
      Array.from({ length: 12 }, (_, frame) => (dealt.frames[0]!.partition + frame) % 4),
    );
    expect(new Set(keyed.frames.map(({ partition }) => partition)).size).toBeGreaterThan(1);
    const order = (number: 'number' | 'string') =>
      section(
        pipelineOf({
          partitionBy: (message) =>
            number === 'number'
              ? (message as { lane: number }).lane
              : String((message as { lane: number }).lane),
          partitions: 4,
          limits,
        }),
        rows,
      ).frames.map(({ partition, digest }) => [partition, digest]);
    expect(order('number')).toEqual(order('string'));
  });

  it('keeps a frame under its bounds of messages and bytes', () => {
    const rows = Array.from({ length: 100 }, (_, id) => ({ id, text: 'x'.repeat(id) }));
    for (const frames of ['packed', 'json'] as const) {
      const { frames: cut } = section(
        pipelineOf({ frames, partitions: 1, limits: { maxFrameBytes: 500 } }),
        rows,
      );
      expect(cut.length).toBeGreaterThan(10);
      for (const { bytes } of cut) expect(bytes.length).toBeLessThan(500 + 200);
    }
  });
});

describe('a row that fails', () => {
  it('leaves nothing but its failure, however many messages it gave before the bad one', async () => {
    const pipeline = pipelineOf({
      transform: (row) =>
        (row as { id: number }).id === 1 ? [{ a: 1 }, { a: 2 }, { a: () => 3 }] : [row, row],
      partitionBy: () => 'p',
    });
    const { messages, failures, record } = await failuresOf(pipeline, [{ id: 0 }, { id: 1 }, { id: 2 }]);
    expect(messages).toEqual([{ id: 0 }, { id: 0 }, { id: 2 }, { id: 2 }]);
    expect(failures).toMatchObject([
      {
        code: 'E_MESSAGE_UNSUPPORTED',
        stage: 'transform',
        rows: 1,
        position: { coordinate: 10, output: null },
      },
    ]);
    expect(record).toMatchObject({ rows: 3, failed: 1, transformed: 2, messages: 4 });
  });

  it.each([
    ['a DomainError with a code', new DomainError('no lane', { code: 'E_NO_LANE' }), 'E_NO_LANE', 'no lane'],
    ['a DomainError without one', new DomainError('no lane'), 'E_TRANSFORM', 'no lane'],
    ['an error', new TypeError('x is not y'), 'E_TRANSFORM', 'x is not y'],
    ['an InfrastructureError, which is none here', new InfrastructureError('disk'), 'E_TRANSFORM', 'disk'],
    ['a text', 'oops', 'E_TRANSFORM', 'oops'],
    ['nothing', undefined, 'E_TRANSFORM', 'undefined'],
    ['an object', { why: 1 }, 'E_TRANSFORM', '{"why":1}'],
    ['a symbol', Symbol('s'), 'E_TRANSFORM', 'Symbol(s)'],
    [
      'an object that cannot be shown',
      {
        toJSON: () => {
          throw new Error('no');
        },
      },
      'E_TRANSFORM',
      '[object Object]',
    ],
    [
      'a long text that is cut inside a pair',
      new Error(`${'x'.repeat(999 - 'transform threw: '.length)}😀`),
      'E_TRANSFORM',
      'xx',
    ],
  ])('throws %s', async (_what, thrown, code, text) => {
    const pipeline = pipelineOf({
      transform: () => {
        throw thrown;
      },
    });
    const { failures } = await failuresOf(pipeline, [{ id: 0 }]);
    expect(failures).toMatchObject([{ code, message: expect.stringContaining(text) as string }]);
    expect(failures[0]?.message.isWellFormed()).toBe(true);
    expect(failures[0]?.message.length).toBeLessThanOrEqual(1_000);
  });

  it.each<[string, Declaration, string]>([
    ['a promise', { transform: async () => Promise.reject(new Error('late')) }, 'E_TRANSFORM'],
    ['a list with promises', { transform: () => [1, Promise.reject(new Error('late'))] }, 'E_TRANSFORM'],
    ['a function', { transform: () => () => 1 }, 'E_MESSAGE_UNSUPPORTED'],
    ['too large a message', { limits: { maxMessageBytes: 10 } }, 'E_MESSAGE_TOO_LARGE'],
    [
      'too large a message, by bytes and not by characters',
      { limits: { maxMessageBytes: 1_000 }, transform: () => ({ text: '語'.repeat(400) }) },
      'E_MESSAGE_TOO_LARGE',
    ],
    [
      'partitionBy throws',
      {
        partitionBy: () => {
          throw new Error('x');
        },
      },
      'E_PARTITION',
    ],
    [
      'partitionBy throws its own',
      {
        partitionBy: () => {
          throw new DomainError('x', { code: 'E_MINE' });
        },
      },
      'E_MINE',
    ],
    ['partitionBy gives null', { partitionBy: () => null as never }, 'E_PARTITION'],
    ['partitionBy gives an object', { partitionBy: () => ({}) as never }, 'E_PARTITION'],
  ])('gives %s', async (_what, declaration, code) => {
    const { messages, failures, record } = await failuresOf(pipelineOf(declaration), [
      { id: 'x'.repeat(20) },
    ]);
    expect(messages).toEqual([]);
    expect(failures).toMatchObject([{ code }]);
    expect(record).toMatchObject({ failed: 1, transformed: 0, messages: 0 });
  });

  it('takes null, nothing and holes in a list for no message', async () => {
    const outputs: unknown[] = [null, undefined, [], [null, 1, undefined, 2]];
    const pipeline = pipelineOf({ transform: (row) => outputs[(row as { id: number }).id] });
    const { messages, record } = await failuresOf(pipeline, [{ id: 0 }, { id: 1 }, { id: 2 }, { id: 3 }]);
    expect(messages).toEqual([1, 2]);
    expect(record).toMatchObject({ transformed: 4, messages: 2 });
  });
});

describe('a schema', () => {
  const row = { id: '7', at: { lane: 'ZRH' } };
  const schemas = {
    zod: z.object({ id: z.coerce.number(), at: z.object({ lane: z.string() }) }),
    valibot: v.object({ id: v.pipe(v.unknown(), v.transform(Number)), at: v.object({ lane: v.string() }) }),
    arktype: type({ id: 'string.numeric.parse', at: { lane: 'string' } }),
  };

  it.each(Object.entries(schemas))(
    'of %s types the row, and what it refuses fails with path and reason',
    async (_name, schema) => {
      const pipeline = pipelineOf({ source: { schema } });
      const { messages, failures } = await failuresOf(pipeline, [row, { id: '8', at: { lane: 5 } }]);
      expect(messages).toEqual([{ id: 7, at: { lane: 'ZRH' } }]);
      expect(failures).toMatchObject([
        { code: 'E_SCHEMA', stage: 'transform', position: { coordinate: 10 } },
      ]);
      expect(failures[0]?.message).toMatch(/at\.lane.*(string|number)/i);
    },
  );

  it('that is asynchronous or throws is an E_SCHEMA of the row', async () => {
    const schema = (validate: () => unknown) =>
      ({ '~standard': { version: 1, vendor: 'test', validate } }) as never;
    const codes = async (validate: () => unknown) =>
      (await failuresOf(pipelineOf({ source: { schema: schema(validate) } }), [{}])).failures.map(
        ({ code }) => code,
      );
    expect(await codes(() => Promise.reject(new Error('late')))).toEqual(['E_SCHEMA']);
    expect(
      await codes(() => {
        throw new Error('now');
      }),
    ).toEqual(['E_SCHEMA']);
  });
});

describe('near the deadline', () => {
  const rows = Array.from(
    { length: 40 },
    (_, id) => ({ id, lane: 'L', fan: 1, fate: 'ok', hurt: 9, flag: 9, value: 1, note: '' }) as const,
  );
  const how = {
    limits: { sectionBytes: 150, maxFrameMessages: 10, maxFrameBytes: 1_000 },
    partitions: 2,
    partitioned: true,
    frames: 'packed',
  } as const;

  it.each(['csv', 'jsonl.gz', 'json'] as const)(
    'a task of %s ends after each section and hands the rest on',
    async (form) => {
      const file: LakeFile = { form, rows, brokenAt: null };
      const world = newWorld();
      fillLake(world.source, [file]);
      const process = new Process(world, lakePipeline(how, broken), 'b', { ...calm, sectionsPerTask: 1_000 });
      await process.dispatch();
      const tasks: Task[] = [];
      for (;;) {
        const [received] = await process.queue.receive(1, 1_000, process.signal);
        if (received === undefined) break;
        tasks.push(received.task);
        await process.transform(received.task, true);
        await process.queue.delete(received.receipt, process.signal);
      }
      expect(tasks.length).toBeGreaterThan(4);
      expect(new Set(tasks.map(({ id }) => id)).size).toBe(tasks.length);
      expect(tasks.map(({ sections }) => sections.from)).toEqual(tasks.map((_, at) => at));
      // Each goes on where the one before ended, and reads nothing before that anew.
      const starts = tasks.map(({ start }) => start as number);
      expect(starts).toEqual([...new Set(starts)].sort((a, b) => a - b));
      const inPieces = (await framesOf(process)).map(placeOf).sort();

      const whole = newWorld();
      fillLake(whole.source, [file]);
      const once = new Process(whole, lakePipeline(how, broken), 'b', { ...calm, sectionsPerTask: 1_000 });
      await once.run();
      expect(inPieces).toEqual((await framesOf(once)).map(placeOf).sort());
    },
  );

  it('a task that only read past what is done is not handed on: it made no progress', async () => {
    const world = newWorld();
    fillLake(world.source, [{ form: 'jsonl.gz', rows, brokenAt: null }]);
    const process = new Process(world, lakePipeline(how, broken), 'b');
    await process.dispatch();
    const [received] = await process.queue.receive(1, 1_000, process.signal);
    await process.transform({ ...received!.task, done: [0, 1, 2] }, true);
    const sent = new Set(
      (await framesOf(process)).map(({ header: { origin } }) =>
        origin.kind === 'section' ? origin.section : -1,
      ),
    );
    expect([...sent]).toEqual([3]);
    const [rest] = await process.queue.receive(1, 1_000, process.signal);
    expect(rest?.task.sections).toEqual({ from: 4, to: null });
  });
});
