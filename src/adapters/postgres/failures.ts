import type { Failure } from '../../domain/failure.ts';
import { weightOfFailure, type FailureWeight } from '../../domain/reconcile.ts';
import type { Owner } from './counts.ts';
import { requireGeneration } from './lookups.ts';
import { Owners } from './owners.ts';
import { Changed, type Transaction } from './transaction.ts';

/** Who tried, and when. */
export interface Attempt {
  readonly run: string;
  readonly build: string;
  readonly at: number;
}

export interface KnownFailure {
  readonly id: number;
  readonly failure: string;
  readonly state: 'open' | 'closed';
  readonly objectId: number | null;
  readonly sourceId: number | null;
  readonly output: number | null;
  readonly rows: number;
  readonly closedBy: 'plan' | 'redrive' | null;
}

export const failureColumns = `f.id, f.failure, f.state, f.object_id AS "objectId", f.source_id AS "sourceId", f.output, f.rows,
  f.closed_by AS "closedBy"`;

export function ownerOf(failure: KnownFailure): Owner {
  return failure.objectId === null
    ? { table: 'sources', id: failure.sourceId as number }
    : { table: 'objects', id: failure.objectId };
}

export function weightOf(failure: KnownFailure): FailureWeight {
  return weightOfFailure({ rows: failure.rows, position: { output: failure.output } });
}

export function addOpen(owners: Owners, owner: Owner, weight: FailureWeight, sign: 1 | -1): void {
  owners.add(owner, {
    openRowFailures: sign * weight.rowFailures,
    openMessageFailures: sign * weight.messageFailures,
    openFailedRows: sign * weight.rows,
  });
}

/**
 * Opens failures, of positions that `owners` knows, in the order in which they are given. One that is known already stays as it
 * is, be it open or settled.
 *
 * @returns ids of those that were not known
 */
export async function insertFailures(
  transaction: Transaction,
  generationId: number,
  owners: Owners,
  failures: readonly Failure[],
  { run, build, at }: Attempt,
): Promise<Set<string>> {
  const byId = new Map<string, Failure>();
  for (const failure of failures) if (!byId.has(failure.id)) byId.set(failure.id, failure);
  const list = [...byId.values()];
  if (list.length === 0) return new Set();
  const objectOf = ({ position }: Failure) => (position.kind === 'row' ? position.object : undefined);
  const ownerId = ({ position }: Failure, table: Owner['table']): number | null => {
    const owner = owners.ofPosition(position);
    return owner.table === table ? owner.id : null;
  };
  const opened = await transaction.all<{ failure: string }>(
    `INSERT INTO failures (generation_id, failure, state, object_id, object_version, object_size, coordinate, source_id, key, output,
       stage, code, message, rows, payload, attempts, run, build, opened_at, tried_at)
     SELECT $1, failure, 'open', object_id, object_version, object_size, coordinate, source_id, key, output,
       stage, code, message, rows, payload, 1, $2, $3, $4, $4
     FROM unnest($5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[],
         $13::text[], $14::text[], $15::text[], $16::bigint[], $17::bytea[]) WITH ORDINALITY
       AS added (failure, object_id, object_version, object_size, coordinate, source_id, key, output,
         stage, code, message, rows, payload, place)
     ORDER BY place ON CONFLICT DO NOTHING RETURNING failure`,
    generationId,
    run,
    build,
    at,
    list.map(({ id }) => id),
    list.map((failure) => ownerId(failure, 'objects')),
    list.map((failure) => objectOf(failure)?.version ?? null),
    list.map((failure) => objectOf(failure)?.size ?? null),
    list.map(({ position }) => (position.kind === 'row' ? position.coordinate : null)),
    list.map((failure) => ownerId(failure, 'sources')),
    list.map(({ position }) => (position.kind === 'key' ? position.key : null)),
    list.map(({ position }) => position.output),
    list.map(({ stage }) => stage),
    list.map(({ code }) => code),
    list.map(({ message }) => message),
    list.map(({ rows }) => rows),
    list.map(({ payload }) => payload),
  );
  const ids = new Set(opened.map(({ failure }) => failure));
  for (const failure of list)
    if (ids.has(failure.id))
      addOpen(owners, owners.ofPosition(failure.position), weightOfFailure(failure), 1);
  return ids;
}

/** @returns whether it was as it was expected to be */
export async function tryAgain(
  transaction: Transaction,
  { id, state }: Pick<KnownFailure, 'id' | 'state'>,
  failure: Failure,
  attempt: Attempt,
): Promise<boolean> {
  const updated = await transaction.run(
    `UPDATE failures SET state = 'open', closed_at = NULL, closed_by = NULL, attempts = attempts + 1, stage = $1, code = $2,
       message = $3, payload = $4, run = $5, build = $6, tried_at = $7 WHERE id = $8 AND state = $9`,
    failure.stage,
    failure.code,
    failure.message,
    failure.payload,
    attempt.run,
    attempt.build,
    attempt.at,
    id,
    state,
  );
  return updated === 1;
}

/** Few at a time: what could not be opened, and what killed its process. */
export async function openFailures(
  transaction: Transaction,
  generation: string,
  run: string,
  failures: readonly Failure[],
  at: number,
): Promise<void> {
  const generationId = await requireGeneration(transaction, generation);
  const saved = await transaction.get<{ build: string }>('SELECT build FROM runs WHERE run = $1', run);
  const attempt = { run, build: saved?.build ?? '', at };
  const owners = new Owners(transaction, generationId, attempt);
  const find = (lock: '' | 'FOR NO KEY UPDATE') =>
    transaction.all<KnownFailure>(
      `SELECT ${failureColumns} FROM failures f WHERE generation_id = $1 AND failure = ANY($2::text[]) ORDER BY f.id ${lock}`,
      generationId,
      failures.map(({ id }) => id),
    );
  const isThere = new Set((await find('')).map(({ failure }) => failure));
  await owners.find(failures.filter(({ id }) => !isThere.has(id)).map(({ position }) => position));

  const known = new Map((await find('FOR NO KEY UPDATE')).map((one) => [one.failure, one]));
  const opened = await insertFailures(
    transaction,
    generationId,
    owners,
    failures.filter(({ id }) => !isThere.has(id)),
    attempt,
  );
  // Somebody else opened one of them, or planning dropped one, just now.
  if (new Set(failures.map(({ id }) => id)).size !== known.size + opened.size) throw new Changed();

  if (opened.size > 0)
    for (const one of await find('')) if (opened.has(one.failure)) known.set(one.failure, one);
  const isFirst = new Set(opened);
  for (const failure of failures) {
    const one = known.get(failure.id) as KnownFailure;
    if (isFirst.delete(failure.id) || (one.state === 'closed' && one.closedBy !== 'plan')) continue;
    await tryAgain(transaction, one, failure, attempt);
    if (one.state === 'closed') addOpen(owners, ownerOf(one), weightOf(one), 1);
    known.set(failure.id, { ...one, state: 'open', closedBy: null });
  }
  await owners.save();
}
