import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';
import type { Format } from '../../../domain/pipeline.ts';
import { sluiceEntries } from '../sluice-entries.ts';
import type { FunctionName } from './manifest.ts';

export interface FunctionSource {
  readonly name: FunctionName;
  /** The pipeline file, absolute. */
  readonly pipeline: string;
  readonly build: string;
  /** What the pipeline declares of its objects: readers of other formats are left out. */
  readonly format: Format | undefined;
}

/**
 * Bundles one function with the pipeline into a single ES module with its source map.
 *
 * @returns the installed packages that are part of it
 */
export async function bundleFunction(source: FunctionSource, outFile: string): Promise<readonly string[]> {
  // Only here: no other command needs it, and it is the largest package that Sluice brings.
  const { build } = await import('esbuild');
  const { metafile } = await build({
    stdin: { contents: entryOf(source), resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    outfile: outFile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    mainFields: ['module', 'main'],
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'silent',
    // Packages that are CommonJS ask for Node's modules by `require`, which an ES module does not have.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [runningSluice, ...(source.format === undefined ? [] : [withoutOtherFormats(source.format)])],
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
    `export const handler = createHandler(pipeline, { build: ${JSON.stringify(build)} });`,
  ].join('\n');
}

/** `sluice` means the Sluice that bundles, whether or not another copy is installed beside the pipeline. */
const runningSluice: Plugin = {
  name: 'running-sluice',
  setup(build) {
    build.onResolve({ filter: /^sluice(\/|$)/ }, ({ path }) => {
      const entry = sluiceEntries.get(path);
      return entry === undefined ? undefined : { path: fileURLToPath(entry) };
    });
  },
};

/** Parquet's reader is by far the largest; the readers of text share most of what they are made of. */
function withoutOtherFormats(format: Format): Plugin {
  return {
    name: 'without-other-formats',
    setup(build) {
      if (format === 'parquet') return;
      build.onResolve({ filter: /\/parquet\/decoder\.(ts|js)$/ }, ({ path }) => ({
        path,
        namespace: 'left-out',
      }));
      build.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({
        contents: 'export const parquetDecoder = undefined;',
      }));
    },
  };
}

/** From paths as `node_modules/@scope/name/dist/index.js`, the innermost package. */
function packagesOf(inputs: readonly string[]): string[] {
  const names = inputs.flatMap((input) => {
    const at = input.lastIndexOf('node_modules/');
    if (at < 0) return [];
    const [first = '', second = ''] = input.slice(at + 'node_modules/'.length).split('/');
    return [first.startsWith('@') ? `${first}/${second}` : first];
  });
  return [...new Set(names)].sort();
}
