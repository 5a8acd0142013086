import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { DomainError, InfrastructureError, messageOf } from '../../../domain/errors.ts';
import type { AnyPipeline } from '../../../domain/pipeline.ts';
import { loadPipeline } from '../load-pipeline.ts';
import { sluiceVersion } from '../sluice-version.ts';
import { bundleFunction } from './bundle-function.ts';
import type { OptionalPart } from './left-out.ts';
import { licenceTexts, type BundledPackage } from './licence-texts.ts';
import {
  functionNames,
  MANIFEST_FILE,
  type BuildManifest,
  type BuiltFunction,
  type FunctionName,
} from './manifest.ts';

const gzipped = promisify(gzip);

/** Goes with the bundle wherever its folder goes. */
const LICENCES_FILE = 'licences.txt';

export interface BuildOptions {
  /** What the deployment has no use for. Default: the functions are for any. */
  readonly unneeded?: (pipeline: AnyPipeline) => readonly OptionalPart[];
}

/**
 * Builds the functions of a pipeline into a folder: `<function>/index.mjs` with its source map and the licences of what is in it, and `manifest.json`.
 *
 * @param file the pipeline file
 * @throws DomainError `E_PIPELINE_INVALID` where the file is no pipeline, or cannot be bundled
 * @throws InfrastructureError `E_OUTPUT`
 */
export async function buildPipeline(
  file: string,
  outFolder: string,
  { unneeded = () => [] }: BuildOptions = {},
): Promise<BuildManifest> {
  const { pipeline, build, path: pipelineFile } = await loadPipeline(file);
  const without = unneeded(pipeline);
  const functions: Partial<Record<FunctionName, BuiltFunction>> = {};
  const licences: Partial<Record<FunctionName, string>> = {};
  for (const name of functionNames) {
    const outFile = path.join(outFolder, name, 'index.mjs');
    const source = { name, pipeline: pipelineFile, build, format: pipeline.source.format, without };
    let packages: readonly BundledPackage[];
    try {
      packages = await bundleFunction(source, path.resolve(outFile));
    } catch (thrown) {
      throw new DomainError(`${file} cannot be bundled: ${messageOf(thrown)}`, {
        code: 'E_PIPELINE_INVALID',
        cause: thrown,
      });
    }
    licences[name] = await licenceTexts(packages);
    const bundle = await readFile(outFile);
    functions[name] = {
      file: `${name}/index.mjs`,
      handler: 'index.handler',
      bytes: bundle.length,
      gzipBytes: (await gzipped(bundle)).length,
      packages: [...new Set(packages.map((bundled) => bundled.name))],
    };
  }
  const manifest: BuildManifest = {
    pipeline: pipeline.name,
    version: pipeline.version,
    build,
    sluice: sluiceVersion(),
    partitions: pipeline.partitions,
    maxFrameBytes: pipeline.limits.maxFrameBytes,
    keyed: pipeline.source.id !== undefined,
    without,
    functions: functions as Record<FunctionName, BuiltFunction>,
  };
  try {
    await mkdir(outFolder, { recursive: true });
    for (const name of functionNames)
      await writeFile(path.join(outFolder, name, LICENCES_FILE), licences[name] as string);
    await writeFile(path.join(outFolder, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  } catch (thrown) {
    throw new InfrastructureError(`${outFolder} cannot be written: ${messageOf(thrown)}`, {
      code: 'E_OUTPUT',
      cause: thrown,
    });
  }
  return manifest;
}
