import { readCodes } from './character-codes.ts';

/** What people write: date and time with their separators; hour 24 is the end of a day, years may have a sign and six digits. */
const EXTENDED =
  /^(\d{4}|[+-]\d{6})-(\d\d)(?:-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?([Zz]|[+-]\d\d(?::?\d\d)?)?)?)?$/;

/** What files hold: separators may be missing, and so may everything after the year. */
const STORED =
  /^(\d{4})(?:-?(\d\d)(?:-?(\d\d)(?:[Tt ]([01]\d|2[0-3])(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?\s*([Zz]|[+-]\d\d(?::?\d\d)?)?)?)?)?$/;

/**
 * The point in time that ISO 8601 text names, in milliseconds since 1970; `NaN` where it names none. A date is its
 * first moment; without an offset it is UTC, never the time zone of the machine. Digits beyond milliseconds are kept
 * as a fraction.
 */
export function parseIsoTime(text: string): number {
  return timeOf(text, EXTENDED, true);
}

/**
 * Like `parseIsoTime`, for values of a `timestamp` column: there is no doubt that they mean a time, so `2019`, `20190525` and
 * `20190525T1020` are times too. An hour is 0 to 23, a year has four digits, and digits beyond milliseconds are cut off.
 */
export function parseStoredTime(text: string): number {
  return timeOf(text, STORED, false);
}

function timeOf(text: string, format: RegExp, isPrecise: boolean): number {
  const usual = readCodes(text, timeIn);
  if (!Number.isNaN(usual)) return usual;
  const parts = format.exec(text);
  if (parts === null) return Number.NaN;
  const [
    ,
    year,
    month = '1',
    day = '1',
    hours = '0',
    minutes = '0',
    seconds = '0',
    digits = '',
    offset = 'Z',
  ] = parts;
  const below = isPrecise ? Number(`0.${digits.slice(3)}`) : 0;
  const fraction = Number(digits.slice(0, 3).padEnd(3, '0')) + below;
  const endsDay = Number(hours) === 24 && Number(minutes) === 0 && Number(seconds) === 0 && fraction === 0;
  const midnight = dayStart(Number(year), Number(month), Number(day));
  const sinceMidnight = endsDay ? DAY : timeOfDay(Number(hours), Number(minutes), Number(seconds));
  return midnight + sinceMidnight + fraction - offsetMilliseconds(offset);
}

const DAY = 86_400_000;

/**
 * A time in the forms that nearly all files hold, without a regular expression: six times as fast.
 *
 * @param codes ASCII characters; the time's lie from `from` up to `to`
 * @returns milliseconds since 1970; `NaN`: it may be another form
 */
export function timeIn(codes: Uint8Array, from: number, to: number): number {
  const end = to - from > 10 && codes[to - 1] === LETTER_Z ? to - 1 : to;
  const length = end - from;
  if (length !== 10 && length !== 19 && length !== 23) return Number.NaN;
  if (codes[from + 4] !== DASH || codes[from + 7] !== DASH) return Number.NaN;
  const year = 100 * twoDigits(codes, from) + twoDigits(codes, from + 2);
  const midnight = dayStart(year, twoDigits(codes, from + 5), twoDigits(codes, from + 8));
  if (length === 10) return midnight;
  const between = codes[from + 10];
  if ((between !== LETTER_T && between !== BLANK) || codes[from + 13] !== COLON || codes[from + 16] !== COLON)
    return Number.NaN;
  const time = timeOfDay(
    twoDigits(codes, from + 11),
    twoDigits(codes, from + 14),
    twoDigits(codes, from + 17),
  );
  if (length === 19) return midnight + time;
  if (codes[from + 19] !== POINT) return Number.NaN;
  return midnight + time + 10 * twoDigits(codes, from + 20) + digit(codes, from + 22);
}

const BLANK = 0x20;
const DASH = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;

function twoDigits(codes: Uint8Array, at: number): number {
  return 10 * digit(codes, at) + digit(codes, at + 1);
}

function digit(codes: Uint8Array, at: number): number {
  const value = (codes[at] as number) - ZERO;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/** Midnight of a day of the Gregorian calendar, in milliseconds since 1970; `NaN` where there is no such day. */
function dayStart(year: number, month: number, day: number): number {
  if (!(month >= 1 && month <= 12 && day >= 1)) return Number.NaN;
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const before = DAYS_BEFORE_MONTH[month - 1] as number;
  const days = (DAYS_BEFORE_MONTH[month] as number) - before + (isLeap && month === 2 ? 1 : 0);
  if (day > days) return Number.NaN;
  const past = year - 1;
  const leapDays = Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400);
  const dayOfYear = before + (isLeap && month > 2 ? 1 : 0) + day - 1;
  return (past * 365 + leapDays + dayOfYear - DAYS_BEFORE_1970) * DAY;
}

/** From the first day of the year 1. */
const DAYS_BEFORE_1970 = 719_162;

function timeOfDay(hours: number, minutes: number, seconds: number): number {
  if (!(hours <= 23 && minutes <= 59 && seconds <= 59)) return Number.NaN;
  return ((hours * 60 + minutes) * 60 + seconds) * 1000;
}

function offsetMilliseconds(offset: string): number {
  if (offset === 'Z' || offset === 'z') return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(3).replace(':', ''));
  if (hours > 23 || minutes > 59) return Number.NaN;
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
