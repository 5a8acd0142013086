import { types } from 'node:util';
import { DomainError, isDomainError, messageOf } from '../../domain/errors.ts';
import type { Measures } from '../../domain/measure.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { compareUtf8 } from '../../domain/text-order.ts';
import { ignoreRejection } from '../failures/ignore-rejection.ts';
import type { GroupState } from '../../domain/ports/result-store.ts';
import { REFUSED, type Accumulator } from './kind.ts';
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
  const plan = Object.entries(analyze.measures as Measures).map(([name, { kind, of }]) => {
    if (!Object.hasOwn(kinds, kind)) {
      throw new DomainError(`analyze.measures.${name} is of an unknown kind: ${kind}`, {
        code: 'E_PIPELINE_INVALID',
      });
    }
    return { name, of, tag: kinds[kind].tag, fold: kinds[kind].fold() };
  });
  const inputs: unknown[] = plan.map(() => undefined);
  const groups = new Map<string, Accumulator[]>();

  function add(message: unknown): string {
    const group = readGroup(message);
    let at = 0;
    try {
      for (; at < plan.length; at++) inputs[at] = plan[at]!.of?.(message);
    } catch (thrown) {
      inputs.forEach(ignoreRejection);
      if (isDomainError(thrown)) throw thrown;
      throw new DomainError(`measure ${plan[at]!.name} threw: ${messageOf(thrown)}`, {
        code: 'E_ANALYZE',
        cause: thrown,
      });
    }
    for (let i = 0; i < plan.length; i++) {
      const { name, fold } = plan[i]!;
      const accepted = fold.accept(inputs[i]);
      if (accepted === REFUSED) {
        inputs.forEach(ignoreRejection);
        throw refusal(name, inputs[i]);
      }
      inputs[i] = accepted;
    }
    let accumulators = groups.get(group);
    if (accumulators === undefined) {
      accumulators = plan.map(({ fold }) => fold.create());
      groups.set(group, accumulators);
    }
    for (let i = 0; i < plan.length; i++) {
      const input = inputs[i];
      if (input !== undefined) accumulators[i]!.add(input as never);
    }
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

function refusal(measure: string, value: unknown): DomainError {
  return new DomainError(`measure ${measure} cannot take ${typeName(value)} here`, {
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
