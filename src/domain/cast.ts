import { readCodes } from './character-codes.ts';
import type { ColumnType, ColumnTypes } from './columns.ts';
import { decimalIn } from './decimal.ts';
import { DomainError } from './errors.ts';
import { parseStoredTime } from './iso-time.ts';

/** Turns a decoded value into its column's declared type. */
export type Cast = (value: unknown) => unknown;

/**
 * The cast of one column. `null` and `undefined` become `null`, and so does empty text, but for `string`.
 * White space around a number, a truth value or a time does not matter. Numbers, bigints, truth values and times become text where `string` is
 * declared; nothing is rounded to fit `integer` or `bigint`.
 *
 * @throws DomainError `E_VALUE_TYPE` when called with a value that does not fit; it names column and type, never the
 *   value, which may be personal data
 */
export function castTo(type: ColumnType, column: string): Cast {
  const cast = casts[type];
  const skipsEmpty = type !== 'string';
  return (value) => {
    if (value === null || value === undefined) return null;
    if (skipsEmpty && value === '') return null;
    const fitting = cast(value);
    if (fitting === undefined) {
      throw new DomainError(`column ${JSON.stringify(column)}: a value is not of type ${type}`, {
        code: 'E_VALUE_TYPE',
      });
    }
    return fitting;
  };
}

/** `undefined`: the value does not fit. */
const casts: { readonly [Type in ColumnType]: (value: unknown) => ColumnTypes[Type] | undefined } = {
  string: toText,
  number: toNumber,
  integer: toInteger,
  bigint: toBigint,
  boolean: toBoolean,
  timestamp: toTimestamp,
  json: toJson,
};

function toText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      return isValidDate(value) ? value.toISOString() : undefined;
  }
}

const INFINITE = /^[+-]?inf(?:inity)?$/i;
const NOT_A_NUMBER = /^[+-]?nan$/i;

function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string') return undefined;
  const usual = readCodes(value, decimalIn);
  if (!Number.isNaN(usual)) return usual;
  const number = Number(value);
  // `Number` also takes blanks for 0, and reads 0x10, 0b1 and 0o7.
  if (Number.isFinite(number))
    return (number === 0 && value.trim() === '') || /[xXbBoO]/.test(value) ? undefined : number;
  const text = value.trim();
  if (INFINITE.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  return NOT_A_NUMBER.test(text) ? NaN : undefined;
}

/** `5`, and `5.0` as some writers put whole numbers beside missing ones. */
const WHOLE = /^\s*([+-]?\d+)(?:\.0*)?\s*$/;

function toInteger(value: unknown): number | undefined {
  let number: number;
  if (typeof value === 'string') {
    number = readCodes(value, decimalIn);
    // What has a fraction is refused below.
    if (Number.isNaN(number)) {
      const whole = WHOLE.exec(value);
      if (whole === null) return undefined;
      number = Number(whole[1]);
    }
  } else if (typeof value === 'number' || typeof value === 'bigint') number = Number(value);
  else return undefined;
  // Adding 0 makes -0 the same as 0.
  return Number.isSafeInteger(number) ? number + 0 : undefined;
}

function toBigint(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== 'string') return undefined;
  const whole = WHOLE.exec(value);
  return whole === null ? undefined : BigInt((whole[1] as string).replace('+', ''));
}

function toBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  // Nearly all are like that.
  if (value === 'true') return true;
  if (value === 'false') return false;
  if (typeof value === 'number' || typeof value === 'bigint')
    return Number(value) === 1 ? true : Number(value) === 0 ? false : undefined;
  if (typeof value !== 'string') return undefined;
  switch (value.trim().toLowerCase()) {
    case 'true':
    case '1':
      return true;
    case 'false':
    case '0':
      return false;
    default:
      return undefined;
  }
}

const MILLISECONDS = /^[+-]?\d+$/;

/** Four digits alone are a year and eight a day; other digits alone are milliseconds. */
function toTimestamp(value: unknown): Date | undefined {
  if (isValidDate(value)) return value;
  if (typeof value === 'number' || typeof value === 'bigint') return validDate(Number(value));
  if (typeof value !== 'string') return undefined;
  return timestampOf(value);
}

function timestampOf(value: string): Date | undefined {
  // With a dash behind four digits it is neither milliseconds nor blank: nearly all are like that.
  if (value[4] === '-') {
    const time = parseStoredTime(value);
    if (!Number.isNaN(time)) return new Date(time);
  }
  const text = value.trim();
  if (MILLISECONDS.test(text) && text.length !== 4 && text.length !== 8) return validDate(Number(text));
  return validDate(parseStoredTime(text));
}

function toJson(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return undefined;
  }
}

function validDate(milliseconds: number): Date | undefined {
  const date = new Date(milliseconds);
  return isValidDate(date) ? date : undefined;
}

function isValidDate(value: unknown): value is Date {
  return value instanceof Date && !Number.isNaN(value.getTime());
}
