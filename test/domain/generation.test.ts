import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { generationOf } from '../../src/application/generation.ts';
import { canonicalJson, declaredMeasures } from '../../src/domain/generation.ts';
import { defaultLimits } from '../../src/domain/limits.ts';
import { count, countIf, distinct, sum } from '../../src/domain/measure.ts';
import { definePipeline, type AnyPipeline } from '../../src/domain/pipeline.ts';

const base = {
  name: 'lanes',
  version: 1,
  source: {
    format: 'csv',
    compression: 'none',
    csv: { delimiter: ',', quote: '"', header: true, multiline: true, ragged: 'fail' },
    columns: { lane: 'string', delay: 'number' },
    where: { delay: { $gte: 1 } },
  },
  transform: (row: unknown) => row,
  partitionBy: () => 'p',
  analyze: { groupBy: () => 'g', measures: { all: count(), late: countIf(() => true) } },
  partitions: 8,
  frames: 'packed',
  limits: {},
};

const define = (declaration: object): AnyPipeline => definePipeline(declaration as never) as AnyPipeline;
const fingerprint = (declaration: object) => generationOf(define(declaration), undefined).fingerprint;
const withSource = (changed: object) => ({ ...base, source: { ...base.source, ...changed } });
const withMeasures = (measures: object) => ({ ...base, analyze: { ...base.analyze, measures } });

describe('the fingerprint of a generation', () => {
  it.each<[string, object]>([
    ['source.format', withSource({ format: 'jsonl' })],
    ['source.format left out', withSource({ format: undefined })],
    ['source.compression', withSource({ compression: 'gzip' })],
    ['source.csv.delimiter', withSource({ csv: { ...base.source.csv, delimiter: ';' } })],
    ['source.csv.quote', withSource({ csv: { ...base.source.csv, quote: false } })],
    ['source.csv.header', withSource({ csv: { ...base.source.csv, header: ['a'] } })],
    ['source.csv.multiline', withSource({ csv: { ...base.source.csv, multiline: false } })],
    ['source.csv.ragged', withSource({ csv: { ...base.source.csv, ragged: 'pad' } })],
    ['source.columns: another', withSource({ columns: { lane: 'string', late: 'number' } })],
    ['source.columns: a type', withSource({ columns: { lane: 'string', delay: 'integer' } })],
    ['source.columns: without types', withSource({ columns: ['lane', 'delay'] })],
    ['source.columns: left out', withSource({ columns: undefined })],
    ['source.where', withSource({ where: { delay: { $gte: 2 } } })],
    ['source.where: a bigint', withSource({ where: { delay: { $gte: 1n } } })],
    ['source.where: left out', withSource({ where: undefined })],
    ['source.schema', withSource({ schema: z.object({}) })],
    ['source.id', withSource({ id: () => 1 })],
    ['partitions', { ...base, partitions: 9 }],
    ['partitionBy left out', { ...base, partitionBy: undefined }],
    ['frames', { ...base, frames: 'json' }],
    ...Object.entries(defaultLimits).map(
      ([limit, value]) =>
        [`limits.${limit}`, { ...base, limits: { [limit]: value + 1 } }] as [string, object],
    ),
    ['a measure more', withMeasures({ ...base.analyze.measures, ids: distinct(() => 1) })],
    ['a measure less', withMeasures({ all: count() })],
    ['the name of a measure', withMeasures({ every: count(), late: countIf(() => true) })],
    ['the kind of a measure', withMeasures({ all: count(), late: sum(() => 1) })],
    [
      'the parameters of a measure',
      withMeasures({ all: count(), late: { ...countIf(() => true), parameters: { x: 1 } } }),
    ],
  ])('changes with %s', (_field, declaration) => {
    expect(fingerprint(declaration)).not.toBe(fingerprint(base));
  });

  it.each<[string, object]>([
    ['function bodies', { ...base, transform: () => null, partitionBy: () => 'q' }],
    [
      'groupBy, findings and flag',
      { ...base, analyze: { ...base.analyze, groupBy: () => 'x', findings: () => [], flag: () => null } },
    ],
    ['mask: it changes what failures keep, and no result', { ...base, mask: { rows: ['lane'] } }],
    ['what a measure picks', withMeasures({ all: count(), late: countIf(() => false) })],
    ['the order of fields', Object.fromEntries(Object.entries(base).toReversed())],
    [
      'the order within source.csv',
      withSource({ csv: Object.fromEntries(Object.entries(base.source.csv).toReversed()) }),
    ],
    ['defaults that are written out', { ...base, limits: { ...defaultLimits } }],
    ['fields that are undefined', withSource({ id: undefined, schema: undefined })],
  ])('does not change with %s', (_what, declaration) => {
    expect(fingerprint(declaration)).toBe(fingerprint(base));
  });

  it('stays what it is between versions of Sluice', () => {
    expect(fingerprint(base)).toBe('cfe81b5840627808a3ec80a39763df786015d073be591f8db759272ecfd1852b');
  });

  it('belongs to name and version; a predicate of the run makes a generation of its own', () => {
    const pipeline = define(base);
    expect(generationOf(pipeline, undefined)).toMatchObject({ id: 'lanes@1', pipeline: 'lanes', version: 1 });
    const adHoc = generationOf(pipeline, { lane: 'ZRH', delay: { $lt: 3 } });
    expect(adHoc.id).toMatch(/^lanes@1\?[0-9a-f]{8}$/);
    expect(generationOf(pipeline, { delay: { $lt: 3 }, lane: 'ZRH' })).toEqual(adHoc);
    expect(generationOf(pipeline, { lane: 'ZRH', delay: { $lt: 4 } }).id).not.toBe(adHoc.id);
    expect(adHoc.fingerprint).not.toBe(fingerprint(base));
  });

  it('tells the measures of what was declared', () => {
    expect(declaredMeasures(generationOf(define(base), undefined))).toEqual({
      all: { kind: 'count', parameters: {}, of: undefined },
      late: { kind: 'countIf', parameters: {}, of: undefined },
    });
  });
});

describe('canonical JSON', () => {
  it('is JSON, and the same whatever the order of fields', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
        const text = canonicalJson(data);
        // JSON has no -0.
        expect(JSON.stringify(JSON.parse(text))).toHaveLength(JSON.stringify(data).length);
        const turned = Object.fromEntries(Object.entries(data).toReversed());
        expect(canonicalJson(turned)).toBe(text);
      }),
    );
  });

  it('tells dates, bigints, numbers and texts apart', () => {
    const values = [new Date(0), 0n, 0, '0', null, [0], '1970-01-01T00:00:00.000Z', { a: undefined }];
    expect(new Set(values.map((value) => canonicalJson(value))).size).toBe(values.length);
  });
});
