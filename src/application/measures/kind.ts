import type { StateReader, StateWriter } from './state-bytes.ts';

/** One kind of measure: how it takes values, and how its state is written, merged and read. */
export interface Kind {
  /** Names the kind and its parameters in a state. Never given anew to another encoding. */
  readonly tag: number;

  /** What one fold needs; what it has seen stays within it. */
  fold(): KindFold;

  /** Merges two states into a third; commutative and associative to the byte. Passes over both states. */
  merge(a: StateReader, b: StateReader, out: StateWriter): void;

  /** What the state reads as. Passes over the state. */
  read(state: StateReader): unknown;
}

export interface KindFold {
  /** What `add` takes; `undefined` leaves the message out; `REFUSED` where the type is wrong. Changes nothing. */
  accept(value: unknown): unknown;
  create(): Accumulator;
}

/** A measure of one group, while a frame is folded. */
export interface Accumulator {
  /** Takes what `accept` gave. */
  add(value: never): void;
  write(out: StateWriter): void;
}

export const REFUSED = Symbol('refused');
