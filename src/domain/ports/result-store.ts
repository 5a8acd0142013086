import type { Failure, Stage } from '../failure.ts';
import type { Generation } from '../generation.ts';
import type { LakeObject, ObjectName } from '../lake-object.ts';
import type { Finding } from '../pipeline.ts';
import type { Position } from '../position.ts';
import type { SectionRecord } from '../section.ts';

/**
 * Keeps plan, progress, results and failures, and applies each frame once. Every method that changes something
 * is one transaction: it happens whole or not at all.
 *
 * Merging the states of groups is the application's business: an adapter is given a `MergeStates`.
 */
export interface ResultStore {
  readonly capabilities: ResultStoreCapabilities;

  // The plan

  /**
   * Makes a generation known, or finds it as it was declared.
   *
   * @throws DomainError `E_PIPELINE_CHANGED` where the same id has another fingerprint
   */
  declare(generation: Generation, signal: AbortSignal): Promise<void>;

  /** Forgets everything of a generation: plan, progress, results, failures, keys. */
  purge(generation: string, signal: AbortSignal): Promise<void>;

  /** Records a run; again with the same id: replaces what is known of it. */
  saveRun(run: RunRecord, signal: AbortSignal): Promise<void>;

  /**
   * Records what a run is going to do, before any task is queued. The verdict per object, in order, is
   * `decidePlan`'s of the domain; objects that it refuses are left as they are. Planning an object closes an
   * open failure of the object as a whole.
   */
  plan(run: PlanRequest, objects: readonly PlannedObject[], signal: AbortSignal): Promise<readonly ObjectPlan[]>;

  // Applying

  /** Applies one frame of a section once; the verdict is `judgeFrame`'s of the domain. */
  applyFrame(frame: SectionFrameRef, effects: Effects, signal: AbortSignal): Promise<ApplyOutcome>;

  /** Applies a section record once. */
  applySectionRecord(frame: SectionRecordRef, signal: AbortSignal): Promise<ApplyOutcome>;

  /** Applies only what has a key that was not applied before. */
  applyKeyed(batch: KeyedBatch, signal: AbortSignal): Promise<KeyedOutcome>;

  /** Settles an open failure: `effects` and its closing in one transaction, or its update with `failure`. Nothing if it is closed. */
  applyRedrive(redrive: RedriveRef, effects: Effects, signal: AbortSignal): Promise<'applied' | 'failed-again' | 'closed'>;

  /** Opens failures that no frame carries (an object that cannot be opened). One that is open already is updated. */
  openFailures(generation: string, run: string, failures: readonly Failure[], at: number, signal: AbortSignal): Promise<void>;

  // Reading

  run(id: string, signal: AbortSignal): Promise<RunRecord | undefined>;
  runs(signal: AbortSignal): Promise<readonly RunRecord[]>;
  generations(signal: AbortSignal): Promise<readonly Generation[]>;

  /** Progress and totals of a generation's objects, by bucket and key; of one run's objects where `run` is given. */
  objects(query: { readonly generation: string; readonly run?: string }, signal: AbortSignal): AsyncIterable<ObjectProgress>;

  /** Totals of messages from elsewhere, by source. */
  keyedSources(generation: string, signal: AbortSignal): Promise<readonly KeyedTotals[]>;

  /** The merged states of all groups, by group in ascending order of UTF-8 bytes. */
  groups(generation: string, signal: AbortSignal): AsyncIterable<GroupState>;

  /** Flags of single messages, oldest position first. */
  flags(generation: string, signal: AbortSignal): AsyncIterable<Flag>;

  failures(query: FailureQuery, signal: AbortSignal): AsyncIterable<FailureRecord>;

  /** Makes results readable for other tools: what they read is replaced whole. */
  publish(generation: string, results: AsyncIterable<PublishedGroup>, signal: AbortSignal): Promise<void>;

  close(): Promise<void>;
}

export interface ResultStoreCapabilities {
  /** Whether results outlive the process. */
  readonly durable: boolean;
}

/** Merges two states of a group; commutative and associative to the byte. */
export type MergeStates = (stored: Uint8Array, added: Uint8Array) => Uint8Array;

export interface RunRecord {
  readonly id: string;
  readonly generation: string;
  readonly build: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly finishedAt: number | null;
  /** What the run reports of itself, as JSON; `null` until it ends. */
  readonly report: string | null;
}

export interface PlanRequest {
  readonly run: string;
  readonly generation: string;
  readonly build: string;
}

export interface PlannedObject {
  readonly object: LakeObject;
  /** `null` where only reading to its end tells. */
  readonly lastSection: number | null;
}

export type PlanVerdict =
  /** Some sections are to do: `epoch` and `build` bind those of which nothing is applied. */
  | 'process'
  | 'complete'
  /** Begun by another build: `E_OTHER_BUILD`. */
  | 'other-build'
  /** Begun under another version of the object: `E_OBJECT_CHANGED`. */
  | 'changed';

