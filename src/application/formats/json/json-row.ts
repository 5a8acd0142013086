import { isAscii, isUtf8, type Buffer } from 'node:buffer';
import type { Row } from '../../../domain/row.ts';
import { codeOf } from '../../generated-code.ts';
import { generateRowMaker } from '../row-factory.ts';
import type { RowCollector } from '../text/row-collector.ts';

/** Collects a stretch of bytes that must be one JSON object. */
export type JsonRowReader = (
  buffer: Buffer,
  start: number,
  end: number,
  coordinate: number,
  into: RowCollector,
) => void;

export interface JsonReading {
  /** Columns to keep, `undefined`: all. */
  readonly columns: readonly string[] | undefined;
  readonly maxRowBytes: number;
}

export function jsonRowReader({ columns, maxRowBytes }: JsonReading): JsonRowReader {
  const select = columns === undefined ? undefined : selection(columns);
  return (buffer, start, end, coordinate, into) => {
    const bytes = buffer.subarray(start, end);
    if (end - start > maxRowBytes) return sizeFault(into, coordinate, maxRowBytes, bytes);
    let text: string;
    if (isAscii(bytes)) text = buffer.toString('latin1', start, end);
    else if (isUtf8(bytes)) text = buffer.toString('utf8', start, end);
    else return into.fault(coordinate, 'E_UTF8', `the row at byte ${coordinate} is not UTF-8`, bytes);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // The parser's own message quotes the data.
      return into.fault(coordinate, 'E_JSON', `the row at byte ${coordinate} is not JSON`, bytes);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const kind = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`;
      return into.fault(
        coordinate,
        'E_JSON',
        `the row at byte ${coordinate} is ${kind}, not an object`,
        bytes,
      );
    }
    // JSON.parse makes a key `__proto__` an own property; without a prototype it stays an ordinary one.
    const row = Object.setPrototypeOf(value, null) as Row;
    into.row(select === undefined ? row : select(row), coordinate, buffer, start, end);
  };
}

export function sizeFault(
  into: RowCollector,
  coordinate: number,
  maxRowBytes: number,
  raw: Uint8Array,
): void {
  into.fault(
    coordinate,
    'E_ROW_TOO_LARGE',
    `the row at byte ${coordinate} is over limits.maxRowBytes (${maxRowBytes} bytes)`,
    raw,
  );
}

/** Copies some columns. Those that the row lacks are `null`, so that all rows have the same keys. */
function selection(columns: readonly string[]): (from: Row) => Row {
  return generateRowMaker(
    ['from'],
    columns.map((name) => ({ name, value: `from[${codeOf(name)}] ?? null` })),
  ) as (from: Row) => Row;
}
