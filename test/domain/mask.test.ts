import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MASKED, maskedFields, maskFields } from '../../src/domain/mask.ts';

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('maskFields', () => {
  it.each<[what: string, value: unknown, paths: string[], expected: unknown]>([
    ['a field', { email: 'a@b', lane: 'x' }, ['email'], { email: '[masked]', lane: 'x' }],
    ['a field inside', { a: { street: 's', zip: 1 } }, ['a.street'], { a: { street: '[masked]', zip: 1 } }],
    ['all of an object', { a: { street: 's' } }, ['a'], { a: '[masked]' }],
    ['all of a list', { a: ['x', 'y'] }, ['a'], { a: '[masked]' }],
    [
      'a field of every item of a list, and of lists in it',
      { people: [{ name: 'n', age: 1 }, [{ name: 'm' }]] },
      ['people.name'],
      { people: [{ name: '[masked]', age: 1 }, [{ name: '[masked]' }]] },
    ],
    [
      'a name with a dot',
      { 'a.b': 's', a: { b: 't' } },
      ['a.b'],
      { 'a.b': '[masked]', a: { b: '[masked]' } },
    ],
    ['a part of a name with a dot', { 'a.b': { c: 's' } }, ['a.b.c'], { 'a.b': { c: '[masked]' } }],
    ['what it cannot look into', { a: '{"street":"s"}' }, ['a.street'], { a: '[masked]' }],
    [
      'items that it cannot look into',
      { a: ['s', { b: 't' }] },
      ['a.b'],
      { a: ['[masked]', { b: '[masked]' }] },
    ],
    [
      'a number, a date, bytes',
      { a: 1, b: new Date(0), c: new Uint8Array(2) },
      ['a', 'b', 'c.d'],
      { a: '[masked]', b: '[masked]', c: '[masked]' },
    ],
    ['a message that is no object', 'name', ['name'], '[masked]'],
    ['messages that are a list', [{ a: 1 }], ['a'], [{ a: '[masked]' }]],
    [
      'two paths into one field',
      { a: { b: 1, c: 2, d: 3 } },
      ['a.b', 'a.c'],
      { a: { b: '[masked]', c: '[masked]', d: 3 } },
    ],
    ['__proto__', JSON.parse('{"__proto__":"s"}'), ['__proto__'], JSON.parse('{"__proto__":"[masked]"}')],
  ])('masks %s', (_what, value, paths, expected) => {
    expect(plain(maskFields(value, paths))).toEqual(expected);
  });

  it.each<[what: string, value: unknown, paths: string[]]>([
    ['what nobody names', { a: 1, b: { c: [2] } }, ['d', 'b.d', 'ab', 'a.b.c'].slice(0, 3)],
    ['what is not there', { a: null, b: undefined }, ['a', 'b']],
    ['anything, without paths', { a: 1 }, []],
    ['a name that only starts alike', { emails: 'x' }, ['email']],
  ])('leaves %s', (_what, value, paths) => {
    expect(plain(maskFields(value, paths))).toEqual(plain(value));
  });

  it('copies: what it was given stays as it is', () => {
    const row = { address: { street: 's' }, list: [{ a: 1 }] };
    maskFields(row, ['address.street', 'list.a']);
    expect(row).toEqual({ address: { street: 's' }, list: [{ a: 1 }] });
  });

  it('leaves no trace of a value at a path, whatever the data around it', () => {
    const canary = 'canary-4711';
    const path = fc.array(fc.constantFrom('a', 'b', 'c.d'), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(path, fc.jsonValue(), fc.boolean(), (names, beside, inLists) => {
        let value: unknown = canary;
        for (const name of names.toReversed()) value = { beside, [name]: inLists ? [value] : value };
        const masked = maskFields(value, [names.join('.')]);
        expect(JSON.stringify(masked)).not.toContain(canary);
        expect(maskedFields(masked)).not.toEqual([]);
      }),
    );
  });
});

describe('maskedFields', () => {
  it('tells where something is masked', () => {
    expect(
      maskedFields({ a: MASKED, b: { c: MASKED, d: [1, { e: MASKED }] }, f: new Uint8Array(3) }),
    ).toEqual(['a', 'b.c', 'b.d.1.e']);
    expect(maskedFields(MASKED)).toEqual(['']);
    expect(maskedFields({ a: '[masked]', b: null, c: [new Date(0)] })).toEqual([]);
  });
});
