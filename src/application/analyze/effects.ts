import { DomainError, isDomainError, messageOf } from '../../domain/errors.ts';
import type { Failure } from '../../domain/failure.ts';
import type { AnyPipeline, Finding } from '../../domain/pipeline.ts';
import type { Effects, Flag } from '../../domain/ports/result-store.ts';
import type { Position } from '../../domain/position.ts';
import { ignoreRejection } from '../failures/ignore-rejection.ts';
import { failureOf } from '../failures/describe-failure.ts';
import { keepingOf, type Keeping } from '../failures/kept-payload.ts';
import { createGroupFold } from '../measures/group-fold.ts';
import { encodeValue } from '../values/value-writer.ts';

export const noEffects: Effects = { groups: [], flags: [], failures: [], applied: 0 };

/** Works out what messages do to the results. A message that fails leaves no trace but its failure. */
export class EffectsFold {
  readonly #pipeline: AnyPipeline;
  readonly #generation: string;
  readonly #fold;
  readonly #keeping: Keeping;
  readonly #flags: Flag[] = [];
  readonly #failures: Failure[] = [];
  #applied = 0;

  constructor(pipeline: AnyPipeline, generation: string) {
    this.#pipeline = pipeline;
    this.#generation = generation;
    this.#fold = createGroupFold(pipeline.analyze);
    this.#keeping = keepingOf(pipeline);
  }

  /** @param index which of the messages it is, for `positionOf`: few positions are ever asked for */
  add(message: unknown, index: number, positionOf: (index: number) => Position): void {
    try {
      const finding = this.#flagOf(message);
      this.#fold.add(message);
      if (finding !== null) this.#flags.push({ position: positionOf(index), finding });
      this.#applied++;
    } catch (thrown) {
      this.#failures.push(
        failureOf(
          this.#generation,
          positionOf(index),
          'analyze',
          thrown,
          'E_ANALYZE',
          this.#keeping.message(message),
          0,
        ),
      );
    }
  }

  addFailure(failure: Failure): void {
    this.#failures.push(failure);
  }

  finish(): Effects {
    return {
      groups: this.#fold.finish(),
      flags: this.#flags,
      failures: this.#failures,
      applied: this.#applied,
    };
  }

  #flagOf(message: unknown): Finding | null {
    const { flag } = this.#pipeline.analyze;
    if (flag === undefined) return null;
    try {
      return checkFinding(flag(message));
    } catch (thrown) {
      if (isDomainError(thrown)) throw thrown;
      throw new DomainError(`flag threw: ${messageOf(thrown)}`, { code: 'E_ANALYZE', cause: thrown });
    }
  }
}

const SEVERITIES: ReadonlySet<unknown> = new Set(['info', 'warning', 'critical', undefined]);

/** @throws DomainError `E_ANALYZE` where a finding is not of its form */
export function checkFinding(finding: Finding | null | undefined): Finding | null {
  if (finding === null || finding === undefined) return null;
  if (ignoreRejection(finding)) {
    throw new DomainError('a finding cannot be a promise', { code: 'E_ANALYZE' });
  }
  if (typeof finding.kind !== 'string' || typeof finding.message !== 'string') {
    throw new DomainError('a finding needs a kind and a message, both strings', { code: 'E_ANALYZE' });
  }
  if (!SEVERITIES.has(finding.severity)) {
    throw new DomainError('the severity of a finding is info, warning or critical', { code: 'E_ANALYZE' });
  }
  const { kind, severity, message, details } = finding;
  // A store that cannot keep it would fail with the whole frame, again and again.
  if (details !== undefined) encodeValue(details);
  return {
    kind,
    ...(severity === undefined ? {} : { severity }),
    message,
    ...(details === undefined ? {} : { details }),
  };
}
