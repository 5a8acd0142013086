import { defineConfig } from 'vitest/config';

/** What needs servers that `npm ci` does not bring: redis-server, PostgreSQL, Lambda's runtime client. CI has them all. */
export default defineConfig({
  resolve: { conditions: ['sluice-source'] },
  ssr: { resolve: { conditions: ['sluice-source'] } },
  test: {
    include: ['test/servers/**/*.test.ts'],
    sequence: { shuffle: true },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
