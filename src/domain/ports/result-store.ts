import type { Failure, Stage } from '../failure.ts';
import type { Generation } from '../generation.ts';
import type { LakeObject, ObjectName } from '../lake-object.ts';
import type { Finding } from '../pipeline.ts';
import type { Position } from '../position.ts';
import type { Reach } from '../reach.ts';
import type { RowTotals, SectionRecord } from '../section.ts';

export type { RowTotals };

/**
 * Keeps plan, progress, results and failures, and applies each frame once. Every method that changes something
 * is one transaction: it happens whole or not at all.
 * A signal that is aborted already changes nothing. Text is kept as UTF-8: a lone surrogate becomes U+FFFD.
 * What is read while something else is applied may or may not show it.
 *
 * Merging the states of groups is the application's business: an adapter is given a `MergeStates`.
 */
export interface ResultStore {
  readonly capabilities: ResultStoreCapabilities;

  // The plan

  /**
   * Makes a generation known, or finds it as it was declared. One of which nothing was applied is replaced, plan and all.
   *
   * @throws DomainError `E_PIPELINE_CHANGED` where something was applied under the same id with another fingerprint
   */
  declare(generation: Generation, signal: AbortSignal): Promise<void>;

  /** Forgets everything of a generation: declaration, runs, plan, progress, results, failures, keys. Unknown: nothing happens. */
  purge(generation: string, signal: AbortSignal): Promise<void>;

  /**
   * Forgets keys of messages from elsewhere that were applied before a time (milliseconds since 1970). Totals stay. Not one
   * transaction: what was forgotten so far stays so where it fails.
   *
   * @returns how many
   */
  purgeKeys(generation: string, appliedBefore: number, signal: AbortSignal): Promise<number>;

  /** Records a run; again with the same id: replaces what is known of it. */
  saveRun(run: RunRecord, signal: AbortSignal): Promise<void>;

  /**
   * Records what a run is going to do, before any task is queued. The verdict per object, in order, is
   * `decidePlan`'s of the domain; objects that it refuses are left as they are. Planning an object closes an
   * open failure of the object as a whole. All objects belong to the run afterwards.
   *
   * @throws DomainError `E_NOT_FOUND` where the generation is not declared
   */
  plan(
    run: PlanRequest,
    objects: readonly PlannedObject[],
    signal: AbortSignal,
  ): Promise<readonly ObjectPlan[]>;

  // Applying

  /** Applies one frame of a section once; the verdict is `judgeFrame`'s of the domain. */
  applyFrame(frame: SectionFrameRef, effects: Effects, signal: AbortSignal): Promise<ApplyOutcome>;

  /** Applies a section record once. */
  applySectionRecord(frame: SectionRecordRef, signal: AbortSignal): Promise<ApplyOutcome>;

  /**
   * Applies only what has a key that was not applied before. The same key twice in a batch: the second is not new.
   *
   * @throws DomainError `E_NOT_FOUND` where the generation is not declared
   */
  applyKeyed(batch: KeyedBatch, signal: AbortSignal): Promise<KeyedOutcome>;

  /**
   * Settles an open failure: `effects` and its closing in one transaction; or, where it is `again` a failure, updates
   * it and applies nothing. Nothing happens if it is closed or unknown.
   */
  applyRedrive(
    redrive: RedriveRef,
    effects: Effects,
    signal: AbortSignal,
  ): Promise<'applied' | 'failed-again' | 'closed'>;

  /**
   * Opens failures that no frame carries (an object that cannot be opened). One that is open already is updated;
   * one that planning closed is opened again; one that a redrive settled stays closed.
   * An object that was never planned is known and belongs to the run afterwards. The build is the run's, as it was saved.
   *
   * @throws DomainError `E_NOT_FOUND` where the generation is not declared
   */
  openFailures(
    generation: string,
    run: string,
    failures: readonly Failure[],
    at: number,
    signal: AbortSignal,
  ): Promise<void>;

  // Reading

  run(id: string, signal: AbortSignal): Promise<RunRecord | undefined>;
  /** Oldest first. */
  runs(signal: AbortSignal): Promise<readonly RunRecord[]>;
  /** By id. */
  generations(signal: AbortSignal): Promise<readonly Generation[]>;

  /** Progress and totals of a generation's objects, by bucket and key. */
  objects(query: ObjectQuery, signal: AbortSignal): AsyncIterable<ObjectProgress>;

  /** Totals of messages from elsewhere, in order of source. */
  keyedSources(generation: string, signal: AbortSignal): Promise<readonly KeyedTotals[]>;

