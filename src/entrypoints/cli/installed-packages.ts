import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';

const NODE_MODULES = `${sep}node_modules${sep}`;

export function isInNodeModules(path: string): boolean {
  return path.includes(NODE_MODULES);
}

/**
 * The packages that the given modules belong to, and all that these depend on, as sorted `name@version`: what a
 * registry gives under a version never changes, so this stands for their sources. It does not depend on which of
 * their modules happen to be loaded already.
 */
export function installedPackages(modules: Iterable<string>): string[] {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const waiting = [...modules].map((path) => packageFolder(path));
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    if (seen.has(folder)) continue;
    seen.add(folder);
    const manifest = readManifest(folder);
    if (manifest === undefined) continue;
    packages.add(`${manifest.name}@${manifest.version}`);
    const { dependencies, optionalDependencies, peerDependencies } = manifest;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const found = name === 'sluice' ? undefined : findPackage(name, folder);
      if (found !== undefined) waiting.push(found);
    }
  }
  return [...packages].sort();
}

/** `…/node_modules/@scope/name`: not the nearest package.json, which may be one that only sets `type`. */
function packageFolder(path: string): string {
  const start = path.lastIndexOf(NODE_MODULES) + NODE_MODULES.length;
  const [first = '', second = ''] = path.slice(start).split(sep);
  return path.slice(0, start) + (first.startsWith('@') ? join(first, second) : first);
}

function findPackage(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    try {
      const found = realpathSync(join(folder, 'node_modules', name));
      return found;
    } catch {
      // Not here: one folder up. Optional and peer dependencies may be nowhere.
    }
    if (dirname(folder) === folder) return undefined;
  }
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

function readManifest(folder: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}
