import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isDomainError } from '../../src/domain/errors.ts';
import { parseIsoTime } from '../../src/domain/iso-time.ts';
import {
  andWhere,
  columnsOfWhere,
  comparerWith,
  compareStrings,
  compileWhere,
  parseWhere,
  whereMayMatch,
} from '../../src/domain/predicate.ts';
import { emptyRow, type Row } from '../../src/domain/row.ts';
import type { Operand, Where } from '../../src/domain/where.ts';

function row(values: Record<string, unknown>): Row {
  return Object.assign(emptyRow(), values);
}

function keeps(where: Where, value: unknown): boolean {
  return compileWhere(parseWhere(where))(row({ a: value }));
}

const big = 2n ** 53n;

describe('compileWhere', () => {
  test.each<[Where, unknown, boolean]>([
    [{ a: 1 }, 1, true],
    [{ a: 1 }, 1n, true],
    [{ a: 1 }, '1', false],
    [{ a: big + 1n }, 2 ** 53, false],
    [{ a: { $gt: 2 ** 53 } }, big + 1n, true],
    [{ a: { $in: [2 ** 60] } }, 2n ** 60n, true],
    [{ a: { $in: [2n ** 60n + 1n] } }, 2 ** 60, false],
    [{ a: 0 }, -0, true],
    [{ a: { $in: [-0] } }, 0, true],
    [{ a: Number.NaN }, Number.NaN, false],
    [{ a: { $in: [Number.NaN] } }, Number.NaN, false],
    [{ a: { $ne: Number.NaN } }, Number.NaN, true],
    [{ a: { $gte: 0 } }, Number.NaN, false],
    [{ a: { $not: { $gte: 0 } } }, Number.NaN, true],
    [{ a: null }, null, true],
    [{ a: null }, undefined, true],
    [{ a: { $in: [null] } }, undefined, true],
    [{ a: { $ne: 5 } }, null, true],
    [{ a: { $nin: [5] } }, undefined, true],
    [{ a: { $nin: [5, null] } }, undefined, false],
    [{ a: { $exists: true } }, null, false],
    [{ a: { $exists: false } }, undefined, true],
    [{ a: { $exists: true } }, 0, true],
    [{ a: { $lte: null } }, null, false],
    [{ a: { $gte: null } }, 0, false],
    [{ a: { $lt: 5 } }, null, false],
    [{ a: { $lt: 5 } }, '1', false],
    [{ a: { $gt: 1, $lt: 5 } }, 5, false],
    [{ a: { $gt: 1, $lt: 5 } }, 4, true],
    [{ a: true }, true, true],
    [{ a: { $gt: false } }, true, true],
    [{ a: true }, 1, false],
    [{ a: '2019-05-25' }, new Date('2019-05-25T00:00:00Z'), true],
    [{ a: { $in: ['2019-05-25'] } }, new Date('2019-05-25T00:00:00Z'), true],
    [{ a: { $gte: '2019-05-25T10:00:00' } }, new Date('2019-05-25T10:00:00Z'), true],
    [{ a: { $lt: '2019-05-25T10:00:00+02:00' } }, new Date('2019-05-25T08:00:00Z'), false],
    [{ a: { $lt: Date.UTC(2020, 0) } }, new Date('2019-05-25'), true],
    [{ a: new Date(5) }, new Date(5), true],
    [{ a: new Date(5) }, 5, false],
    [{ a: { $in: [5] } }, new Date(5), true],
    [{ a: 'no date' }, new Date(5), false],
    [{ a: { $lt: '\u{1F600}' } }, '\uFF5E', true],
    [{ a: { $gt: '\uFF5E' } }, '\u{1F600}', true],
    [{ a: 'x' }, ['x'], false],
    [{ a: { $ne: 'x' } }, ['x'], true],
  ])('%o of %o is %s', (where, value, expected) => {
    expect(keeps(where, value)).toBe(expected);
  });

  test('several keys and operators all have to hold, and logical operators nest', () => {
    const where: Where = {
      $or: [{ a: 1, b: 2 }, { $nor: [{ a: { $gt: 0 } }, { b: null }] }, { $not: { a: { $exists: true } } }],
    };
    const match = compileWhere(where);
    expect([
      match(row({ a: 1, b: 2 })),
      match(row({ a: 1, b: 3 })),
      match(row({ a: 0, b: 3 })),
      match(row({ a: 0 })),
      match(row({})),
    ]).toEqual([true, false, true, false, true]);
  });

  test('empty predicates', () => {
    expect(
      ['{}', '{"$and":[]}', '{"$or":[]}', '{"$nor":[]}', '{"a":{"$in":[]}}'].map((text) =>
        compileWhere(parseWhere(JSON.parse(text)))(row({})),
      ),
    ).toEqual([true, true, false, true, false]);
  });

  test('column names are only names', () => {
    const where = parseWhere(JSON.parse('{"__proto__": 5, "a.b": 1, "toString": null}'));
    expect(columnsOfWhere(where)).toEqual(['__proto__', 'a.b', 'toString']);
    expect(compileWhere(where)(row(JSON.parse('{"a.b": 1}')))).toBe(false);
    const matching = emptyRow();
    matching['__proto__'] = 5;
    matching['a.b'] = 1;
    expect(compileWhere(where)(matching)).toBe(true);
    expect(compileWhere({ toString: null })({})).toBe(true);
  });
});