  /** The merged states of all groups, by group in ascending order of UTF-8 bytes. */
  groups(generation: string, signal: AbortSignal): AsyncIterable<GroupState>;

  /**
   * Flags of single messages, one per message: by bucket, key, coordinate and output; then those of messages from
   * elsewhere by source, key and output.
   */
  flags(generation: string, signal: AbortSignal): AsyncIterable<Flag>;

  /** In the order in which they were opened first. */
  failures(query: FailureQuery, signal: AbortSignal): AsyncIterable<FailureRecord>;

  /**
   * How many failures are open, by code: of the objects of a run where `run` is given, and of a source of messages from
   * elsewhere where `source` is.
   */
  countOpenFailures(
    query: { readonly generation: string; readonly run?: string; readonly source?: string },
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, number>>>;

  /**
   * Makes results readable for other tools: what they read is replaced whole, or, where `results` throws, not at all.
   *
   * @throws DomainError `E_NOT_FOUND` where the generation is not declared
   */
  publish(generation: string, results: AsyncIterable<PublishedGroup>, signal: AbortSignal): Promise<void>;

  /** Twice is harmless. */
  close(): Promise<void>;
}

export interface ResultStoreCapabilities {
  /** Whether results outlive the process. */
  readonly durable: boolean;
  /**
   * `false`: there are no transactions, and messages from elsewhere count at least once: a batch of them that comes again is known as a whole, a
   * key in another batch is not, so that there are no keys to purge; and failures that were opened at the same time come in any
   * order. Default `true`.
   */
  readonly exactlyOnce?: boolean;
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
  /**
   * Whether the code of other builds is kept: then each finishes the sections that it began, and this one does the others. Default `false`:
   * an object that another build began is refused.
   */
  readonly keepsBuilds?: boolean;
}

export interface PlannedObject {
  readonly object: LakeObject;
  /** `null` where only reading to its end tells. */
  readonly lastSection: number | null;
}

export type PlanVerdict =
  /** Some sections are to do: `epoch` and `build` bind those of which nothing is applied, `held` tells of the others. */
  | 'process'
  | 'complete'
  /** Begun by another build that does not share it: `E_OTHER_BUILD`. */
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
  /**
   * Sections, ascending, that are to do and were begun by another build or under an older epoch: frames of them count under these alone. None where
   * the object is refused.
   */
  readonly held: readonly HeldSection[];
}

/** Under what something of a section counts, beside the version of its object. */
export interface Binding {
  readonly build: string;
  readonly epoch: number;
}

export interface HeldSection extends Binding {
  readonly section: number;
}

export interface SectionFrameRef extends Reach {
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

/** It reaches to the end of its section, as all records do. */
export interface SectionRecordRef extends Reach {
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
  /** It belongs to an older epoch, to another version of the object, to a purged plan, or to a try before a verdict on a row: dropped. */
  | 'stale'
  /**
   * Applied before with another digest, at odds with what the section's record or the object's end tells, or with a verdict on a row that
   * something applied went past: `E_NOT_DETERMINISTIC`.
   */
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

/** What happened to rows and messages of an object, or of a source of messages from elsewhere. */
export interface Counts extends RowTotals {
  /** Messages in the results: of frames, and of redrives. */
  readonly applied: number;
  /** Messages that redrives made, in settling failures. */
  readonly redriven: number;
  /** Open failures of rows and of the object, and open failures of messages. */
  readonly openRowFailures: number;
  readonly openMessageFailures: number;
  /** Failures that a redrive settled, of rows and of messages. */
  readonly closedRowFailures: number;
  readonly closedMessageFailures: number;
  /** Rows that the open failures stand for, and rows that those stood for which a redrive settled. */
  readonly openFailedRows: number;
  readonly closedFailedRows: number;
}

export interface ObjectProgress extends Counts {
  /** As it was planned; as its failure names it, where it never could be. */
  readonly object: LakeObject;
  /** 0 where the object was never planned: it could not be opened. */
  readonly epoch: number;
  readonly build: string;
  readonly lastSection: number | null;
  readonly sectionsComplete: number;
  readonly complete: boolean;
  /** Frames applied so far. */
  readonly frames: number;
}

export interface ObjectQuery {
  readonly generation: string;
  /** Of one run's objects alone. */
  readonly run?: string;
  /** Only objects that come after this one: a reading that goes on where another one stopped. */
  readonly after?: ObjectName;
}

export interface KeyedTotals extends Counts {
  readonly source: string;
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
