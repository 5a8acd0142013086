import { createHash } from 'node:crypto';
import { DomainError } from '../../domain/errors.ts';
import type { ByteRange, LakeObject, ObjectName } from '../../domain/lake-object.ts';
import type { ObjectSource, ObjectSourceCapabilities } from '../../domain/ports/object-source.ts';
import { compareUtf8 } from '../../domain/text-order.ts';

export interface InMemoryObjectSourceOptions {
  /** Largest chunk that `read` gives, in bytes. Default 64 KiB. */
  readonly chunkBytes?: number;
}

interface StoredObject {
  readonly object: LakeObject;
  readonly bytes: Uint8Array;
}

const encoder = new TextEncoder();

/**
 * A lake in memory. An object's version is the digest of its content.
 *
 * ```ts
 * const lake = new InMemoryObjectSource();
 * lake.put({ bucket: 'lake', key: 'flights/2019.csv' }, 'a,b\n1,2\n');   // bytes or text; again: replaces it
 * lake.list('lake', signal);                     // the bucket: may be empty
 * lake.list('lake/flights/', signal);            // a prefix, because it ends with `/`: may be empty
 * lake.list('lake/flights/20*', signal);         // a prefix, because it ends with `*`: may be empty
 * lake.list('lake/flights/2019.csv', signal);    // one object, or what lies under it as a folder
 * lake.list('lake', signal, 'flights/2019.csv'); // the bucket, behind this key
 * ```
 */
export class InMemoryObjectSource implements ObjectSource {
  readonly capabilities: ObjectSourceCapabilities = { detectsChange: 'on-read' };
  readonly #objects = new Map<string, StoredObject>();
  readonly #chunkBytes: number;

  constructor({ chunkBytes = 64 * 1024 }: InMemoryObjectSourceOptions = {}) {
    this.#chunkBytes = chunkBytes;
  }

  /** Adds an object or replaces its content. */
  put(name: ObjectName, content: Uint8Array | string): LakeObject {
    const bytes = typeof content === 'string' ? encoder.encode(content) : new Uint8Array(content);
    const version = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
    const object: LakeObject = { bucket: name.bucket, key: name.key, version, size: bytes.length };
    this.#objects.set(path(name), { object, bytes });
    return object;
  }

  delete(name: ObjectName): void {
    this.#objects.delete(path(name));
  }

  async *list(location: string, signal: AbortSignal, after?: string): AsyncIterable<LakeObject> {
    signal.throwIfAborted();
    for (const object of this.#find(location)) {
      signal.throwIfAborted();
      if (after === undefined || compareUtf8(object.key, after) > 0) yield object;
    }
  }

  async stat(name: ObjectName, signal: AbortSignal): Promise<LakeObject> {
    signal.throwIfAborted();
    return this.#stored(name).object;
  }

  async *read(object: LakeObject, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    signal.throwIfAborted();
    const { bytes, object: current } = this.#stored(object);
    if (current.version !== object.version) {
      throw new DomainError(`${path(object)} has changed since version ${object.version}`, {
        code: 'E_OBJECT_CHANGED',
        position: { kind: 'row', object, coordinate: null, output: null },
      });
    }
    const end = Math.min(range.end, bytes.length);
    for (let start = range.start; start < end; start += this.#chunkBytes) {
      signal.throwIfAborted();
      yield bytes.slice(start, Math.min(start + this.#chunkBytes, end));
    }
  }

  #find(location: string): readonly LakeObject[] {
    const slash = location.indexOf('/');
    const bucket = slash < 0 ? location : location.slice(0, slash);
    const key = slash < 0 ? '' : location.slice(slash + 1);
    if (key === '' || key.endsWith('/')) return this.#under(bucket, key);
    if (key.endsWith('*')) return this.#under(bucket, key.slice(0, -1));
    const named = this.#objects.get(path({ bucket, key }));
    if (named !== undefined) return [named.object];
    const folder = this.#under(bucket, `${key}/`);
    if (folder.length === 0) throw notFound({ bucket, key });
    return folder;
  }

  #under(bucket: string, prefix: string): readonly LakeObject[] {
    return [...this.#objects.values()]
      .map(({ object }) => object)
      .filter((object) => object.bucket === bucket && object.key.startsWith(prefix))
      .sort((a, b) => compareUtf8(a.key, b.key));
  }

  #stored(name: ObjectName): StoredObject {
    const stored = this.#objects.get(path(name));
    if (stored === undefined) throw notFound(name);
    return stored;
  }
}

function path(name: ObjectName): string {
  return `${name.bucket}/${name.key}`;
}

function notFound(name: ObjectName): DomainError {
  return new DomainError(`There is no object ${path(name)}`, { code: 'E_OBJECT_NOT_FOUND' });
}
