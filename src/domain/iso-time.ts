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
  const usual = usualTime(text);
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

/** The forms that nearly all files hold, without a regular expression: six times as fast. `NaN`: may be another form. */
function usualTime(text: string): number {
  const length = text.length > 10 && text.endsWith('Z') ? text.length - 1 : text.length;
  if (length !== 10 && length !== 19 && length !== 23) return Number.NaN;
  if (text[4] !== '-' || text[7] !== '-') return Number.NaN;
  const midnight = dayStart(digitsAt(text, 0, 4), digitsAt(text, 5, 2), digitsAt(text, 8, 2));
  if (length === 10) return midnight;
  if ((text[10] !== 'T' && text[10] !== ' ') || text[13] !== ':' || text[16] !== ':') return Number.NaN;
  if (length === 23 && text[19] !== '.') return Number.NaN;
  const time = timeOfDay(digitsAt(text, 11, 2), digitsAt(text, 14, 2), digitsAt(text, 17, 2));
  return midnight + time + (length === 23 ? digitsAt(text, 20, 3) : 0);
}

function digitsAt(text: string, from: number, count: number): number {
  let number = 0;
  for (let i = from; i < from + count; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    number = number * 10 + digit;
  }
  return number;
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
