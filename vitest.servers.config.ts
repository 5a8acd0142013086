import { defineConfig } from 'vitest/config';

/** What needs servers that `npm ci` does not bring: redis-server, PostgreSQL, Lambda's runtime client. CI has them all. */
export default defineConfig({
  resolve: { conditions: ['sluice-source'] },
  ssr: { resolve: { conditions: ['sluice-source'] } },
  test: {
    include: ['test/servers/**/*.test.ts'],
    sequence: { shuffle: true },
    // Each file starts a dozen processes: two of them at once on two cores would run out of each other's time.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
