/*
 * Every function of this folder is sent to the browser as its own source text: it may use its parameters and what
 * every browser has, and nothing else of this or any other module. Types are free.
 */

export interface Formats {
  /** A value of a column; `–` where there is none. */
  value(value: number | string | null | undefined, decimals: number | null): string;
  /** For axes: `1.2M`. */
  short(value: number): string;
  count(value: number): string;
}

export function createFormats(): Formats {
  const byDecimals = new Map<number, Intl.NumberFormat>();
  const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
  const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
  return {
    value(value, decimals) {
      if (value === null || value === undefined) return '–';
      if (typeof value === 'string') return value;
      let format = byDecimals.get(decimals ?? 0);
      if (format === undefined) {
        format = new Intl.NumberFormat('en-US', {
          minimumFractionDigits: decimals ?? 0,
          maximumFractionDigits: decimals ?? 6,
        });
        byDecimals.set(decimals ?? 0, format);
      }
      const text = format.format(value);
      return /^-[0.]+$/.test(text) ? text.slice(1) : text;
    },
    short: (value) => (Math.abs(value) < 1_000 ? String(Number(value.toPrecision(4))) : short.format(value)),
    count: (value) => whole.format(value),
  };
}
