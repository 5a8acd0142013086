import { decidePlan, type BegunSection, type KnownObject } from '../../../domain/planning.ts';
import type { ObjectPlan, PlannedObject, PlanRequest } from '../../../domain/ports/result-store.ts';
import { completeObjectIfDone } from './completion.ts';
import type { Connection } from './connection.ts';
import { closeObjectFailures } from './failures.ts';
import { addToRun, findObject, requireGeneration, type ObjectRow } from './lookups.ts';
import { Owners } from './owners.ts';

export function planObjects(
  connection: Connection,
  request: PlanRequest,
  objects: readonly PlannedObject[],
): ObjectPlan[] {
  const generationId = requireGeneration(connection, request.generation);
  const owners = new Owners(connection, generationId, request);
  const plans = objects.map((planned) => planObject(connection, generationId, request, owners, planned));
  owners.save();
  return plans;
}

function planObject(
  connection: Connection,
  generationId: number,
  request: PlanRequest,
  owners: Owners,
  { object, lastSection: plannedLast }: PlannedObject,
): ObjectPlan {
  const row = findObject(connection, generationId, object);
  const known = row === undefined || row.epoch === 0 ? undefined : knownObject(connection, row, object);
  const decision = decidePlan(known, object, request);
  const { verdict, epoch } = decision;

  if (verdict === 'other-build' || verdict === 'changed') {
    const { id, lastSection } = row as ObjectRow;
    addToRun(connection, request.run, id);
    return { object, ...decision, lastSection };
  }

  const sameVersion = row?.version === object.version;
  const lastSection = sameVersion ? (row.lastSection ?? plannedLast) : plannedLast;
  const id =
    row === undefined ? insertObject(connection, generationId, request, object, epoch, lastSection) : row.id;
  addToRun(connection, request.run, id);
  if (row !== undefined) closeObjectFailures(connection, owners, id, startOf(connection, request.run));
  if (verdict === 'complete') return { object, ...decision, lastSection };

  if (row !== undefined && !sameVersion) dropOldVersion(connection, owners, id);
  if (row !== undefined) {
    connection.run(
      'UPDATE objects SET version = ?, size = ?, epoch = ?, build = ?, last_section = ? WHERE id = ?',
      object.version,
      object.size,
      epoch,
      request.build,
      lastSection,
      id,
    );
  }
  // Sections may be waiting for nothing but to be told which is the last.
  const plan = { object, ...decision, lastSection };
  return completeObjectIfDone(connection, id) ? { ...plan, verdict: 'complete', complete: [] } : plan;
}

function knownObject(
  connection: Connection,
  row: ObjectRow,
  { bucket, key }: PlannedObject['object'],
): KnownObject {
  return {
    object: { bucket, key, version: row.version, size: row.size },
    build: row.build,
    epoch: row.epoch,
    complete: row.complete === 1,
    sections: begunSections(connection, row.id),
    settled: row.settled > 0,
  };
}

function insertObject(
  connection: Connection,
  generationId: number,
  request: PlanRequest,
  object: PlannedObject['object'],
  epoch: number,
  lastSection: number | null,
): number {
  const { lastInsertRowid } = connection
    .statement(
      'INSERT INTO objects (generation_id, bucket, key, version, size, epoch, build, last_section) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    )
    .run(
      generationId,
      object.bucket,
      object.key,
      object.version,
      object.size,
      epoch,
      request.build,
      lastSection,
    );
  return Number(lastInsertRowid);
}

/** Nothing of the old version was applied: what failed of its rows means nothing any more. */
function dropOldVersion(connection: Connection, owners: Owners, id: number): void {
  owners.save();
  connection.run(
    `DELETE FROM failures WHERE object_id = ? AND coordinate IS NOT NULL AND state = 'open'`,
    id,
  );
  connection.run(
    'UPDATE objects SET open_row_failures = 0, open_message_failures = 0, open_failed_rows = 0 WHERE id = ?',
    id,
  );
}

function begunSections(connection: Connection, objectId: number): readonly BegunSection[] {
  const rows = connection.all<Omit<BegunSection, 'complete'> & { complete: number }>(
    'SELECT section, build, epoch, complete, next FROM sections WHERE object_id = ? ORDER BY section',
    objectId,
  );
  return rows.map((row) => ({ ...row, complete: row.complete === 1 }));
}

/** When the run started; 0 where it was not saved. */
function startOf(connection: Connection, run: string): number {
  return connection.get<{ at: number }>('SELECT started_at AS at FROM runs WHERE run = ?', run)?.at ?? 0;
}
