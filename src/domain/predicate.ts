import { DomainError } from './errors.ts';
import { parseIsoTime } from './iso-time.ts';
import type { Row } from './row.ts';
import type { Operand, Operators, Where } from './where.ts';

/*
 * What a predicate means, for every format and for pruning alike:
 *
 * - A missing column and `null` (and `undefined`) are the same. `$eq: null` and `$exists: false` find them;
 *   `$exists: true` finds the rest.
 * - Numbers and bigints compare by value, also beyond 2^53. `-0` is `0`. `NaN` equals nothing and is neither
 *   before nor after anything.
 * - Strings are ordered by code point, which is the order of their UTF-8 bytes (and of Parquet's statistics and SQL's
 *   binary collation), not by UTF-16 unit. No Unicode normalisation.
 * - `false` is before `true`.
 * - A `Date` in a row compares with an operand that is a `Date`, ISO 8601 text (UTC without an offset) or a number of milliseconds.
 * - Values of other types (bytes, lists, objects) equal no operand.
 * - What cannot be compared is not equal, and no ordering of it holds: with `null`, with `NaN`, between types.
 * - `$ne`, `$nin`, `$not` and `$nor` are plain negations: they keep rows whose value is `null` or of another type.
 * - Several operators of a column, and several keys of an object, all have to hold. `{}` keeps every row;
 *   `$and: []` and `$nor: []` hold, `$or: []` and `$in: []` do not.
 * - A key is the name of a top-level column, whatever it holds: a dot is part of the name. Names that begin with `$`
 *   cannot be asked for.
 */

const MAX_DEPTH = 100;

const logicalOperators = ['$and', '$or', '$nor', '$not'] as const;
const columnOperators = [
  '$eq',
  '$ne',
  '$in',
  '$nin',
  '$lt',
  '$lte',
  '$gt',
  '$gte',
  '$exists',
  '$not',
] as const;

/**
 * Checks the shape of a predicate that comes from outside.
 *
 * @throws DomainError `E_WHERE_INVALID`, with the path of what is wrong and what is allowed there
 */
export function parseWhere(value: unknown): Where {
  checkWhere(value, 'where', 0);
  return value as Where;
}

function checkWhere(value: unknown, path: string, depth: number): void {
  if (depth > MAX_DEPTH) throw invalid(path, `is nested deeper than ${MAX_DEPTH} levels`);
  if (!isPlainObject(value)) {
    throw invalid(
      path,
      `must be an object of columns and ${logicalOperators.join(', ')}, not ${nameOf(value)}`,
    );
  }
  for (const key of Object.keys(value)) {
    const part = value[key];
    const partPath = `${path}.${key}`;
    if (key === '$and' || key === '$or' || key === '$nor') {
      if (!Array.isArray(part)) throw invalid(partPath, `must be a list of predicates, not ${nameOf(part)}`);
      part.forEach((each, index) => checkWhere(each, `${partPath}[${index}]`, depth + 1));
    } else if (key === '$not') {
      checkWhere(part, partPath, depth + 1);
    } else if (key.startsWith('$')) {
      throw invalid(partPath, `is no operator; here stand columns and ${logicalOperators.join(', ')}`);
    } else if (isPlainObject(part)) {
      checkOperators(part, partPath, depth + 1);
    } else {
      checkOperand(part, partPath, `, or an object of ${columnOperators.join(', ')}`);
    }
  }
}

