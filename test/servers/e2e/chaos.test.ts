import { describe, expect, it } from 'vitest';
import { runChaos } from '../chaos/chaos.ts';
import { lineOf } from '../chaos/report-line.ts';

/** `npm run test:chaos` in small. */
const options = {
  seed: 20_261_128,
  rows: 100_000,
  objects: 20,
  messages: 600,
  kills: 30,
  redis: 8,
  postgres: 3,
  timeoutMs: 500_000,
};

describe('functions, Redis and PostgreSQL that are killed while objects and messages arrive', () => {
  it('lose no row and no message, and count none twice', { timeout: 600_000 }, async () => {
    const begun = performance.now();
    const report = await runChaos(options);
    process.stdout.write(`${lineOf(options, report, Math.round((performance.now() - begun) / 1_000))}\n`);
    expect(report).toMatchObject({ lost: 0, duplicated: 0, objections: [] });
    const { kills, redisKills, redisFlushes, postgres } = report.trouble;
    expect(Object.values(kills).reduce((sum, each) => sum + each, 0)).toBe(options.kills);
    expect({ redisKills, redisFlushes, postgres }).toEqual({ redisKills: 4, redisFlushes: 4, postgres: 3 });
    for (const kind of ['reject', 'throttle', 'error', 'reset', 'lost-answer', 'truncate'])
      expect(report.faults, kind).toHaveProperty(kind);
  });
});
