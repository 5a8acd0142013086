import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  splitTasks,
  wholeTasks,
  type SectionsToDo,
  type TaskRange,
} from '../../src/application/dispatch/split-tasks.ts';

const own = { build: 'new', epoch: 3 };
const holders = [own, { build: 'old', epoch: 1 }, { build: 'new', epoch: 1 }, { build: 'older', epoch: 2 }];

/** For each section of an object: that it is complete, or who has it. */
const sections = fc.array(
  fc.oneof(fc.constant('complete' as const), fc.constantFrom(...holders), fc.constant(own), fc.constant(own)),
  { minLength: 1, maxLength: 40 },
);
type Sections = typeof sections extends fc.Arbitrary<infer T> ? T : never;

function toDo(all: Sections): SectionsToDo {
  const complete: { section: number; next: number }[] = [];
  const held: { section: number; build: string; epoch: number }[] = [];
  for (const [section, state] of all.entries()) {
    if (state === 'complete') complete.push({ section, next: section * 100 + 107 });
    else if (state !== own) held.push({ section, ...state });
  }
  return { complete, held, own };
}

/** Sections that a task sends, by whom. */
function sent({ build, epoch, sections: { from, to }, done }: TaskRange, last: number) {
  return Array.from({ length: (to ?? last) - from + 1 }, (_, at) => from + at)
    .filter((section) => !done.includes(section))
    .map((section) => ({ section, build, epoch }));
}

function expected(all: Sections) {
  return [...all.entries()].flatMap(([section, state]) =>
    state === 'complete' ? [] : [{ section, ...state }],
  );
}

describe('tasks of an object', () => {
  const groups = fc.option(fc.uniqueArray(fc.nat({ max: 40 })), { nil: null });

  it('hold every section that is not complete, once, by whoever has it, in runs that are no longer than asked, or end with a group', () => {
    fc.assert(
      fc.property(sections, groups, fc.integer({ min: 1, max: 9 }), (all, groupStarts, sectionsPerTask) => {
        const ranges = splitTasks(toDo(all), { lastSection: all.length - 1, groupStarts }, sectionsPerTask);
        const isStart = (section: number) => groupStarts === null || groupStarts.includes(section);
        expect(ranges.flatMap((range) => sent(range, all.length - 1))).toEqual(expected(all));
        for (const [index, { build, epoch, sections: range, start, done }] of ranges.entries()) {
          const { from, to } = range as { from: number; to: number };
          const count = to - from + 1;
          expect(count).toBeLessThanOrEqual(Math.max(sectionsPerTask, 4));
          // What is too much goes on with the group that was begun.
          for (let at = from + sectionsPerTask; at <= to; at++) expect(isStart(at)).toBe(false);
          expect(done).toEqual([]);
          // Reading begins where the section before it said, or has to be found.
          const isKnown = all[from - 1] === 'complete';
          expect(start).toBe(from === 0 ? 0 : isKnown ? (from - 1) * 100 + 107 : null);
          // No task is cut short while the next section would fit, or belongs to its group.
          const next = ranges[index + 1];
          const goesOn = next?.sections.from === to + 1 && next.build === build && next.epoch === epoch;
          if (goesOn) expect(count >= sectionsPerTask && (count >= 4 || isStart(to + 1))).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('that is not divided are one for each who has sections of it, and each sends its own alone', () => {
    fc.assert(
      fc.property(sections, fc.boolean(), (all, knowsLast) => {
        const last = all.length - 1;
        const ranges = wholeTasks(toDo(all), knowsLast ? last : null);
        const found = ranges.flatMap((range) => sent(range, last));
        expect(found.sort((a, b) => a.section - b.section)).toEqual(expected(all));
        expect(new Set(ranges.map(({ build, epoch }) => `${build} ${epoch}`)).size).toBe(ranges.length);
        for (const { build, epoch, sections: range, start } of ranges) {
          expect([range.from, start]).toEqual([0, 0]);
          const isOwn = build === own.build && epoch === own.epoch;
          // Sections that nobody knows of yet are this build's.
          if (isOwn) expect(range.to).toBe(knowsLast ? last : null);
          // What comes after the last of them is not read.
          else
            expect(
              all.findLastIndex(
                (state) => state !== 'complete' && state.build === build && state.epoch === epoch,
              ),
            ).toBe(range.to);
        }
        if (!knowsLast)
          expect(ranges.some(({ build, epoch }) => build === own.build && epoch === own.epoch)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