function checkOperators(value: unknown, path: string, depth: number): void {
  if (depth > MAX_DEPTH) throw invalid(path, `is nested deeper than ${MAX_DEPTH} levels`);
  const allowed = `an object of ${columnOperators.join(', ')}`;
  if (!isPlainObject(value)) throw invalid(path, `must be ${allowed}, not ${nameOf(value)}`);
  const keys = Object.keys(value);
  if (keys.length === 0) throw invalid(path, `is empty; it must be a value or ${allowed}`);
  for (const key of keys) {
    const operand = value[key];
    const operandPath = `${path}.${key}`;
    switch (key) {
      case '$eq':
      case '$ne':
      case '$lt':
      case '$lte':
      case '$gt':
      case '$gte':
        checkOperand(operand, operandPath, '');
        break;
      case '$in':
      case '$nin':
        if (!Array.isArray(operand))
          throw invalid(operandPath, `must be a list of values, not ${nameOf(operand)}`);
        operand.forEach((each, index) => checkOperand(each, `${operandPath}[${index}]`, ''));
        break;
      case '$exists':
        if (typeof operand !== 'boolean')
          throw invalid(operandPath, `must be true or false, not ${nameOf(operand)}`);
        break;
      case '$not':
        checkOperators(operand, operandPath, depth + 1);
        break;
      default:
        throw invalid(operandPath, `is no operator of a column; allowed is ${allowed}`);
    }
  }
}

function checkOperand(value: unknown, path: string, orElse: string): void {
  if (value === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)) return;
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw invalid(path, 'is a Date that is no point in time');
    return;
  }
  throw invalid(
    path,
    `must be a string, number, bigint, boolean, Date or null${orElse}, not ${nameOf(value)}`,
  );
}

