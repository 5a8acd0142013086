import { isUtf8 } from 'node:buffer';
import type { SchemaElement } from 'hyparquet';
import { parseFloat16 } from 'hyparquet/src/convert.js';
import type { ByteValue } from './encoding.ts';

/** Stands for text that is not UTF-8, until its row is made a fault. */
export const INVALID_TEXT = Symbol('text is not UTF-8');
/** Stands for a point in time that a `Date` cannot hold (further than 100 million days from 1970). */
export const INVALID_TIME = Symbol('a time is beyond what a Date can hold');

/** Stands for text or bytes over `limits.maxRowBytes`. */
export const TOO_LARGE = Symbol('a value is over limits.maxRowBytes');

/** Which values of rows a column's statistics can speak of. */
export type ComparisonKind = 'integer' | 'float' | 'decimal' | 'time' | 'text' | 'boolean' | 'none';

/** How one leaf column's values come about. */
export interface ValueKind {
  /** For people: `timestamp(us)`, `decimal(10,2)`. */
  readonly name: string;
  readonly comparison: ComparisonKind;
  /** What is made of stored whole numbers, all at once; the result is compact. INT32 and INT64 only. */
  readonly fromIntegers?: (values: Int32Array | BigInt64Array) => ArrayLike<unknown>;
  /** What is made of stored bytes. BYTE_ARRAY and FIXED_LEN_BYTE_ARRAY only. */
  readonly fromBytes: ByteValue<unknown>;
  /** Makes what rows hold of a compact value, anew each time: rows share nothing that can be changed. */
  readonly finish?: (compact: unknown) => unknown;
}

const MS_PER_DAY = 86_400_000;

/**
 * How a column's values are read:
 *
 * | stored | in rows |
 * | --- | --- |
 * | INT32, INT64 | number where it is a safe integer, else bigint |
 * | FLOAT, DOUBLE, FLOAT16 | number |
 * | decimal | the nearest number; of scale 0 as INT64; exact text where the column is declared `string` |
 * | date, timestamp, INT96 | `Date`: parts of milliseconds are cut off, towards the past; beyond its reach: `E_VALUE_TYPE` of the row |
 * | time | text, `13:05:00.000250` |
 * | text, enum, JSON | text (declare `json` to have it parsed); not UTF-8: `E_UTF8` of the row |
 * | UUID | text in lower case |
 * | interval | `{ months, days, milliseconds }` |
 * | bytes without annotation, BSON, geometry | `Uint8Array`; text where the column is declared with a type |
 *
 * @param declared the type that the pipeline declares for the top-level column
 */
export function valueKindOf(element: SchemaElement, declared: string | undefined): ValueKind {
  const { type, converted_type: converted, logical_type: logical } = element;
  switch (logical?.type) {
    case 'TIMESTAMP':
      return timestampKind(logical.unit);
    case 'TIME':
      return timeOfDayKind(logical.unit);
    case 'DECIMAL':
      return decimalKind(logical.precision, logical.scale ?? 0, declared);
    case 'DATE':
      return dateKind;
    case 'UUID':
      return uuidKind;
    case 'FLOAT16':
      return float16Kind;
    case 'INTEGER':
      return integerKind(`${logical.isSigned ? 'int' : 'uint'}${logical.bitWidth}`, logical.isSigned);
    case 'STRING':
    case 'ENUM':
    case 'JSON':
      return textKind(logical.type.toLowerCase());
    case 'BSON':
    case 'GEOMETRY':
    case 'GEOGRAPHY':
      return bytesKind(logical.type.toLowerCase());
    case 'INTERVAL':
      return intervalKind;
    default:
      break;
  }
  switch (converted) {
    case 'UTF8':
      return textKind('string');
    case 'ENUM':
    case 'JSON':
      return textKind(converted.toLowerCase());
    case 'BSON':
      return bytesKind('bson');
    case 'DECIMAL':
      return decimalKind(element.precision ?? 0, element.scale ?? 0, declared);
    case 'DATE':
      return dateKind;
    case 'TIME_MILLIS':
      return timeOfDayKind('MILLIS');
    case 'TIME_MICROS':
      return timeOfDayKind('MICROS');
    case 'TIMESTAMP_MILLIS':
      return timestampKind('MILLIS');
    case 'TIMESTAMP_MICROS':
      return timestampKind('MICROS');
    case 'UINT_8':
    case 'UINT_16':
    case 'UINT_32':
    case 'UINT_64':
      return integerKind(`uint${converted.slice(5)}`, false);
    case 'INTERVAL':
      return intervalKind;
    default:
      break;
  }
  switch (type) {
    case 'BOOLEAN':
      return { name: 'boolean', comparison: 'boolean', fromBytes: copyBytes };
    case 'INT32':
      return integerKind('int32', true);
    case 'INT64':
      return integerKind('int64', true);
    case 'INT96':
      return { name: 'timestamp(int96)', comparison: 'none', fromBytes: int96Milliseconds, finish: dateOf };
    case 'FLOAT':
    case 'DOUBLE':
      return { name: type.toLowerCase(), comparison: 'float', fromBytes: copyBytes };
    default:
      return declared === undefined ? bytesKind('bytes') : textKind('bytes');
  }
}

