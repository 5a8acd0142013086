import { isUtf8, type Buffer } from 'node:buffer';
import { columnType, type Columns } from '../../../domain/columns.ts';
import { decimalIn } from '../../../domain/decimal.ts';
import { timeIn } from '../../../domain/iso-time.ts';
import type { Row } from '../../../domain/row.ts';
import { generateRowMaker, rowFactory, type RowFactory } from '../row-factory.ts';
import { MAX_RAW_BYTES, type RowCollector } from '../text/row-collector.ts';
import type { Pause, RecordReader } from '../text/record-reader.ts';
import type { TextWindow } from '../text/text-window.ts';
import { textOfField, type CsvDialect } from './dialect.ts';
import { FieldScan, type QuoteProblem } from './field-scan.ts';
import { lineCutter, type CutColumn, type LineCutter, type LineEnd } from './line-cutter.ts';
import { CARRIAGE_RETURN, LINE_FEED, LINE_START, QUOTED, QuoteScan, type QuoteState } from './quote-scan.ts';
import { WindowText } from './window-text.ts';

export interface CsvReading {
  readonly dialect: CsvDialect;
  /** Columns to decode, in this order; those that the object lacks are left out of its rows. */
  readonly columns: readonly string[];
  /** What is declared. */
  readonly types: Columns | undefined;
  readonly ragged: 'fail' | 'pad';
  readonly maxRowBytes: number;
}

/** A row that is too long to be held: only its beginning is kept, and how far the automaton got. */
interface HugeRow {
  readonly coordinate: number;
  readonly raw: Uint8Array;
  state: QuoteState;
}

/**
 * Reads CSV rows. Lines without any byte are no rows, as with csv-parse's `skip_empty_lines`; a line that holds only
 * `""` or blanks is one. Values are text, but for numbers and times of columns that are declared as such, where they have their usual form.
 */
export class CsvReader implements RecordReader {
  readonly #reading: CsvReading;
  readonly #fields: FieldScan;
  readonly #columns: readonly CutColumn[];
  readonly #cutters = new Map<WindowText['encoding'], LineCutter>();
  readonly #line: LineEnd = { next: 0 };
  readonly #text = new WindowText();
  readonly #quotes: QuoteScan;
  /** For each needed column its index among the object's. */
  readonly #indexes: readonly number[];
  readonly #plainRow: PlainRow;
  readonly #mixedRow: RowFactory;
  #huge: HugeRow | null = null;
  #unfinished: number | null = null;

