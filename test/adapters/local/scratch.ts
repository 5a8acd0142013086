import { mkdtemp, readdir, readlink, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A new empty folder, as a real path. */
export async function scratchFolder(): Promise<string> {
  return realpath(await mkdtemp(path.join(tmpdir(), 'sluice-test-')));
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** How many files under a folder this process has open; `undefined` where the system does not tell. */
export async function openFilesUnder(folder: string): Promise<number | undefined> {
  const descriptors = await readdir('/proc/self/fd').catch(() => undefined);
  if (descriptors === undefined) return undefined;
  const targets = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return targets.filter((target) => target.startsWith(folder + path.sep)).length;
}