function invalid(path: string, problem: string): DomainError {
  return new DomainError(`${path} ${problem}`, { code: 'E_WHERE_INVALID' });
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  return Object.prototype.toString.call(value) === '[object Object]';
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a Date';
  return typeof value === 'undefined'
    ? 'undefined'
    : `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}

/** A predicate as closures, built once and called for every row. It never throws. */
export function compileWhere(where: Where): (row: Row) => boolean {
  return all(
    Object.entries(where).map(([key, part]): ((row: Row) => boolean) => {
      switch (key) {
        case '$and':
          return all((part as readonly Where[]).map(compileWhere));
        case '$or':
          return any((part as readonly Where[]).map(compileWhere));
        case '$nor':
          return not(any((part as readonly Where[]).map(compileWhere)));
        case '$not':
          return not(compileWhere(part as Where));
        default:
          return onColumn(key, compileOperators(operatorsOf(part)));
      }
    }),
  );
}

type Test<T> = (value: T) => boolean;

function compileOperators(operators: Operators): Test<unknown> {
  return all(
    Object.entries(operators).map(([operator, operand]): Test<unknown> => {
      switch (operator as keyof Operators) {
        case '$eq':
          return equalTo(operand as Operand);
        case '$ne':
          return not(equalTo(operand as Operand));
        case '$in':
          return oneOf(operand as readonly Operand[]);
        case '$nin':
          return not(oneOf(operand as readonly Operand[]));
        case '$exists':
          return operand === true ? isPresent : isNull;
        case '$not':
          return not(compileOperators(operand as Operators));
        default:
          return ordered(operator as OrderOperator, operand as Operand);
      }
    }),
  );
}

function onColumn(column: string, test: Test<unknown>): Test<Row> {
  // Rows have no prototype, but for names that other objects inherit it is not left to chance.
  if (column in Object.prototype) return (row) => test(Object.hasOwn(row, column) ? row[column] : undefined);
  return (row) => test(row[column]);
}

function equalTo(operand: Operand): Test<unknown> {
  const compare = comparerWith(operand);
  return (value) => compare(value) === 0;
}

type OrderOperator = '$lt' | '$lte' | '$gt' | '$gte';

function ordered(operator: OrderOperator, operand: Operand): Test<unknown> {
  if (operand === null) return () => false;
  const compare = comparerWith(operand);
  switch (operator) {
    case '$lt':
      return (value) => compare(value) < 0;
    case '$lte':
      return (value) => compare(value) <= 0;
    case '$gt':
      return (value) => compare(value) > 0;
    case '$gte':
      return (value) => compare(value) >= 0;
  }
}

/** Linear tests would cost a long list dearly; sets hold the operands by the type of value that they can equal. */
function oneOf(operands: readonly Operand[]): Test<unknown> {
  const exact = new Set<unknown>();
  const times = new Set<number>();
  for (const operand of operands) {
    const time = timeOf(operand);
    if (!Number.isNaN(time)) times.add(time);
    if (operand instanceof Date || Number.isNaN(operand)) continue;
    exact.add(exactKey(operand));
  }
  return (value) => (value instanceof Date ? times.has(value.getTime()) : exact.has(exactKey(value ?? null)));
}

/** Numbers and bigints of one value become one key: a safe integer is a number, any other whole number a bigint. */
function exactKey(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const near = Number(value);
    return Number.isSafeInteger(near) ? near : value;
  }
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
    return BigInt(value);
  return value;
}

function isNull(value: unknown): boolean {
  return value === null || value === undefined;
}

function isPresent(value: unknown): boolean {
  return value !== null && value !== undefined;
}

function not<T>(test: Test<T>): Test<T> {
  return (value) => !test(value);
}

function all<T>(tests: readonly Test<T>[]): Test<T> {
  const [first, second] = tests;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  if (tests.length === 2) return (value) => first(value) && second(value);
  return (value) => tests.every((test) => test(value));
}

function any<T>(tests: readonly Test<T>[]): Test<T> {
  return (value) => tests.some((test) => test(value));
}

function operatorsOf(part: unknown): Operators {
  return isPlainObject(part) ? part : { $eq: part as Operand };
}

/**
 * How values compare with an operand: below, equal to or above 0, or `NaN` where they cannot be compared.
 * Every meaning of "equal" and "before" comes from here, also that of pruning.
 */
export function comparerWith(operand: Operand): (value: unknown) => number {
  const time = timeOf(operand);
  const compareTime = (value: unknown) =>
    value instanceof Date ? compareNumbers(value.getTime(), time) : Number.NaN;
  if (operand === null) return (value) => (isNull(value) ? 0 : Number.NaN);
  if (operand instanceof Date) return compareTime;
  switch (typeof operand) {
    case 'string': {
      const compare = highUnits.test(operand) ? compareStrings : compareUnits;
      return (value) => (typeof value === 'string' ? compare(value, operand) : compareTime(value));
    }
    case 'boolean':
      return (value) => (typeof value === 'boolean' ? Number(value) - Number(operand) : Number.NaN);
    default:
      return (value) =>
        typeof value === 'number' || typeof value === 'bigint'
          ? compareNumbers(value, operand)
          : compareTime(value);
  }
}

/** The point in time that an operand can mean, in milliseconds since 1970; else `NaN`. */
function timeOf(operand: Operand): number {
  if (operand instanceof Date) return operand.getTime();
  if (typeof operand === 'string') return parseIsoTime(operand);
  return typeof operand === 'number' || typeof operand === 'bigint' ? Number(operand) : Number.NaN;
}

function compareNumbers(a: number | bigint, b: number | bigint): number {
  // Relational operators compare numbers with bigints exactly; all three are false with NaN.
  if (a < b) return -1;
  if (a > b) return 1;
  return a >= b ? 0 : Number.NaN;
}

/** Only from here on do UTF-16 units and code points differ in order: surrogates stand for what is above all units. */
const highUnits = /[\ud800-\uffff]/;

/** Right where one side has no unit from U+D800 on. */
function compareUnits(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Order of strings by code point, which is that of their UTF-8 bytes. */
export function compareStrings(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left === right) continue;
    const leftSurrogate = left >= 0xd800 && left <= 0xdfff;
    const rightSurrogate = right >= 0xd800 && right <= 0xdfff;
    if (leftSurrogate !== rightSurrogate && left >= 0xd800 && right >= 0xd800) return leftSurrogate ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}

/** The columns that a predicate asks for, each once, in order of appearance. */
export function columnsOfWhere(where: Where): readonly string[] {
  const columns = new Set<string>();
  collectColumns(where, columns);
  return [...columns];
}

function collectColumns(where: Where, into: Set<string>): void {
  for (const [key, part] of Object.entries(where)) {
    if (key === '$and' || key === '$or' || key === '$nor') {
      for (const each of part as readonly Where[]) collectColumns(each, into);
    } else if (key === '$not') {
      collectColumns(part as Where, into);
    } else {
      into.add(key);
    }
  }
}

/** Both have to hold; what is `undefined` asks for nothing. */
export function andWhere(a: Where, b: Where | undefined): Where;
export function andWhere(a: Where | undefined, b: Where): Where;
export function andWhere(a: Where | undefined, b: Where | undefined): Where | undefined;
export function andWhere(a: Where | undefined, b: Where | undefined): Where | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : { $and: [a, b] };
}

/** What a test can say of rows that are not all known: whether some may pass, and whether some may fail. */
export interface Possible {
  readonly pass: boolean;
  readonly fail: boolean;
}

/** The tests to which all operators of a column reduce. */
export type ElementaryTest =
  | { readonly operator: '$eq'; readonly operand: Operand }
  | { readonly operator: OrderOperator; readonly operand: Exclude<Operand, null> };

/** What is known of a column's values in some set of rows. It may allow too much, never too little. */
export type ColumnKnowledge = (test: ElementaryTest) => Possible;

const either: Possible = { pass: true, fail: true };
const never: Possible = { pass: false, fail: true };
const always: Possible = { pass: true, fail: false };

/**
 * What a predicate can say of a set of rows, given what is known of their columns (`undefined`: nothing).
 * `pass: false` means that no row of the set matches.
 */
export function possibleOutcomes(
  where: Where,
  knowledgeOf: (column: string) => ColumnKnowledge | undefined,
): Possible {
  return every(
    Object.entries(where).map(([key, part]): Possible => {
      const parts = () => (part as readonly Where[]).map((each) => possibleOutcomes(each, knowledgeOf));
      if (key === '$and') return every(parts());
      if (key === '$or') return some(parts());
      if (key === '$nor') return opposite(some(parts()));
      if (key === '$not') return opposite(possibleOutcomes(part as Where, knowledgeOf));
      const knowledge = knowledgeOf(key);
      return knowledge === undefined ? either : possibleOfOperators(operatorsOf(part), knowledge);
    }),
  );
}

function possibleOfOperators(operators: Operators, knowledge: ColumnKnowledge): Possible {
  const equalToOne = (operands: readonly Operand[]) =>
    some(operands.map((operand) => knowledge({ operator: '$eq', operand })));
  return every(
    Object.entries(operators).map(([operator, operand]): Possible => {
      switch (operator as keyof Operators) {
        case '$eq':
          return knowledge({ operator: '$eq', operand: operand as Operand });
        case '$ne':
          return opposite(knowledge({ operator: '$eq', operand: operand as Operand }));
        case '$in':
          return equalToOne(operand as readonly Operand[]);
        case '$nin':
          return opposite(equalToOne(operand as readonly Operand[]));
        case '$exists': {
          const missing = knowledge({ operator: '$eq', operand: null });
          return operand === true ? opposite(missing) : missing;
        }
        case '$not':
          return opposite(possibleOfOperators(operand as Operators, knowledge));
        default:
          if (operand === null) return never;
          return knowledge({
            operator: operator as OrderOperator,
            operand: operand as Exclude<Operand, null>,
          });
      }
    }),
  );
}

function every(parts: readonly Possible[]): Possible {
  return { pass: parts.every((part) => part.pass), fail: parts.some((part) => part.fail) };
}

function some(parts: readonly Possible[]): Possible {
  return { pass: parts.some((part) => part.pass), fail: parts.every((part) => part.fail) };
}

function opposite(part: Possible): Possible {
  return { pass: part.fail, fail: part.pass };
}

/** All rows of the set hold this value in the column. */
export function knowledgeOfValue(value: unknown): ColumnKnowledge {
  return (test) => (holds(test, value) ? always : never);
}

/**
 * Whether a row that has these values can match, whatever its other columns hold: false only if none can.
 *
 * @param known the columns that are known (own properties), such as those of an object's path
 */
export function whereMayMatch(where: Where, known: Row): boolean {
  return possibleOutcomes(where, (column) =>
    Object.hasOwn(known, column) ? knowledgeOfValue(known[column]) : undefined,
  ).pass;
}

function holds(test: ElementaryTest, value: unknown): boolean {
  const matches = test.operator === '$eq' ? equalTo(test.operand) : ordered(test.operator, test.operand);
  return matches(value);
}
