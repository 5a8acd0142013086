import { defineConfig } from 'tsdown';

// One file per module, as in src: what looks for its neighbours (the launcher, the loader of pipelines) finds them at
// the same relative places in the repository and in the package, and the package root and the CLI share every module.
export default defineConfig({
  entry: [
    'src/index.ts',
    'src/testing/index.ts',
    'src/testing/lambda/index.ts',
    'src/entrypoints/in-memory/index.ts',
    'src/entrypoints/lambda/dispatch.ts',
    'src/entrypoints/lambda/transform.ts',
    'src/entrypoints/lambda/analyze.ts',
    'src/entrypoints/lambda/reprocess.ts',
    'src/entrypoints/cli/main.ts',
    'src/entrypoints/cli/transform-thread.ts',
    'src/entrypoints/cli/transform-process.ts',
  ],
  root: 'src',
  unbundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.18',
  fixedExtension: false,
  dts: true,
  sourcemap: false,
  clean: true,
});
