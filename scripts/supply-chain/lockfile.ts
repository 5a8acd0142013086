import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every folder with a lockfile of its own: what is published, what deploys it, what it is measured against, what only tests run under. */
export const lockedFolders = ['.', 'infra', 'bench/peers', 'test/servers/lambda-runtime'] as const;
/** Those of packages that are published. */
export const publishedFolders = ['.', 'infra'] as const;

type Specs = Readonly<Record<string, string>>;

interface Dependencies {
  readonly dependencies?: Specs;
  readonly devDependencies?: Specs;
  readonly optionalDependencies?: Specs;
  readonly peerDependencies?: Specs;
}

export interface Manifest extends Dependencies {
  readonly name: string;
  readonly version: string;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
}

export interface LockedPackage extends Dependencies {
  /** Where it lies under another name than its own. */
  readonly name?: string;
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly inBundle?: boolean;
  readonly hasInstallScript?: boolean;
}

export interface Lockfile {
  readonly lockfileVersion: number;
  /** By where they are installed; `''` is the folder's own package. */
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest;
}

export function readLockfile(folder: string): Lockfile {
  return JSON.parse(readFileSync(join(root, folder, 'package-lock.json'), 'utf8')) as Lockfile;
}

const KINDS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const;

/** What is wrong with a lockfile; empty where every package is what the registry had under its digest, and runs no script that nobody named. */
export function lockfileProblems({ packages, lockfileVersion }: Lockfile, manifest: Manifest): string[] {
  const problems: string[] = [];
  if (lockfileVersion !== 3) problems.push(`it has version ${lockfileVersion} of the format, not 3`);
  const own = packages[''] ?? {};
  for (const kind of KINDS) {
    if (JSON.stringify(sorted(own[kind])) !== JSON.stringify(sorted(manifest[kind])))
      problems.push(`${kind} are others than in package.json: npm install`);
  }
  for (const [path, locked] of Object.entries(packages)) {
    problems.push(...foreignSpecs(path, locked));
    if (path === '') continue;
    if (locked.link === true) problems.push(`${path} is a link`);
    // A lockfile that names registries would tie everybody to one: .npmrc leaves them out, so that what is named is something else.
    if (locked.resolved !== undefined) problems.push(`${path} comes from ${locked.resolved}`);
    if (locked.integrity === undefined && !isBundled(path, packages))
      problems.push(`${path} has no integrity`);
    if (locked.integrity?.startsWith('sha1-') === true) problems.push(`${path} has a SHA-1 only`);
    const name = nameOf(path, locked);
    if (locked.hasInstallScript === true && manifest.allowScripts?.[name] === undefined)
      problems.push(`${path} has an install script, and allowScripts of package.json does not name ${name}`);
  }
  return problems;
}

export function nameOf(path: string, { name }: LockedPackage): string {
  return name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

/**
 * Packages that come with a published one, on every platform together: what it depends on, and what that depends on. Peers are not
 * among them: whoever installs it chooses theirs.
 */
export function productionPackages({
  packages,
}: Lockfile): (readonly [path: string, locked: LockedPackage])[] {
  const found = new Map<string, LockedPackage>();
  const visit = (path: string, { dependencies, optionalDependencies }: LockedPackage): void => {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const place = resolveFrom(path, name, packages);
      const locked = place === undefined ? undefined : packages[place];
      if (place === undefined || locked === undefined || found.has(place)) continue;
      found.set(place, locked);
      visit(place, locked);
    }
  };
  visit('', packages[''] ?? {});
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** As Node looks for it: in the package's own folder first, then in those around it. */
function resolveFrom(path: string, name: string, packages: Lockfile['packages']): string | undefined {
  for (let around = path; ; around = around.slice(0, Math.max(0, around.lastIndexOf('node_modules/') - 1))) {
    const place = `${around === '' ? '' : `${around}/`}node_modules/${name}`;
    if (packages[place] !== undefined) return place;
    if (around === '') return undefined;
  }
}

/** Whether it lies in the tarball of the package around it, whose digest covers it. */
function isBundled(path: string, packages: Lockfile['packages']): boolean {
  if (packages[path]?.inBundle !== true) return false;
  const parent = path.slice(0, path.lastIndexOf('/node_modules/'));
  return packages[parent]?.integrity !== undefined || isBundled(parent, packages);
}

/** Versions, ranges and names of the registry; everything else is git, an address, or a folder. */
const OF_THE_REGISTRY = /^(npm:(@[\w.-]+\/)?[\w.-]+@)?[\w.*^~<>=| +-]*$/;

function foreignSpecs(path: string, dependencies: Dependencies): string[] {
  return KINDS.flatMap((kind) =>
    Object.entries(dependencies[kind] ?? {})
      .filter(([, spec]) => !OF_THE_REGISTRY.test(spec))
      .map(([name, spec]) => `${path === '' ? 'package.json' : path} takes ${name} from ${spec}`),
  );
}

function sorted(specs: Specs = {}): [string, string][] {
  return Object.entries(specs).sort(([a], [b]) => (a < b ? -1 : 1));
}