describe('parseWhere', () => {
  test.each<[unknown, string]>([
    [null, 'where must be an object of columns'],
    [[], 'where must be an object of columns'],
    ['x', 'where must be'],
    [{ $and: {} }, 'where.$and must be a list'],
    [{ $or: [{ a: 1 }, 5] }, 'where.$or[1] must be an object'],
    [{ $xor: [] }, 'where.$xor is no operator'],
    [{ a: { $gt: 1, $foo: 2 } }, 'where.a.$foo is no operator of a column'],
    [{ a: { gt: 1 } }, 'where.a.gt is no operator of a column'],
    [{ a: {} }, 'where.a is empty'],
    [{ a: [1] }, 'where.a must be a string, number'],
    [{ a: undefined }, 'where.a must be a string, number'],
    [{ a: { $in: 1 } }, 'where.a.$in must be a list'],
    [{ a: { $nin: [1, [2]] } }, 'where.a.$nin[1] must be a string'],
    [{ a: { $exists: 1 } }, 'where.a.$exists must be true or false'],
    [{ a: { $not: 5 } }, 'where.a.$not must be an object of'],
    [{ a: new Date(Number.NaN) }, 'where.a is a Date that is no point in time'],
    [{ $not: { b: { $lt: {} } } }, 'where.$not.b.$lt must be'],
  ])('refuses %o', (value, message) => {
    try {
      parseWhere(value);
      expect.unreachable();
    } catch (error) {
      expect(isDomainError(error) && error.code).toBe('E_WHERE_INVALID');
      expect(String(error)).toContain(message);
    }
  });

  test('refuses what is nested without end', () => {
    const loop: Record<string, unknown> = {};
    loop['$not'] = loop;
    expect(() => parseWhere(loop)).toThrow(/nested deeper than 100/);
  });
});

const operand: fc.Arbitrary<Operand> = fc.oneof(
  fc.constantFrom<Operand>(
    null,
    Number.NaN,
    -0,
    0,
    1,
    2,
    1n,
    big,
    big + 1n,
    2 ** 53,
    'a',
    'b',
    '\u{1F600}',
    '\uFF5E',
    true,
    false,
  ),
  fc.constantFrom<Operand>('1970-01-01', '1970-01-01T00:00:00.001Z', new Date(0), new Date(1)),
);
const value = fc.oneof(
  operand,
  fc.constantFrom<unknown>(undefined, new Date(Number.NaN), [1], new Uint8Array(1)),
);
const columns = ['a', 'b', 'c'] as const;
const operators = fc.letrec<{ operators: Where }>((tie) => ({
  operators: fc
    .dictionary(fc.constantFrom('$eq', '$ne', '$lt', '$lte', '$gt', '$gte'), operand, {
      minKeys: 0,
      maxKeys: 2,
    })
    .chain((plain) =>
      fc
        .record(
          {
            $in: fc.array(operand, { maxLength: 3 }),
            $nin: fc.array(operand, { maxLength: 3 }),
            $exists: fc.boolean(),
            $not: tie('operators'),
          },
          { requiredKeys: [] },
        )
        .map(
          (rest) =>
            (Object.keys(plain).length + Object.keys(rest).length === 0
              ? { $exists: true }
              : { ...plain, ...rest }) as unknown as Where,
        ),
    ),
})).operators;
const where = fc.letrec<{ where: Where }>((tie) => ({
  where: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.dictionary(fc.constantFrom(...columns), fc.oneof(operand, operators), {
      maxKeys: 3,
    }) as unknown as fc.Arbitrary<Where>,
    fc.record({ $and: fc.array(tie('where'), { maxLength: 3 }) }) as fc.Arbitrary<Where>,
    fc.record({ $or: fc.array(tie('where'), { maxLength: 3 }) }) as fc.Arbitrary<Where>,
    fc.record({ $nor: fc.array(tie('where'), { maxLength: 3 }) }) as fc.Arbitrary<Where>,
    fc.record({ $not: tie('where') }) as fc.Arbitrary<Where>,
  ),
})).where;

