import { defineConfig } from 'vitest/config';

/** What needs servers that `npm ci` does not bring: redis-server, PostgreSQL, Lambda's runtime client. CI has them all. */
export default defineConfig({
  resolve: { conditions: ['sluice-source'] },
  ssr: { resolve: { conditions: ['sluice-source'] } },
  test: {
    include: ['test/servers/**/*.test.ts'],
    sequence: { shuffle: true },
    // Much of the time is waiting: for claims of the dead to lapse, for servers to come back.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
