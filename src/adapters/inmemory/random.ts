import { randomBytes, randomInt } from 'node:crypto';
import type { Clock, Random } from '../../domain/ports/ambient.ts';

const TIME_DIGITS = 9;
const COUNT_DIGITS = 4;
const IDS_PER_MS = 36 ** COUNT_DIGITS;

/** Ids that sort by the time at which they were made: time, count within the millisecond, and something nobody else has. */
class SortableIds {
  readonly #clock: Clock;
  readonly #entropy: () => string;
  #time = 0;
  #count = 0;

  constructor(clock: Clock, entropy: () => string) {
    this.#clock = clock;
    this.#entropy = entropy;
  }

  next(): string {
    const now = this.#clock.now();
    // A clock that is set back, or more ids than a millisecond has: go on from the last one.
    if (now > this.#time) {
      this.#time = now;
      this.#count = 0;
    } else if (++this.#count >= IDS_PER_MS) {
      this.#time++;
      this.#count = 0;
    }
    const time = this.#time.toString(36).padStart(TIME_DIGITS, '0');
    return `${time}${this.#count.toString(36).padStart(COUNT_DIGITS, '0')}-${this.#entropy()}`;
  }
}

/** Randomness of the machine. */
export class SystemRandom implements Random {
  readonly #ids: SortableIds;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#ids = new SortableIds(clock, () => randomBytes(8).toString('hex'));
  }

  next(): number {
    const steps = 2 ** 48 - 1;
    return randomInt(steps) / steps;
  }

  id(): string {
    return this.#ids.next();
  }
}

/**
 * The same numbers and ids for the same seed (and times): xoshiro128** 1.1 by D. Blackman and S. Vigna
 * (https://prng.di.unimi.it/xoshiro128starstar.c, public domain), its state filled by SplitMix32.
 */
export class SeededRandom implements Random {
  readonly #state: Uint32Array;
  readonly #ids: SortableIds;

  /** @param seed a whole number; its lower 32 bits count */
  constructor({ clock }: { readonly clock: Clock }, seed: number) {
    this.#state = splitMix32(seed);
    this.#ids = new SortableIds(clock, () => this.#hex() + this.#hex());
  }

  next(): number {
    return ((this.#uint32() >>> 5) * 2 ** 26 + (this.#uint32() >>> 6)) / 2 ** 53;
  }

  id(): string {
    return this.#ids.next();
  }

  #hex(): string {
    return this.#uint32().toString(16).padStart(8, '0');
  }

  #uint32(): number {
    const state = this.#state as unknown as [number, number, number, number];
    const result = Math.imul(rotateLeft(Math.imul(state[1], 5), 7), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotateLeft(state[3], 11);
    return result;
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function splitMix32(seed: number): Uint32Array {
  const state = new Uint32Array(4);
  let counter = seed | 0;
  for (let index = 0; index < state.length; index++) {
    counter = (counter + 0x9e3779b9) | 0;
    let mixed = Math.imul(counter ^ (counter >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    state[index] = mixed ^ (mixed >>> 15);
  }
  return state;
}
