import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, realpath, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { DomainError, InfrastructureError, isSluiceError } from '../../domain/errors.ts';
import type { ByteRange, LakeObject, ObjectName } from '../../domain/lake-object.ts';
import type { Clock, Log } from '../../domain/ports/ambient.ts';
import type { ObjectSource, ObjectSourceCapabilities } from '../../domain/ports/object-source.ts';
import { compareUtf8 } from '../../domain/text-order.ts';
import { findFiles } from './lake-files.ts';
import { sameFingerprint, VersionCache, type Fingerprint, type KnownVersion } from './version-cache.ts';

/** The bucket of all local objects. */
export const LOCAL_BUCKET = 'file:';

const HASH_CHUNK_BYTES = 1024 * 1024;

/**
 * A file that is written twice within one tick of the file system's clock keeps its time. So a time younger than this
 * says nothing, in milliseconds; the file is hashed again when it is read next.
 */
const TICK_MS = 100;
/** The same across processes, in milliseconds: some file systems only have whole seconds, or two. */
const COARSE_TICK_MS = 2_000;

export interface LocalObjectSourceOptions {
  /** Left out of listings, and keeps the cache of versions (`versions.jsonl`). Default: none, and versions are forgotten. */
  readonly outputFolder?: string;
  /** Largest chunk that `read` gives, in bytes. Default 512 KiB. */
  readonly chunkBytes?: number;
}

/**
 * The files of this machine as a lake.
 *
 * A location is a file, a folder (with all folders in it) or a glob; relative ones start at the working directory.
 * Folders and globs leave out hidden names (`_SUCCESS`, `.crc`), the output folder, and whatever is no file; links are followed.
 * The key of an object is its real absolute path without the leading `/`, its version the digest of its content, which is worked out
 * again only when size, times or inode have changed. A location's paths are held in memory at once, their contents never.
 *
 * ```ts
 * const lake = new LocalObjectSource({ clock, log }, { outputFolder: '.sluice' });
 * for await (const object of lake.list('data/flights', signal)) …   // throws E_OBJECT_NOT_FOUND where `data/flights` does not exist
 * ```
 *
 * @throws InfrastructureError naming the path where the system refuses; not retryable where rights are missing
 */
export class LocalObjectSource implements ObjectSource {
  readonly capabilities: ObjectSourceCapabilities = { detectsChange: 'on-read' };
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #outputFolder: string | undefined;
  readonly #chunkBytes: number;
  readonly #versions: VersionCache;
  /** Under way: who needs the same version at the same time waits for the same digest. */
  readonly #hashing = new Map<string, Promise<KnownVersion>>();

