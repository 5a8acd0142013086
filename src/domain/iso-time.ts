const ISO_8601 =
  /^(\d{4}|[+-]\d{6})-(\d\d)(?:-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?([Zz]|[+-]\d\d(?::?\d\d)?)?)?)?$/;

/**
 * The point in time that ISO 8601 text names, in milliseconds since 1970; `NaN` where it names none. A date is its
 * first moment; without an offset it is UTC, never the time zone of the machine. Digits beyond milliseconds are kept
 * as a fraction.
 */
export function parseIsoTime(text: string): number {
  const parts = ISO_8601.exec(text);
  if (parts === null) return Number.NaN;
  const [, year, month, day = '01', hour = '00', minute = '00', second = '00', fraction = '', offset = 'Z'] =
    parts;
  const midnight = new Date(0);
  // setUTCFullYear and not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  midnight.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const real = midnight.getUTCMonth() === Number(month) - 1 && midnight.getUTCDate() === Number(day);
  const hours = Number(hour);
  const minutes = Number(minute);
  const seconds = Number(second);
  const endOfDay = hours === 24 && minutes === 0 && seconds === 0 && Number(fraction) === 0;
  if (!real || (hours > 23 && !endOfDay) || minutes > 59 || seconds > 59) return Number.NaN;
  const milliseconds = fraction === '' ? 0 : Number(`0.${fraction}`) * 1000;
  return (
    midnight.getTime() +
    ((hours * 60 + minutes) * 60 + seconds) * 1000 +
    milliseconds -
    offsetMilliseconds(offset)
  );
}

function offsetMilliseconds(offset: string): number {
  if (offset === 'Z' || offset === 'z') return 0;
  const hours = Number(offset.slice(1, 3));
  const minutes = Number(offset.slice(3).replace(':', '') || '0');
  if (hours > 23 || minutes > 59) return Number.NaN;
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
