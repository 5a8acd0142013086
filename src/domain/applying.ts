import type { LakeObject } from './lake-object.ts';
import type { ApplyOutcome, Binding } from './ports/result-store.ts';
import { judgeReach, type Reach } from './reach.ts';
import type { SectionRecord } from './section.ts';

/** What binds a section: its own epoch and build once something of it is applied, else those of its object. */
export interface SectionBinding extends Binding {
  readonly version: string;
}

export function isSameBinding(one: Binding, other: Binding): boolean {
  return one.build === other.build && one.epoch === other.epoch;
}

/** What was applied of a section before a frame of it comes. */
export interface AppliedOfSection {
  /** The ids of its frames are gone then: whatever comes was applied before. */
  readonly complete: boolean;
  /** The digest under which the same frame was applied; `undefined` where it was not. */
  readonly digest: string | undefined;
  /** How far all that was applied reaches; `undefined` where nothing was. */
  readonly reach: Reach | undefined;
}

export const nothingApplied: AppliedOfSection = { complete: false, digest: undefined, reach: undefined };

export interface IncomingFrame extends Reach {
  readonly object: LakeObject;
  readonly build: string;
  readonly epoch: number;
  readonly digest: string;
}

/**
 * Whether a frame (or a section record) counts.
 *
 * @param binding `undefined` where the object is not planned (its generation was purged)
 */
export function judgeFrame(
  binding: SectionBinding | undefined,
  applied: AppliedOfSection,
  incoming: IncomingFrame,
): ApplyOutcome {
  if (binding === undefined || binding.version !== incoming.object.version) return 'stale';
  if (!isSameBinding(incoming, binding)) return 'stale';
  if (applied.complete || applied.digest === incoming.digest) return 'duplicate';
  const agreement = judgeReach(applied.reach, incoming);
  if (agreement !== 'agrees') return agreement;
  return applied.digest === undefined ? 'applied' : 'not-deterministic';
}

/** A section is complete when the frames applied are exactly those that its record counts. */
export function isSectionComplete(
  record: Pick<SectionRecord, 'frames'> | undefined,
  appliedByPartition: ReadonlyMap<number, number>,
): boolean {
  if (record === undefined) return false;
  if (appliedByPartition.size !== record.frames.length) return false;
  return record.frames.every(([partition, frames]) => appliedByPartition.get(partition) === frames);
}

/** An object is complete when sections 0 to last are. */
export function isObjectComplete(lastSection: number | null, sectionsComplete: number): boolean {
  return lastSection !== null && sectionsComplete === lastSection + 1;
}

/** Whether a frame that was not applied before is one that the section's record, if it is known, counts. */
export function isFrameCounted(
  expected: SectionRecord['frames'] | undefined,
  partition: number,
  number: number,
): boolean {
  return (
    expected === undefined || expected.some(([counted, frames]) => counted === partition && number < frames)
  );
}

/** Whether a record counts all frames that were applied before it came; `applied` has the highest number of each partition. */
export function isRecordOfFrames(record: SectionRecord, applied: ReadonlyMap<number, number>): boolean {
  return [...applied].every(([partition, highest]) => isFrameCounted(record.frames, partition, highest));
}

/** Whether an object can have such a section: none comes after the last one. */
export function isWithinObject(section: number, lastSection: number | null): boolean {
  return lastSection === null || section <= lastSection;
}

/**
 * Whether what a record says of the object's end agrees with what is known of it.
 *
 * @param furthest the highest section of which something is applied; `null` where there is none
 */
export function isEndAgreed(
  record: SectionRecord,
  lastSection: number | null,
  furthest: number | null,
): boolean {
  if (!isWithinObject(record.section, lastSection)) return false;
  if (!record.last) return true;
  return (
    (lastSection === null || lastSection === record.section) &&
    (furthest === null || furthest <= record.section)
  );
}
