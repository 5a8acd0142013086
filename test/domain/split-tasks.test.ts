import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitTasks } from '../../src/application/dispatch/split-tasks.ts';

describe('tasks of an object', () => {
  it('hold every section that is not complete, once, in runs that are no longer than asked', () => {
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.uniqueArray(fc.nat(40)),
        fc.integer({ min: 1, max: 9 }),
        (lastSection, done, sectionsPerTask) => {
          const complete = done
            .filter((section) => section <= lastSection)
            .sort((a, b) => a - b)
            .map((section) => ({ section, next: section * 100 + 107 }));
          const ranges = splitTasks(lastSection, complete, sectionsPerTask);
          const sections = ranges.flatMap(({ sections: { from, to } }) =>
            Array.from({ length: (to as number) - from + 1 }, (_, at) => from + at),
          );
          const isDone = new Set(complete.map(({ section }) => section));
          expect(sections).toEqual(
            Array.from({ length: lastSection + 1 }, (_, section) => section).filter(
              (section) => !isDone.has(section),
            ),
          );
          for (const [index, range] of ranges.entries()) {
            const { from, to } = range.sections as { from: number; to: number };
            expect(to - from + 1).toBeLessThanOrEqual(sectionsPerTask);
            expect(range.done).toEqual([]);
            // Reading begins where the section before it said, or has to be found.
            expect(range.start).toBe(from === 0 ? 0 : isDone.has(from - 1) ? (from - 1) * 100 + 107 : null);
            // No task is cut short while the next section would fit.
            const next = ranges[index + 1]?.sections.from;
            if (to - from + 1 < sectionsPerTask) expect(next).not.toBe(to + 1);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
