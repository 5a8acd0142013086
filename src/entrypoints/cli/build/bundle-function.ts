import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions, Plugin } from 'esbuild';
import type { Format } from '../../../domain/pipeline.ts';
import { sluiceEntries } from '../sluice-entries.ts';
import { leavingOut, type OptionalPart } from './left-out.ts';
import type { BundledPackage } from './licence-texts.ts';
import type { FunctionName } from './manifest.ts';
import { quickStart } from './quick-start.ts';

export interface FunctionSource {
  readonly name: FunctionName;
  /** The pipeline file, absolute. */
  readonly pipeline: string;
  readonly build: string;
  /** What the pipeline declares of its objects: readers of other formats are left out. */
  readonly format: Format | undefined;
  readonly without: readonly OptionalPart[];
}

/** How esbuild makes a function's bundle, whatever is in it. */
export const bundleSettings = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  mainFields: ['module', 'main'],
  minifySyntax: true,
  minifyWhitespace: true,
  sourcemap: 'linked',
  sourcesContent: false,
  // Whole texts lie beside the bundle: see `licenceTexts`.
  legalComments: 'none',
  logLevel: 'silent',
  // Packages that are CommonJS ask for Node's modules by `require`, which an ES module does not have.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
} satisfies BuildOptions;

/**
 * Bundles one function with the pipeline into a single ES module with its source map.
 *
 * @returns the installed packages that are part of it
 */
export async function bundleFunction(
  source: FunctionSource,
  outFile: string,
): Promise<readonly BundledPackage[]> {
  // Only here: no other command needs it, and it is the largest package that Sluice brings.
  const { build } = await import('esbuild');
  const { metafile } = await build({
    stdin: { contents: entryOf(source), resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    outfile: outFile,
    ...bundleSettings,
    metafile: true,
    plugins: [runningSluice, ...quickStart, leavingOut(source.without, source.format)],
    // Asked for by `pg` inside a try: the native client that nobody installed.
    external: ['pg-native'],
  });
  // What is left after everything that nobody uses was shaken out.
  const parts = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  return packagesOf(parts.flatMap(([input, { bytesInOutput }]) => (bytesInOutput > 0 ? [input] : [])));
}

function entryOf({ name, pipeline, build }: FunctionSource): string {
  return [
    `import { createHandler } from 'sluice/lambda/${name}';`,
    `import pipeline from ${JSON.stringify(pipeline)};`,
    `export const handler = createHandler(pipeline, { build: ${JSON.stringify(build)}${name === 'transform' ? ', module: import.meta.url' : ''} });`,
  ].join('\n');
}

/** `sluice` means the Sluice that bundles, whether or not another copy is installed beside the pipeline. */
const runningSluice: Plugin = {
  name: 'running-sluice',
  setup(build) {
    build.onResolve({ filter: /^sluice(\/|$)/ }, ({ path: name }) => {
      const entry = sluiceEntries.get(name);
      return entry === undefined ? undefined : { path: fileURLToPath(entry) };
    });
  },
};

/** From paths as `node_modules/@scope/name/dist/index.js`, which esbuild tells from the folder that it runs in: the innermost packages. */
function packagesOf(inputs: readonly string[]): BundledPackage[] {
  const byFolder = new Map<string, string>();
  for (const input of inputs) {
    const [, around, name] = /^(.*node_modules\/)((?:@[^/]+\/)?[^/]+)\//s.exec(input) ?? [];
    if (around !== undefined && name !== undefined) byFolder.set(path.resolve(around, name), name);
  }
  return [...byFolder]
    .map(([folder, name]) => ({ name, folder }))
    .sort((a, b) => (a.name === b.name ? compare(a.folder, b.folder) : compare(a.name, b.name)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : 1;
}
