/** Names an object; what the provider calls a bucket and a key. */
export interface ObjectName {
  readonly bucket: string;
  /** With `/` between its parts, whatever the provider uses. */
  readonly key: string;
}

/** One version of an object in the lake. Two objects with the same version have the same bytes. */
export interface LakeObject extends ObjectName {
  /** The provider's etag, or a digest of the content. */
  readonly version: string;
  /** In bytes, as stored. */
  readonly size: number;
}

/** A half-open stretch of an object's stored bytes: `start` is in, `end` is not. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}