  constructor(reading: CsvReading) {
    this.#reading = reading;
    const { bytes, names } = reading.dialect;
    this.#fields = new FieldScan(bytes);
    this.#quotes = new QuoteScan(bytes);
    const indexOf = new Map(names.map((name, i) => [name, i]));
    const columns = reading.columns.filter((name) => indexOf.has(name));
    this.#indexes = columns.map((name) => indexOf.get(name) as number);
    this.#columns = columns.map((name, c) => ({
      name,
      field: this.#indexes[c] as number,
      type: columnType(reading.types, name),
    }));
    this.#plainRow = plainRow(columns, this.#indexes);
    this.#mixedRow = rowFactory(columns);
  }

  get unfinished(): number | null {
    return this.#unfinished;
  }

  read(window: TextWindow, stop: number, into: RowCollector): Pause {
    if (this.#huge !== null && !this.#passHuge(window, this.#huge, into)) return 'more';
    this.#unfinished = null;
    const { buffer, words, end, ended } = window;
    const stopIndex = window.indexOf(stop);
    const { maxRowBytes } = this.#reading;
    const scan = this.#fields;
    const line = this.#line;
    this.#text.follow(window);
    const { text } = this.#text;
    const cut = this.#cutterFor(this.#text.encoding);
    let i = window.start;
    for (;;) {
      while (i < end && i < stopIndex && isNewline(buffer[i])) i++;
      window.start = i;
      if (i >= stopIndex) return 'stop';
      if (i >= end) return ended ? 'end' : 'more';
      if (into.isFull) return 'full';
      const row = cut === null ? null : cut(text, buffer, words, i, end, line, decimalIn, timeIn);
      if (row !== null && line.next - i <= maxRowBytes) {
        into.row(row, window.positionOf(i), buffer, i, line.next);
        i = line.next + 1;
        continue;
      }
      const next = scan.scan(buffer, i, end, ended);
      if (next === -1) {
        this.#unfinished = window.positionOf(i);
        if (end - i > Math.max(maxRowBytes, MAX_RAW_BYTES)) this.#beginHuge(window);
        return 'more';
      }
      this.#row(window, i, next, into);
      i = next < end ? next + 1 : end;
    }
  }

  #cutterFor(encoding: WindowText['encoding']): LineCutter | null {
    if (encoding === 'unknown') return null;
    let cut = this.#cutters.get(encoding);
    if (cut === undefined) {
      const { bytes, names } = this.#reading.dialect;
      cut = lineCutter(bytes, names.length, this.#columns, encoding);
      this.#cutters.set(encoding, cut);
    }
    return cut;
  }

  /** @param next index of the newline after the row */
  #row(window: TextWindow, start: number, next: number, into: RowCollector): void {
    const { buffer } = window;
    const { maxRowBytes } = this.#reading;
    const { names } = this.#reading.dialect;
    const scan = this.#fields;
    const coordinate = window.positionOf(start);
    if (
      next - start > maxRowBytes ||
      scan.problem !== null ||
      scan.mixed > 0x7f ||
      scan.fields !== names.length
    ) {
      if (this.#isFaulty(window, start, next, into)) return;
    }
    // Doubled quotes have to be taken apart as well, field by field.
    const row =
      scan.mixed > 0x7f || scan.doubled
        ? this.#mixed(buffer)
        : this.#plainRow(this.#text.text, scan.starts, scan.ends);
    into.row(row, coordinate, buffer, start, next);
  }

  /** Collects what is wrong with the row that was scanned, if something is. */
  #isFaulty(window: TextWindow, start: number, next: number, into: RowCollector): boolean {
    const { dialect, ragged, maxRowBytes } = this.#reading;
    const scan = this.#fields;
    const coordinate = window.positionOf(start);
    const raw = window.buffer.subarray(start, next);
    if (scan.problem === 'unclosed' && next >= window.end) quoteFault(into, coordinate, scan.problem, raw);
    else if (next - start > maxRowBytes) sizeFault(into, coordinate, maxRowBytes, raw);
    else if (scan.problem !== null) quoteFault(into, coordinate, scan.problem, raw);
    else if (scan.mixed > 0x7f && !isUtf8(raw))
      into.fault(coordinate, 'E_UTF8', `the row at byte ${coordinate} is not UTF-8`, raw);
    else if (scan.fields === dialect.names.length) return false;
    else if (ragged === 'pad') {
      scan.pad(dialect.names.length);
      return false;
    } else {
      const message = `the row at byte ${coordinate} has ${scan.fields} fields; there are ${dialect.names.length} columns`;
      into.fault(coordinate, 'E_CSV_FIELDS', message, raw);
    }
    return true;
  }

  #mixed(buffer: Buffer): Row {
    const { quote } = this.#reading.dialect.bytes;
    return this.#mixedRow(this.#indexes.map((index) => textOfField(buffer, this.#fields, index, quote)));
  }

  #beginHuge(window: TextWindow): void {
    const { buffer, start, end } = window;
    this.#huge = {
      coordinate: window.position,
      raw: Uint8Array.from(buffer.subarray(start, Math.min(end, start + MAX_RAW_BYTES))),
      state: this.#quotes.advance(buffer, start, end, LINE_START),
    };
    window.start = end;
  }

  /** Whether its end was found. */
  #passHuge(window: TextWindow, huge: HugeRow, into: RowCollector): boolean {
    const { index, state } = this.#quotes.toLineStart(window.buffer, window.start, window.end, huge.state);
    huge.state = state;
    window.start = index === -1 ? window.end : index;
    if (index === -1 && !window.ended) return false;
    if (index === -1 && state === QUOTED) quoteFault(into, huge.coordinate, 'unclosed', huge.raw);
    else sizeFault(into, huge.coordinate, this.#reading.maxRowBytes, huge.raw);
    this.#huge = null;
    return true;
  }
}

function isNewline(byte: number | undefined): boolean {
  return byte === LINE_FEED || byte === CARRIAGE_RETURN;
}

function quoteFault(into: RowCollector, coordinate: number, problem: QuoteProblem, raw: Uint8Array): void {
  const what =
    problem === 'stray'
      ? 'a quote inside an unquoted field, or text after a closing quote'
      : 'a quote that is never closed';
  into.fault(coordinate, 'E_CSV_QUOTE', `the row at byte ${coordinate} has ${what}`, raw);
}

function sizeFault(into: RowCollector, coordinate: number, maxRowBytes: number, raw: Uint8Array): void {
  into.fault(
    coordinate,
    'E_ROW_TOO_LARGE',
    `the row at byte ${coordinate} is over limits.maxRowBytes (${maxRowBytes} bytes)`,
    raw,
  );
}

type PlainRow = (text: string, starts: Int32Array, ends: Int32Array) => Row;

/** Cuts the fields out of ASCII text. Its keys come in the same order as the row factory's. */
function plainRow(columns: readonly string[], indexes: readonly number[]): PlainRow {
  return generateRowMaker(
    ['text', 'starts', 'ends'],
    columns.map((name, c) => ({ name, value: `text.substring(starts[${indexes[c]}], ends[${indexes[c]}])` })),
  ) as PlainRow;
}
