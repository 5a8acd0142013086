import { columnFormat, formatNumber, NOTHING } from './format.ts';
import { createStyle } from './style.ts';
import { cutToWidth, padToWidth, printable, widthOf } from './text.ts';

export interface Column {
  readonly title: string;
  /** Default `left`. Left-aligned columns are text, and give way first where a table is too wide. */
  readonly align?: 'left' | 'right';
  /** Default: numbers in one format for the column, anything else as `formatCell`. */
  readonly format?: (value: unknown) => string;
}

export interface TableOptions {
  /** Columns of the terminal; `Infinity` cuts nothing. */
  readonly width: number;
  /** Default `false`. */
  readonly color?: boolean;
}

const GAP = '  ';
/** Text is not cut below this many columns as long as whole columns can be left out instead. */
const NARROWEST_TEXT = 8;

/**
 * A table as lines of plain text. Nothing in a cell can reach the terminal as more than text. Where the width does not
 * do, long text is cut first, then columns are left out from the right, and a last line names them: a number
 * that is cut would be another number.
 *
 * @param rows values by column; missing ones read as nothing
 * @returns lines, each ended by a newline
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly unknown[])[],
  { width, color = false }: TableOptions,
): string {
  const style = createStyle(color);
  const formats = columns.map(({ format }, at) => format ?? numbersAlike(rows.map((row) => row[at])));
  const cells = rows.map((row) => formats.map((format, at) => cellText(format(row[at]))));
  const natural = columns.map((column, at) =>
    Math.max(widthOf(printable(column.title)), ...cells.map((row) => widthOf(row[at]!))),
  );
  const widths = fitWidths(columns, natural, width);

  const line = (texts: readonly string[], mark: (text: string) => string = (text) => text): string =>
    widths
      .map((columnWidth, at) => {
        const text = cutToWidth(texts[at]!, columnWidth);
        return padToWidth(mark(text), columnWidth, columns[at]!.align ?? 'left');
      })
      .join(GAP)
      .trimEnd() + '\n';

  const titles = columns.map(({ title }) => printable(title));
  const rule = widths.map((columnWidth) => '─'.repeat(columnWidth));
  const leftOut = titles.slice(widths.length);
  return (
    line(titles, style.strong) +
    line(rule, style.faint) +
    cells.map((row) => line(row)).join('') +
    (leftOut.length === 0
      ? ''
      : style.faint(cutToWidth(`not shown, too wide: ${leftOut.join(', ')}`, width)) + '\n')
  );
}

/** A value as a person reads it: numbers grouped, nothing as `–`, anything else as text or JSON. */
export function formatCell(value: unknown): string {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value === 'number' || typeof value === 'bigint') return formatNumber(value);
  return plainText(value);
}

/** A value in full: nothing as an empty text, numbers with all their digits, dates as ISO 8601, the rest as JSON. */
export function plainText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '' : value.toISOString();
  if (typeof value === 'object') return JSON.stringify(value, jsonValue);
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return `${value}`;
  return '';
}

/** For `JSON.stringify`: bigints as decimal text, as JSON has no such numbers. */
export function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

function numbersAlike(values: readonly unknown[]): (value: unknown) => string {
  const format = columnFormat(values);
  return (value) =>
    typeof value === 'number' || typeof value === 'bigint' ? format(value) : formatCell(value);
}

function cellText(text: string): string {
  // Cut before it is measured: a cell may hold megabytes.
  return cutToWidth(printable(text.slice(0, 4_000)), 1_000);
}

/** Widths of the columns that are shown. */
function fitWidths(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  for (;;) {
    let excess = total(widths) - width;
    while (excess > 0) {
      const widest = widestText(columns, widths);
      if (widest === -1) break;
      widths[widest] = widths[widest]! - 1;
      excess--;
    }
    if (excess <= 0) return widths;
    if (widths.length === 1) return [Math.max(1, width)];
    widths.pop();
    // Room that the column leaves goes back to the text that was cut for it.
    for (const at of widths.keys()) widths[at] = natural[at]!;
  }
}

function widestText(columns: readonly Column[], widths: readonly number[]): number {
  let widest = -1;
  for (const [at, width] of widths.entries()) {
    if (columns[at]!.align === 'right' || width <= NARROWEST_TEXT) continue;
    if (widest === -1 || width > widths[widest]!) widest = at;
  }
  return widest;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * Math.max(0, widths.length - 1);
}
