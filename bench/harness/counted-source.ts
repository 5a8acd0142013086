import type { ByteRange, LakeObject, ObjectName } from '../../src/domain/lake-object.ts';
import type { ObjectSource } from '../../src/domain/ports/object-source.ts';

/** Counts what is asked of a lake: each read is a ranged GET there. */
export class CountedSource implements ObjectSource {
  readonly #source: ObjectSource;
  requests = 0;
  bytes = 0;

  constructor(source: ObjectSource) {
    this.#source = source;
  }

  get capabilities(): ObjectSource['capabilities'] {
    return this.#source.capabilities;
  }

  list(location: string, signal: AbortSignal, after?: string): AsyncIterable<LakeObject> {
    return this.#source.list(location, signal, after);
  }

  stat(name: ObjectName, signal: AbortSignal): Promise<LakeObject> {
    return this.#source.stat(name, signal);
  }

  async *read(object: LakeObject, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    this.requests++;
    for await (const chunk of this.#source.read(object, range, signal)) {
      this.bytes += chunk.length;
      yield chunk;
    }
  }
}
