/**
 * Bounds of a pipeline. They are part of its generation: with other limits the same object would be cut
 * into other sections and frames.
 */
export interface Limits {
  /** Decompressed text in one section, in bytes. Default 16 MiB. */
  readonly sectionBytes: number;
  /** Rows in one section of Parquet. Default 250,000. */
  readonly sectionRows: number;
  /** One row as it is stored, in bytes; over it the row is an `E_ROW_TOO_LARGE`. Default 8 MiB. */
  readonly maxRowBytes: number;
  /** The needed columns of one Parquet row group, uncompressed, in bytes. Default 256 MiB. */
  readonly maxRowGroupBytes: number;
  /** One encoded message, in bytes; over it the row is an `E_MESSAGE_TOO_LARGE`. Default 8 MiB. */
  readonly maxMessageBytes: number;
  /** Messages in one frame. Default 10,000. */
  readonly maxFrameMessages: number;
  /** Encoded messages in one frame before compression, in bytes. Default 960 KiB, so that a frame fits a Kinesis record of 1 MiB. */
  readonly maxFrameBytes: number;
  /**
   * How long keys of messages from elsewhere are kept at least, in milliseconds. A message that is older when it is applied
   * is an `E_BEYOND_HORIZON`: its key may be forgotten. Default 14 days. Messages without a time have no horizon.
   */
  readonly keyHorizonMs: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const KIB = 1024;
const MIB = 1024 * KIB;

export const defaultLimits: Limits = {
  sectionBytes: 16 * MIB,
  sectionRows: 250_000,
  maxRowBytes: 8 * MIB,
  maxRowGroupBytes: 256 * MIB,
  maxMessageBytes: 8 * MIB,
  maxFrameMessages: 10_000,
  maxFrameBytes: 960 * KIB,
  keyHorizonMs: 14 * DAY_MS,
};
