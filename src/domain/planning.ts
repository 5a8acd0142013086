import { isSameBinding } from './applying.ts';
import type { LakeObject } from './lake-object.ts';
import type { Binding, HeldSection, ObjectPlan, PlanRequest, PlanVerdict } from './ports/result-store.ts';

/** A section of which something is applied. Its build and epoch are those of what was applied first, and stay. */
export interface BegunSection extends HeldSection {
  readonly complete: boolean;
  /** Where the section after it starts; `null` until its record tells. */
  readonly next: number | null;
}

/** What a result store knows of an object that was planned before. */
export interface KnownObject {
  readonly object: LakeObject;
  /** Binds the sections of which nothing is applied. */
  readonly build: string;
  readonly epoch: number;
  readonly complete: boolean;
  /** Ascending. Of an object that is complete nothing is asked. */
  readonly sections: readonly BegunSection[];
  /** Whether redrives applied something of it. Default false. */
  readonly settled?: boolean;
}

export interface PlanDecision extends Pick<ObjectPlan, 'complete' | 'held'> {
  readonly verdict: PlanVerdict;
  readonly epoch: number;
}

/**
 * Whether an object may be processed, under which epoch, and which of its sections are somebody else's. Sections of which nothing is applied
 * can be taken over by another build; the epoch rises, so that whatever the old build still sends of them is dropped. What is begun
 * belongs to its build and to its version of the object: measures cannot take anything back. Where that build's code is kept the two share the
 * object; else it is refused.
 */
export function decidePlan(
  known: KnownObject | undefined,
  object: LakeObject,
  { build, keepsBuilds = false }: Pick<PlanRequest, 'build' | 'keepsBuilds'>,
): PlanDecision {
  if (known === undefined) return { verdict: 'process', epoch: 1, complete: [], held: [] };
  const { epoch, sections } = known;
  const begun = known.complete || sections.length > 0 || known.settled === true;
  const complete = completeOf(sections);
  if (known.object.version !== object.version) {
    return begun
      ? { verdict: 'changed', epoch, complete, held: [] }
      : { verdict: 'process', epoch: epoch + 1, complete: [], held: [] };
  }
  if (known.complete) return { verdict: 'complete', epoch, complete: [], held: [] };
  if (!keepsBuilds && sections.some((section) => section.build !== build))
    return { verdict: 'other-build', epoch, complete, held: [] };
  const own = { build, epoch: known.build === build ? epoch : epoch + 1 };
  return { verdict: 'process', epoch: own.epoch, complete, held: heldBesides(own, sections) };
}

function completeOf(sections: readonly BegunSection[]): ObjectPlan['complete'] {
  return sections
    .filter(({ complete }) => complete)
    .map(({ section, next }) => ({ section, next: next as number }));
}

/** Sections that were begun under another epoch are finished under it, whoever plans them: their frames count under no other. */
function heldBesides(own: Binding, sections: readonly BegunSection[]): readonly HeldSection[] {
  return sections
    .filter((section) => !section.complete && !isSameBinding(section, own))
    .map(({ section, build, epoch }) => ({ section, build, epoch }));
}
