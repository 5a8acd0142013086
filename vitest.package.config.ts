import { defineConfig } from 'vitest/config';

/** The package as it is published: built, packed and installed into an empty folder. Slow, so it is apart. */
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Each of them builds the package, into the same folder.
    fileParallelism: false,
  },
});
