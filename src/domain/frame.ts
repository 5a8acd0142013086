import type { Failure } from './failure.ts';
import type { LakeObject } from './lake-object.ts';
import type { FrameCodec } from './pipeline.ts';
import type { Position } from './position.ts';
import type { SectionRecord } from './section.ts';

/** The version of what is on the wire; a reader refuses others. */
export const FRAME_FORMAT = 2;

/** A frame of a section: its number counts within section and partition, from 0. */
export interface SectionOrigin {
  readonly kind: 'section';
  readonly object: LakeObject;
  readonly section: number;
  readonly number: number;
  readonly epoch: number;
  /** Coordinate of the last row that had been read when the frame was cut; `null`: all rows of the section had been. */
  readonly reach: number | null;
  /** Coordinates, ascending, of the rows up to there that a verdict kept from `transform`. Default: none. */
  readonly killed?: readonly number[];
}

/** A frame of messages from elsewhere: every entry has a key of its own. */
export interface KeyedOrigin {
  readonly kind: 'keyed';
  readonly source: string;
}

/** A frame that settles one failure: all outputs of its row, or its kept message. */
export interface RedriveOrigin {
  readonly kind: 'redrive';
  readonly failure: string;
}

/** A frame of failures of an object as a whole: it could not be opened, or not be read to its end. */
export interface ObjectOrigin {
  readonly kind: 'object';
  readonly object: LakeObject;
}

export type FrameOrigin = SectionOrigin | KeyedOrigin | RedriveOrigin | ObjectOrigin;

/** Messages with the coordinate of their row and their output index, in the order in which `transform` gave them. */
export interface MessagesBody {
  readonly kind: 'messages';
  readonly messages: readonly unknown[];
  readonly coordinates: readonly number[];
  readonly outputs: readonly number[];
}

/** Rows that failed before they became messages, or an object that failed as a whole. */
export interface FailuresBody {
  readonly kind: 'failures';
  readonly failures: readonly Failure[];
}

export interface SectionRecordBody {
  readonly kind: 'section';
  readonly record: SectionRecord;
}

/** Messages from elsewhere: for every key, what `transform` made of it. */
export interface KeyedBody {
  readonly kind: 'keyed';
  readonly entries: readonly KeyedEntry[];
}

export interface KeyedEntry {
  readonly key: string;
  /** When it happened or arrived, in milliseconds since 1970; `null` where nothing tells. */
  readonly time: number | null;
  /** Empty where `where` or `transform` left the row out, or where it failed. */
  readonly messages: readonly unknown[];
  readonly filtered: boolean;
  readonly failure: Failure | null;
}

/** All outputs of a failed row, by the current build; or the failure that it is again. */
export interface RedriveBody {
  readonly kind: 'redrive';
  /** Of the row or message that failed. */
  readonly position: Position;
  /** Output index of each message. */
  readonly outputs: readonly number[];
  readonly messages: readonly unknown[];
  readonly failure: Failure | null;
  /** The row or message as the failure keeps it: what it goes on keeping where it fails again. */
  readonly payload: Uint8Array | null;
}

export type FrameBody = MessagesBody | FailuresBody | SectionRecordBody | KeyedBody | RedriveBody;

/** What every frame tells of itself, whatever its codec. */
export interface FrameHeader {
  readonly format: typeof FRAME_FORMAT;
  readonly generation: string;
  readonly build: string;
  readonly run: string;
  readonly origin: FrameOrigin;
  readonly partition: number;
  readonly body: FrameBody['kind'];
  readonly codec: FrameCodec;
  readonly compression: 'zstd' | 'gzip';
  /** Hex. Covers what identifies the body: canonical bytes of messages; of failures, all but their texts. */
  readonly digest: string;
}

export interface Frame {
  readonly header: FrameHeader;
  readonly body: FrameBody;
}

/** A frame as it travels: one record of the stream. */
export interface PackedFrame {
  readonly header: FrameHeader;
  readonly bytes: Uint8Array;
  /** How often it was given up and put again. Default 0. */
  readonly round?: number;
}
