const ORDINARY = 0;
const QUOTE = 1;
const BACKSLASH = 2;
const OPEN = 3;
const CLOSE = 4;
const COMMA = 5;
const LINE_FEED = 6;

const CLOSING_BRACKET = 0x5d;

const outside = new Uint8Array(256);
outside[0x22] = QUOTE;
outside[0x5b] = OPEN;
outside[0x7b] = OPEN;
outside[CLOSING_BRACKET] = CLOSE;
outside[0x7d] = CLOSE;
outside[0x2c] = COMMA;
outside[0x0a] = LINE_FEED;

const inString = new Uint8Array(256);
inString[0x22] = QUOTE;
inString[0x5c] = BACKSLASH;
inString[0x0a] = LINE_FEED;

/**
 * Finds where an element of a JSON array ends, by its brackets and strings alone: whether it is JSON is not asked. It can be continued
 * in the next stretch of bytes.
 */
export class ElementScan {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  reset(): void {
    this.#depth = 0;
    this.#isInString = false;
    this.#isEscaped = false;
  }

  /** Whether every bracket and string is closed. */
  get isClosed(): boolean {
    return this.#depth === 0 && !this.#isInString;
  }

  /**
   * Index of the comma or bracket after an element of an array, -1 where it goes on behind `end`.
   *
   * @param end `buffer[end]` is a line feed, whatever the text goes on with
   */
  elementEnd(buffer: Uint8Array, from: number, end: number): number {
    return this.#scan(buffer, from, end, false);
  }

  /** Index after the bracket that closes the first value, -1 where it goes on behind `end`. */
  valueEnd(buffer: Uint8Array, from: number, end: number): number {
    return this.#scan(buffer, from, end, true);
  }

  #scan(buffer: Uint8Array, from: number, end: number, isSingle: boolean): number {
    let i = from;
    if (this.#isEscaped && i < end) {
      this.#isEscaped = false;
      i++;
    }
    for (;;) {
      let kind: number;
      if (this.#isInString) {
        while ((kind = inString[buffer[i] as number] as number) === ORDINARY) i++;
        if (i >= end) return -1;
        i++;
        if (kind === QUOTE) this.#isInString = false;
        else if (kind === BACKSLASH) {
          if (i >= end) {
            this.#isEscaped = true;
            return -1;
          }
          i++;
        }
        continue;
      }
      while ((kind = outside[buffer[i] as number] as number) === ORDINARY) i++;
      if (i >= end) return -1;
      if (kind === QUOTE) this.#isInString = true;
      else if (kind === OPEN) this.#depth++;
      else if (kind === CLOSE) {
        if (this.#depth > 0) this.#depth--;
        else if (!isSingle && buffer[i] === CLOSING_BRACKET) return i;
        if (isSingle && this.#depth === 0) return i + 1;
      } else if (kind === COMMA && this.#depth === 0 && !isSingle) return i;
      i++;
    }
  }
}
