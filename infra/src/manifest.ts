import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const functionNames = ['dispatch', 'transform', 'analyze', 'reprocess'] as const;
export type FunctionName = (typeof functionNames)[number];

/** One bundle, as `sluice build` describes it. */
export interface BundleDescription {
  /** Relative to the build folder, e.g. `dispatch/index.mjs`. */
  readonly file: string;
  readonly handler: string;
  readonly bytes: number;
  readonly gzipBytes: number;
}

/** `manifest.json` of a build folder. */
export interface BuildManifest {
  readonly pipeline: string;
  readonly version: number;
  /** Digest of the pipeline's code. */
  readonly build: string;
  /** Version of Sluice that the bundles hold. */
  readonly sluice: string;
  readonly partitions: number;
  /** `limits.maxFrameBytes` of the pipeline, in bytes. */
  readonly maxFrameBytes: number;
  /** Whether the pipeline names messages from elsewhere (`source.id`): only then there is something to claim in Redis. */
  readonly keyed: boolean;
  /** What `sluice build --without` left out of the functions. */
  readonly without: readonly string[];
  readonly functions: Readonly<Record<FunctionName, BundleDescription>>;
}

/**
 * Reads what `sluice build --out folder` wrote.
 *
 * @throws Error saying what is missing and which command writes it
 */
export function readManifest(folder: string): BuildManifest {
  const path = join(resolve(folder), 'manifest.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`${path} cannot be read: write it with \`sluice build my-pipeline.ts --out ${folder}\``, {
      cause,
    });
  }
  const manifest = JSON.parse(text) as Partial<BuildManifest>;
  const wrong = (field: string, what: string): Error =>
    new Error(`${path}: ${field} ${what}; build again with the Sluice that this stack belongs to`);
  const { pipeline, version, build, partitions, maxFrameBytes, keyed, without, functions } = manifest;
  // It becomes part of the names of stacks and functions.
  if (typeof pipeline !== 'string' || !/^[\w-]{1,64}$/.test(pipeline))
    throw wrong('pipeline', 'is no name of a pipeline');
  for (const [field, value] of Object.entries({ version, partitions, maxFrameBytes })) {
    if (!Number.isSafeInteger(value) || (value as number) < 1)
      throw wrong(field, 'is no whole number from 1');
  }
  if (typeof build !== 'string' || !/^[\w.-]{1,128}$/.test(build)) throw wrong('build', 'is no digest');
  if (typeof keyed !== 'boolean') throw wrong('keyed', 'is neither true nor false');
  if (!Array.isArray(without)) throw wrong('without', 'is no list');
  for (const name of functionNames) {
    const file = functions?.[name]?.file;
    if (typeof file !== 'string') throw wrong(`functions.${name}`, 'has no file');
    if (statSync(join(resolve(folder), file), { throwIfNoEntry: false })?.isFile() !== true)
      throw wrong(`functions.${name}`, `names ${file}, which is not there`);
  }
  return manifest as BuildManifest;
}
