import { isSameBinding } from '../../domain/applying.ts';
import type { Binding, HeldSection, ObjectPlan } from '../../domain/ports/result-store.ts';
import type { Task } from '../../domain/section.ts';

/** What a task has of its sections: the rest is the object's and the run's. */
export type TaskRange = Pick<Task, 'build' | 'epoch' | 'sections' | 'start' | 'done'>;

/** Sections of an object that are not to do, and those that are somebody else's; all others are `own`. */
export interface SectionsToDo extends Pick<ObjectPlan, 'complete' | 'held'> {
  readonly own: Binding;
}

/** Sections of one row group that are read together, at least, before another task reads the group once more. */
const SECTIONS_OF_A_GROUP = 4;

/**
 * The sections of a splittable object that are still to do, in runs of consecutive ones that the same build and epoch bind, none longer than
 * `sectionsPerTask`; or a little longer, up to the end of a row group, which is read as a whole. Which sections make a task changes no result:
 * a task is an order, not an identity.
 */
export function splitTasks(
  { complete, held, own }: SectionsToDo,
  {
    lastSection,
    groupStarts,
  }: { readonly lastSection: number; readonly groupStarts: readonly number[] | null },
  sectionsPerTask: number,
): readonly TaskRange[] {
  const starts = groupStarts === null ? null : new Set(groupStarts);
  const canEndBefore = (next: number) => starts === null || starts.has(next);
  const nextOf = new Map(complete.map(({ section, next }) => [section, next]));
  const holderOf = new Map(held.map((one) => [one.section, one]));
  const bindingOf = (section: number): Binding => holderOf.get(section) ?? own;
  const ranges: TaskRange[] = [];
  let section = 0;
  while (section <= lastSection) {
    if (nextOf.has(section)) {
      section++;
      continue;
    }
    const { build, epoch } = bindingOf(section);
    const goesOn = (next: number) =>
      next <= lastSection && !nextOf.has(next) && isSameBinding(bindingOf(next), { build, epoch });
    let to = section;
    const isShort = () => {
      const count = to - section + 1;
      return count < sectionsPerTask || (count < SECTIONS_OF_A_GROUP && !canEndBefore(to + 1));
    };
    while (isShort() && goesOn(to + 1)) to++;
    const start = section === 0 ? 0 : (nextOf.get(section - 1) ?? null);
    ranges.push({ build, epoch, sections: { from: section, to }, start, done: [] });
    section = to + 1;
  }
  return ranges;
}

/** What is not divided is one task for each that has sections of it, from its start; what is complete or another one's is read past. */
export function wholeTasks(
  { complete, held, own }: SectionsToDo,
  lastSection: number | null,
): readonly TaskRange[] {
  const ranges: TaskRange[] = [];
  const notOwn = [...complete, ...held].map(({ section }) => section).sort((a, b) => a - b);
  if (lastSection === null || notOwn.length <= lastSection)
    ranges.push({ ...own, sections: { from: 0, to: lastSection }, start: 0, done: notOwn });
  const byHolder = Map.groupBy(held, ({ build, epoch }) => `${epoch} ${build}`);
  for (const sections of byHolder.values()) {
    const { build, epoch, section: to } = sections.at(-1) as HeldSection;
    const theirs = new Set(sections.map(({ section }) => section));
    const done = Array.from({ length: to }, (_, section) => section).filter(
      (section) => !theirs.has(section),
    );
    ranges.push({ build, epoch, sections: { from: 0, to }, start: 0, done });
  }
  return ranges;
}
