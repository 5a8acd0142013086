import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // A test that imports `sluice` gets the sources, without a build.
  resolve: { conditions: ['sluice-source'] },
  ssr: { resolve: { conditions: ['sluice-source'] } },
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:package` builds and installs the package, `npm run test:servers` needs servers of the machine's.
    exclude: ['test/package/**', 'test/servers/**'],
    globalSetup: 'test/not-run.ts',
    // All cores: the default leaves one to nobody, and much of the time goes into processes that tests wait for.
    maxWorkers: availableParallelism(),
    sequence: { shuffle: true },
    // The slowest (whole lakes of results on a store over HTTP) take 20 s where nothing else runs.
    testTimeout: 90_000,
    hookTimeout: 30_000,
  },
});
