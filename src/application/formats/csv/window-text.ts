import { isAscii } from 'node:buffer';
import type { TextWindow } from '../text/text-window.ts';

/**
 * A window's bytes as Latin-1 text, one character per byte: made once for each fill, since cutting text is far cheaper than
 * decoding bytes. Fields of ASCII can be cut out of it.
 */
export class WindowText {
  text = '';
  /** Index of the first byte that is not ASCII, of those that were looked at. */
  #nextHigh = 0;
  #fill = -1;

  /** To be called whenever the window may have been filled. */
  follow(window: TextWindow): void {
    if (this.#fill === window.fills) return;
    this.#fill = window.fills;
    this.text = window.buffer.toString('latin1', 0, window.end);
    this.#nextHigh = isAscii(window.buffer.subarray(0, window.end)) ? window.end : -1;
  }

  /** Whether the bytes up to `to` are ASCII; stretches have to be asked for in their order. */
  isAscii(window: TextWindow, from: number, to: number): boolean {
    if (this.#nextHigh < from) {
      const { buffer, end } = window;
      let i = from;
      while (i < end && (buffer[i] as number) < 0x80) i++;
      this.#nextHigh = i;
    }
    return this.#nextHigh >= to;
  }
}
