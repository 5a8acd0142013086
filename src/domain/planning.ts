import type { LakeObject } from './lake-object.ts';
import type { PlanVerdict } from './ports/result-store.ts';

/** What a result store knows of an object that was planned before. */
export interface KnownObject {
  readonly object: LakeObject;
  /** Binds the sections of which nothing is applied. */
  readonly build: string;
  readonly epoch: number;
  readonly complete: boolean;
  /** Builds of the sections of which something is applied. */
  readonly begunBy: readonly string[];
  /** Whether redrives applied something of it. Default false. */
  readonly settled?: boolean;
}

export interface PlanDecision {
  readonly verdict: PlanVerdict;
  readonly epoch: number;
}

/**
 * Whether an object may be processed, and under which epoch. Sections of which nothing is applied can be taken
 * over by another build; the epoch rises, so that whatever the old build still sends is dropped. What is begun
 * belongs to its build and to its version of the object: measures cannot take anything back.
 */
export function decidePlan(known: KnownObject | undefined, object: LakeObject, build: string): PlanDecision {
  if (known === undefined) return { verdict: 'process', epoch: 1 };
  const begun = known.complete || known.begunBy.length > 0 || known.settled === true;
  if (known.object.version !== object.version) {
    return begun
      ? { verdict: 'changed', epoch: known.epoch }
      : { verdict: 'process', epoch: known.epoch + 1 };
  }
  if (known.complete) return { verdict: 'complete', epoch: known.epoch };
  if (known.begunBy.some((other) => other !== build)) return { verdict: 'other-build', epoch: known.epoch };
  return { verdict: 'process', epoch: known.build === build ? known.epoch : known.epoch + 1 };
}
