import type { Buffer } from 'node:buffer';

/** The bytes that matter in CSV. */
export interface CsvBytes {
  readonly delimiter: number;
  /** `null`: quotes are ordinary text. */
  readonly quote: number | null;
  /** Whether a newline inside quotes belongs to the field; else it ends the row, which is malformed then. */
  readonly multiline: boolean;
}

export const LINE_FEED = 0x0a;
export const CARRIAGE_RETURN = 0x0d;

/**
 * Where in CSV one is after a stretch of bytes. The numbers are indexes of a `Transition`.
 *
 * ```text
 *               LINE_START  FIELD_START  UNQUOTED   QUOTED           QUOTE_IN_QUOTED  MALFORMED
 *   quote       QUOTED      QUOTED       MALFORMED  QUOTE_IN_QUOTED  QUOTED           MALFORMED
 *   delimiter   FIELD_START FIELD_START  FIELD_START QUOTED          FIELD_START      MALFORMED
 *   LF or CR    LINE_START  LINE_START   LINE_START QUOTED *         LINE_START       LINE_START
 *   other       UNQUOTED    UNQUOTED     UNQUOTED   QUOTED           MALFORMED        MALFORMED
 * ```
 *
 * (*) LINE_START where `multiline` is off. A line feed after a carriage return is a blank line of its own, and blank lines are no
 * rows, so that LF, CRLF and lone CR need no setting.
 */
export const LINE_START = 0;
export const FIELD_START = 1;
export const UNQUOTED = 2;
export const QUOTED = 3;
export const QUOTE_IN_QUOTED = 4;
export const MALFORMED = 5;
export type QuoteState = 0 | 1 | 2 | 3 | 4 | 5;

const STATES: readonly QuoteState[] = [LINE_START, FIELD_START, UNQUOTED, QUOTED, QUOTE_IN_QUOTED, MALFORMED];

/** For every state before a stretch of bytes, the state after it. */
export type Transition = readonly QuoteState[];

/** The transition of no bytes at all. */
export const IDENTITY: Transition = STATES;

/** What two consecutive stretches do together. */
export function compose(first: Transition, second: Transition): Transition {
  return first.map((state) => second[state] as QuoteState);
}

/** Bytes that all states go through together before each goes its own way. Most have met by then. */
const LOCKSTEP_BYTES = 4096;

/**
 * The automaton of CSV, for those who need no fields: it tells whether a quote is open somewhere, and where rows start. It jumps from
 * quote to quote.
 */
export class QuoteScan {
  readonly #delimiter: number;
  readonly #quote: number;
  readonly #multiline: boolean;

  constructor({ delimiter, quote, multiline }: CsvBytes) {
    this.#delimiter = delimiter;
    this.#quote = quote ?? -1;
    this.#multiline = multiline;
  }

  step(state: QuoteState, byte: number): QuoteState {
    if (byte === LINE_FEED || byte === CARRIAGE_RETURN)
      return state === QUOTED && this.#multiline ? QUOTED : LINE_START;
    if (state === MALFORMED) return MALFORMED;
    if (byte === this.#quote) {
      if (state === QUOTED) return QUOTE_IN_QUOTED;
      return state === UNQUOTED ? MALFORMED : QUOTED;
    }
    if (state === QUOTED) return QUOTED;
    if (byte === this.#delimiter) return FIELD_START;
    return state === QUOTE_IN_QUOTED ? MALFORMED : UNQUOTED;
  }

  /** The state after the bytes from `from` up to `to`. */
  advance(buffer: Buffer, from: number, to: number, state: QuoteState): QuoteState {
    if (from >= to) return state;
    if (this.#quote === -1 || !this.#multiline) return this.#advanceByLines(buffer, from, to, state);
    const bytes = buffer.subarray(0, to);
    let i = from;
    while (i < to) {
      if (state === QUOTED) {
        const quote = bytes.indexOf(this.#quote, i);
        if (quote === -1) return QUOTED;
        i = quote + 1;
        state = QUOTE_IN_QUOTED;
      } else if (state === QUOTE_IN_QUOTED || state === MALFORMED) {
        state = this.step(state, bytes[i++] as number);
      } else {
        const quote = bytes.indexOf(this.#quote, i);
        if (quote === -1) return this.#stateAfter(bytes[to - 1] as number);
        // Only the byte before a quote tells whether it may open a field.
        if (quote > i) state = this.#stateAfter(bytes[quote - 1] as number);
        state = this.step(state, this.#quote);
        i = quote + 1;
      }
    }
    return state;
  }

  /** Where the next row may start: the index after the first newline that ends a row, or -1 with the state at `to`. */
  toLineStart(
    buffer: Buffer,
    from: number,
    to: number,
    state: QuoteState,
  ): { readonly index: number; readonly state: QuoteState } {
    let i = from;
    while (i < to) {
      if (state === QUOTED && this.#multiline) {
        const quote = buffer.indexOf(this.#quote, i);
        if (quote === -1 || quote >= to) return { index: -1, state };
        i = quote;
      } else if (state !== QUOTED && state !== QUOTE_IN_QUOTED) {
        const begun = i;
        while (
          i < to &&
          buffer[i] !== LINE_FEED &&
          buffer[i] !== CARRIAGE_RETURN &&
          buffer[i] !== this.#quote
        )
          i++;
        if (i > begun && state !== MALFORMED) state = this.#stateAfter(buffer[i - 1] as number);
        if (i === to) return { index: -1, state };
      }
      state = this.step(state, buffer[i++] as number);
      if (state === LINE_START) return { index: i, state };
    }
    return { index: -1, state };
  }

  /** What the bytes do to every state; those of consecutive stretches compose, so that they can be scanned apart. */
  transition(buffer: Buffer, from: number, to: number): Transition {
    const states = [...STATES];
    let i = from;
    for (const end = Math.min(to, from + LOCKSTEP_BYTES); i < end && new Set(states).size > 2; i++) {
      for (let s = 0; s < states.length; s++)
        states[s] = this.step(states[s] as QuoteState, buffer[i] as number);
    }
    const after = new Map<QuoteState, QuoteState>();
    for (const state of states) if (!after.has(state)) after.set(state, this.advance(buffer, i, to, state));
    return states.map((state) => after.get(state) as QuoteState);
  }

  /** Newlines end rows whatever stands before them: only the last line matters. */
  #advanceByLines(buffer: Buffer, from: number, to: number, state: QuoteState): QuoteState {
    let line = to;
    while (line > from && buffer[line - 1] !== LINE_FEED && buffer[line - 1] !== CARRIAGE_RETURN) line--;
    if (line > from) state = LINE_START;
    for (let i = line; i < to; i++) state = this.step(state, buffer[i] as number);
    return state;
  }

  /** Outside of quotes the last byte tells the state. */
  #stateAfter(byte: number): QuoteState {
    if (byte === LINE_FEED || byte === CARRIAGE_RETURN) return LINE_START;
    return byte === this.#delimiter ? FIELD_START : UNQUOTED;
  }
}
