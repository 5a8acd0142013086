import type { LakeObject } from './lake-object.ts';
import type { MarkedRow } from './ports/row-mark.ts';
import type { Where } from './where.ts';

/** Sections `from` to `to`, both in; `to` is `null` where the last section is only known once it has been read. */
export interface SectionRange {
  readonly from: number;
  readonly to: number | null;
}

/** How an object divides into sections; follows from the object and the generation alone. */
export interface ObjectLayout {
  /** Index of the last section, or `null` where only reading to the end tells (gzip, one JSON array). */
  readonly lastSection: number | null;
  /** Whether reading can begin at any section, or only at the first. */
  readonly splittable: boolean;
  /** Sections at which something begins that is read as a whole (a row group), in order; `null`: each section is read by itself. */
  readonly groupStarts: readonly number[] | null;
}

/** Sections of text with a known length: an empty object has one empty section. */
export function lastTextSection(bytes: number, sectionBytes: number): number {
  return Math.max(0, Math.ceil(bytes / sectionBytes) - 1);
}

/** Of text, whose sections are stretches of bytes. @param bytes its length, decompressed; `null` where only reading tells it */
export function layoutOfText(bytes: number | null, sectionBytes: number): ObjectLayout {
  return bytes === null
    ? { lastSection: null, splittable: false, groupStarts: null }
    : { lastSection: lastTextSection(bytes, sectionBytes), splittable: true, groupStarts: null };
}

/** How rows ended: `rows` = `pruned` + `filtered` + `failed` + `transformed`. */
export interface RowTotals {
  readonly rows: number;
  /** Rows that were never decoded, because statistics showed that none can match. */
  readonly pruned: number;
  /** Rows that `where` refused. */
  readonly filtered: number;
  /** Rows that could not be read or transformed. */
  readonly failed: number;
  readonly transformed: number;
  /** Messages that the transformed rows gave. */
  readonly messages: number;
}

/** What a section sends last, on its control partition. */
export interface SectionRecord extends RowTotals {
  readonly section: number;
  /** Whether the object ends with this section. */
  readonly last: boolean;
  /** Byte offset (row number in Parquet) of the first record of the next section. Reading can go on there. */
  readonly next: number;
  /** Frames sent, by partition: `[partition, frames]`, in order of partition, without those that got none. */
  readonly frames: readonly (readonly [partition: number, frames: number])[];
}

/** Work for `transform`: consecutive sections of one object. */
export interface Task {
  readonly id: string;
  readonly run: string;
  readonly generation: string;
  readonly build: string;
  readonly epoch: number;
  /** The run's own predicate, beside the pipeline's, as JSON data; `null` where it has none. */
  readonly where: Where | null;
  readonly object: LakeObject;
  readonly sections: SectionRange;
  /** Where the first record of the first section starts, if that is known. */
  readonly start: number | null;
  /** Sections within the range that are complete, or that another build or epoch has: read past, never sent. */
  readonly done: readonly number[];
  /**
   * How far its rows were probed for one that hangs or kills its process: those before a row, or all. Not there: nobody has
   * suspected the task.
   */
  readonly cleared?: MarkedRow | 'all';
}
