import type { LakeObject } from './lake-object.ts';

/** Where a row of an object stands. */
export interface RowPosition {
  readonly kind: 'row';
  readonly object: LakeObject;
  /**
   * Byte offset of the row's first byte in the decompressed text; row number, from 0, in Parquet.
   * `null`: the object as a whole (it could not be opened).
   */
  readonly coordinate: number | null;
  /** Which of the row's messages, from 0; `null`: the row itself. */
  readonly output: number | null;
}

/** Where a message stands that came from elsewhere: no object, but a key that names it for ever. */
export interface KeyedPosition {
  readonly kind: 'key';
  /** The queue, pipe or stream that it came by. */
  readonly source: string;
  readonly key: string;
  readonly output: number | null;
}

export type Position = RowPosition | KeyedPosition;

/** For people: `bucket/key@12345` or `source#key`, with `[2]` for the third message. */
export function describePosition(position: Position): string {
  const place =
    position.kind === 'row'
      ? `${position.object.bucket}/${position.object.key}${position.coordinate === null ? '' : `@${position.coordinate}`}`
      : `${position.source}#${position.key}`;
  return position.output === null ? place : `${place}[${position.output}]`;
}
