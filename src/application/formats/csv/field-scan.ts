import type { Buffer } from 'node:buffer';
import { CARRIAGE_RETURN, LINE_FEED, type CsvBytes } from './quote-scan.ts';

const ORDINARY = 0;
const DELIMITER = 1;
const NEWLINE = 2;
const QUOTE = 3;

const INITIAL_FIELDS = 64;

/** What is wrong with the quotes of a row. */
export type QuoteProblem = 'stray' | 'unclosed';

/** Finds the fields of one row after the other: the same automaton as `QuoteScan`, unrolled. */
export class FieldScan {
  /** Index of each field's first byte, without its quote. */
  starts = new Int32Array(INITIAL_FIELDS);
  /** Index after each field's last byte, without its quote. */
  ends = new Int32Array(INITIAL_FIELDS);
  fields = 0;
  /** All bytes of the fields, or-ed: 0x80 and more says that some are not ASCII. */
  mixed = 0;
  /** Whether some field holds doubled quotes. */
  doubled = false;
  problem: QuoteProblem | null = null;
  readonly #kinds = new Uint8Array(256);
  readonly #quote: number;
  readonly #multiline: boolean;

  constructor({ delimiter, quote, multiline }: CsvBytes) {
    this.#kinds[LINE_FEED] = NEWLINE;
    this.#kinds[CARRIAGE_RETURN] = NEWLINE;
    this.#kinds[delimiter] = DELIMITER;
    if (quote !== null) this.#kinds[quote] = QUOTE;
    this.#quote = quote ?? -1;
    this.#multiline = multiline;
  }

  /**
   * Reads the row that starts at `from`.
   *
   * @param end `buffer[end]` is a line feed, whatever the text goes on with
   * @param ended whether the text ends at `end`
   * @returns index of the newline that ends the row, or `end`; -1 where the row goes on behind `end`
   */
  scan(buffer: Buffer, from: number, end: number, ended: boolean): number {
    const kinds = this.#kinds;
    const quote = this.#quote;
    let starts = this.starts;
    let ends = this.ends;
    let mixed = 0;
    let field = 0;
    let i = from;
    this.problem = null;
    this.doubled = false;
    for (;;) {
      if (field === starts.length) {
        this.grow();
        starts = this.starts;
        ends = this.ends;
      }
      let byte = buffer[i] as number;
      let kind: number;
      if (byte === quote) {
        starts[field] = ++i;
        for (;;) {
          while ((kind = kinds[(byte = buffer[i] as number)] as number) !== QUOTE && kind !== NEWLINE) {
            mixed |= byte;
            i++;
          }
          if (kind === NEWLINE) {
            if (i < end && this.#multiline) {
              i++;
              continue;
            }
            if (i >= end && !ended) return -1;
            this.problem = 'unclosed';
            return i;
          }
          // At the end of what is held the line feed follows: then the row is not complete, below.
          if (buffer[i + 1] !== quote) break;
          this.doubled = true;
          i += 2;
        }
        ends[field++] = i++;
        kind = kinds[buffer[i] as number] as number;
        if (kind === ORDINARY) return this.#resynchronised(buffer, i, end, ended);
      } else {
        starts[field] = i;
        while ((kind = kinds[(byte = buffer[i] as number)] as number) === ORDINARY) {
          mixed |= byte;
          i++;
        }
        ends[field++] = i;
        if (kind === QUOTE) return this.#resynchronised(buffer, i, end, ended);
      }
      if (kind === DELIMITER) {
        i++;
        continue;
      }
      if (i >= end && !ended) return -1;
      this.fields = field;
      this.mixed = mixed;
      return i;
    }
  }

  /** Makes it so many fields: empty ones where there are fewer. */
  pad(fields: number): void {
    while (this.starts.length < fields) this.grow();
    this.starts.fill(0, this.fields, fields);
    this.ends.fill(0, this.fields, fields);
    this.fields = fields;
  }

  /** After a stray quote nothing but a newline can be trusted. */
  #resynchronised(buffer: Buffer, from: number, end: number, ended: boolean): number {
    let i = from;
    while (this.#kinds[buffer[i] as number] !== NEWLINE) i++;
    if (i >= end && !ended) return -1;
    this.problem = 'stray';
    return i;
  }

  grow(): void {
    const starts = new Int32Array(this.starts.length * 2);
    starts.set(this.starts);
    const ends = new Int32Array(this.ends.length * 2);
    ends.set(this.ends);
    this.starts = starts;
    this.ends = ends;
  }
}
