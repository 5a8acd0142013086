import type { Failure } from '../../domain/failure.ts';
import type { Generation } from '../../domain/generation.ts';
import type { LakeObject, ObjectName } from '../../domain/lake-object.ts';
import type { FailureRecord, Flag, PublishedGroup } from '../../domain/ports/result-store.ts';
import type { Position } from '../../domain/position.ts';
import type { FailureWeight, MutableCounts } from '../../domain/reconcile.ts';
import type { Reach } from '../../domain/reach.ts';
import type { SectionRecord } from '../../domain/section.ts';
import { compareUtf8 } from '../../domain/text-order.ts';

/** Everything that is known of one generation. */
export interface GenerationData {
  readonly generation: Generation;
  readonly objects: Map<string, ObjectData>;
  readonly sources: Map<string, SourceData>;
  readonly groups: Map<string, Uint8Array>;
  readonly flags: Map<string, Flag>;
  readonly failures: Map<string, FailureData>;
  published: readonly PublishedGroup[];
}

/** Whether nothing of a generation was applied: what it was declared as binds nobody then. */
export function isUntouched({ objects, sources }: GenerationData): boolean {
  const touched = ({ complete, sections, counts }: ObjectData) =>
    complete || sections.size > 0 || counts.applied > 0;
  return (
    ![...objects.values()].some(touched) &&
    [...sources.values()].every(
      ({ keys, counts }) => keys.size === 0 && counts.rows === 0 && counts.applied === 0,
    )
  );
}

export interface ObjectData {
  object: LakeObject;
  /** 0: known by a failure, never planned. */
  epoch: number;
  build: string;
  lastSection: number | null;
  sectionsComplete: number;
  complete: boolean;
  frames: number;
  readonly runs: Set<string>;
  counts: MutableCounts;
  /** Sections of which something is applied; none once the object is complete. */
  readonly sections: Map<number, SectionData>;
}

export interface SectionData {
  readonly build: string;
  readonly epoch: number;
  complete: boolean;
  /** Of all that was applied. */
  reach: Reach;
  record: { readonly digest: string; readonly record: SectionRecord } | undefined;
  /** Digests by number, by partition; none once the section is complete. */
  readonly frames: Map<number, Map<number, string>>;
}

export interface SourceData {
  readonly source: string;
  readonly keys: Map<string, number>;
  counts: MutableCounts;
}

export interface FailureData {
  /** Order in which failures were opened first, over all generations. */
  readonly sequence: number;
  readonly owner: Owner;
  record: FailureRecord;
  closedBy: 'plan' | 'redrive' | null;
}

/** What counts belong to: an object, or a source of messages from elsewhere. */
export type Owner = ObjectData | SourceData;

export function addOpen(owner: Owner, weight: FailureWeight, sign: 1 | -1): void {
  owner.counts.openRowFailures += sign * weight.rowFailures;
  owner.counts.openMessageFailures += sign * weight.messageFailures;
  owner.counts.openFailedRows += sign * weight.rows;
}

export function objectId({ bucket, key }: ObjectName): string {
  return JSON.stringify([bucket, key]);
}

/** One text for one message, whatever the version of its object. */
export function flagId(position: Position): string {
  return position.kind === 'row'
    ? JSON.stringify([position.object.bucket, position.object.key, position.coordinate, position.output])
    : JSON.stringify([position.source, position.key, position.output, 'key']);
}

export function isOfWholeObject({ position }: Failure): boolean {
  return position.kind === 'row' && position.coordinate === null;
}

/** By bucket, key, coordinate and output; messages from elsewhere last, by source, key and output. */
export function comparePositions(a: Position, b: Position): number {
  if (a.kind === 'row' && b.kind === 'row') {
    return (
      compareUtf8(a.object.bucket, b.object.bucket) ||
      compareUtf8(a.object.key, b.object.key) ||
      (a.coordinate ?? -1) - (b.coordinate ?? -1) ||
      (a.output ?? -1) - (b.output ?? -1)
    );
  }
  if (a.kind === 'key' && b.kind === 'key') {
    return (
      compareUtf8(a.source, b.source) || compareUtf8(a.key, b.key) || (a.output ?? -1) - (b.output ?? -1)
    );
  }
  return a.kind === 'row' ? -1 : 1;
}
