import { describe, expect, it } from 'vitest';
import { changedWork, HOW_TO_ACCEPT } from '../../bench/counts/compare.ts';
import { countWork } from '../../bench/counts/counted-work.ts';
import accepted from './counts.json' with { type: 'json' };

// Seven lakes are made and transformed twice, once in a slow process that looks at what is allocated.
const TIMEOUT_MS = 300_000;

describe('counted work', () => {
  it('is what was accepted', { timeout: TIMEOUT_MS }, async () => {
    const changes = changedWork(accepted, await countWork());
    expect(changes, `${changes.join('\n')}\n${HOW_TO_ACCEPT}`).toEqual([]);
  });

  const work = { CSV: { bytesRead: 1_000, allocatedBytes: 100_000 } };

  it.each([
    ['one more byte read', { bytesRead: 1_001 }, 'CSV: bytesRead went up from 1,000 to 1,001, 0.1 %'],
    ['one less', { bytesRead: 999 }, 'CSV: bytesRead went down from 1,000 to 999, -0.1 %'],
    [
      'more allocated',
      { allocatedBytes: 126_000 },
      'CSV: allocatedBytes went up from 100,000 to 126,000, 26.0 %',
    ],
    ['another count', { requests: 3 }, 'CSV: requests was not accepted yet, and is 3'],
  ])('says so of %s', (_, change, said) => {
    expect(changedWork(work, { CSV: { ...work.CSV, ...change } })).toEqual([said]);
  });

  it('lets allocations be as unsteady as they are', () => {
    expect(changedWork(work, { CSV: { bytesRead: 1_000, allocatedBytes: 104_000 } })).toEqual([]);
  });

  it('misses what is not counted any more, and what is new', () => {
    expect(changedWork(work, { Parquet: work.CSV })).toEqual([
      'CSV: it is not counted any more',
      'Parquet: nothing was accepted for it yet',
    ]);
  });
});