function integerKind(name: string, signed: boolean): ValueKind {
  return {
    name,
    comparison: 'integer',
    fromIntegers: (values) => {
      if (values instanceof BigInt64Array) return numbersOf(values, signed);
      return signed ? values : new Uint32Array(values.buffer, values.byteOffset, values.length);
    },
    fromBytes: copyBytes,
  };
}

/** Whole numbers as numbers where all are safe, read by halves: a bigint each would cost four times as much. */
function numbersOf(values: BigInt64Array, signed: boolean): ArrayLike<number | bigint> {
  const halves = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  const numbers = new Float64Array(values.length);
  for (let i = 0; i < numbers.length; i++) {
    const high = halves[2 * i + 1]!;
    if (high >= 0x200000 || high < -0x200000 || (high < 0 && !signed)) return mixedNumbersOf(values, signed);
    const number = high * 0x1_0000_0000 + (halves[2 * i]! >>> 0);
    if (number === -0x20_0000_0000_0000) return mixedNumbersOf(values, signed);
    numbers[i] = number;
  }
  return numbers;
}

function mixedNumbersOf(values: BigInt64Array, signed: boolean): (number | bigint)[] {
  return Array.from(values, (value) => numberOrBigint(signed ? value : BigInt.asUintN(64, value)));
}

