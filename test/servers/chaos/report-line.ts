import type { ChaosOptions, ChaosReport } from './chaos.ts';

/** What happened, on one line. */
export function lineOf(
  { seed, rows, messages }: ChaosOptions,
  { trouble, faults, redispatched, lost, duplicated }: ChaosReport,
  seconds: number,
): string {
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((all, each) => all + each, 0);
  const detail = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  return [
    `seed ${seed}`,
    `rows ${rows}`,
    `messages ${messages}`,
    `kills ${sum(trouble.kills)} (${detail(trouble.kills)})`,
    `redis ${trouble.redisKills + trouble.redisFlushes} (killed ${trouble.redisKills}, flushed ${trouble.redisFlushes})`,
    `postgres ${trouble.postgres}`,
    `faults ${sum(faults)} (${detail(faults)})`,
    `redispatched ${redispatched}`,
    `lost ${lost}`,
    `duplicated ${duplicated}`,
    `seconds ${seconds}`,
  ].join('  ');
}
