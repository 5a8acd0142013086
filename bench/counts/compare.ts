import type { CountedWork } from './counted-work.ts';

/** How far a count may be off, as a share of it; all others are exact. */
const TOLERANCES: Readonly<Record<string, number>> = { allocatedBytes: 0.2 };

/** What is not as it was accepted, a line each: more work, which is worse, and less, which has to be kept. */
export function changedWork(accepted: CountedWork, now: CountedWork): readonly string[] {
  const names = new Set([...Object.keys(accepted), ...Object.keys(now)]);
  return [...names].flatMap((name) => {
    const [before, after] = [accepted[name], now[name]];
    if (before === undefined) return [`${name}: nothing was accepted for it yet`];
    if (after === undefined) return [`${name}: it is not counted any more`];
    const counts = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...counts].flatMap((count) => {
      const change = changeOf(before[count], after[count], TOLERANCES[count] ?? 0);
      return change === undefined ? [] : [`${name}: ${count} ${change}`];
    });
  });
}

function changeOf(
  before: number | undefined,
  after: number | undefined,
  tolerance: number,
): string | undefined {
  if (before === undefined) return `was not accepted yet, and is ${after?.toLocaleString('en')}`;
  if (after === undefined) return 'is not counted any more';
  if (Math.abs(after - before) <= before * tolerance) return undefined;
  const percent = before === 0 ? '' : `, ${((100 * (after - before)) / before).toFixed(1)} %`;
  return `went ${after > before ? 'up' : 'down'} from ${before.toLocaleString('en')} to ${after.toLocaleString('en')}${percent}`;
}

export const HOW_TO_ACCEPT =
  'Where that is meant: `npm run bench:counts -- --accept` writes test/work/counts.json, which is reviewed with the change.';
