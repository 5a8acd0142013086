import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  judgeFrame,
  nothingApplied,
  type AppliedOfSection,
  type IncomingFrame,
} from '../../src/domain/applying.ts';
import { extendReach, judgeReach, type Reach } from '../../src/domain/reach.ts';

const object = { bucket: 'lake', key: 'a.csv', version: 'v1', size: 100 };
const binding = { version: 'v1', build: 'A', epoch: 1 };

function frame(reach: number | null, killed: readonly number[] = [], digest = 'd'): IncomingFrame {
  return { object, build: 'A', epoch: 1, digest, reach, killed };
}

function applied(fields: Partial<AppliedOfSection> = {}): AppliedOfSection {
  return { ...nothingApplied, ...fields };
}

describe('A frame', () => {
  const withVerdict: Reach = { reach: 20, killed: [10] };

  it('is stale where it went past a row on which a verdict was adopted', () => {
    expect(judgeFrame(binding, applied({ reach: withVerdict }), frame(15))).toBe('stale');
    expect(judgeFrame(binding, applied({ reach: withVerdict }), frame(10))).toBe('stale');
    expect(judgeFrame(binding, applied({ reach: withVerdict }), frame(null))).toBe('stale');
    expect(judgeFrame(binding, applied({ reach: withVerdict, digest: 'other' }), frame(15))).toBe('stale');
    expect(judgeFrame(binding, applied({ reach: withVerdict }), frame(9))).toBe('applied');
  });

  it('is told where it has a verdict on a row that something applied went past', () => {
    const alive: Reach = { reach: 10, killed: [] };
    expect(judgeFrame(binding, applied({ reach: alive }), frame(12, [10]))).toBe('not-deterministic');
    expect(judgeFrame(binding, applied({ reach: { reach: null, killed: [] } }), frame(99, [98]))).toBe(
      'not-deterministic',
    );
    expect(judgeFrame(binding, applied({ reach: alive }), frame(12, [11]))).toBe('applied');
    expect(judgeFrame(binding, applied({ reach: withVerdict }), frame(30, [10, 20]))).toBe(
      'not-deterministic',
    );
    expect(judgeFrame(binding, applied({ reach: withVerdict }), frame(30, [10, 21]))).toBe('applied');
    // It lacks one that was adopted: whoever sent it is late, and it says nothing about the other row.
    expect(judgeFrame(binding, applied({ reach: withVerdict }), frame(30, [15]))).toBe('stale');
  });

  it('is a duplicate where it is the same, or its section complete, whatever its verdicts', () => {
    expect(judgeFrame(binding, applied({ reach: withVerdict, digest: 'd' }), frame(15))).toBe('duplicate');
    expect(judgeFrame(binding, applied({ reach: withVerdict, complete: true }), frame(15))).toBe('duplicate');
    expect(judgeFrame(binding, applied({ complete: true }), frame(15, [10]))).toBe('duplicate');
  });
});

/** What two tries of a section send: the same up to the row, then other frames, each as far as it reaches. */
interface Sent {
  readonly of: 'first' | 'second';
  readonly reach: Reach;
}

const ROWS = 12;
const verdicts = fc.subarray(Array.from({ length: ROWS }, (_, row) => row));
const cuts = fc.array(fc.option(fc.nat(ROWS - 1), { freq: 4 }), { minLength: 1, maxLength: 8 });

function sent(of: Sent['of'], reaches: readonly (number | null)[], killed: readonly number[]): Sent[] {
  return reaches.map((reach) => ({
    of,
    reach: { reach, killed: killed.filter((row) => reach === null || row <= reach) },
  }));
}

/** Whether two frames have the same rows killed, as far as both reach: the rule itself, for two. */
function agree(a: Reach, b: Reach): boolean {
  return Array.from({ length: ROWS }, (_, row) => row)
    .filter((row) => row <= (a.reach ?? ROWS) && row <= (b.reach ?? ROWS))
    .every((row) => a.killed.includes(row) === b.killed.includes(row));
}

describe('Tries of a section with other verdicts', () => {
  it('never both count past a row on which only one has a verdict, in whatever order their frames come', () => {
    fc.assert(
      fc.property(cuts, verdicts, cuts, verdicts, fc.infiniteStream(fc.nat(99)), (one, a, two, b, ranks) => {
        const frames = [...sent('first', one, a), ...sent('second', two, b)]
          .map((item) => ({ item, rank: ranks.next().value as number }))
          .sort((x, y) => x.rank - y.rank)
          .map(({ item }) => item);
        let reach: Reach | undefined;
        const counted: Sent[] = [];
        for (const incoming of frames) {
          const verdict = judgeReach(reach, incoming.reach);
          // Two values stand for everything that was applied.
          expect(verdict === 'agrees').toBe(counted.every((other) => agree(other.reach, incoming.reach)));
          if (verdict !== 'agrees') continue;
          reach = extendReach(reach, incoming.reach);
          counted.push(incoming);
        }
        const apart = Array.from({ length: ROWS }, (_, row) => row).find(
          (row) => a.includes(row) !== b.includes(row),
        );
        if (apart === undefined) {
          expect(counted).toHaveLength(frames.length);
          return;
        }
        const past = counted.filter((item) => apart <= (item.reach.reach ?? ROWS));
        expect(new Set(past.map(({ of }) => of)).size).toBeLessThanOrEqual(1);
        // What reaches no row on which they differ counts, whoever sent it.
        const before = frames.filter((item) => apart > (item.reach.reach ?? ROWS));
        expect(counted).toEqual(expect.arrayContaining(before));
      }),
      { numRuns: 500 },
    );
  });

  it('are told apart: one that goes on from an adopted verdict never ends as an error', () => {
    fc.assert(
      fc.property(cuts, cuts, fc.nat(ROWS - 1), (early, late, row) => {
        // The row killed its process, so that nothing that the first try sent before reaches it; a zombie may go past it later.
        const first = early.filter((reach) => reach !== null && reach < row);
        const all = [
          ...sent('first', first, []),
          ...sent('second', late, [row]),
          ...sent('first', early, []),
        ];
        let reach: Reach | undefined;
        let isAdopted = false;
        for (const incoming of all) {
          const verdict = judgeReach(reach, incoming.reach);
          if (incoming.of === 'second') expect(verdict).toBe('agrees');
          else if (isAdopted && row <= (incoming.reach.reach ?? ROWS)) expect(verdict).toBe('stale');
          if (verdict !== 'agrees') continue;
          reach = extendReach(reach, incoming.reach);
          isAdopted ||= incoming.reach.killed.length > 0;
        }
      }),
    );
  });
});
