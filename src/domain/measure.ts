/**
 * A measure as it is declared: data, and the function that picks its input from a message. How each kind adds,
 * merges and reads is in `application/measures`.
 *
 * `M` is the message that it reads, `V` what it gives to `findings` and to a reader of results.
 */
export interface Measure<in M, out V> {
  readonly kind: MeasureKind;
  /** Part of the generation: with others, states could not be merged. */
  readonly parameters: Readonly<Record<string, number>>;
  /** Picks the value to measure; `null` or `undefined` leaves the message out. Absent for `count()`. */
  readonly of: ((message: M) => unknown) | undefined;
  /** For inference only; never set. */
  readonly value?: V;
}

export const measureKinds = [
  'count',
  'countIf',
  'sum',
  'min',
  'max',
  'mean',
  'distinct',
  'quantiles',
] as const;

export type MeasureKind = (typeof measureKinds)[number];

/**
 * What a quantile measure reads as. `p50` is the value at rank ⌊0.5 × (count − 1)⌋ in ascending order, from 0, to
 * within 1 % of it; so are the others. `count`, `min` and `max` are exact. `null` where nothing was measured.
 */
export interface Quantiles {
  readonly count: number;
  readonly min: number | null;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

// oxlint-disable-next-line typescript/no-explicit-any
export type Measures = { readonly [name: string]: Measure<any, unknown> };

/** The values that a group's measures read as, by name. */
export type MeasureValues<A> = {
  readonly [Name in keyof A]: A[Name] extends Measure<never, infer V> ? V : never;
};

type Nullish = null | undefined;

// The message is `any` where nothing tells its type: TypeScript cannot infer it through a call that is itself
// an argument. `countIf((flight: Flight) => …)` is checked; `countIf((flight) => …)` is not.
/* oxlint-disable typescript/no-explicit-any */

/** How many messages. */
export function count(): Measure<unknown, number> {
  return { kind: 'count', parameters: {}, of: undefined };
}

/** For how many messages `condition` is `true`; `null` and `undefined` are taken for `false`. */
export function countIf<M = any>(condition: (message: M) => boolean): Measure<M, number> {
  return { kind: 'countIf', parameters: {}, of: condition };
}

/**
 * The exact sum, rounded once when it is read: the same in whatever order. NaN and infinities give what IEEE 754
 * addition gives; 0 is never −0. Bigints of up to 65,536 bits.
 */
export function sum<M = any>(of: (message: M) => number | bigint | Nullish): Measure<M, number> {
  return { kind: 'sum', parameters: {}, of };
}

/** The exact sum over the number of values, rounded once; `null` without any. */
export function mean<M = any>(of: (message: M) => number | bigint | Nullish): Measure<M, number | null> {
  return { kind: 'mean', parameters: {}, of };
}

/**
 * The smallest number, string (by code unit) or date; `null` without any. NaN and invalid dates are left out; −0 is 0.
 * One measure takes one of these types: another one in the same frame is an `E_MEASURE_VALUE`.
 */
export function min<M = any, V extends number | string | Date = number>(
  of: (message: M) => V | Nullish,
): Measure<M, V | null> {
  return { kind: 'min', parameters: {}, of };
}

/**
 * The largest number, string (by code unit) or date; `null` without any. NaN and invalid dates are left out; −0 is 0.
 * One measure takes one of these types: another one in the same frame is an `E_MEASURE_VALUE`.
 */
export function max<M = any, V extends number | string | Date = number>(
  of: (message: M) => V | Nullish,
): Measure<M, V | null> {
  return { kind: 'max', parameters: {}, of };
}

/**
 * How many different values: exact up to 1,024, beyond with a standard error of 1.6 % (HyperLogLog, 4,096
 * registers). Values of different types are different: `1`, `1n` and `'1'`.
 */
export function distinct<M = any>(
  of: (message: M) => string | number | bigint | boolean | Date | Nullish,
): Measure<M, number> {
  return { kind: 'distinct', parameters: { precision: 12 }, of };
}

/** Quantiles within 1 % of their value (DDSketch); NaN and infinities are left out. */
export function quantiles<M = any>(of: (message: M) => number | Nullish): Measure<M, Quantiles> {
  return { kind: 'quantiles', parameters: { relativeAccuracy: 0.01 }, of };
}
/* oxlint-enable typescript/no-explicit-any */

/** The measures, typed by the message that they read: what a `measures` that is a function is given. */
export interface MeasuresOf<M> {
  readonly count: () => Measure<unknown, number>;
  readonly countIf: (condition: (message: M) => boolean) => Measure<M, number>;
  readonly sum: (of: (message: M) => number | bigint | Nullish) => Measure<M, number>;
  readonly mean: (of: (message: M) => number | bigint | Nullish) => Measure<M, number | null>;
  readonly min: <V extends number | string | Date = number>(
    of: (message: M) => V | Nullish,
  ) => Measure<M, V | null>;
  readonly max: <V extends number | string | Date = number>(
    of: (message: M) => V | Nullish,
  ) => Measure<M, V | null>;
  readonly distinct: (
    of: (message: M) => string | number | bigint | boolean | Date | Nullish,
  ) => Measure<M, number>;
  readonly quantiles: (of: (message: M) => number | Nullish) => Measure<M, Quantiles>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- the same functions, whatever the message
export const measuresOf: MeasuresOf<any> = { count, countIf, sum, mean, min, max, distinct, quantiles };
