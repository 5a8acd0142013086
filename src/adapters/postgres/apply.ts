import {
  isEndAgreed,
  isFrameCounted,
  isRecordOfFrames,
  isWithinObject,
  judgeFrame,
  nothingApplied,
} from '../../domain/applying.ts';
import type {
  ApplyOutcome,
  Effects,
  MergeStates,
  SectionFrameRef,
  SectionRecordRef,
} from '../../domain/ports/result-store.ts';
import { extendReach, newlyKilled, type Reach } from '../../domain/reach.ts';
import { appliedFrames, completeSectionIfDone, parseExpected } from './completion.ts';
import { addition, countValues } from './counts.ts';
import { applyEffects } from './effects.ts';
import { Owners } from './owners.ts';
import { Changed, type Transaction } from './transaction.ts';

/** What a frame or a section record is for, and what is known of it. Columns of a section are `null` where nothing of it is applied. */
interface Target {
  readonly generationId: number;
  readonly objectId: number;
  readonly version: string;
  readonly epoch: number;
  readonly build: string;
  readonly lastSection: number | null;
  readonly complete: boolean;
  readonly sectionEpoch: number | null;
  readonly sectionBuild: string | null;
  readonly sectionComplete: boolean | null;
  readonly recordDigest: string | null;
  /** JSON; `null` until the record comes. */
  readonly expectedFrames: string | null;
  readonly frameDigest: string | null;
  /** `null`: to the section's end. */
  readonly reach: number | null;
  /** JSON; `null` where no row has a verdict. */
  readonly killed: string | null;
}

/** `undefined` where the generation or the object is not planned. Epoch 0: known by a failure only, never planned. */
function findTarget(
  transaction: Transaction,
  { generation, object }: SectionFrameRef | SectionRecordRef,
  section: number,
  frame: { readonly partition: number; readonly number: number } | null,
): Promise<Target | undefined> {
  return transaction.get<Target>(
    `SELECT g.id AS "generationId", o.id AS "objectId", o.version, o.epoch, o.build, o.last_section AS "lastSection", o.complete,
       s.epoch AS "sectionEpoch", s.build AS "sectionBuild", s.complete AS "sectionComplete", s.record_digest AS "recordDigest",
       s.expected_frames AS "expectedFrames", s.reach, s.killed, f.digest AS "frameDigest"
     FROM generations g JOIN objects o ON o.generation_id = g.id AND o.bucket = $2 AND o.key = $3
       LEFT JOIN sections s ON s.object_id = o.id AND s.section = $4
       LEFT JOIN frames f ON f.object_id = o.id AND f.section = $4 AND f."partition" = $5 AND f.number = $6
     WHERE g.generation = $1 AND o.epoch > 0`,
    generation,
    object.bucket,
    object.key,
    section,
    frame?.partition ?? null,
    frame?.number ?? null,
  );
}

function judge(
  target: Target | undefined,
  appliedDigest: string | null | undefined,
  ref: SectionFrameRef | SectionRecordRef,
): ApplyOutcome {
  if (target === undefined) return judgeFrame(undefined, nothingApplied, ref);
  const binding = {
    version: target.version,
    epoch: target.sectionEpoch ?? target.epoch,
    build: target.sectionBuild ?? target.build,
  };
  const complete = target.complete || target.sectionComplete === true;
  return judgeFrame(
    binding,
    { complete, digest: appliedDigest ?? undefined, reach: appliedReach(target) },
    ref,
  );
}

function appliedReach({ sectionEpoch, reach, killed }: Target): Reach | undefined {
  return sectionEpoch === null ? undefined : { reach, killed: parseKilled(killed) };
}

function parseKilled(json: string | null): readonly number[] {
  return json === null ? [] : (JSON.parse(json) as number[]);
}

/**
 * What a statement is told of verdicts: how far this reaches, the section's verdicts with it, those that it was judged by, and the first row on
 * which it brings one itself, which nothing may have reached by now.
 */
function reachValues(target: Target, ref: Reach) {
  const { killed } = extendReach(appliedReach(target), ref);
  const [firstNew = null] = newlyKilled(appliedReach(target), ref);
  return [ref.reach, killed.length === 0 ? null : JSON.stringify(killed), target.killed, firstNew] as const;
}

/** `at`: of the first of the `reachValues`. Other frames may have been applied since: where they reach farther, it stays. */
function extendedReach(at: number): string {
  return `reach = CASE WHEN sections.reach IS NULL OR excluded.reach IS NULL THEN NULL ELSE greatest(sections.reach, excluded.reach) END,
       killed = $${at + 1}`;
}

function isReachAsJudged(at: number): string {
  return `sections.killed IS NOT DISTINCT FROM $${at + 2} AND ($${at + 3}::bigint IS NULL OR sections.reach < $${at + 3})`;
}

/** A section as it is after something of it was applied, its object's row locked. */
interface BegunSection {
  readonly epoch: number;
  readonly build: string;
  readonly complete: boolean;
  readonly frames: number;
  readonly recordDigest: string | null;
}

/** Locks the object and adds to it, if it is as it was judged; the sections of an object change under its lock alone. */
const objectAsJudged = `id = $1 AND version = $2 AND epoch = $3 AND build = $4 AND complete = $5 AND last_section IS NOT DISTINCT FROM $6::bigint`;
const JUDGED_VALUES = 6;