  constructor(
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    options: LocalObjectSourceOptions = {},
  ) {
    this.#clock = clock;
    this.#log = log;
    this.#chunkBytes = options.chunkBytes ?? 512 * 1024;
    this.#outputFolder = options.outputFolder;
    this.#versions = new VersionCache(
      options.outputFolder === undefined ? undefined : path.join(options.outputFolder, 'versions.jsonl'),
    );
  }

  /** What is known of a file, to tell another process of it. */
  known(key: string): Promise<KnownVersion | undefined> {
    return this.#versions.get(key);
  }

  /** Takes over what another process knows of a file: it need not be read only to learn its version. */
  async believe(key: string, known: KnownVersion): Promise<void> {
    await this.#versions.set(key, known, false);
  }

  async *list(location: string, signal: AbortSignal, after?: string): AsyncIterable<LakeObject> {
    signal.throwIfAborted();
    const onSkipped = (skipped: string, reason: string) =>
      this.#log.warn({ path: skipped, reason }, 'not part of the lake');
    const { named, paths } = await explained(location, async () =>
      findFiles(location, { exclude: await this.#realOutputFolder(), onSkipped }, signal),
    );
    if (named && paths.length === 0) throw notFound(location);
    for (const file of paths) {
      signal.throwIfAborted();
      const key = keyOf(file);
      if (after !== undefined && compareUtf8(key, after) <= 0) continue;
      try {
        yield await this.stat({ bucket: LOCAL_BUCKET, key }, signal);
      } catch (error) {
        if (named || !isSluiceError(error) || error.code !== 'E_OBJECT_NOT_FOUND') throw error;
        this.#log.warn({ path: file, reason: 'gone since the folder was read' }, 'not part of the lake');
      }
    }
  }

  async stat(name: ObjectName, signal: AbortSignal): Promise<LakeObject> {
    signal.throwIfAborted();
    const file = pathOf(name);
    return explained(file, async () => {
      const handle = await openFile(file);
      try {
        const { version, size } = await this.#versionOf(name.key, handle, signal);
        return { bucket: name.bucket, key: name.key, version, size };
      } finally {
        await handle.close();
      }
    });
  }

  async *read(object: LakeObject, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    signal.throwIfAborted();
    const file = pathOf(object);
    const handle = await explained(file, () => openFile(file));
    try {
      await explained(file, () => this.#verify(object, handle, signal));
      const end = Math.min(range.end, object.size);
      for (let start = range.start; start < end;) {
        signal.throwIfAborted();
        const chunk = await explained(file, () =>
          readChunk(handle, start, Math.min(this.#chunkBytes, end - start)),
        );
        // Looked at after the bytes were read and before they are given away: what was written meanwhile shows.
        await explained(file, () => this.#verify(object, handle, signal));
        if (chunk.length === 0) throw changed(object);
        start += chunk.length;
        yield chunk;
      }
    } finally {
      await handle.close();
    }
  }

  /** @throws DomainError `E_OBJECT_CHANGED` where the open file has another content than the object's version */
  async #verify(object: LakeObject, handle: FileHandle, signal: AbortSignal): Promise<void> {
    const { version } = await this.#versionOf(object.key, handle, signal);
    if (version !== object.version) throw changed(object);
  }

  async #versionOf(key: string, handle: FileHandle, signal: AbortSignal): Promise<KnownVersion> {
    const fingerprint = await fingerprintOf(handle);
    const known = await this.#versions.get(key);
    if (known !== undefined && sameFingerprint(known, fingerprint)) return known;
    const underWay = this.#hashing.get(key);
    if (underWay !== undefined) {
      const other = await underWay.catch(() => undefined);
      if (other !== undefined && sameFingerprint(other, fingerprint)) return other;
    }
    const hashing = this.#hash(key, handle, fingerprint, signal);
    this.#hashing.set(key, hashing);
    try {
      return await hashing;
    } finally {
      if (this.#hashing.get(key) === hashing) this.#hashing.delete(key);
    }
  }

  async #hash(
    key: string,
    handle: FileHandle,
    before: Fingerprint,
    signal: AbortSignal,
  ): Promise<KnownVersion> {
    const startedAt = this.#clock.now();
    const digest = createHash('sha256');
    const buffer = Buffer.allocUnsafeSlow(Math.min(HASH_CHUNK_BYTES, Math.max(1, before.size)));
    let size = 0;
    while (size < before.size) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, before.size - size), size);
      if (bytesRead === 0) break;
      digest.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
    const known = { ...before, size, version: digest.digest('hex').slice(0, 32) };
    // Changed while it was hashed: the digest is of no content that ever was, and the next look shows it.
    if (sameFingerprint(before, await fingerprintOf(handle))) {
      const times = [before.modified, before.changed].map((nanoseconds) => Number(nanoseconds) / 1e6);
      const age = Math.min(...times.map((time) => Math.abs(startedAt - time)));
      if (age > TICK_MS) await this.#versions.set(key, known, age > COARSE_TICK_MS);
    }
    return known;
  }

  async #realOutputFolder(): Promise<string | undefined> {
    if (this.#outputFolder === undefined) return undefined;
    // Not there yet: nothing to leave out.
    return realpath(this.#outputFolder).catch(() => undefined);
  }
}

function keyOf(file: string): string {
  return path.relative(path.parse(file).root, file).split(path.sep).join('/');
}

function pathOf({ bucket, key }: ObjectName): string {
  if (bucket !== LOCAL_BUCKET) throw notFound(`${bucket}/${key}`);
  return path.resolve('/', ...key.split('/'));
}

async function openFile(file: string): Promise<FileHandle> {
  // A named pipe would block until somebody writes into it.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw notFound(file);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function fingerprintOf(handle: FileHandle): Promise<Fingerprint> {
  const stats = await handle.stat({ bigint: true });
  return {
    size: Number(stats.size),
    modified: stats.mtimeNs.toString(),
    changed: stats.ctimeNs.toString(),
    inode: `${stats.dev}:${stats.ino}`,
  };
}

async function readChunk(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

function notFound(place: string): DomainError {
  return new DomainError(`There is no file ${place}`, { code: 'E_OBJECT_NOT_FOUND' });
}

function changed(object: LakeObject): DomainError {
  return new DomainError(`/${object.key} has changed since it was listed`, {
    code: 'E_OBJECT_CHANGED',
    position: { kind: 'row', object, coordinate: null, output: null },
  });
}

const LASTING = new Set(['EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG', 'EINVAL', 'EISDIR', 'ENXIO']);

/** Gives what the system throws our words: which path, and whether trying again can help. */
async function explained<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | null)?.code;
    if (
      isSluiceError(error) ||
      typeof code !== 'string' ||
      (error as NodeJS.ErrnoException).syscall === undefined
    )
      throw error;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw notFound((error as NodeJS.ErrnoException).path ?? place);
    const { path: failed = place } = error as NodeJS.ErrnoException;
    throw new InfrastructureError(`${failed} cannot be read: ${describeCode(code)}`, {
      cause: error,
      retryable: !LASTING.has(code),
    });
  }
}

function describeCode(code: string): string {
  return code === 'EACCES' || code === 'EPERM' ? `permission denied (${code})` : code;
}
