import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { MarkedRow, RowMark } from '../../../domain/ports/row-mark.ts';

/** What a look at a mark shows. */
export interface MarkLook {
  /** Another one for every row that was entered, and for every time that rows were left. */
  readonly count: number;
  /** `null`: no row is under way. */
  readonly row: MarkedRow | null;
}

/** count and whether a row is under way (4 bytes each), section, coordinate (8 bytes each, as doubles). */
const MARK_BYTES = 24;

const NO_MARK = { count: 0, row: null, last: null };

/**
 * A row mark in memory that two threads share: the one writes it before each row, the other looks. A few stores a row, no
 * call into the system.
 */
export class SharedMark implements RowMark {
  readonly buffer: SharedArrayBuffer;
  readonly #state: Int32Array;
  readonly #place: Float64Array;

  constructor(buffer = new SharedArrayBuffer(MARK_BYTES)) {
    this.buffer = buffer;
    this.#state = new Int32Array(buffer, 0, 2);
    this.#place = new Float64Array(buffer, 8, 2);
  }

  enter(section: number, coordinate: number): void {
    this.#place[0] = section;
    this.#place[1] = coordinate;
    this.#state[1] = 1;
    // Last, and atomic: whoever sees the new count sees the row, too.
    Atomics.add(this.#state, 0, 1);
  }

  leave(): void {
    this.#state[1] = 0;
    Atomics.add(this.#state, 0, 1);
  }

  look(): MarkLook {
    const count = Atomics.load(this.#state, 0);
    const row = { section: this.#place[0] as number, coordinate: this.#place[1] as number };
    return { count, row: this.#state[1] === 1 ? row : null };
  }
}

/**
 * A row mark that outlives its process: written to a file before each row, by a call into the system that returns when the kernel
 * has it. It costs a microsecond or two a row.
 */
export class FileMark implements RowMark {
  readonly #file: number;
  readonly #bytes = new Uint8Array(MARK_BYTES);
  readonly #state = new Int32Array(this.#bytes.buffer, 0, 2);
  readonly #place = new Float64Array(this.#bytes.buffer, 8, 2);

  /** @param file is there already: only its mark is replaced */
  constructor(file: string) {
    this.#file = openSync(file, 'r+');
  }

  enter(section: number, coordinate: number): void {
    this.#place[0] = section;
    this.#place[1] = coordinate;
    this.#write(1);
  }

  leave(): void {
    this.#write(0);
  }

  close(): void {
    closeSync(this.#file);
  }

  /** The row that was under way when the process that wrote the file ended; `null` also where there is no such file. */
  static read(file: string): MarkedRow | null {
    return FileMark.look(file).row;
  }

  /** A look from outside, and the row that was entered last, whether or not it is still under way. */
  static look(file: string): MarkLook & { readonly last: MarkedRow | null } {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(readFileSync(file));
    } catch {
      return NO_MARK;
    }
    if (bytes.length < MARK_BYTES) return NO_MARK;
    const [count = 0, underWay] = new Int32Array(bytes.buffer, 0, 2);
    const [section = 0, coordinate = 0] = new Float64Array(bytes.buffer, 8, 2);
    const last = { section, coordinate };
    return { count, row: underWay === 1 ? last : null, last };
  }

  #write(underWay: 0 | 1): void {
    this.#state[0] = (this.#state[0] as number) + 1;
    this.#state[1] = underWay;
    writeSync(this.#file, this.#bytes, 0, MARK_BYTES, 0);
  }
}

/** Several marks as one. */
export function bothMarks(one: RowMark, other: RowMark): RowMark {
  return {
    enter(section, coordinate) {
      one.enter(section, coordinate);
      other.enter(section, coordinate);
    },
    leave() {
      one.leave();
      other.leave();
    },
  };
}