export interface ObjectPlan {
  readonly object: LakeObject;
  readonly verdict: PlanVerdict;
  readonly epoch: number;
  readonly lastSection: number | null;
  /** Complete sections, ascending, each with where the next one starts. */
  readonly complete: readonly { readonly section: number; readonly next: number }[];
}

export interface SectionFrameRef {
  readonly generation: string;
  readonly run: string;
  readonly build: string;
  readonly object: LakeObject;
  readonly epoch: number;
  readonly section: number;
  readonly partition: number;
  readonly number: number;
  readonly digest: string;
  /** Milliseconds since 1970; when its failures are opened. */
  readonly at: number;
}

export interface SectionRecordRef {
  readonly generation: string;
  readonly run: string;
  readonly build: string;
  readonly object: LakeObject;
  readonly epoch: number;
  readonly record: SectionRecord;
  readonly digest: string;
}

/** What a frame does to the results. */
export interface Effects {
  /** One entry per group. */
  readonly groups: readonly GroupState[];
  readonly flags: readonly Flag[];
  readonly failures: readonly Failure[];
  /** Messages in `groups`. */
  readonly applied: number;
}

export interface GroupState {
  readonly group: string;
  /** Canonical bytes of all its measures. */
  readonly state: Uint8Array;
}

export interface Flag {
  readonly position: Position;
  readonly finding: Finding;
}

export type ApplyOutcome =
  | 'applied'
  /** It was applied before. */
  | 'duplicate'
  /** It belongs to an older epoch, to another version of the object, or to a purged plan: dropped. */
  | 'stale'
  /** It was applied before with another digest: `E_NOT_DETERMINISTIC`. */
  | 'not-deterministic';

export interface KeyedBatch {
  readonly generation: string;
  readonly run: string;
  readonly build: string;
  readonly source: string;
  /** One per message from elsewhere. */
  readonly keys: readonly string[];
  readonly at: number;
  /** Works out, inside the transaction and from the entries that are new alone, what is applied. Pure and synchronous. */
  readonly fold: (isNew: readonly boolean[]) => { readonly effects: Effects; readonly totals: RowTotals };
}

export interface KeyedOutcome {
  readonly isNew: readonly boolean[];
  readonly effects: Effects;
  readonly totals: RowTotals;
}

export interface RedriveRef {
  readonly generation: string;
  readonly run: string;
  readonly build: string;
  readonly failure: string;
  /** The failure that it is again; `null` where it is settled. */
  readonly again: Failure | null;
  /** Messages that the redrive made. */
  readonly messages: number;
  readonly at: number;
}

/** `rows` = `pruned` + `filtered` + `failed` + `transformed`. */
export interface RowTotals {
  readonly rows: number;
  readonly pruned: number;
  readonly filtered: number;
  readonly failed: number;
  readonly transformed: number;
  /** Messages that the transformed rows gave. */
  readonly messages: number;
}

export interface ObjectProgress extends RowTotals {
  readonly object: LakeObject;
  readonly epoch: number;
  readonly build: string;
  readonly lastSection: number | null;
  readonly sectionsComplete: number;
  readonly complete: boolean;
  /** Frames applied so far. */
  readonly frames: number;
  /** Messages in the results: of frames, and of redrives. */
  readonly applied: number;
  /** Messages that redrives made and applied. */
  readonly redriven: number;
  /** Open failures of rows and of the object, and open failures of messages. */
  readonly openRowFailures: number;
  readonly openMessageFailures: number;
  /** Failures that a redrive settled, of rows and of messages. */
  readonly closedRowFailures: number;
  readonly closedMessageFailures: number;
}

export interface KeyedTotals extends RowTotals {
  readonly source: string;
  readonly applied: number;
  readonly redriven: number;
  readonly openRowFailures: number;
  readonly openMessageFailures: number;
  readonly closedRowFailures: number;
  readonly closedMessageFailures: number;
}

export interface FailureQuery {
  readonly generation?: string;
  readonly id?: string;
  readonly state?: 'open' | 'closed';
  readonly code?: string;
  readonly stage?: Stage;
  readonly object?: Partial<ObjectName>;
  /** Milliseconds since 1970: last tried at or after, and before. */
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
}

export interface FailureRecord {
  readonly generation: string;
  /** The run and the build that tried last. */
  readonly run: string;
  readonly build: string;
  readonly failure: Failure;
  readonly state: 'open' | 'closed';
  /** 1 at first. */
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly openedAt: number;
  readonly triedAt: number;
  readonly closedAt: number | null;
}

export interface PublishedGroup {
  readonly group: string;
  /** Values as `findings` gets them; plain JSON data. */
  readonly measures: Readonly<Record<string, unknown>>;
  readonly findings: readonly Finding[];
}
