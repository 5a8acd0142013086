import fc from 'fast-check';
import type { AnyPipeline } from '../../src/domain/pipeline.ts';
import { count, countIf, distinct, max, mean, min, quantiles, sum } from '../../src/domain/measure.ts';
import { createGroupFold } from '../../src/application/measures/group-fold.ts';
import { mergeStates, readMeasures } from '../../src/application/measures/state.ts';
import { number, whole } from './rational.ts';

export interface Message {
  readonly number: number | null;
  readonly addend: number | bigint | undefined;
  readonly text: string | null;
  readonly date: Date | undefined;
  readonly flag: boolean | null;
  readonly any: string | number | bigint | boolean | Date | null | undefined;
}

const nullish = fc.constantFrom(null, undefined);
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.constantFrom('', 'ÿ', 'Ā', '\ud800', '\udc00x', '🛫', '__proto__'),
);
const date = fc.date({ noInvalidDate: false });

/** Few different values, so that they meet. */
const any = fc.oneof(
  nullish,
  fc.boolean(),
  number,
  text,
  whole,
  date,
  fc.constantFrom('a', 'b', 1, 1n, '1', true),
  fc.nat(3000),
);

export const message: fc.Arbitrary<Message> = fc.record({
  number: fc.oneof({ weight: 9, arbitrary: number }, fc.constant(null)),
  addend: fc.oneof({ weight: 4, arbitrary: number }, whole, fc.constant(undefined)),
  text: fc.oneof({ weight: 9, arbitrary: text }, fc.constant(null)),
  date: fc.oneof({ weight: 9, arbitrary: date }, fc.constant(undefined)),
  flag: fc.oneof(fc.boolean(), fc.constant(null)),
  any,
});

export const measures = {
  count: count(),
  countIf: countIf((m: Message) => m.flag as boolean),
  sum: sum((m: Message) => m.addend),
  mean: mean((m: Message) => m.addend),
  minNumber: min((m: Message) => m.number),
  maxNumber: max((m: Message) => m.number),
  minText: min((m: Message) => m.text),
  maxText: max((m: Message) => m.text),
  minDate: min((m: Message) => m.date),
  maxDate: max((m: Message) => m.date),
  distinct: distinct((m: Message) => m.any),
  quantiles: quantiles((m: Message) => m.number),
};

/** The state of one group. */
export function stateOf(
  messages: readonly unknown[],
  of: AnyPipeline['analyze']['measures'] = measures,
): Uint8Array {
  const fold = createGroupFold({ groupBy: () => 'g', measures: of });
  for (const each of messages) fold.add(each);
  const states = fold.finish();
  if (states.length !== 1) throw new Error(`${states.length} groups`);
  return states[0]!.state;
}

export function valuesOf(
  messages: readonly unknown[],
  of: AnyPipeline['analyze']['measures'] = measures,
): Record<string, unknown> {
  return readMeasures(stateOf(messages, of), of);
}

/** Merges states two at a time, in an order and tree that `choose` decides. */
export function mergeInTree(states: readonly Uint8Array[], choose: (below: number) => number): Uint8Array {
  const left = [...states];
  while (left.length > 1) {
    const [a] = left.splice(choose(left.length), 1);
    const [b] = left.splice(choose(left.length), 1);
    left.push(mergeStates(a!, b!));
  }
  return left[0]!;
}
