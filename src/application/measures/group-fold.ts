import { types } from 'node:util';
import { DomainError, isDomainError, messageOf } from '../../domain/errors.ts';
import type { Measures } from '../../domain/measure.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { compareUtf8 } from '../../domain/text-order.ts';
import { ignoreRejection } from '../failures/ignore-rejection.ts';
import type { GroupState } from '../../domain/ports/result-store.ts';
import { generated } from '../generated-code.ts';
import { REFUSED, type Accumulator, type KindFold } from './kind.ts';
import { kinds } from './kinds.ts';
import { StateWriter } from './state-bytes.ts';
import { writeStateHead } from './state.ts';

/** Folds messages of one frame into states by group. */
export interface GroupFold {
  /**
   * Reads the group and every measure's input of one message, and then adds them: all or nothing.
   *
   * @returns the group: numbers and bigints as decimal text; half a surrogate pair becomes U+FFFD, as UTF-8 cannot
   *   hold it
   * @throws DomainError what `groupBy` or a measure threw, if it was one; else `E_ANALYZE` where `groupBy` or a measure threw, or where the group is no string, number or
   *   bigint; `E_MEASURE_VALUE` where a measure gave a type that it cannot take, or another type than before (`min`, `max`)
   */
  add(message: unknown): string;

  /** Canonical states by group, in ascending order of the group's UTF-8 bytes. */
  finish(): GroupState[];
}

export function createGroupFold(analyze: Pick<AnyPipeline['analyze'], 'groupBy' | 'measures'>): GroupFold {
  const { groupBy } = analyze;
  const plan: readonly PlannedMeasure[] = Object.entries(analyze.measures as Measures).map(
    ([name, { kind, of }]) => {
      if (!Object.hasOwn(kinds, kind)) {
        throw new DomainError(`analyze.measures.${name} is of an unknown kind: ${kind}`, {
          code: 'E_PIPELINE_INVALID',
        });
      }
      return { name, of, tag: kinds[kind].tag, fold: kinds[kind].fold() };
    },
  );
  const groups = new Map<string, readonly Accumulator[]>();
  const measure = measuringOf(analyze)(plan, REFUSED, failedMeasure, refusedMeasure);

  function add(message: unknown): string {
    const group = readGroup(message);
    measure(message, group, groups);
    return group;
  }

  function readGroup(message: unknown): string {
    let group: unknown;
    try {
      group = groupBy(message);
    } catch (thrown) {
      if (isDomainError(thrown)) throw thrown;
      throw new DomainError(`groupBy threw: ${messageOf(thrown)}`, { code: 'E_ANALYZE', cause: thrown });
    }
    if (typeof group === 'string') return group.isWellFormed() ? group : group.toWellFormed();
    if (typeof group === 'number' || typeof group === 'bigint') return String(group);
    ignoreRejection(group);
    throw new DomainError(`groupBy gave ${typeName(group)}, not a string, number or bigint`, {
      code: 'E_ANALYZE',
    });
  }

  function finish(): GroupState[] {
    const out = new StateWriter(1024);
    return [...groups]
      .sort(([a], [b]) => compareUtf8(a, b))
      .map(([group, accumulators]) => {
        writeStateHead(out, plan.length);
        for (let i = 0; i < plan.length; i++) {
          out.byte(plan[i]!.tag);
          accumulators[i]!.write(out);
        }
        return { group, state: out.take() };
      });
  }

  return { add, finish };
}

interface PlannedMeasure {
  readonly name: string;
  readonly of: ((message: unknown) => unknown) | undefined;
  readonly tag: number;
  readonly fold: KindFold;
}

/** Reads every measure's input of a message, and then adds them to its group: all or nothing. */
type Measure = (message: unknown, group: string, groups: Map<string, readonly Accumulator[]>) => void;
type Measuring = (
  plan: readonly PlannedMeasure[],
  refused: typeof REFUSED,
  failedMeasure: (measure: PlannedMeasure, thrown: unknown, inputs: readonly unknown[]) => unknown,
  refusedMeasure: (measure: PlannedMeasure, at: number, inputs: readonly unknown[]) => unknown,
) => Measure;

const measurings = new WeakMap<object, Measuring>();

/** Once for each pipeline: what V8 has learned about its measures stays from frame to frame. */
function measuringOf(analyze: Pick<AnyPipeline['analyze'], 'measures'>): Measuring {
  let measuring = measurings.get(analyze);
  if (measuring === undefined) {
    measuring = generated(measuringCode(Object.keys(analyze.measures).length)) as Measuring;
    measurings.set(analyze, measuring);
  }
  return measuring;
}

/** Every measure has code of its own: with a loop over seven of them, each of another kind, folding took a quarter more. */
function measuringCode(measures: number): string {
  const each = (code: (at: number) => string): string[] =>
    Array.from({ length: measures }, (_, at) => code(at));
  const inputs = `[${each((at) => `input${at}`).join(', ')}]`;
  return [
    'return (plan, REFUSED, failedMeasure, refusedMeasure) => {',
    ...each((at) => `const of${at} = plan[${at}].of, fold${at} = plan[${at}].fold;`),
    'return (message, group, groups) => {',
    'let at = 0;',
    ...each((at) => `let input${at}, value${at};`),
    'try {',
    ...each((at) => `at = ${at}; if (of${at} !== undefined) input${at} = of${at}(message);`),
    '} catch (thrown) {',
    `throw failedMeasure(plan[at], thrown, ${inputs});`,
    '}',
    'accepting: {',
    ...each(
      (at) => `at = ${at}; if ((value${at} = fold${at}.accept(input${at})) === REFUSED) break accepting;`,
    ),
    'at = -1;',
    '}',
    `if (at !== -1) throw refusedMeasure(plan[at], at, ${inputs});`,
    'let accumulators = groups.get(group);',
    'if (accumulators === undefined) {',
    `accumulators = [${each((at) => `fold${at}.create()`).join(', ')}];`,
    'groups.set(group, accumulators);',
    '}',
    ...each((at) => `if (value${at} !== undefined) accumulators[${at}].add(value${at});`),
    '};',
    '};',
  ].join('\n');
}

function failedMeasure({ name }: PlannedMeasure, thrown: unknown, inputs: readonly unknown[]): unknown {
  inputs.forEach(ignoreRejection);
  if (isDomainError(thrown)) return thrown;
  return new DomainError(`measure ${name} threw: ${messageOf(thrown)}`, { code: 'E_ANALYZE', cause: thrown });
}

function refusedMeasure({ name }: PlannedMeasure, at: number, inputs: readonly unknown[]): DomainError {
  inputs.forEach(ignoreRejection);
  return new DomainError(`measure ${name} cannot take ${typeName(inputs[at])} here`, {
    code: 'E_MEASURE_VALUE',
  });
}

/** Of whatever was given, without asking it: it may be a proxy. */
function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (types.isDate(value)) return 'a date';
  if (types.isPromise(value)) return 'a promise';
  const type = typeof value;
  if (type === 'undefined') return 'undefined';
  return type === 'object' ? 'an object' : `a ${type}`;
}