export function numberOrBigint(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const MAX_TIME = 8_640_000_000_000_000;

function dateOf(milliseconds: unknown): Date | typeof INVALID_TIME {
  return Math.abs(milliseconds as number) <= MAX_TIME ? new Date(milliseconds as number) : INVALID_TIME;
}

const dateKind: ValueKind = {
  name: 'date',
  comparison: 'time',
  fromIntegers: (values) =>
    Float64Array.from({ length: values.length }, (_, i) => Number(values[i]) * MS_PER_DAY),
  fromBytes: copyBytes,
  finish: dateOf,
};

type TimeUnit = 'MILLIS' | 'MICROS' | 'NANOS';

const unitNames: Readonly<Record<TimeUnit, string>> = { MILLIS: 'ms', MICROS: 'us', NANOS: 'ns' };
const unitsPerMillisecond: Readonly<Record<TimeUnit, number>> = { MILLIS: 1, MICROS: 1000, NANOS: 1_000_000 };

function timestampKind(unit: TimeUnit): ValueKind {
  return {
    name: `timestamp(${unitNames[unit]})`,
    comparison: 'time',
    fromIntegers: (values) => {
      if (values instanceof Int32Array) throw new Error('a timestamp stored as INT32');
      const whole = numbersOf(values, true);
      return Float64Array.from(whole as ArrayLike<number>, (value: number | bigint) =>
        millisecondsOf(value, unit),
      );
    },
    fromBytes: copyBytes,
    finish: dateOf,
  };
}

/** Parts of milliseconds are cut off towards the past, so that order is kept also before 1970. */
export function millisecondsOf(value: number | bigint, unit: TimeUnit): number {
  const divisor = unitsPerMillisecond[unit];
  if (typeof value === 'number') return Math.floor(value / divisor);
  const whole = value / BigInt(divisor);
  return Number(value < 0n && whole * BigInt(divisor) !== value ? whole - 1n : whole);
}

const fractionDigits: Readonly<Record<TimeUnit, number>> = { MILLIS: 3, MICROS: 6, NANOS: 9 };

function timeOfDayKind(unit: TimeUnit): ValueKind {
  const digits = fractionDigits[unit];
  const perSecond = unitsPerMillisecond[unit] * 1000;
  const textOf = (value: number) => {
    const seconds = Math.floor(value / perSecond);
    const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const clock = parts.map((part) => String(part).padStart(2, '0')).join(':');
    return `${clock}.${String(value - seconds * perSecond).padStart(digits, '0')}`;
  };
  return {
    name: `time(${unitNames[unit]})`,
    comparison: 'none',
    fromIntegers: (values) =>
      Array.from(values instanceof Int32Array ? values : numbersOf(values, true), (value) =>
        textOf(Number(value)),
      ),
    fromBytes: copyBytes,
  };
}

const MAX_EXACT_POWER = 22;

function decimalKind(precision: number, scale: number, declared: string | undefined): ValueKind {
  const valueOf = declared === 'string' ? decimalText : decimalNumber;
  return {
    name: `decimal(${precision},${scale})`,
    comparison: declared === 'string' ? 'none' : 'decimal',
    fromIntegers: (values) => {
      const whole: ArrayLike<number | bigint> =
        values instanceof Int32Array ? values : numbersOf(values, true);
      return Array.from(whole, (unscaled) => valueOf(unscaled, scale));
    },
    fromBytes: (page, start, end) => valueOf(numberOrBigint(signedOf(page, start, end)), scale),
  };
}

/** Of two exact doubles the quotient is the nearest double; beyond them the text is read, which is as near. */
function decimalNumber(unscaled: number | bigint, scale: number): number | bigint {
  if (scale === 0) return unscaled;
  if (typeof unscaled === 'number' && scale > 0 && scale <= MAX_EXACT_POWER) return unscaled / 10 ** scale;
  return Number(decimalText(unscaled, scale));
}

function decimalText(unscaled: number | bigint, scale: number): string {
  if (scale <= 0) return String(BigInt(unscaled) * 10n ** BigInt(-scale));
  const digits = String(unscaled < 0 ? -BigInt(unscaled) : unscaled).padStart(scale + 1, '0');
  return `${unscaled < 0 ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function signedOf(page: Buffer, start: number, end: number): bigint {
  return start === end
    ? 0n
    : BigInt.asIntN((end - start) * 8, BigInt(`0x${page.toString('hex', start, end)}`));
}

function textKind(name: string): ValueKind {
  return {
    name,
    comparison: 'text',
    fromBytes: (page, start, end) => {
      const text = page.toString('utf8', start, end);
      // Replacement characters may be in the text itself; only then is it looked at twice.
      return text.includes('\ufffd') && !isUtf8(page.subarray(start, end)) ? INVALID_TEXT : text;
    },
  };
}

/** A copy: a value must not keep its whole page in memory. */
function copyBytes(page: Buffer, start: number, end: number): Uint8Array {
  return Uint8Array.prototype.slice.call(page, start, end);
}

function bytesKind(name: string): ValueKind {
  return {
    name,
    comparison: 'none',
    fromBytes: copyBytes,
    finish: (bytes) => Uint8Array.from(bytes as Uint8Array),
  };
}

const uuidKind: ValueKind = {
  name: 'uuid',
  comparison: 'none',
  fromBytes: (page, start, end) =>
    page.toString('hex', start, end).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
};

const float16Kind: ValueKind = {
  name: 'float16',
  comparison: 'none',
  fromBytes: (page, start, end) => parseFloat16(page.subarray(start, end)),
};

const intervalKind: ValueKind = {
  name: 'interval',
  comparison: 'none',
  fromBytes: (page, start) => [
    page.readUInt32LE(start),
    page.readUInt32LE(start + 4),
    page.readUInt32LE(start + 8),
  ],
  finish: (parts) => {
    const [months, days, milliseconds] = parts as readonly [number, number, number];
    return { months, days, milliseconds };
  },
};

const JULIAN_DAY_OF_1970 = 2_440_588;

/** Eight bytes of nanoseconds of the day, four bytes of Julian day. */
function int96Milliseconds(page: Buffer, start: number): number {
  const milliseconds = millisecondsOf(page.readBigInt64LE(start), 'NANOS');
  return (page.readInt32LE(start + 8) - JULIAN_DAY_OF_1970) * MS_PER_DAY + milliseconds;
}
