import { isAscii, isUtf8, type Buffer } from 'node:buffer';
import type { TextWindow } from '../text/text-window.ts';

/**
 * A window's bytes as Latin-1 text, one character per byte: made once for each fill, since cutting text is far cheaper than
 * decoding bytes. Fields of ASCII can be cut out of it.
 */
export class WindowText {
  text = '';
  /** What all rows that end in the window are; `unknown`: each has to be looked at. */
  encoding: 'ascii' | 'utf8' | 'unknown' = 'unknown';
  #fill = -1;

  /** To be called where the window may have been filled; it starts with a row then. */
  follow(window: TextWindow): void {
    if (this.#fill === window.fills) return;
    this.#fill = window.fills;
    const { buffer, start, end } = window;
    this.text = buffer.toString('latin1', 0, end);
    if (isAscii(buffer.subarray(start, end))) this.encoding = 'ascii';
    else {
      const whole = buffer.subarray(start, lastWholeCharacter(buffer, start, end));
      this.encoding = isUtf8(whole) ? 'utf8' : 'unknown';
    }
  }
}

/** A character that the window's end may cut is in no row that ends in the window. */
function lastWholeCharacter(buffer: Buffer, start: number, end: number): number {
  let to = end;
  while (to > start && end - to < 3 && ((buffer[to - 1] as number) & 0xc0) === 0x80) to--;
  return to > start && (buffer[to - 1] as number) >= 0xc0 ? to - 1 : to;
}
