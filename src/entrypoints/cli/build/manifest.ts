import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DomainError, messageOf } from '../../../domain/errors.ts';
import type { OptionalPart } from './left-out.ts';

/** The functions that a pipeline is deployed as. */
export const functionNames = ['dispatch', 'transform', 'analyze', 'reprocess'] as const;

export type FunctionName = (typeof functionNames)[number];

/** What `sluice build` writes beside the bundles: all that a deployment has to know of the pipeline. */
export interface BuildManifest {
  readonly pipeline: string;
  readonly version: number;
  /** Digest of the pipeline's code: what tasks, frames and kept bundles are named by. */
  readonly build: string;
  /** Version of Sluice. */
  readonly sluice: string;
  /** Logical partitions. */
  readonly partitions: number;
  /** One frame before compression, in bytes. */
  readonly maxFrameBytes: number;
  /** Whether the pipeline names messages from elsewhere (`source.id`). */
  readonly keyed: boolean;
  /** What was left out of the functions, because the deployment that they are for has no use for it. */
  readonly without: readonly OptionalPart[];
  readonly functions: Readonly<Record<FunctionName, BuiltFunction>>;
}

export interface BuiltFunction {
  /** Relative to the manifest. */
  readonly file: string;
  /** As Lambda names it. */
  readonly handler: string;
  readonly bytes: number;
  /** About what Lambda has to load, in bytes. */
  readonly gzipBytes: number;
  /** Installed packages that are part of the bundle, sorted. */
  readonly packages: readonly string[];
}

export const MANIFEST_FILE = 'manifest.json';

/** @throws DomainError `E_USAGE` where the folder holds no build */
export function readManifest(folder: string): BuildManifest {
  try {
    const manifest = JSON.parse(readFileSync(path.join(folder, MANIFEST_FILE), 'utf8')) as BuildManifest;
    // A folder that the CDK wrote has a file of this name, too.
    if (typeof manifest.build !== 'string') throw new TypeError(`its ${MANIFEST_FILE} is of something else`);
    return manifest;
  } catch (thrown) {
    throw new DomainError(
      `${folder} holds no build (${messageOf(thrown)}): make one with sluice build my-pipeline.ts --out ${folder}`,
      { code: 'E_USAGE', cause: thrown },
    );
  }
}
