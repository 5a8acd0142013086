import {
  isEndAgreed,
  isFrameCounted,
  isRecordOfFrames,
  isWithinObject,
  judgeFrame,
  nothingApplied,
} from '../../../domain/applying.ts';
import type {
  ApplyOutcome,
  Effects,
  MergeStates,
  SectionFrameRef,
  SectionRecordRef,
} from '../../../domain/ports/result-store.ts';
import { extendReach } from '../../../domain/reach.ts';
import {
  appliedFrames,
  completeSectionIfDone,
  findSection,
  parseExpected,
  reachOf,
  type SectionRow,
} from './completion.ts';
import type { Connection } from './connection.ts';
import { addCounts } from './counts.ts';
import { applyEffects } from './effects.ts';
import { findGeneration, findObject, type ObjectRow } from './lookups.ts';
import { Owners } from './owners.ts';

interface Target {
  readonly generationId: number;
  readonly object: ObjectRow;
  readonly section: SectionRow | undefined;
}

/** What a frame is for; `undefined` where its generation or object is not planned. */
function findTarget(
  connection: Connection,
  ref: SectionFrameRef | SectionRecordRef,
  section: number,
): Target | undefined {
  const generationId = findGeneration(connection, ref.generation);
  if (generationId === undefined) return undefined;
  const object = findObject(connection, generationId, ref.object);
  // Epoch 0: known by a failure only, never planned.
  if (object === undefined || object.epoch === 0) return undefined;
  return { generationId, object, section: findSection(connection, object.id, section) };
}

function judge(
  target: Target | undefined,
  appliedDigest: string | null,
  ref: SectionFrameRef | SectionRecordRef,
): ApplyOutcome {
  if (target === undefined) return judgeFrame(undefined, nothingApplied, ref);
  const { object, section } = target;
  const { build, epoch } = section ?? object;
  const complete = object.complete === 1 || section?.complete === 1;
  const reach = section === undefined ? undefined : reachOf(section);
  const applied = { complete, digest: appliedDigest ?? undefined, reach };
  return judgeFrame({ version: object.version, build, epoch }, applied, ref);
}

/** Makes the section's row where there is none, and tells how far the section is applied with this. */
function begin(
  connection: Connection,
  target: Target,
  ref: SectionFrameRef | SectionRecordRef,
  section: number,
): Pick<SectionRow, 'reach' | 'killed'> {
  if (target.section === undefined) {
    connection.run(
      'INSERT INTO sections (object_id, section, epoch, build) VALUES (?, ?, ?, ?)',
      target.object.id,
      section,
      ref.epoch,
      ref.build,
    );
  }
  const { reach, killed } = extendReach(
    target.section === undefined ? undefined : reachOf(target.section),
    ref,
  );
  return { reach, killed: killed.length === 0 ? null : JSON.stringify(killed) };
}

export function applyFrame(
  connection: Connection,
  mergeStates: MergeStates,
  frame: SectionFrameRef,
  effects: Effects,
): ApplyOutcome {
  const { section, partition, number } = frame;
  const target = findTarget(connection, frame, section);
  const applied =
    target?.section === undefined
      ? undefined
      : connection.get<{ digest: string }>(
          'SELECT digest FROM frames WHERE object_id = ? AND section = ? AND "partition" = ? AND number = ?',
          target.object.id,
          section,
          partition,
          number,
        );
  const outcome = judge(target, applied?.digest ?? null, frame);
  if (outcome !== 'applied' || target === undefined) return outcome;

  const { generationId, object } = target;
  const expected = parseExpected(target.section?.expectedFrames ?? null);
  if (!isFrameCounted(expected, partition, number) || !isWithinObject(section, object.lastSection))
    return 'not-deterministic';

  const { reach, killed } = begin(connection, target, frame, section);
  connection.run(
    'INSERT INTO frames (object_id, section, "partition", number, digest) VALUES (?, ?, ?, ?, ?)',
    object.id,
    section,
    partition,
    number,
    frame.digest,
  );
  connection.run(
    'UPDATE sections SET frames = frames + 1, reach = ?, killed = ? WHERE object_id = ? AND section = ?',
    reach,
    killed,
    object.id,
    section,
  );
  connection.run('UPDATE objects SET frames = frames + 1 WHERE id = ?', object.id);
  const owners = new Owners(connection, generationId, frame);
  applyEffects(
    connection,
    mergeStates,
    generationId,
    { table: 'objects', id: object.id },
    owners,
    effects,
    frame,
  );
  owners.save();
  completeSectionIfDone(connection, object.id, section);
  return 'applied';
}

export function applySectionRecord(connection: Connection, ref: SectionRecordRef): ApplyOutcome {
  const { record } = ref;
  const target = findTarget(connection, ref, record.section);
  const outcome = judge(target, target?.section?.recordDigest ?? null, ref);
  if (outcome !== 'applied' || target === undefined) return outcome;

  const { object } = target;
  const furthest = connection.get<{ section: number | null }>(
    'SELECT max(section) AS section FROM sections WHERE object_id = ?',
    object.id,
  );
  if (!isEndAgreed(record, object.lastSection, furthest?.section ?? null)) return 'not-deterministic';
  if (!isRecordOfFrames(record, appliedFrames(connection, object.id, record.section).highest))
    return 'not-deterministic';

  const { reach, killed } = begin(connection, target, ref, record.section);
  connection.run(
    `UPDATE sections SET record_digest = ?, next = ?, expected_frames = ?, reach = ?, killed = ?
     WHERE object_id = ? AND section = ?`,
    ref.digest,
    record.next,
    JSON.stringify(record.frames),
    reach,
    killed,
    object.id,
    record.section,
  );
  if (record.last)
    connection.run('UPDATE objects SET last_section = ? WHERE id = ?', record.section, object.id);
  const { rows, pruned, filtered, failed, transformed, messages } = record;
  addCounts(
    connection,
    { table: 'objects', id: object.id },
    { rows, pruned, filtered, failed, transformed, messages },
  );
  completeSectionIfDone(connection, object.id, record.section);
  return 'applied';
}
