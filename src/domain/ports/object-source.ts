import type { ByteRange, LakeObject, ObjectName } from '../lake-object.ts';

/** The lake: lists objects and reads stretches of their bytes. Formats live above it. */
export interface ObjectSource {
  readonly capabilities: ObjectSourceCapabilities;

  /**
   * The objects at a place, in ascending order of key (by code point, which is the order of the UTF-8 bytes).
   *
   * @param location a bucket and prefix, a folder, a file or a glob: whatever the provider reads
   * @param after only keys that come after this one: a listing that goes on where another one stopped
   * @throws DomainError `E_OBJECT_NOT_FOUND` where a single named object does not exist
   */
  list(location: string, signal: AbortSignal, after?: string): AsyncIterable<LakeObject>;

  /** @throws DomainError `E_OBJECT_NOT_FOUND` */
  stat(name: ObjectName, signal: AbortSignal): Promise<LakeObject>;

  /**
   * The bytes of a stretch, in chunks of the provider's choice, none empty; a stretch ends where the object does. A consumer that stops early releases
   * whatever is open.
   *
   * @throws DomainError `E_OBJECT_CHANGED` where the object is not the version that was asked for any more
   * @throws DomainError `E_OBJECT_NOT_FOUND`
   */
  read(object: LakeObject, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export interface ObjectSourceCapabilities {
  /** When a change of an object's content is noticed: at the next `read`, or only at the next `stat` or `list`. */
  readonly detectsChange: 'on-read' | 'on-stat';
}
