import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** What tells that a file may have changed, without reading it. All but `size` in decimal digits: they exceed doubles. */
export interface Fingerprint {
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly modified: string;
  readonly changed: string;
  readonly inode: string;
}

export interface KnownVersion extends Fingerprint {
  readonly version: string;
}

export function sameFingerprint(a: Fingerprint, b: Fingerprint): boolean {
  return a.size === b.size && a.modified === b.modified && a.changed === b.changed && a.inode === b.inode;
}

/** Superseded lines that are tolerated before the file is written anew. */
const MAX_STALE_LINES = 1_000;

/**
 * Versions of files that were hashed before, as JSON Lines. A file is appended to as soon as it is hashed, so that an
 * interrupted run keeps what it has; lines that cannot be read are passed over. Losing it only costs time.
 */
export class VersionCache {
  readonly #file: string | undefined;
  #known: Promise<Map<string, KnownVersion>> | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** @param file `undefined`: nothing is kept beyond the process */
  constructor(file: string | undefined) {
    this.#file = file;
  }

  async get(key: string): Promise<KnownVersion | undefined> {
    return (await this.#load()).get(key);
  }

  /** @param durable whether it may be believed by a later process */
  async set(key: string, known: KnownVersion, durable: boolean): Promise<void> {
    (await this.#load()).set(key, known);
    const file = this.#file;
    if (file === undefined || !durable) return;
    const line = `${JSON.stringify({ key, ...known })}\n`;
    this.#writing = this.#writing.then(() => appendLine(file, line));
    await this.#writing;
  }

  #load(): Promise<Map<string, KnownVersion>> {
    this.#known ??=
      this.#file === undefined ? Promise.resolve(new Map<string, KnownVersion>()) : load(this.#file);
    return this.#known;
  }
}

async function load(file: string): Promise<Map<string, KnownVersion>> {
  const known = new Map<string, KnownVersion>();
  const text = await readFile(file, 'utf8').catch(() => '');
  let lines = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    lines++;
    const entry = parse(line);
    if (entry !== undefined) known.set(entry.key, entry);
  }
  // A torn last line would swallow the next one.
  const torn = text !== '' && !text.endsWith('\n');
  if (torn || lines - known.size > MAX_STALE_LINES) await replace(file, known);
  return known;
}

function parse(line: string): (KnownVersion & { readonly key: string }) | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null) return undefined;
    const { key, size, modified, changed, inode, version } = entry as Record<string, unknown>;
    if (typeof key !== 'string' || typeof size !== 'number' || typeof version !== 'string') return undefined;
    if (typeof modified !== 'string' || typeof changed !== 'string' || typeof inode !== 'string')
      return undefined;
    return { key, size, modified, changed, inode, version };
  } catch {
    return undefined;
  }
}

async function replace(file: string, known: ReadonlyMap<string, KnownVersion>): Promise<void> {
  const written = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(
      written,
      [...known].map(([key, entry]) => `${JSON.stringify({ ...entry, key })}\n`).join(''),
    );
    await rename(written, file);
  } catch {
    await rm(written, { force: true }).catch(() => undefined);
  }
}

/** A cache that cannot be written is no reason to stop. */
async function appendLine(file: string, line: string): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await appendFile(file, line);
  } catch {
    // The next process hashes again.
  }
}
