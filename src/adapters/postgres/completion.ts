import { isObjectComplete, isSectionComplete } from '../../domain/applying.ts';
import type { SectionRecord } from '../../domain/section.ts';
import type { Transaction } from './transaction.ts';

/** Frames applied of a section, by partition. */
export async function appliedFrames(transaction: Transaction, objectId: number, section: number) {
  const rows = await transaction.all<{ partition: number; frames: number; highest: number }>(
    `SELECT "partition", count(*) AS frames, max(number) AS highest FROM frames
     WHERE object_id = $1 AND section = $2 GROUP BY "partition"`,
    objectId,
    section,
  );
  return {
    count: new Map(rows.map(({ partition, frames }) => [partition, frames])),
    highest: new Map(rows.map(({ partition, highest }) => [partition, highest])),
  };
}

export function parseExpected(json: string | null): SectionRecord['frames'] | undefined {
  return json === null ? undefined : (JSON.parse(json) as SectionRecord['frames']);
}

/**
 * Shrinks a section to one mark if its frames are all there, and then its object to one row if its sections are. The
 * row of the object is locked.
 *
 * @param frames how many are applied
 * @param expected what the section record counts; `undefined` where it has not come
 */
export async function completeSectionIfDone(
  transaction: Transaction,
  objectId: number,
  section: number,
  frames: number,
  expected: SectionRecord['frames'] | undefined,
): Promise<void> {
  // Counting by partition costs a scan of the section's frames: not before it can succeed.
  if (expected === undefined || frames !== expected.reduce((sum, [, count]) => sum + count, 0)) return;
  const { count } = await appliedFrames(transaction, objectId, section);
  if (!isSectionComplete({ frames: expected }, count)) return;
  const object = (await transaction.get<{ lastSection: number | null; sectionsComplete: number }>(
    `WITH gone AS (DELETE FROM frames WHERE object_id = $1 AND section = $2),
       done AS (UPDATE sections SET complete = true, expected_frames = NULL WHERE object_id = $1 AND section = $2)
     UPDATE objects SET sections_complete = sections_complete + 1 WHERE id = $1
     RETURNING last_section AS "lastSection", sections_complete AS "sectionsComplete"`,
    objectId,
    section,
  )) as { lastSection: number | null; sectionsComplete: number };
  if (isObjectComplete(object.lastSection, object.sectionsComplete))
    await completeObjects(transaction, [objectId]);
}

export async function completeObjects(transaction: Transaction, objectIds: readonly number[]): Promise<void> {
  if (objectIds.length === 0) return;
  await transaction.run(
    `WITH gone AS (DELETE FROM sections WHERE object_id = ANY($1::bigint[]))
     UPDATE objects SET complete = true WHERE id = ANY($1::bigint[])`,
    objectIds,
  );
}
