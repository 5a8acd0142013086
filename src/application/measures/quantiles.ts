import type { Quantiles } from '../../domain/measure.ts';
import { REFUSED, type Accumulator, type Kind, type KindFold } from './kind.ts';
import { keyOf, MAX_KEY, valueOf } from './quantile-bins.ts';
import { corrupt, lengthOfDouble, type StateReader, type StateWriter } from './state-bytes.ts';

/** Relative accuracy, in percent: part of the state, because bins of another one cannot be merged. */
const ACCURACY = 1;

/** Keys waiting in an array are counted once there are so many: a map costs more than most groups of a frame need. */
const MAX_WAITING = 64;

class QuantileSketch implements Accumulator {
  #min = Infinity;
  #max = -Infinity;
  #waiting: number[] = [];
  #counts: Map<number, number> | undefined;

  add(value: number): void {
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    this.#waiting.push(keyOf(value));
    if (this.#waiting.length === MAX_WAITING) this.#countWaiting();
  }

  #countWaiting(): Map<number, number> {
    const counts = (this.#counts ??= new Map());
    for (const key of this.#waiting) counts.set(key, (counts.get(key) ?? 0) + 1);
    this.#waiting = [];
    return counts;
  }

  write(out: StateWriter): void {
    if (this.#min > this.#max) return writeEmpty(out);
    writeHead(out, this.#min, this.#max);
    const bins = new BinWriter(out);
    if (this.#counts === undefined) {
      this.#waiting.sort(ascending);
      for (const key of this.#waiting) bins.add(key, 1);
    } else {
      const counts = this.#countWaiting();
      for (const key of [...counts.keys()].sort(ascending)) bins.add(key, counts.get(key)!);
    }
    bins.end();
  }
}

function ascending(a: number, b: number): number {
  return a - b;
}

const quantilesFold: KindFold = {
  accept(value) {
    if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : undefined;
    return value === undefined || value === null ? undefined : REFUSED;
  },
  create: () => new QuantileSketch(),
};

export const quantilesKind: Kind = { tag: 8, fold: () => quantilesFold, merge, read };

// Head: accuracy, then how many bytes of the smallest and (× 16) of the largest value follow; 15 for a largest value
// that is the smallest; 255 where nothing was measured. Then the bins in ascending order: the first key, its count,
// and for each further bin its distance from the one before and its count, up to a distance of 0.
const EMPTY = 0xff;
const SAME = 15;

function writeEmpty(out: StateWriter): void {
  out.byte(ACCURACY);
  out.byte(EMPTY);
}

function writeHead(out: StateWriter, min: number, max: number): void {
  const minLength = lengthOfDouble(min);
  const maxLength = max === min ? SAME : lengthOfDouble(max);
  out.byte(ACCURACY);
  out.byte(minLength | (maxLength << 4));
  out.double(min, minLength);
  if (maxLength !== SAME) out.double(max, maxLength);
}

class BinWriter {
  readonly #out: StateWriter;
  #key = 0;
  #count = 0;
  #first = true;

  constructor(out: StateWriter) {
    this.#out = out;
  }

  /** Keys in ascending order; the same one again adds to it. */
  add(key: number, count: number): void {
    if (this.#count > 0 && key === this.#key) {
      this.#count += count;
      return;
    }
    if (this.#first) this.#out.signed(key);
    else {
      this.#out.count(this.#count);
      this.#out.count(key - this.#key);
    }
    this.#first = false;
    this.#key = key;
    this.#count = count;
  }

  end(): void {
    this.#out.count(this.#count);
    this.#out.byte(0);
  }
}

class SketchReader {
  readonly #state: StateReader;
  readonly min: number;
  readonly max: number;
  key = 0;
  /** 0 once all bins are read. */
  count = 0;
  #left = Number.MAX_SAFE_INTEGER;

  constructor(state: StateReader) {
    this.#state = state;
    if (state.byte() !== ACCURACY) throw corrupt('quantiles have another accuracy');
    const lengths = state.byte();
    this.min = Infinity;
    this.max = -Infinity;
    if (lengths === EMPTY) return;
    this.min = state.double(lengths & 15);
    this.max = lengths >> 4 === SAME ? this.min : state.double(lengths >> 4);
    if (!(Number.isFinite(this.min) && Number.isFinite(this.max) && this.min <= this.max))
      throw corrupt('quantiles have no range');
    this.#bin(state.signed());
  }

  get empty(): boolean {
    return this.min > this.max;
  }

  next(): void {
    const distance = this.#state.count();
    if (distance === 0) this.count = 0;
    else this.#bin(this.key + distance);
  }

  #bin(key: number): void {
    this.key = key;
    this.count = this.#state.count();
    this.#left -= this.count;
    if (this.count === 0 || this.#left < 0 || key > MAX_KEY || key < -MAX_KEY)
      throw corrupt('a bin is out of range');
  }
}

function merge(a: StateReader, b: StateReader, out: StateWriter): void {
  const left = new SketchReader(a);
  const right = new SketchReader(b);
  if (left.empty && right.empty) return writeEmpty(out);
  writeHead(out, Math.min(left.min, right.min), Math.max(left.max, right.max));
  const bins = new BinWriter(out);
  while (left.count > 0 || right.count > 0) {
    const lower = right.count === 0 || (left.count > 0 && left.key <= right.key) ? left : right;
    bins.add(lower.key, lower.count);
    lower.next();
  }
  bins.end();
}

function read(state: StateReader): Quantiles {
  const sketch = new SketchReader(state);
  if (sketch.empty) return { count: 0, min: null, p50: null, p90: null, p95: null, p99: null, max: null };
  const keys: number[] = [];
  /** How many values are in the bins up to and with this one. */
  const upTo: number[] = [];
  let count = 0;
  for (; sketch.count > 0; sketch.next()) {
    count += sketch.count;
    keys.push(sketch.key);
    upTo.push(count);
  }
  const { min, max } = sketch;
  const at = (percent: number): number => {
    const rank = rankOf(percent, count);
    const bin = upTo.findIndex((values) => values > rank);
    return Math.min(max, Math.max(min, valueOf(keys[bin]!)));
  };
  return { count, min, p50: at(50), p90: at(90), p95: at(95), p99: at(99), max };
}

/** The rank, from 0, of the value that a quantile is: ⌊percent/100 × (count − 1)⌋, without a product over 2^53. */
function rankOf(percent: number, count: number): number {
  const last = count - 1;
  const rest = last % 100;
  return ((last - rest) / 100) * percent + Math.floor((rest * percent) / 100);
}
