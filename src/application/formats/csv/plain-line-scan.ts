import { isAscii } from 'node:buffer';
import type { TextWindow } from '../text/text-window.ts';
import type { FieldScan } from './field-scan.ts';
import type { CsvBytes } from './quote-scan.ts';

/**
 * The short way for rows without quotes: the engine's own search in text is faster than looking at each byte. For each of the
 * bytes that matter the next place is remembered, so that nothing is searched twice.
 */
export class PlainLineScan {
  readonly #fields: FieldScan;
  readonly #delimiter: string;
  readonly #quote: string | null;
  #text = '';
  #fill = -1;
  #isAscii = false;
  #nextDelimiter = 0;
  #nextQuote = 0;
  #nextLineFeed = 0;
  #nextCarriageReturn = 0;

  constructor({ delimiter, quote }: CsvBytes, fields: FieldScan) {
    this.#fields = fields;
    this.#delimiter = String.fromCharCode(delimiter);
    this.#quote = quote === null ? null : String.fromCharCode(quote);
  }

  /** The window's bytes as Latin-1 text, one character per byte: made once, since cutting text is cheaper than decoding bytes. */
  textOf(window: TextWindow): string {
    if (this.#fill !== window.fills) this.#begin(window);
    return this.#text;
  }

  /**
   * Finds the fields of the row that starts at `from`.
   *
   * @returns index of the newline that ends the row; `null` where the row has quotes, or does not end in the window: another has
   *   to look at it
   */
  scan(window: TextWindow, from: number): number | null {
    const text = this.textOf(window);
    if (this.#nextLineFeed < from) this.#nextLineFeed = found(text.indexOf('\n', from));
    if (this.#nextCarriageReturn < from) this.#nextCarriageReturn = found(text.indexOf('\r', from));
    const end = Math.min(this.#nextLineFeed, this.#nextCarriageReturn);
    if (end === NOWHERE) return null;
    if (this.#quote !== null) {
      if (this.#nextQuote < from) this.#nextQuote = found(text.indexOf(this.#quote, from));
      if (this.#nextQuote < end) return null;
    }
    const delimiter = this.#delimiter;
    const fields = this.#fields;
    let { starts, ends } = fields;
    let next = this.#nextDelimiter < from ? found(text.indexOf(delimiter, from)) : this.#nextDelimiter;
    let start = from;
    let field = 0;
    for (;;) {
      if (field === starts.length) {
        fields.grow();
        ({ starts, ends } = fields);
      }
      starts[field] = start;
      if (next > end) break;
      ends[field++] = next;
      start = next + 1;
      next = found(text.indexOf(delimiter, start));
    }
    ends[field++] = end;
    this.#nextDelimiter = next;
    fields.problem = null;
    fields.doubled = false;
    fields.fields = field;
    fields.mixed = this.#isAscii ? 0 : mixedBytes(window.buffer, from, end);
    return end;
  }

  #begin(window: TextWindow): void {
    this.#text = window.buffer.toString('latin1', 0, window.end);
    this.#fill = window.fills;
    this.#isAscii = isAscii(window.buffer.subarray(0, window.end));
    this.#nextDelimiter = -1;
    this.#nextQuote = -1;
    this.#nextLineFeed = -1;
    this.#nextCarriageReturn = -1;
  }
}

/** Behind everything; a small integer, which the engine compares fastest. */
const NOWHERE = 0x3fff_ffff;

function found(index: number): number {
  return index === -1 ? NOWHERE : index;
}

function mixedBytes(buffer: Uint8Array, from: number, to: number): number {
  let mixed = 0;
  for (let i = from; i < to; i++) mixed |= buffer[i] as number;
  return mixed;
}
