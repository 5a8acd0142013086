import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { productionPackages, type Lockfile, type Manifest } from './lockfile.ts';

const run = promisify(execFile);

/** CycloneDX, as far as anybody here looks into it. */
export interface Sbom {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly { readonly name: string; readonly version: string; readonly purl: string }[];
}

/**
 * The bill of materials of a published package: what comes with it, on every platform together. npm writes it, of a lockfile that holds these packages
 * alone: its own `--omit dev` leaves out what a developer's package needs as well.
 */
export async function sbomOf(lockfile: Lockfile, manifest: Manifest): Promise<Sbom> {
  const { devDependencies: _dev, peerDependencies: _peers, ...own } = manifest;
  const packages = Object.fromEntries(
    productionPackages(lockfile).map(([path, { peerDependencies: _peersToo, ...locked }]) => [path, locked]),
  );
  const folder = mkdtempSync(join(tmpdir(), 'sluice-sbom-'));
  try {
    writeFileSync(join(folder, 'package.json'), JSON.stringify(own));
    const pruned = { ...lockfile, packages: { '': own, ...packages } };
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(pruned));
    const command = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
    const { stdout } = await run('npm', command, { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
    const sbom = JSON.parse(stdout) as Sbom;
    // npm calls a package after the folder that it lies in.
    const component = { ...sbom.metadata.component, name: manifest.name };
    return { ...sbom, metadata: { ...sbom.metadata, component } };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
