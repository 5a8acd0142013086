import type { SectionRange } from '../../domain/section.ts';

export interface TaskRange {
  readonly sections: SectionRange;
  /** Where the first section's first record starts, if a section before it told. */
  readonly start: number | null;
  readonly done: readonly number[];
}

/**
 * The sections of a splittable object that are still to do, in runs of consecutive ones, none longer than
 * `sectionsPerTask`. Which sections make a task changes no result: a task is an order, not an identity.
 */
export function splitTasks(
  lastSection: number,
  complete: readonly { readonly section: number; readonly next: number }[],
  sectionsPerTask: number,
): readonly TaskRange[] {
  const nextOf = new Map(complete.map(({ section, next }) => [section, next]));
  const ranges: TaskRange[] = [];
  let section = 0;
  while (section <= lastSection) {
    if (nextOf.has(section)) {
      section++;
      continue;
    }
    let to = section;
    while (to < lastSection && to - section + 1 < sectionsPerTask && !nextOf.has(to + 1)) to++;
    const start = section === 0 ? 0 : (nextOf.get(section - 1) ?? null);
    ranges.push({ sections: { from: section, to }, start, done: [] });
    section = to + 1;
  }
  return ranges;
}
