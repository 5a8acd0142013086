import { defineConfig } from 'vitest/config';

/** The stack, synthesized offline: `npx vitest run --config infra/vitest.config.ts`, after `npm ci --prefix infra`. */
export default defineConfig({
  resolve: { conditions: ['sluice-source'] },
  ssr: { resolve: { conditions: ['sluice-source'] } },
  test: {
    root: import.meta.dirname,
    include: ['test/**/*.test.ts'],
    sequence: { shuffle: true },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
