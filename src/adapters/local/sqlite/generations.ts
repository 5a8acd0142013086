import { DomainError } from '../../../domain/errors.ts';
import type { Generation } from '../../../domain/generation.ts';
import type { RunRecord } from '../../../domain/ports/result-store.ts';
import type { Connection } from './connection.ts';
import { findGeneration } from './lookups.ts';
import { dropView } from './publish.ts';

export function declare(
  connection: Connection,
  { id, pipeline, version, fingerprint, declared }: Generation,
): void {
  const known = connection.get<{ rowId: number; fingerprint: string }>(
    'SELECT id AS rowId, fingerprint FROM generations WHERE generation = ?',
    id,
  );
  const changed = known !== undefined && known.fingerprint !== fingerprint;
  const replaces = changed && isUntouched(connection, known.rowId);
  if (replaces) purge(connection, id);
  if (known === undefined || replaces) {
    connection.run(
      'INSERT INTO generations (generation, pipeline, version, fingerprint, declared) VALUES (?, ?, ?, ?, ?)',
      id,
      pipeline,
      version,
      fingerprint,
      declared,
    );
  } else if (changed) {
    throw new DomainError(
      `${id} was declared with other data: raise its version, or drop its results with --fresh`,
      {
        code: 'E_PIPELINE_CHANGED',
      },
    );
  }
}

/** Whether nothing of a generation was applied: what it was declared as binds nobody then. */
function isUntouched(connection: Connection, id: number): boolean {
  const { touched } = connection.get<{ touched: number }>(
    `SELECT EXISTS (SELECT 1 FROM objects WHERE generation_id = ?1 AND (complete = 1 OR applied > 0))
         OR EXISTS (SELECT 1 FROM sections JOIN objects ON objects.id = object_id WHERE generation_id = ?1)
         OR EXISTS (SELECT 1 FROM sources WHERE generation_id = ?1 AND (rows > 0 OR applied > 0))
         OR EXISTS (SELECT 1 FROM keys JOIN sources ON sources.id = source_id WHERE generation_id = ?1) AS touched`,
    id,
  ) as { touched: number };
  return touched === 0;
}

export function purge(connection: Connection, generation: string): void {
  connection.run('DELETE FROM runs WHERE generation = ?', generation);
  const id = findGeneration(connection, generation);
  if (id === undefined) return;
  connection.run('DELETE FROM results WHERE generation = ?', generation);
  dropView(connection, generation);
  connection.run(
    'DELETE FROM run_objects WHERE object_id IN (SELECT id FROM objects WHERE generation_id = ?)',
    id,
  );
  // Everything else goes with it.
  connection.run('DELETE FROM generations WHERE id = ?', id);
}

export function readGenerations(connection: Connection): Generation[] {
  return connection
    .all<Generation>(
      'SELECT generation AS id, pipeline, version, fingerprint, declared FROM generations ORDER BY generation',
    )
    .map((row) => ({ ...row }));
}

export function saveRun(
  connection: Connection,
  { id, generation, build, startedAt, finishedAt, report }: RunRecord,
): void {
  connection.run(
    'INSERT OR REPLACE INTO runs (run, generation, build, started_at, finished_at, report) VALUES (?, ?, ?, ?, ?, ?)',
    id,
    generation,
    build,
    startedAt,
    finishedAt,
    report,
  );
}

const runColumns = 'run AS id, generation, build, started_at AS startedAt, finished_at AS finishedAt, report';

export function readRun(connection: Connection, id: string): RunRecord | undefined {
  const row = connection.get<RunRecord>(`SELECT ${runColumns} FROM runs WHERE run = ?`, id);
  return row === undefined ? undefined : { ...row };
}

export function readRuns(connection: Connection): RunRecord[] {
  return connection
    .all<RunRecord>(`SELECT ${runColumns} FROM runs ORDER BY started_at, run`)
    .map((row) => ({ ...row }));
}
