import { MAX_RAW_BYTES, type RowCollector } from '../text/row-collector.ts';
import type { Pause, RecordReader } from '../text/record-reader.ts';
import type { TextWindow } from '../text/text-window.ts';
import { ElementScan } from './element-scan.ts';
import { jsonRowReader, sizeFault, type JsonReading, type JsonRowReader } from './json-row.ts';

/** What a JSON object holds: an array of rows, or one row. */
export type TopLevel = 'array' | 'row';

const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const COMMA = 0x2c;

/** `begin`: of the text; `first`: after `[`; `element`: after a comma; `after`: behind the closing bracket. */
type Place = 'begin' | 'first' | 'element' | 'after';

/** An element that is too long to be held: its beginning; the scan knows how far it got. */
interface HugeElement {
  readonly coordinate: number;
  readonly raw: Uint8Array;
}

/**
 * Reads the objects of one JSON array, or a single object. An element reaches to the next comma or bracket on its level, white
 * space included; what is no object is a fault, and the reading goes on after that comma. Where brackets or
 * strings are not closed, the text's end is a fault that stands for the rest. What follows the last row belongs to its section.
 */
export class JsonReader implements RecordReader {
  readonly #readRow: JsonRowReader;
  readonly #maxRowBytes: number;
  readonly #scan = new ElementScan();
  #topLevel: TopLevel;
  #place: Place;
  #huge: HugeElement | null = null;
  #unfinished: number | null = null;

  /** @param within what the reader begins in the middle of, at the first byte of a row; `null` at the text's beginning */
  constructor(reading: JsonReading, within: TopLevel | null) {
    this.#readRow = jsonRowReader(reading);
    this.#maxRowBytes = reading.maxRowBytes;
    this.#topLevel = within ?? 'array';
    this.#place = within === null ? 'begin' : 'element';
  }

  get unfinished(): number | null {
    return this.#unfinished;
  }

  read(window: TextWindow, stop: number, into: RowCollector): Pause {
    if (this.#huge !== null) {
      const pause = this.#passHuge(window, this.#huge, into);
      if (pause !== null) return pause;
    }
    this.#unfinished = null;
    const { buffer, end, ended } = window;
    const stopIndex = window.indexOf(stop);
    for (;;) {
      if (into.isFull) return 'full';
      while (window.start < end && isWhiteSpace(buffer[window.start] as number)) window.start++;
      const start = window.start;
      if (start >= end) return ended ? this.#atEnd(window, into) : 'more';
      const byte = buffer[start] as number;
      if (this.#place === 'begin' && byte === OPENING_BRACKET) {
        this.#place = 'first';
        window.start++;
        continue;
      }
      if (this.#place === 'first' && byte === CLOSING_BRACKET) {
        this.#place = 'after';
        window.start++;
        continue;
      }
      if (this.#place === 'after') return lost(window, into, 'more text after the end of the JSON');
      if (start >= stopIndex) return 'stop';
      if (this.#place === 'begin') {
        if (byte !== OPENING_BRACE) return lost(window, into, 'neither a JSON array nor an object');
        this.#topLevel = 'row';
      } else if (this.#topLevel === 'array' && (byte === COMMA || byte === CLOSING_BRACKET)) {
        const coordinate = window.position;
        into.fault(coordinate, 'E_JSON', `no element before byte ${coordinate}`, null);
        this.#passTerminator(window);
        continue;
      }
      this.#scan.reset();
      const next = this.#next(window);
      if (next === -1) {
        this.#unfinished = window.position;
        if (!ended) {
          if (end - start > Math.max(this.#maxRowBytes, MAX_RAW_BYTES)) {
            this.#huge = {
              coordinate: window.position,
              raw: Uint8Array.from(buffer.subarray(start, Math.min(end, start + MAX_RAW_BYTES))),
            };
            window.start = end;
          }
          return 'more';
        }
        if (!this.#scan.isClosed) return lost(window, into, 'the JSON breaks off inside a row');
      }
      const rowEnd = next === -1 ? end : next;
      this.#readRow(buffer, start, rowEnd, window.position, into);
      window.start = rowEnd;
      this.#passTerminator(window);
    }
  }

  #next(window: TextWindow): number {
    const { buffer, start, end } = window;
    return this.#topLevel === 'row'
      ? this.#scan.valueEnd(buffer, start, end)
      : this.#scan.elementEnd(buffer, start, end);
  }

  #passTerminator(window: TextWindow): void {
    if (this.#topLevel === 'row') this.#place = 'after';
    else if (window.start < window.end)
      this.#place = window.buffer[window.start++] === COMMA ? 'element' : 'after';
  }

  /** `null`: its end was found. */
  #passHuge(window: TextWindow, huge: HugeElement, into: RowCollector): Pause | null {
    const next = this.#next(window);
    window.start = next === -1 ? window.end : next;
    if (next === -1 && !window.ended) return 'more';
    sizeFault(into, huge.coordinate, this.#maxRowBytes, huge.raw);
    this.#huge = null;
    if (next === -1 && !this.#scan.isClosed) return 'over';
    this.#passTerminator(window);
    return null;
  }

  #atEnd(window: TextWindow, into: RowCollector): Pause {
    if (this.#place === 'begin' || this.#place === 'after') return 'over';
    return lost(window, into, 'the JSON array is not closed');
  }
}

function lost(window: TextWindow, into: RowCollector, problem: string): Pause {
  const coordinate = window.position;
  into.fault(coordinate, 'E_JSON', `byte ${coordinate}: ${problem}`, null);
  return 'over';
}

export function isWhiteSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

export { OPENING_BRACE, OPENING_BRACKET };
