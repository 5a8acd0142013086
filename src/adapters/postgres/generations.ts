import { DomainError } from '../../domain/errors.ts';
import type { Generation } from '../../domain/generation.ts';
import type { RunRecord } from '../../domain/ports/result-store.ts';
import { findGeneration } from './lookups.ts';
import type { Transaction } from './transaction.ts';
import { dropView } from './view.ts';

/** Whether a generation is known as it is declared: then there is nothing to do, and nobody to keep out. */
export async function isDeclared(
  transaction: Transaction,
  { id, fingerprint }: Generation,
): Promise<boolean> {
  const known = await transaction.get(
    'SELECT id FROM generations WHERE generation = $1 AND fingerprint = $2',
    id,
    fingerprint,
  );
  return known !== undefined;
}

/** Under the lock of who writes alone. */
export async function declare(
  transaction: Transaction,
  { id, pipeline, version, fingerprint, declared }: Generation,
): Promise<void> {
  const known = await transaction.get<{ rowId: number; fingerprint: string }>(
    'SELECT id AS "rowId", fingerprint FROM generations WHERE generation = $1',
    id,
  );
  if (known?.fingerprint === fingerprint) return;
  if (known !== undefined) {
    if (!(await isUntouched(transaction, known.rowId)))
      throw new DomainError(
        `${id} was declared with other data: raise its version, or drop its results with --fresh`,
        {
          code: 'E_PIPELINE_CHANGED',
        },
      );
    await purge(transaction, id);
  }
  await transaction.run(
    'INSERT INTO generations (generation, pipeline, version, fingerprint, declared) VALUES ($1, $2, $3, $4, $5)',
    id,
    pipeline,
    version,
    fingerprint,
    declared,
  );
}

/** Whether nothing of a generation was applied: what it was declared as binds nobody then. */
async function isUntouched(transaction: Transaction, id: number): Promise<boolean> {
  const found = await transaction.get<{ touched: boolean }>(
    `SELECT EXISTS (SELECT FROM objects WHERE generation_id = $1 AND (complete OR applied > 0))
         OR EXISTS (SELECT FROM sections JOIN objects ON objects.id = object_id WHERE generation_id = $1)
         OR EXISTS (SELECT FROM sources WHERE generation_id = $1 AND (rows > 0 OR applied > 0))
         OR EXISTS (SELECT FROM keys JOIN sources ON sources.id = source_id WHERE generation_id = $1) AS touched`,
    id,
  );
  return found?.touched === false;
}

/** What belongs to a generation, those first that are found by others. */
const belongings = [
  'DELETE FROM run_objects USING objects WHERE object_id = objects.id AND generation_id = $1',
  'DELETE FROM frames USING objects WHERE object_id = objects.id AND generation_id = $1',
  'DELETE FROM sections USING objects WHERE object_id = objects.id AND generation_id = $1',
  'DELETE FROM flags USING objects WHERE object_id = objects.id AND generation_id = $1',
  'DELETE FROM flags USING sources WHERE source_id = sources.id AND generation_id = $1',
  'DELETE FROM keys USING sources WHERE source_id = sources.id AND generation_id = $1',
  'DELETE FROM published USING publications WHERE publication_id = publications.id AND generation_id = $1',
  'DELETE FROM publications WHERE generation_id = $1',
  'DELETE FROM failures WHERE generation_id = $1',
  'DELETE FROM groups WHERE generation_id = $1',
  'DELETE FROM objects WHERE generation_id = $1',
  'DELETE FROM sources WHERE generation_id = $1',
  'DELETE FROM generations WHERE id = $1',
];

/**
 * Under the lock of who writes alone. There are no foreign keys that would do the same: each of them would cost a look-up and a
 * lock on the row of the generation with every row that is written.
 */
export async function purge(transaction: Transaction, generation: string): Promise<void> {
  await transaction.run('DELETE FROM runs WHERE generation = $1', generation);
  const id = await findGeneration(transaction, generation);
  if (id === undefined) return;
  await dropView(transaction, generation);
  for (const statement of belongings) await transaction.run(statement, id);
}

export function readGenerations(transaction: Transaction): Promise<Generation[]> {
  return transaction.all<Generation>(
    'SELECT generation AS id, pipeline, version, fingerprint, declared FROM generations ORDER BY generation',
  );
}

export async function saveRun(
  transaction: Transaction,
  { id, generation, build, startedAt, finishedAt, report }: RunRecord,
): Promise<void> {
  await transaction.run(
    `INSERT INTO runs (run, generation, build, started_at, finished_at, report) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (run) DO UPDATE SET generation = excluded.generation, build = excluded.build, started_at = excluded.started_at,
       finished_at = excluded.finished_at, report = excluded.report`,
    id,
    generation,
    build,
    startedAt,
    finishedAt,
    report,
  );
}

const runColumns =
  'run AS id, generation, build, started_at AS "startedAt", finished_at AS "finishedAt", report';

export function readRun(transaction: Transaction, id: string): Promise<RunRecord | undefined> {
  return transaction.get<RunRecord>(`SELECT ${runColumns} FROM runs WHERE run = $1`, id);
}

export function readRuns(transaction: Transaction): Promise<RunRecord[]> {
  return transaction.all<RunRecord>(`SELECT ${runColumns} FROM runs ORDER BY started_at, run`);
}
