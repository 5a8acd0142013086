import { compileWhere, columnsOfWhere, parseWhere, whereMayMatch } from '../../../src/domain/predicate.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target } from '../target.ts';

const ROWS: readonly Record<string, unknown>[] = [
  {},
  { a: 1, b: 'x', c: null, d: true, e: new Date(0), f: 10n ** 20n },
  { a: Number.NaN, b: '\ud800', c: undefined, d: [], e: {}, f: new Uint8Array(2) },
  { a: -0, b: '2019-05-25', c: 0, d: false, e: new Date(Number.NaN), f: 1.5 },
];

const OPERANDS = (value: unknown): boolean =>
  value === null || ['string', 'number', 'boolean'].includes(typeof value);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const COLUMN: Readonly<Record<string, (value: unknown, left: number) => boolean>> = {
  $eq: OPERANDS,
  $ne: OPERANDS,
  $lt: OPERANDS,
  $lte: OPERANDS,
  $gt: OPERANDS,
  $gte: OPERANDS,
  $in: (value) => Array.isArray(value) && value.every(OPERANDS),
  $nin: (value) => Array.isArray(value) && value.every(OPERANDS),
  $exists: (value) => typeof value === 'boolean',
  $not: (value, left) => areOperators(value, left - 1),
};

/**
 * Predicates as JSON against a second reading of their grammar; what is accepted is then asked of rows of every kind, and must not
 * throw, nor say "no row can match" of a row that matches.
 */
export const whereTarget: Target = {
  name: 'where',
  share: 15,
  isJson: true,
  tokens: [
    '"$and":',
    '"$or":[]',
    '"$not":{}',
    '"$in":[',
    '"$gt":',
    '"$exists":true',
    '{}',
    '[]',
    'null',
    '"__proto__":1',
    '"constructor":{"$eq":1}',
  ],
  open: () => ({
    corpus: [
      '{"a":1,"b":{"$in":["x",1,null]},"$or":[{"c":null},{"d":{"$ne":true}}]}',
      '{"$and":[{"a":{"$gte":0,"$lt":10}},{"$not":{"b":{"$exists":false}}}],"$nor":[{"e":{"$gt":"2019-01-01"}}]}',
      '{"a":{"$not":{"$not":{"$nin":[1,2,3]}}},"f":{"$lte":1e20},"constructor":{"$eq":null}}',
      '{}',
      `${'{"$not":'.repeat(90)}{}${'}'.repeat(90)}`,
    ].map((text) => new Uint8Array(Buffer.from(text))),
    async check(input) {
      let value: unknown;
      try {
        value = JSON.parse(Buffer.from(input).toString('utf8'));
      } catch {
        return 'refused';
      }
      const { value: where, code } = await outcomeOf(['E_WHERE_INVALID'], () => parseWhere(value));
      agree('acceptance', where !== undefined, isWhere(value, 100));
      if (where === undefined || code !== undefined) return 'refused';
      const keeps = compileWhere(where);
      for (const row of ROWS) if (keeps(row)) must(whereMayMatch(where, row), 'a row matches that cannot');
      must(
        columnsOfWhere(where).every((column) => typeof column === 'string'),
        'a column without a name',
      );
      return 'accepted';
    },
  }),
};

function isWhere(value: unknown, left: number): boolean {
  if (left < 0 || !isObject(value)) return false;
  return Object.keys(value).every((key) => {
    const part = value[key];
    if (['$and', '$or', '$nor'].includes(key))
      return Array.isArray(part) && part.every((each) => isWhere(each, left - 1));
    if (key === '$not') return isWhere(part, left - 1);
    if (key.startsWith('$')) return false;
    return isObject(part) ? areOperators(part, left - 1) : OPERANDS(part);
  });
}

function areOperators(value: unknown, left: number): boolean {
  if (left < 0 || !isObject(value)) return false;
  const keys = Object.keys(value);
  return (
    keys.length > 0 &&
    keys.every((key) => Object.hasOwn(COLUMN, key) && COLUMN[key]?.(value[key], left) === true)
  );
}