describe('properties', () => {
  test('whereMayMatch never refuses what a full row can match', () => {
    fc.assert(
      fc.property(
        where,
        fc.dictionary(fc.constantFrom(...columns), value),
        fc.subarray([...columns]),
        (predicate, values, knownColumns) => {
          const full = row(values);
          const known = emptyRow();
          for (const column of knownColumns) known[column] = full[column];
          if (compileWhere(parseWhere(predicate))(full)) expect(whereMayMatch(predicate, known)).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('whereMayMatch decides exactly where every column is known', () => {
    fc.assert(
      fc.property(where, fc.tuple(value, value, value), (predicate, [a, b, c]) => {
        const full = row({ a, b, c });
        expect(whereMayMatch(predicate, full)).toBe(compileWhere(predicate)(full));
      }),
      { numRuns: 2000 },
    );
  });

  test('$in is $eq of one of them, $not the opposite, andWhere both', () => {
    fc.assert(
      fc.property(
        fc.array(operand),
        where,
        where,
        fc.tuple(value, value, value),
        (operands, first, second, [a, b, c]) => {
          const full = row({ a, b, c });
          const matches = (predicate: Where) => compileWhere(predicate)(full);
          expect(matches({ a: { $in: operands } })).toBe(
            operands.some((each) => matches({ a: { $eq: each } })),
          );
          expect(matches({ a: { $nin: operands } })).toBe(!matches({ a: { $in: operands } }));
          expect(matches({ $not: first })).toBe(!matches(first));
          expect(matches(andWhere(first, second))).toBe(matches(first) && matches(second));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('strings are ordered as their UTF-8 bytes', () => {
    const text = fc.string({ unit: 'binary', maxLength: 4 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareStrings(a, b))).toBe(expected);
        expect(Math.sign(comparerWith(b)(a))).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('parseIsoTime', () => {
  test('agrees with Date where the text tells its offset', () => {
    fc.assert(
      fc.property(
        fc.date({ noInvalidDate: true, min: new Date('-200000-01-01'), max: new Date('+200000-01-01') }),
        (date) => {
          expect(parseIsoTime(date.toISOString())).toBe(date.getTime());
        },
      ),
    );
  });

  test.each([
    ['2019-05-25', Date.UTC(2019, 4, 25)],
    ['2019-05', Date.UTC(2019, 4)],
    ['2019-05-25 10:20', Date.UTC(2019, 4, 25, 10, 20)],
    ['2019-05-25T10:20:30.5', Date.UTC(2019, 4, 25, 10, 20, 30, 500)],
    ['2019-05-25T10:20:30-0130', Date.UTC(2019, 4, 25, 11, 50, 30)],
    ['2019-05-25T24:00:00Z', Date.UTC(2019, 4, 26)],
    ['0001-01-01', new Date('0001-01-01T00:00:00Z').getTime()],
  ])('%s', (text, expected) => {
    expect(parseIsoTime(text)).toBe(expected);
  });

  test.each([
    '',
    '5',
    '2019',
    '2019-02-30',
    '2019-13-01',
    '2019-05-25T25:00',
    '2019-05-25T10:60',
    '2019-05-25T24:01',
    'x2019-05-25',
    '2019-05-25T10:00+99:00',
  ])('%o is no time', (text) => {
    expect(parseIsoTime(text)).toBeNaN();
  });
});
