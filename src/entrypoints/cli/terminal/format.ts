/**
 * Numbers for people, the same on every machine: digits grouped by commas, a point before decimals, whatever the
 * locale. What cannot be measured (`null`, NaN) reads as `–`.
 */

export const NOTHING = '–';

const wholeNumbers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const significant = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 4 });

/** `1234567` as `1,234,567`; fractions are rounded. */
export function formatCount(value: number | bigint): string {
  return formatted(value, wholeNumbers);
}

/** Four digits that matter, and all digits of what is whole: `0.01234`, `12.35`, `1,234,567`. */
export function formatNumber(value: number | bigint): string {
  if (typeof value === 'bigint' || Number.isInteger(value) || Math.abs(value) >= 1_000)
    return formatted(value, wholeNumbers);
  return formatted(value, significant);
}

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/**
 * Decimals for all values of a column, so that they stand below each other: none where all are whole or the largest
 * has four digits, else as many as give the largest about three digits.
 */
export function columnDecimals(values: readonly unknown[]): number {
  let largest = 0;
  let whole = true;
  for (const value of values) {
    if (typeof value !== 'number' || !Number.isFinite(value)) continue;
    largest = Math.max(largest, Math.abs(value));
    whole &&= Number.isInteger(value);
  }
  if (whole || largest >= 1_000) return 0;
  if (largest >= 100) return 1;
  return largest >= 1 ? 2 : Math.min(12, 2 - Math.floor(Math.log10(largest)));
}

/** One format for all values of a column: see `columnDecimals`. */
export function columnFormat(values: readonly unknown[]): (value: number | bigint) => string {
  const decimals = columnDecimals(values);
  const format = new Intl.NumberFormat('en-US', {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
  return (value) => formatted(value, format);
}

/** Decimal units with one decimal from kilobytes on: `512 B`, `41.2 MB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return NOTHING;
  let scaled = Math.abs(bytes);
  let unit = 0;
  // What would round up to 1000.0 belongs to the next unit.
  while (scaled >= (unit === 0 ? 1_000 : 999.95) && unit < byteUnits.length - 1) {
    scaled /= 1_000;
    unit++;
  }
  const text = unit === 0 ? formatCount(scaled) : withDecimal(scaled);
  return `${bytes < 0 ? '-' : ''}${text} ${byteUnits[unit]!}`;
}

/** Always in megabytes (1,000,000 bytes) a second, so that runs compare at a glance: `41.2 MB/s`. */
export function formatByteRate(bytesPerSecond: number): string {
  return Number.isFinite(bytesPerSecond) ? `${withDecimal(bytesPerSecond / 1_000_000)} MB/s` : NOTHING;
}

/** The two largest units that matter: `0.84 s`, `12.3 s`, `1 min 05 s`, `2 h 03 min`, `4 d 01 h`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return NOTHING;
  if (seconds < 0.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${twoDigits(whole % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${twoDigits(minutes % 60)} min`;
  return `${formatCount(Math.floor(hours / 24))} d ${twoDigits(hours % 24)} h`;
}

/** A duration without decimals, for what is only guessed: `8 s`, `1 min 05 s`. */
export function formatRoughDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return NOTHING;
  return seconds <= 59 ? `${Math.ceil(seconds)} s` : formatDuration(Math.max(60, seconds));
}

/**
 * `0.4123` as `41.2%`. What is not quite everything never reads as 100 %, and what is not quite nothing never as 0 %.
 *
 * @param decimals default 1
 */
export function formatPercentage(ratio: number, decimals = 1): string {
  if (!Number.isFinite(ratio)) return NOTHING;
  const smallest = 10 ** -decimals;
  let percent = ratio * 100;
  if (ratio < 1 && percent > 100 - smallest) percent = 100 - smallest;
  if (ratio > 0 && percent < smallest) return `<${smallest.toFixed(decimals)}%`;
  return `${percent.toFixed(decimals)}%`;
}

/** `1 object`, `2,000 objects`. */
export function formatPlural(value: number, one: string, many = `${one}s`): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`;
}

function formatted(value: number | bigint, format: Intl.NumberFormat): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return nonFinite(value);
  const text = format.format(value);
  // What rounds to zero from below has no sign.
  return /^-[0.]+$/.test(text) ? text.slice(1) : text;
}

function nonFinite(value: number): string {
  if (Number.isNaN(value)) return NOTHING;
  return value > 0 ? '∞' : '-∞';
}

function withDecimal(value: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
