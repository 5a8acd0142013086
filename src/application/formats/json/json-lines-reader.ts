import { MAX_RAW_BYTES, type RowCollector } from '../text/row-collector.ts';
import type { Pause, RecordReader } from '../text/record-reader.ts';
import type { TextWindow } from '../text/text-window.ts';
import { jsonRowReader, sizeFault, type JsonReading, type JsonRowReader } from './json-row.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Reads JSON Lines: every line that is not blank is an object. Lines end with a line feed; a carriage return before it is white space
 * to JSON. A row starts with its line, blanks included.
 */
export class JsonLinesReader implements RecordReader {
  readonly #readRow: JsonRowReader;
  readonly #maxRowBytes: number;
  /** A line that is too long to be held: its beginning. */
  #huge: { readonly coordinate: number; readonly raw: Uint8Array } | null = null;
  #unfinished: number | null = null;

  constructor(reading: JsonReading) {
    this.#readRow = jsonRowReader(reading);
    this.#maxRowBytes = reading.maxRowBytes;
  }

  get unfinished(): number | null {
    return this.#unfinished;
  }

  read(window: TextWindow, stop: number, into: RowCollector): Pause {
    if (this.#huge !== null && !this.#passHuge(window, this.#huge, into)) return 'more';
    this.#unfinished = null;
    const { buffer, end, ended } = window;
    const stopIndex = window.indexOf(stop);
    for (;;) {
      const start = window.start;
      if (start >= stopIndex) return 'stop';
      if (start >= end) return ended ? 'end' : 'more';
      if (into.isFull) return 'full';
      // The byte at `end` is a line feed.
      const feed = buffer.indexOf(LINE_FEED, start);
      if (feed >= end && !ended) {
        this.#unfinished = window.position;
        if (end - start > Math.max(this.#maxRowBytes, MAX_RAW_BYTES)) {
          this.#huge = {
            coordinate: window.position,
            raw: Uint8Array.from(buffer.subarray(start, start + MAX_RAW_BYTES)),
          };
          window.start = end;
        }
        return 'more';
      }
      if (feed - start > this.#maxRowBytes || !isBlank(buffer, start, feed))
        this.#readRow(buffer, start, feed, window.positionOf(start), into);
      window.start = Math.min(feed + 1, end);
    }
  }

  #passHuge(
    window: TextWindow,
    huge: { readonly coordinate: number; readonly raw: Uint8Array },
    into: RowCollector,
  ): boolean {
    const feed = window.buffer.indexOf(LINE_FEED, window.start);
    if (feed >= window.end && !window.ended) {
      window.start = window.end;
      return false;
    }
    window.start = Math.min(feed + 1, window.end);
    sizeFault(into, huge.coordinate, this.#maxRowBytes, huge.raw);
    this.#huge = null;
    return true;
  }
}

function isBlank(buffer: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = buffer[i];
    if (byte !== SPACE && byte !== TAB && byte !== CARRIAGE_RETURN) return false;
  }
  return true;
}
