import {
  addFixedPoints,
  ExactSum,
  isSummand,
  MAX_SUMMAND_BITS,
  toNumber,
  type FixedPoint,
} from '../../domain/exact-sum.ts';
import { REFUSED, type Accumulator, type Kind, type KindFold } from './kind.ts';
import { corrupt, type StateReader, type StateWriter } from './state-bytes.ts';

/** A sum without rounding, and how often what is no number of this world came. */
interface Sum {
  readonly finite: FixedPoint;
  readonly nan: number;
  readonly plusInfinity: number;
  readonly minusInfinity: number;
}

class Summing implements Accumulator {
  readonly #finite = new ExactSum();
  #nan = 0;
  #plusInfinity = 0;
  #minusInfinity = 0;

  add(value: number | bigint): void {
    if (typeof value === 'bigint') this.#finite.addWhole(value);
    else if (Number.isFinite(value)) this.#finite.add(value);
    else if (value === Infinity) this.#plusInfinity++;
    else if (value === -Infinity) this.#minusInfinity++;
    else this.#nan++;
  }

  write(out: StateWriter): void {
    writeSum(out, {
      finite: this.#finite.value(),
      nan: this.#nan,
      plusInfinity: this.#plusInfinity,
      minusInfinity: this.#minusInfinity,
    });
  }
}

class Averaging implements Accumulator {
  readonly #sum = new Summing();
  #count = 0;

  add(value: number | bigint): void {
    this.#count++;
    this.#sum.add(value);
  }

  write(out: StateWriter): void {
    out.count(this.#count);
    this.#sum.write(out);
  }
}

function accept(value: unknown): unknown {
  if (typeof value === 'number') return value;
  if (value === undefined || value === null) return undefined;
  return typeof value === 'bigint' && isSummand(value) ? value : REFUSED;
}

const sumFold: KindFold = { accept, create: () => new Summing() };
const meanFold: KindFold = { accept, create: () => new Averaging() };

export const sumKind: Kind = {
  tag: 3,
  fold: () => sumFold,
  merge: mergeSums,
  read: (state) => valueOf(readSum(state), 1),
};

export const meanKind: Kind = {
  tag: 4,
  fold: () => meanFold,
  merge: (a, b, out) => {
    out.count(a.count() + b.count());
    mergeSums(a, b, out);
  },
  read: (state) => {
    const count = state.count();
    const sum = readSum(state);
    return count === 0 ? null : valueOf(sum, count);
  },
};

/** What IEEE 754 addition gives of the finite sum and whatever came beside it. */
function valueOf(sum: Sum, divisor: number): number {
  if (sum.nan > 0 || (sum.plusInfinity > 0 && sum.minusInfinity > 0)) return NaN;
  if (sum.plusInfinity > 0) return Infinity;
  if (sum.minusInfinity > 0) return -Infinity;
  return toNumber(sum.finite, divisor);
}

function mergeSums(a: StateReader, b: StateReader, out: StateWriter): void {
  const left = readSum(a);
  const right = readSum(b);
  writeSum(out, {
    finite: addFixedPoints(left.finite, right.finite),
    nan: left.nan + right.nan,
    plusInfinity: left.plusInfinity + right.plusInfinity,
    minusInfinity: left.minusInfinity + right.minusInfinity,
  });
}

const NEGATIVE = 1;
const POSITIVE = 2;
const NOT_FINITE = 4;

/** A double's lowest byte stands at 256 to the power of −135. */
const LOWEST_EXPONENT = -135;
/** One summand, and the carry of 2^53 of them. */
const MAX_TOP = MAX_SUMMAND_BITS / 8 + 8;

function writeSum(out: StateWriter, { finite, nan, plusInfinity, minusInfinity }: Sum): void {
  const notFinite = nan + plusInfinity + minusInfinity > 0;
  out.byte((finite.sign === 0 ? 0 : finite.sign < 0 ? NEGATIVE : POSITIVE) | (notFinite ? NOT_FINITE : 0));
  if (finite.sign !== 0) {
    out.signed(finite.exponent);
    out.count(finite.length);
    out.copy(finite.bytes, finite.start, finite.length);
  }
  if (notFinite) {
    out.count(nan);
    out.count(plusInfinity);
    out.count(minusInfinity);
  }
}

function readSum(state: StateReader): Sum {
  const head = state.byte();
  if (head > 6 || (head & 3) === 3) throw corrupt('a sum has an unknown form');
  const finite = readFinite(state, head);
  if ((head & NOT_FINITE) === 0) return { finite, nan: 0, plusInfinity: 0, minusInfinity: 0 };
  return { finite, nan: state.count(), plusInfinity: state.count(), minusInfinity: state.count() };
}

function readFinite(state: StateReader, head: number): FixedPoint {
  const { bytes } = state;
  if ((head & (NEGATIVE | POSITIVE)) === 0) return { sign: 0, exponent: 0, bytes, start: 0, length: 0 };
  const exponent = state.signed();
  const length = state.count();
  const start = state.skip(length);
  if (exponent < LOWEST_EXPONENT || exponent + length > MAX_TOP) throw corrupt('a sum is out of range');
  if (length === 0 || bytes[start] === 0 || bytes[start + length - 1] === 0)
    throw corrupt('a sum is not in its shortest form');
  return { sign: (head & NEGATIVE) === 0 ? 1 : -1, exponent, bytes, start, length };
}
