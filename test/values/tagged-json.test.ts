import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromTaggedJson, toTaggedJson } from '../../src/application/values/tagged-json.ts';
import { MAX_DEPTH } from '../../src/application/values/value-writer.ts';
import { arrivedAs, plainData } from './plain-data.ts';
import { codeOf, nested } from './damage.ts';

describe('tagged JSON', () => {
  it('gives data back as it was, on one line that any reader of JSON reads', () => {
    fc.assert(
      fc.property(plainData, (data) => {
        const text = toTaggedJson(data);
        expect(text).not.toContain('\n');
        expect(text.isWellFormed()).toBe(true);
        JSON.parse(text);
        expect(arrivedAs(data, fromTaggedJson(text))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('looks as it is documented', () => {
    const data = {
      big: 12n,
      at: new Date(Date.UTC(2019, 4, 25)),
      never: new Date(Number.NaN),
      raw: Uint8Array.of(1, 2, 255),
      nan: Number.NaN,
      far: -Infinity,
      list: [undefined],
      like: { $date: 1 },
      two: { $a: 1, b: 2 },
    };
    expect(JSON.parse(toTaggedJson(data))).toEqual({
      big: { $bigint: '12' },
      at: { $date: '2019-05-25T00:00:00.000Z' },
      never: { $date: null },
      raw: { $bytes: 'AQL/' },
      nan: { $number: 'NaN' },
      far: { $number: '-Infinity' },
      list: [{ $undefined: true }],
      like: { $object: { $date: 1 } },
      two: { $a: 1, b: 2 },
    });
  });

  it.each([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    [
      'an instance',
      new (class A {
        readonly x = 1;
      })(),
    ],
    ['a Map', new Map()],
    ['deep nesting', nested(MAX_DEPTH + 1)],
    ['very deep nesting', nested(50_000)],
  ])('refuses %s', (_what, value) => {
    expect(codeOf(() => toTaggedJson(value))).toBe('E_MESSAGE_UNSUPPORTED');
  });

  it('takes data of the greatest depth, each level wrapped', () => {
    const data = nested(MAX_DEPTH);
    expect(arrivedAs(data, fromTaggedJson(toTaggedJson(data)))).toBe(true);
  });

  it('tells damage as damage', () => {
    fc.assert(
      fc.property(plainData, fc.nat(), fc.integer({ min: 32, max: 126 }), (data, at, code) => {
        const text = toTaggedJson(data);
        const where = at % text.length;
        const damaged = text.slice(0, where) + String.fromCharCode(code) + text.slice(where + 1);
        expect(codeOf(() => fromTaggedJson(damaged))).toBeOneOf(['E_FRAME_CORRUPT', undefined]);
        expect(codeOf(() => fromTaggedJson(text.slice(0, where)))).toBeOneOf(['E_FRAME_CORRUPT', undefined]);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    '{"$bigint":"1.5"}',
    '{"$bigint":1}',
    '{"$bytes":1}',
    '{"$date":{}}',
    '{"$object":1}',
    '{"$other":1}',
    '{"$number":1}',
    '{"$number":{"toString":1}}',
    `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
    `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
    `${'{"$object":{"$object":'.repeat(5_000)}1${'}}'.repeat(5_000)}`,
  ])('refuses %#', (text) => {
    expect(codeOf(() => fromTaggedJson(text))).toBe('E_FRAME_CORRUPT');
  });
});
