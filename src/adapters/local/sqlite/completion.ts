import { isObjectComplete, isSectionComplete } from '../../../domain/applying.ts';
import type { Reach } from '../../../domain/reach.ts';
import type { SectionRecord } from '../../../domain/section.ts';
import type { Connection } from './connection.ts';

/** A section as its row tells. */
export interface SectionRow {
  readonly epoch: number;
  readonly build: string;
  readonly complete: number;
  readonly frames: number;
  readonly recordDigest: string | null;
  readonly next: number | null;
  /** JSON; `null` until the record comes. */
  readonly expectedFrames: string | null;
  /** `null`: to the section's end. */
  readonly reach: number | null;
  /** JSON; `null` where no row has a verdict. */
  readonly killed: string | null;
}

export function findSection(
  connection: Connection,
  objectId: number,
  section: number,
): SectionRow | undefined {
  return connection.get<SectionRow>(
    `SELECT epoch, build, complete, frames, record_digest AS recordDigest, next, expected_frames AS expectedFrames,
       reach, killed
     FROM sections WHERE object_id = ? AND section = ?`,
    objectId,
    section,
  );
}

/** How far a section is applied. */
export function reachOf({ reach, killed }: Pick<SectionRow, 'reach' | 'killed'>): Reach {
  return { reach, killed: killed === null ? [] : (JSON.parse(killed) as number[]) };
}

/** Frames applied of a section, by partition. */
export function appliedFrames(connection: Connection, objectId: number, section: number) {
  const rows = connection.all<{ partition: number; frames: number; highest: number }>(
    `SELECT "partition", count(*) AS frames, max(number) AS highest FROM frames
     WHERE object_id = ? AND section = ? GROUP BY "partition"`,
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

/** Shrinks a section to one mark if its frames are all there, and then its object to one row if its sections are. */
export function completeSectionIfDone(connection: Connection, objectId: number, section: number): void {
  const { frames, expectedFrames } = findSection(connection, objectId, section) as SectionRow;
  const expected = parseExpected(expectedFrames);
  // Counting by partition costs a scan of the section's frames: not before it can succeed.
  if (expected === undefined || frames !== expected.reduce((sum, [, count]) => sum + count, 0)) return;
  if (!isSectionComplete({ frames: expected }, appliedFrames(connection, objectId, section).count)) return;
  connection.run('DELETE FROM frames WHERE object_id = ? AND section = ?', objectId, section);
  connection.run(
    'UPDATE sections SET complete = 1, expected_frames = NULL WHERE object_id = ? AND section = ?',
    objectId,
    section,
  );
  connection.run('UPDATE objects SET sections_complete = sections_complete + 1 WHERE id = ?', objectId);
  completeObjectIfDone(connection, objectId);
}

export function completeObjectIfDone(connection: Connection, objectId: number): boolean {
  const { lastSection, sectionsComplete } = connection.get<{
    lastSection: number | null;
    sectionsComplete: number;
  }>(
    'SELECT last_section AS lastSection, sections_complete AS sectionsComplete FROM objects WHERE id = ?',
    objectId,
  ) as { lastSection: number | null; sectionsComplete: number };
  if (!isObjectComplete(lastSection, sectionsComplete)) return false;
  connection.run('DELETE FROM sections WHERE object_id = ?', objectId);
  connection.run('UPDATE objects SET complete = 1 WHERE id = ?', objectId);
  return true;
}
