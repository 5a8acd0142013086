import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { castTo } from '../../../src/domain/cast.ts';
import type { ColumnType } from '../../../src/domain/columns.ts';
import { knownByPath, pathColumns } from '../../../src/domain/path-columns.ts';
import type { Row } from '../../../src/domain/row.ts';
import { createRowShaper } from '../../../src/application/formats/row-shaper.ts';
import { rowFactory } from '../../../src/application/formats/row-factory.ts';

const utc = (iso: string): Date => new Date(iso);

describe('casts', () => {
  const fits: [ColumnType, unknown, unknown][] = [
    ['string', '', ''],
    ['string', 5, '5'],
    ['string', 5n, '5'],
    ['string', false, 'false'],
    ['string', utc('2019-05-25T00:00:00Z'), '2019-05-25T00:00:00.000Z'],
    ['number', ' -1.5e3 ', -1500],
    ['number', '.5', 0.5],
    ['number', 'NaN', NaN],
    ['number', '-inf', -Infinity],
    ['number', 'Infinity', Infinity],
    ['number', 12n, 12],
    ['integer', '+007', 7],
    ['integer', '5.0', 5],
    ['integer', '-0', 0],
    ['integer', 9_007_199_254_740_991n, 9_007_199_254_740_991],
    ['bigint', '123456789012345678901', 123456789012345678901n],
    ['bigint', '-5.', -5n],
    ['bigint', 7, 7n],
    ['boolean', 'TRUE', true],
    ['boolean', '0', false],
    ['boolean', 1n, true],
    ['boolean', false, false],
    ['timestamp', '2019', utc('2019-01-01T00:00:00Z')],
    ['timestamp', '20190525', utc('2019-05-25T00:00:00Z')],
    ['timestamp', '000012', utc('1970-01-01T00:00:00.012Z')],
    ['timestamp', '20190525T1020+0200', utc('2019-05-25T08:20:00Z')],
    ['timestamp', '2019-05-25T10', utc('2019-05-25T10:00:00Z')],
    ['timestamp', '1969-12-31 23:59:59,9999999999', utc('1969-12-31T23:59:59.999Z')],
    ['timestamp', '2000-02-29T10:20:30Z', utc('2000-02-29T10:20:30Z')],
    ['timestamp', '2019-05-25', utc('2019-05-25T00:00:00Z')],
    ['timestamp', '2019-05-25 10:20', utc('2019-05-25T10:20:00Z')],
    ['timestamp', '2019-05-25T10:20:30.123456+02:00', utc('2019-05-25T08:20:30.123Z')],
    ['timestamp', '2019-05-25T00:20:30,5-0130', utc('2019-05-25T01:50:30.500Z')],
    ['timestamp', '0050-01-01', utc('0050-01-01T00:00:00Z')],
    ['timestamp', '2020-02-29', utc('2020-02-29T00:00:00Z')],
    ['timestamp', '1558742400000', utc('2019-05-25T00:00:00Z')],
    ['timestamp', 1558742400000n, utc('2019-05-25T00:00:00Z')],
    ['json', '{"a":[1]}', { a: [1] }],
    ['json', [1], [1]],
    ['json', 'null', null],
  ];
  it.each(fits)('%s from %o', (type, value, expected) => {
    expect(castTo(type, 'c')(value)).toEqual(expected);
  });

  it('of decimal text are the double that is nearest to it', () => {
    const decimals = fc.stringMatching(/^-?\d{1,17}(\.\d{0,9})?$/);
    fc.assert(
      fc.property(decimals, (text) => {
        expect(castTo('number', 'c')(text)).toBe(Number(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each<[ColumnType, unknown]>([
    ['integer', '.0'],
    ['number', '-'],
    ['number', '.'],
    ['number', '1.2.3'],
    ['string', { a: 1 }],
    ['number', '0x10'],
    ['number', ' '],
    ['number', '1,5'],
    ['number', '1e999'],
    ['number', true],
    ['integer', '1.5'],
    ['integer', '1e3'],
    ['integer', 1.5],
    ['integer', '9007199254740992'],
    ['integer', '9007199254740991.4'],
    ['integer', 9_007_199_254_740_992n],
    ['bigint', '1.5'],
    ['bigint', 2 ** 60],
    ['bigint', ''.padEnd(3)],
    ['boolean', 'yes'],
    ['boolean', 2],
    ['timestamp', '2019-02-29'],
    ['timestamp', '2019-13-01'],
    ['timestamp', '1900-02-29T10:20:30'],
    ['timestamp', '2019-05-25T10:20:60'],
    ['timestamp', '2019-05-25T10:20:3x'],
    ['timestamp', '+002019-05-25'],
    ['timestamp', '2019-05-25T24:00'],
    ['timestamp', '25.05.2019'],
    ['timestamp', '1e3'],
    ['timestamp', new Date(NaN)],
    ['timestamp', Infinity],
    ['json', '{'],
  ])('%s never from %o', (type, value) => {
    expect(() => castTo(type, 'delay')(value)).toThrow(
      expect.objectContaining({
        code: 'E_VALUE_TYPE',
        message: `column "delay": a value is not of type ${type}`,
      }),
    );
  });

  it('nothing is null, empty text too, but for strings', () => {
    for (const type of ['string', 'number', 'integer', 'bigint', 'boolean', 'timestamp', 'json'] as const) {
      expect(castTo(type, 'c')(null)).toBeNull();
      expect(castTo(type, 'c')(undefined)).toBeNull();
      expect(castTo(type, 'c')('')).toBe(type === 'string' ? '' : null);
    }
  });

  it('what was written as text comes back', () => {
    fc.assert(
      fc.property(
        fc.double(),
        fc.maxSafeInteger(),
        fc.bigInt(),
        fc.date({ noInvalidDate: true, min: utc('0000-01-01T00:00:00Z'), max: utc('9999-12-31T23:59:59Z') }),
        (number, integer, big, date) => {
          expect(castTo('number', 'c')(String(number))).toEqual(number === 0 ? expect.closeTo(0) : number);
          expect(castTo('integer', 'c')(String(integer))).toBe(integer);
          expect(castTo('bigint', 'c')(String(big))).toBe(big);
          expect(castTo('timestamp', 'c')(date.toISOString())).toEqual(date);
        },
      ),
    );
  });
});

describe('path columns', () => {
  it('are the parts of the path, without the file', () => {
    expect({
      ...pathColumns(
        'flights/yyyy=2019/mm=05/dd=-0/air%20port=%C3%A9/x=/r=__HIVE_DEFAULT_PARTITION__/n=12a/b=99999999999999999999/y=z.parquet',
        undefined,
      ),
    }).toEqual({
      yyyy: 2019,
      mm: 5,
      dd: 0,
      'air port': 'é',
      x: '',
      r: null,
      n: '12a',
      b: '99999999999999999999',
    });
    expect({ ...pathColumns('a=%E0%A4%A/=1/a=b=c/f', undefined) }).toEqual({ a: 'b=c' });
    expect({ ...pathColumns('p=%zz/f', undefined) }).toEqual({ p: '%zz' });
    // Where a type is declared it is cast from the text: leading zeros may mean something.
    expect({ ...pathColumns('zip=01234/mm=05/f', { zip: 'string' }) }).toEqual({ zip: '01234', mm: 5 });
  });

  it('are known of every row as they are declared, or not at all', () => {
    const declared = { zip: 'string', day: 'timestamp', flag: 'boolean', n: 'integer' } as const;
    expect({ ...knownByPath('zip=01234/day=20190525/flag=1/n=x/mm=05/f', declared) }).toEqual({
      zip: '01234',
      day: new Date('2019-05-25'),
      flag: true,
      mm: 5,
    });
  });

  it('a part named __proto__ does no harm', () => {
    const columns = pathColumns('__proto__=1/f', undefined);
    expect(Object.getPrototypeOf(columns)).toBeNull();
    expect(Object.entries(columns)).toEqual([['__proto__', 1]]);
  });
});

function row(values: Record<string, unknown>): Row {
  return rowFactory(Object.keys(values))(Object.values(values));
}

describe('shaping rows', () => {
  const none = { columns: undefined, where: undefined, pathColumns: {} };

  it('without any wish the row stays as it is', () => {
    const shaper = createRowShaper(none);
    const decoded = row({ a: '1', __proto: null });
    expect(shaper.neededColumns).toBeUndefined();
    expect(shaper.shape(decoded)).toBe(decoded);
  });

  it('needs the declared columns and those of the predicate, but for the path', () => {
    const where = { $or: [{ c: 1 }, { yyyy: 2019 }] };
    const shaper = createRowShaper({
      columns: ['b', 'yyyy', 'a'],
      where,
      pathColumns: { yyyy: 2019, mm: 5 },
    });
    expect(shaper.neededColumns).toEqual(['b', 'a', 'c']);
    expect(() => shaper.requireColumns(['a', 'b'])).not.toThrow();
    expect(() => shaper.requireColumns(['a', 'x'])).toThrow(
      expect.objectContaining({ code: 'E_COLUMN_MISSING', message: 'no column "b"; there are: "a", "x"' }),
    );
  });

  it('path columns win, what only the predicate needs is dropped, order is as declared', () => {
    const shaper = createRowShaper({
      columns: ['b', 'yyyy', 'a'],
      where: { c: { $gt: 1 } },
      pathColumns: { yyyy: 2019, mm: 5 },
    });
    expect(Object.entries(shaper.shape(row({ b: 'x', yyyy: 'other', a: undefined, c: 2 })) ?? {})).toEqual([
      ['b', 'x'],
      ['yyyy', 2019],
      ['a', null],
    ]);
    expect(shaper.shape(row({ b: 'x', a: 'y', c: 1 }))).toBeUndefined();
    const all = createRowShaper({ ...none, pathColumns: { a: null, mm: 5 } });
    expect({ ...all.shape(row({ a: 'x', b: 'y' })) }).toEqual({ a: null, b: 'y', mm: 5 });
  });

  it('casts before it asks the predicate, and nothing of a row that nobody wants', () => {
    const shaper = createRowShaper({
      columns: { a: 'integer', b: 'integer' },
      where: { a: { $lt: 3 } },
      pathColumns: {},
    });
    expect({ ...shaper.shape(row({ a: '1', b: '2' })) }).toEqual({ a: 1, b: 2 });
    expect(shaper.shape(row({ a: '11', b: 'no number' }))).toBeUndefined();
    expect(() => shaper.shape(row({ a: '1', b: 'no number' }))).toThrow(
      expect.objectContaining({ code: 'E_VALUE_TYPE' }),
    );
  });

  it('columns of any name are only names, and rows have no prototype', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.oneof(
            fc.string({ unit: 'binary' }),
            fc.constantFrom('__proto__', 'constructor', '"', '\\', '\u2028', "'];"),
          ),
          { maxLength: 30 },
        ),
        (names) => {
          const values = names.map((_, i) => i);
          const made = rowFactory(names)(values);
          expect(Object.getPrototypeOf(made)).toBeNull();
          expect(Object.keys(made).toSorted()).toEqual(names.toSorted());
          names.forEach((name, i) => expect(made[name]).toBe(i));
          const shaped = createRowShaper({ columns: names, where: { other: null }, pathColumns: {} }).shape(
            rowFactory(names)(values),
          );
          expect(Object.getPrototypeOf(shaped)).toBeNull();
          names.forEach((name, i) => expect(shaped?.[name]).toBe(i));
        },
      ),
    );
  });
});
