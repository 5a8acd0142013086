import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildPipeline } from '../../src/entrypoints/cli/build/build-pipeline.ts';
import { bundleSettings } from '../../src/entrypoints/cli/build/bundle-function.ts';
import { optionalParts } from '../../src/entrypoints/cli/build/left-out.ts';
import { functionNames, type FunctionName } from '../../src/entrypoints/cli/build/manifest.ts';
import { moduleOf, repositoryFile } from '../harness/places.ts';

/** A function as it would be uploaded: a folder with an `index.mjs`. */
export interface FunctionBundle {
  readonly name: FunctionName;
  readonly folder: string;
  readonly bytes: number;
}

const FOLDER = path.join(import.meta.dirname, '..', '.data', 'functions');

/** Ours, of the pipeline of `npm start`: with everything that a stack may want, or without the parts that can be left out. */
export async function ourFunctions(parts: 'all' | 'least'): Promise<readonly FunctionBundle[]> {
  const folder = path.join(FOLDER, `sluice-${parts}`);
  await rm(folder, { recursive: true, force: true });
  await buildPipeline(repositoryFile('examples/lane-performance.ts'), folder, {
    unneeded: () => (parts === 'all' ? [] : optionalParts),
  });
  return Promise.all(functionNames.map((name) => bundleIn(name, path.join(folder, name))));
}

/** Handlers with Powertools batch and idempotency that do the same, bundled with the same settings. */
export async function powertoolsFunctions(): Promise<readonly FunctionBundle[]> {
  return Promise.all(
    functionNames.map(async (name) => {
      const folder = path.join(FOLDER, 'powertools', name);
      await build({
        entryPoints: [fileURLToPath(moduleOf(`peers/lambda/${name}`))],
        outfile: path.join(folder, 'index.mjs'),
        ...bundleSettings,
      });
      return bundleIn(name, folder);
    }),
  );
}

async function bundleIn(name: FunctionName, folder: string): Promise<FunctionBundle> {
  return { name, folder, bytes: (await stat(path.join(folder, 'index.mjs'))).size };
}
