import type { Failure } from '../../../domain/failure.ts';
import { weightOfFailure } from '../../../domain/reconcile.ts';
import type { Connection } from './connection.ts';
import type { Owner } from './counts.ts';
import { requireGeneration } from './lookups.ts';
import { Owners } from './owners.ts';

/** Who tried, and when. */
export interface Attempt {
  readonly run: string;
  readonly build: string;
  readonly at: number;
}

export interface KnownFailure {
  readonly id: number;
  readonly state: 'open' | 'closed';
  readonly objectId: number | null;
  readonly sourceId: number | null;
  readonly coordinate: number | null;
  readonly output: number | null;
  readonly rows: number;
  readonly closedBy: 'plan' | 'redrive' | null;
}

export function findFailure(
  connection: Connection,
  generationId: number,
  failure: string,
): KnownFailure | undefined {
  return connection.get<KnownFailure>(
    `SELECT id, state, object_id AS objectId, source_id AS sourceId, coordinate, output, rows, closed_by AS closedBy
     FROM failures WHERE generation_id = ? AND failure = ?`,
    generationId,
    failure,
  );
}

export function ownerOf(failure: KnownFailure): Owner {
  return failure.objectId === null
    ? { table: 'sources', id: failure.sourceId as number }
    : { table: 'objects', id: failure.objectId };
}

export function weightOf(failure: KnownFailure) {
  return weightOfFailure({ rows: failure.rows, position: { output: failure.output } });
}

/** Opens a failure that a frame carries. One that is known already stays as it is, be it open or settled. */
export function openFailure(
  connection: Connection,
  generationId: number,
  owners: Owners,
  failure: Failure,
  attempt: Attempt,
): void {
  if (findFailure(connection, generationId, failure.id) === undefined)
    insertFailure(connection, generationId, owners, failure, attempt);
}

function insertFailure(
  connection: Connection,
  generationId: number,
  owners: Owners,
  failure: Failure,
  attempt: Attempt,
): void {
  const { position } = failure;
  const owner = owners.ofPosition(position);
  const ofRow = position.kind === 'row';
  connection.run(
    `INSERT INTO failures (generation_id, failure, state, object_id, object_version, object_size, coordinate, source_id, key, output,
       stage, code, message, rows, payload, attempts, run, build, opened_at, tried_at, closed_at)
     VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, NULL)`,
    generationId,
    failure.id,
    ofRow ? owner.id : null,
    ofRow ? position.object.version : null,
    ofRow ? position.object.size : null,
    ofRow ? position.coordinate : null,
    ofRow ? null : owner.id,
    ofRow ? null : position.key,
    position.output,
    failure.stage,
    failure.code,
    failure.message,
    failure.rows,
    failure.payload,
    attempt.run,
    attempt.build,
    attempt.at,
    attempt.at,
  );
  addOpen(owners, owner, weightOfFailure(failure), 1);
}

export function addOpen(
  owners: Owners,
  owner: Owner,
  weight: ReturnType<typeof weightOfFailure>,
  sign: 1 | -1,
): void {
  owners.add(owner, {
    openRowFailures: sign * weight.rowFailures,
    openMessageFailures: sign * weight.messageFailures,
    openFailedRows: sign * weight.rows,
  });
}

export function tryAgain(connection: Connection, id: number, failure: Failure, attempt: Attempt): void {
  connection.run(
    `UPDATE failures SET state = 'open', closed_at = NULL, closed_by = NULL, attempts = attempts + 1, stage = ?, code = ?, message = ?, payload = ?,
       run = ?, build = ?, tried_at = ? WHERE id = ?`,
    failure.stage,
    failure.code,
    failure.message,
    failure.payload,
    attempt.run,
    attempt.build,
    attempt.at,
    id,
  );
}

export function openFailures(
  connection: Connection,
  generation: string,
  run: string,
  failures: readonly Failure[],
  at: number,
): void {
  const generationId = requireGeneration(connection, generation);
  const build = connection.get<{ build: string }>('SELECT build FROM runs WHERE run = ?', run)?.build ?? '';
  const attempt = { run, build, at };
  const owners = new Owners(connection, generationId, attempt);
  for (const failure of failures) {
    const known = findFailure(connection, generationId, failure.id);
    if (known === undefined) {
      insertFailure(connection, generationId, owners, failure, attempt);
    } else if (known.state === 'open') {
      tryAgain(connection, known.id, failure, attempt);
    } else if (known.closedBy === 'plan') {
      tryAgain(connection, known.id, failure, attempt);
      addOpen(owners, ownerOf(known), weightOf(known), 1);
    }
  }
  owners.save();
}

/** An object that is planned could be opened. */
export function closeObjectFailures(
  connection: Connection,
  owners: Owners,
  objectId: number,
  at: number,
): void {
  const open = connection.all<KnownFailure>(
    `SELECT id, state, object_id AS objectId, source_id AS sourceId, coordinate, output, rows, closed_by AS closedBy
     FROM failures WHERE object_id = ? AND coordinate IS NULL AND state = 'open'`,
    objectId,
  );
  for (const failure of open) {
    connection.run(
      `UPDATE failures SET state = 'closed', closed_at = max(tried_at, ?), closed_by = 'plan' WHERE id = ?`,
      at,
      failure.id,
    );
    addOpen(owners, ownerOf(failure), weightOf(failure), -1);
  }
}
