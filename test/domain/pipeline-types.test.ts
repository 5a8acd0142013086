import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { declaredData } from '../../src/domain/generation.ts';
import {
  count,
  countIf,
  definePipeline,
  max,
  quantiles,
  sum,
  type AnyPipeline,
  type Quantiles,
} from '../../src/index.ts';

// What the compiler says is the test; that it runs at all shows that the declarations are taken.

interface Flight {
  readonly lane: string;
  readonly delay: number;
}
const groupBy = () => 'all';
const measures = { all: count() };

describe('the types of a pipeline', () => {
  it('give transform a row of the columns', () => {
    definePipeline({
      name: 'list',
      version: 1,
      source: { columns: ['lane', 'delay'] },
      transform: (row) => {
        expectTypeOf(row).toHaveProperty('lane');
        expectTypeOf(row.delay).toBeAny();
        // @ts-expect-error no such column
        return { x: row.elsewhere };
      },
      analyze: { groupBy, measures },
    }) satisfies AnyPipeline;

    definePipeline({
      name: 'record',
      version: 1,
      source: {
        columns: {
          lane: 'string',
          delay: 'number',
          at: 'timestamp',
          n: 'bigint',
          ok: 'boolean',
          more: 'json',
        },
      },
      transform: (row) => {
        expectTypeOf(row.lane).toEqualTypeOf<string | null>();
        expectTypeOf(row.delay).toEqualTypeOf<number | null>();
        expectTypeOf(row.at).toEqualTypeOf<Date | null>();
        expectTypeOf(row.n).toEqualTypeOf<bigint | null>();
        expectTypeOf(row.ok).toEqualTypeOf<boolean | null>();
        // @ts-expect-error no such column
        return { x: row.elsewhere };
      },
      analyze: { groupBy, measures },
    }) satisfies AnyPipeline;

    const typo = () =>
      definePipeline({
        name: 'typo',
        version: 1,
        // @ts-expect-error no such type of column
        source: { columns: { a: 'text' } },
        transform: () => 1,
        analyze: { groupBy, measures },
      });
    expect(typo).toThrow('source.columns');
  });

  it('give transform the output of a schema', () => {
    const declare = { version: 1, analyze: { groupBy, measures } } as const;
    definePipeline({
      ...declare,
      name: 'zod',
      source: { schema: z.object({ lane: z.string(), delay: z.coerce.number() }) },
      transform: (row) => {
        expectTypeOf(row).toEqualTypeOf<{ lane: string; delay: number }>();
        return row;
      },
    }) satisfies AnyPipeline;
    definePipeline({
      ...declare,
      name: 'valibot',
      source: {
        columns: ['lane'],
        schema: v.object({
          lane: v.pipe(
            v.string(),
            v.transform((text) => text.length),
          ),
        }),
      },
      transform: (row) => {
        expectTypeOf(row).toEqualTypeOf<{ lane: number }>();
        return row;
      },
    }) satisfies AnyPipeline;
    definePipeline({
      ...declare,
      name: 'arktype',
      source: { schema: type({ lane: 'string', delay: 'string.numeric.parse' }) },
      transform: (row) => {
        expectTypeOf(row).toEqualTypeOf<{ lane: string; delay: number }>();
        return row;
      },
    }) satisfies AnyPipeline;
    expect(true).toBe(true);
  });

  it('give measures the message, where they are a function', () => {
    const pipeline = definePipeline({
      name: 'typed',
      version: 1,
      source: { columns: { lane: 'string', delay: 'number' } },
      transform: (row) => ({ lane: row.lane ?? '', delay: row.delay ?? 0 }),
      analyze: {
        groupBy: (message) => message.lane,
        measures: (of) => ({
          all: of.count(),
          late: of.countIf((message) => {
            expectTypeOf(message.delay).toEqualTypeOf<number>();
            // @ts-expect-error no such field
            return message.elsewhere === 1;
          }),
          last: of.max((message) => new Date(message.delay)),
          delay: of.quantiles((message) => message.delay),
        }),
        findings: (_lane, values) => {
          expectTypeOf(values.late).toEqualTypeOf<number>();
          expectTypeOf(values.last).toEqualTypeOf<Date | null>();
          expectTypeOf(values.delay).toEqualTypeOf<Quantiles>();
          // @ts-expect-error no such measure
          return values.early === 1 ? null : [];
        },
      },
    }) satisfies AnyPipeline;
    expect(Object.keys(pipeline.analyze.measures)).toEqual(['all', 'late', 'last', 'delay']);
    const byObject = definePipeline({
      name: 'typed',
      version: 1,
      source: { columns: { lane: 'string', delay: 'number' } },
      transform: (row) => ({ lane: row.lane ?? '', delay: row.delay ?? 0 }),
      analyze: {
        groupBy: (message) => message.lane,
        measures: {
          all: count(),
          late: countIf((message: { delay: number }) => message.delay > 1),
          last: max((message: { delay: number }) => new Date(message.delay)),
          delay: quantiles((message: { delay: number }) => message.delay),
        },
      },
    }) satisfies AnyPipeline;
    // The form is no part of what is declared: either goes on with what the other began.
    expect(declaredData(pipeline, undefined)).toBe(declaredData(byObject, undefined));
  });

  it('give analyze the message: one, many, or none', () => {
    const pipeline = definePipeline({
      name: 'many',
      version: 1,
      source: { columns: ['lane', 'delay'] },
      transform: (row) =>
        row.delay === null ? null : [{ lane: String(row.lane), delay: Number(row.delay) }],
      partitionBy: (message) => {
        expectTypeOf(message).toEqualTypeOf<{ lane: string; delay: number }>();
        return message.lane;
      },
      analyze: {
        groupBy: (message) => {
          expectTypeOf(message).toEqualTypeOf<{ lane: string; delay: number }>();
          return message.lane;
        },
        measures: {
          all: count(),
          late: countIf((flight: Flight) => flight.delay > 15),
          delay: quantiles((flight: Flight) => flight.delay),
          last: max((flight: Flight) => new Date(flight.delay)),
        },
        findings: (group, values) => {
          expectTypeOf(group).toEqualTypeOf<string>();
          expectTypeOf(values.all).toEqualTypeOf<number>();
          expectTypeOf(values.delay).toEqualTypeOf<Quantiles>();
          expectTypeOf(values.last).toEqualTypeOf<Date | null>();
          // @ts-expect-error no such measure
          return values.other === 1 ? null : [];
        },
        flag: (message) => {
          expectTypeOf(message).toEqualTypeOf<{ lane: string; delay: number }>();
          return null;
        },
      },
    }) satisfies AnyPipeline;
    expectTypeOf(pipeline.analyze.groupBy).parameter(0).toEqualTypeOf<{ lane: string; delay: number }>();
    expect(pipeline.name).toBe('many');
  });

  it('refuse a measure that reads another message', () => {
    const pipeline = definePipeline({
      name: 'misfit',
      version: 1,
      source: { columns: ['lane'] },
      transform: (row) => ({ lane: String(row.lane) }),
      analyze: {
        groupBy: (message) => message.lane,
        measures: { delay: sum((flight: Flight) => flight.delay) },
      },
    });
    // @ts-expect-error it has no delay
    expect(pipeline satisfies AnyPipeline).toBeDefined();
    expectTypeOf(pipeline).toHaveProperty('error');
    expectTypeOf(pipeline.measure).toEqualTypeOf<'delay'>();
  });

  it('refuse keys and groups of another type', () => {
    const declare = { version: 1, source: {}, transform: () => ({ lane: 'x', at: new Date(0) }) } as const;
    definePipeline({
      ...declare,
      name: 'key',
      // @ts-expect-error a date is no key
      partitionBy: (message) => message.at,
      analyze: { groupBy, measures },
    });
    definePipeline({
      ...declare,
      name: 'group',
      // @ts-expect-error a date is no group
      analyze: { groupBy: (message) => message.at, measures },
    });
    expect(true).toBe(true);
  });
});