function judgedValues({ objectId, version, epoch, build, complete, lastSection }: Target) {
  return [objectId, version, epoch, build, complete, lastSection] as const;
}

/** One statement, so that the row of the object is held for it and the commit alone. */
const addFrame = `WITH o AS (
    UPDATE objects SET frames = objects.frames + 1, ${addition(JUDGED_VALUES + 11)} WHERE ${objectAsJudged} RETURNING id
  ), s AS (
    INSERT INTO sections (object_id, section, epoch, build, frames, reach, killed)
    SELECT id, $7, $8, $9, 1, $13, $14 FROM o
    ON CONFLICT (object_id, section) DO UPDATE
      SET frames = sections.frames + 1, ${extendedReach(13)}
      WHERE ${isReachAsJudged(13)}
    RETURNING object_id, section, epoch, build, complete, frames, record_digest
  ), f AS (
    INSERT INTO frames (object_id, section, "partition", number, digest) SELECT object_id, section, $10, $11, $12 FROM s
    ON CONFLICT DO NOTHING RETURNING digest
  )
  SELECT s.epoch, s.build, s.complete, s.frames, s.record_digest AS "recordDigest" FROM s, f`;

export async function applyFrame(
  transaction: Transaction,
  mergeStates: MergeStates,
  frame: SectionFrameRef,
  effects: Effects,
): Promise<ApplyOutcome> {
  const { section, partition, number } = frame;
  const target = await findTarget(transaction, frame, section, frame);
  const outcome = judge(target, target?.frameDigest, frame);
  if (outcome !== 'applied' || target === undefined) return outcome;
  const expected = parseExpected(target.expectedFrames);
  if (!isFrameCounted(expected, partition, number) || !isWithinObject(section, target.lastSection))
    return 'not-deterministic';

  const owner = { table: 'objects', id: target.objectId } as const;
  const owners = new Owners(transaction, target.generationId, frame);
  owners.know({ kind: 'row', object: frame.object, coordinate: null, output: null }, owner);
  await applyEffects(transaction, mergeStates, target.generationId, owner, owners, effects, frame);
  const counts = owners.take(owner);
  // There is nothing else to save unless a frame tells of other objects, which none of ours does.
  await owners.save();
  const begun = await transaction.get<BegunSection>(
    addFrame,
    ...judgedValues(target),
    section,
    frame.epoch,
    frame.build,
    partition,
    number,
    frame.digest,
    ...reachValues(target, frame),
    ...countValues(counts),
  );
  if (begun === undefined || !isAsJudged(begun, target, frame)) throw new Changed();
  await completeSectionIfDone(transaction, target.objectId, section, begun.frames, expected);
  return 'applied';
}

function isAsJudged(
  begun: BegunSection,
  { recordDigest }: Target,
  { epoch, build }: SectionFrameRef,
): boolean {
  return (
    !begun.complete && begun.epoch === epoch && begun.build === build && begun.recordDigest === recordDigest
  );
}

const addRecord = `WITH o AS (
    UPDATE objects SET last_section = CASE WHEN $13 THEN $7 ELSE last_section END, ${addition(JUDGED_VALUES + 12)}
    WHERE ${objectAsJudged} RETURNING id
  )
  INSERT INTO sections (object_id, section, epoch, build, record_digest, next, expected_frames, reach, killed)
  SELECT id, $7, $8, $9, $10, $11, $12, $14, $15 FROM o
  ON CONFLICT (object_id, section) DO UPDATE
    SET record_digest = excluded.record_digest, next = excluded.next, expected_frames = excluded.expected_frames,
      ${extendedReach(14)}
    WHERE sections.record_digest IS NULL AND sections.epoch = excluded.epoch AND sections.build = excluded.build
      AND ${isReachAsJudged(14)}
  RETURNING frames`;

export async function applySectionRecord(
  transaction: Transaction,
  ref: SectionRecordRef,
): Promise<ApplyOutcome> {
  const { record, epoch, build, digest } = ref;
  const { section, last, next, frames, rows, pruned, filtered, failed, transformed, messages } = record;
  const target = await findTarget(transaction, ref, section, null);
  const outcome = judge(target, target?.recordDigest, ref);
  if (outcome !== 'applied' || target === undefined) return outcome;
  const { objectId } = target;
  const agrees = async (): Promise<boolean> =>
    isEndAgreed(record, target.lastSection, await furthestSection(transaction, objectId)) &&
    isRecordOfFrames(record, (await appliedFrames(transaction, objectId, section)).highest);
  if (!(await agrees())) return 'not-deterministic';

  const begun = await transaction.get<{ frames: number }>(
    addRecord,
    ...judgedValues(target),
    section,
    epoch,
    build,
    digest,
    next,
    JSON.stringify(frames),
    last,
    ...reachValues(target, ref),
    ...countValues({ rows, pruned, filtered, failed, transformed, messages }),
  );
  // Frames may have come between the look at them and the lock.
  if (begun === undefined || !(await agrees())) throw new Changed();
  await completeSectionIfDone(transaction, objectId, section, begun.frames, frames);
  return 'applied';
}

/** The highest section of which something is applied. */
async function furthestSection(transaction: Transaction, objectId: number): Promise<number | null> {
  const furthest = await transaction.get<{ section: number | null }>(
    'SELECT max(section) AS section FROM sections WHERE object_id = $1',
    objectId,
  );
  return furthest?.section ?? null;
}
