import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readManifest, root } from './lockfile.ts';

const run = promisify(execFile);

export interface Sbom {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly { readonly name: string; readonly version: string; readonly purl: string }[];
}

/** What somebody gets who installs a published package, as CycloneDX: from the lockfile, so that it is the same on every platform. */
export async function sbomOf(folder: string): Promise<Sbom> {
  const command = ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only'];
  const { stdout } = await run('npm', command, { cwd: join(root, folder), maxBuffer: 64 * 1024 * 1024 });
  const sbom = JSON.parse(stdout) as Sbom;
  // npm calls a package after the folder that it lies in.
  const component = { ...sbom.metadata.component, name: readManifest(folder).name };
  return { ...sbom, metadata: { ...sbom.metadata, component } };
}
