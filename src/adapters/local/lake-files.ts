import type { Dirent } from 'node:fs';
import { glob, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { compareUtf8 } from '../../domain/text-order.ts';

const GLOB = /[*?[{]/;

/** Real absolute paths of what a location names, in ascending order by code point, each once. */
export interface FoundFiles {
  /** Whether the location names a single file, or nothing that exists. */
  readonly named: boolean;
  readonly paths: readonly string[];
}

export interface FindOptions {
  /** A folder whose content is never part of a lake; a real absolute path. */
  readonly exclude: string | undefined;
  /** Told of what was passed over although it stands where objects stand: a dangling link, a socket. */
  readonly onSkipped: (path: string, reason: string) => void;
}

/** What lies at a file, a folder (with all folders in it) or a glob. A path that exists is never taken for a glob. */
export async function findFiles(
  location: string,
  options: FindOptions,
  signal: AbortSignal,
): Promise<FoundFiles> {
  const absolute = path.resolve(location);
  const kind = await kindOf(absolute);
  if (kind === 'folder') return { named: false, paths: await walk(absolute, options, signal) };
  if (kind === null && GLOB.test(location))
    return { named: false, paths: await expand(absolute, options, signal) };
  return { named: true, paths: kind === null ? [] : [await realpath(absolute)] };
}

/** `_SUCCESS`, `_temporary`, `.crc` and the like: what writers of lakes leave beside the data. */
function isHidden(name: string): boolean {
  return name.startsWith('.') || name.startsWith('_');
}

async function walk(folder: string, options: FindOptions, signal: AbortSignal): Promise<readonly string[]> {
  const found = new Set<string>();
  const visited = new Set<string>();
  const root = await realpath(folder);
  const exclude = excludeUnder(root, options);
  const pending = [root];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    signal.throwIfAborted();
    if (visited.has(next) || isInside(next, exclude)) continue;
    visited.add(next);
    for (const entry of await readdir(next, { withFileTypes: true })) {
      if (isHidden(entry.name)) continue;
      const place = await resolveEntry(path.join(next, entry.name), entry, options);
      if (place === undefined) continue;
      if (place.kind === 'folder') pending.push(place.path);
      else if (!isInside(place.path, exclude)) found.add(place.path);
    }
  }
  return inOrder(found);
}

async function expand(
  pattern: string,
  options: FindOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = new Set<string>();
  const base = fixedPart(pattern);
  if ((await kindOf(base)) !== 'folder') return [];
  const exclude = excludeUnder(await realpath(base), options);
  for await (const match of glob(pattern, { withFileTypes: true })) {
    signal.throwIfAborted();
    const matched = path.join(match.parentPath, match.name);
    if (path.relative(base, matched).split(path.sep).some(isHidden)) continue;
    const place = await resolveEntry(matched, match, options);
    if (place?.kind !== 'file') continue;
    const real = await realpath(place.path);
    if (!isInside(real, exclude)) found.add(real);
  }
  return inOrder(found);
}

/** The folder that a glob starts in: what is named without wildcards may be hidden. */
function fixedPart(pattern: string): string {
  const parts = pattern.split(path.sep);
  const wild = parts.findIndex((part) => GLOB.test(part));
  return parts.slice(0, wild).join(path.sep) || path.sep;
}

async function resolveEntry(
  entryPath: string,
  entry: Dirent,
  options: FindOptions,
): Promise<{ readonly kind: 'file' | 'folder'; readonly path: string } | undefined> {
  if (entry.isFile()) return { kind: 'file', path: entryPath };
  if (entry.isDirectory()) return { kind: 'folder', path: entryPath };
  if (entry.isSymbolicLink()) {
    const kind = await kindOf(entryPath);
    if (kind === 'file' || kind === 'folder') return { kind, path: await realpath(entryPath) };
    options.onSkipped(entryPath, kind === null ? 'a link that leads nowhere' : 'neither a file nor a folder');
    return undefined;
  }
  options.onSkipped(entryPath, 'neither a file nor a folder');
  return undefined;
}

async function kindOf(place: string): Promise<'file' | 'folder' | 'other' | null> {
  try {
    const stats = await stat(place);
    return stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ELOOP: a link that leads to itself leads nowhere.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return null;
    throw error;
  }
}

/** A location inside the excluded folder was meant as it was said. */
function excludeUnder(root: string, { exclude }: FindOptions): string | undefined {
  return exclude !== undefined && root !== exclude && isInside(root, exclude) ? undefined : exclude;
}

function isInside(place: string, folder: string | undefined): boolean {
  return folder !== undefined && (place === folder || place.startsWith(folder + path.sep));
}

function inOrder(paths: ReadonlySet<string>): readonly string[] {
  return [...paths].sort(compareUtf8);
}
