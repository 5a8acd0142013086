import { isObjectComplete } from '../../domain/applying.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import { decidePlan, type BegunSection, type KnownObject, type PlanDecision } from '../../domain/planning.ts';
import type { ObjectPlan, PlannedObject, PlanRequest } from '../../domain/ports/result-store.ts';
import { completeObjects } from './completion.ts';
import { addOpen, failureColumns, ownerOf, weightOf, type KnownFailure } from './failures.ts';
import { requireGeneration } from './lookups.ts';
import { addToRun, Owners } from './owners.ts';
import { Changed, type Transaction } from './transaction.ts';

/** A fixed number of statements, however many objects there are. */
export async function planObjects(
  transaction: Transaction,
  request: PlanRequest,
  objects: readonly PlannedObject[],
): Promise<ObjectPlan[]> {
  const generationId = await requireGeneration(transaction, request.generation);
  const plans: ObjectPlan[] = Array.from({ length: objects.length });
  // The same object named twice is planned twice, one after the other.
  let rest = objects.map((planned, place) => ({ planned, place }));
  while (rest.length > 0) {
    const wave = new Map<string, (typeof rest)[number]>();
    const later: typeof rest = [];
    for (const one of rest) {
      const name = nameOf(one.planned.object);
      if (wave.has(name)) later.push(one);
      else wave.set(name, one);
    }
    const planned = await planWave(
      transaction,
      generationId,
      request,
      [...wave.values()].map((one) => one.planned),
    );
    for (const [i, { place }] of [...wave.values()].entries()) plans[place] = planned[i] as ObjectPlan;
    rest = later;
  }
  return plans;
}

interface ObjectRow extends LakeObject {
  readonly id: number;
  readonly epoch: number;
  readonly build: string;
  readonly lastSection: number | null;
  readonly sectionsComplete: number;
  readonly complete: boolean;
  /** Failures that redrives settled. */
  readonly settled: number;
}

interface SectionRow extends BegunSection {
  readonly objectId: number;
}

/** What is decided of an object that was known before. */
interface Decision extends PlanDecision {
  readonly row: ObjectRow;
  readonly object: LakeObject;
  readonly lastSection: number | null;
  /** It was refused, and nothing of it changes. */
  readonly refused: boolean;
  /** It is planned with another version than before. */
  readonly renewed: boolean;
}

/** Plans objects of which none is named twice. */
async function planWave(
  transaction: Transaction,
  generationId: number,
  request: PlanRequest,
  objects: readonly PlannedObject[],
): Promise<ObjectPlan[]> {
  const made = await insertObjects(transaction, generationId, request, objects);
  const known = objects.filter(({ object }) => !made.has(nameOf(object)));
  const knownNames = namesOf(known);
  const failures = await lockFailures(transaction, generationId, known, knownNames);
  const rows = await lockObjects(transaction, generationId, knownNames);
  const sections = Map.groupBy(
    await readSections(
      transaction,
      [...rows.values()].map(({ id }) => id),
    ),
    ({ objectId }) => objectId,
  );

  const decisions = new Map<string, Decision>();
  for (const planned of known) {
    const row = rows.get(nameOf(planned.object)) as ObjectRow;
    decisions.set(nameOf(planned.object), decide(row, sections.get(row.id) ?? [], planned, request));
  }
  await addToRun(
    transaction,
    request.run,
    [...made.values(), ...[...rows.values()].map(({ id }) => id)].sort((a, b) => a - b),
  );
  const completed = new Set<number>();
  if (known.length > 0) {
    const accepted = [...decisions.values()].filter(({ refused }) => !refused);
    await settleFailures(transaction, generationId, request, accepted, failures);
    await updateObjects(transaction, request.build, accepted);
    // Sections may be waiting for nothing but to be told which is the last.
    for (const { row, verdict, lastSection } of accepted)
      if (verdict === 'process' && isObjectComplete(lastSection, row.sectionsComplete)) completed.add(row.id);
    await completeObjects(transaction, [...completed]);
  }

  return objects.map(({ object, lastSection }) => {
    const decision = decisions.get(nameOf(object));
    if (decision === undefined) return { object, ...decidePlan(undefined, object, request), lastSection };
    const { verdict, epoch, complete, held } = decision;
    const plan = { object, verdict, epoch, lastSection: decision.lastSection, complete, held };
    return completed.has(decision.row.id) ? { ...plan, verdict: 'complete', complete: [] } : plan;
  });
}

function decide(
  row: ObjectRow,
  sections: readonly SectionRow[],
  { object, lastSection: plannedLast }: PlannedObject,
  request: PlanRequest,
): Decision {
  const known: KnownObject = {
    object: { ...object, version: row.version },
    build: row.build,
    epoch: row.epoch,
    complete: row.complete,
    sections,
    settled: row.settled > 0,
  };
  const decision = decidePlan(row.epoch === 0 ? undefined : known, object, request);
  const { verdict } = decision;
  const refused = verdict === 'other-build' || verdict === 'changed';
  const sameVersion = row.version === object.version.toWellFormed();
  const lastSection = refused
    ? row.lastSection
    : sameVersion
      ? (row.lastSection ?? plannedLast)
      : plannedLast;
  return { ...decision, row, object, lastSection, refused, renewed: !refused && !sameVersion };
}

/** @returns ids of those that were not known, by name */
async function insertObjects(
  transaction: Transaction,
  generationId: number,
  request: PlanRequest,
  objects: readonly PlannedObject[],
): Promise<Map<string, number>> {
  const { epoch } = decidePlan(undefined, { bucket: '', key: '', version: '', size: 0 }, request);
  const made = await transaction.all<{ id: number; bucket: string; key: string }>(
    `INSERT INTO objects (generation_id, bucket, key, version, size, epoch, build, last_section)
     SELECT $1, bucket, key, version, size, $2, $3, last_section
     FROM unnest($4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[]) AS planned (bucket, key, version, size, last_section)
     ORDER BY bucket COLLATE "C", key COLLATE "C" ON CONFLICT DO NOTHING RETURNING id, bucket, key`,
    generationId,
    epoch,
    request.build,
    ...namesOf(objects),
    objects.map(({ object }) => object.version),
    objects.map(({ object }) => object.size),
    objects.map(({ lastSection }) => lastSection),
  );
  return new Map(made.map((row) => [nameOf(row), row.id]));
}

type Names = readonly [buckets: readonly string[], keys: readonly string[]];

function namesOf(objects: readonly PlannedObject[]): Names {
  return [objects.map(({ object }) => object.bucket), objects.map(({ object }) => object.key)];
}

function nameOf({ bucket, key }: Pick<LakeObject, 'bucket' | 'key'>): string {
  return JSON.stringify([bucket.toWellFormed(), key.toWellFormed()]);
}

/**
 * Open failures that planning may close (of an object as a whole) or drop (of rows of another version). Failures come
 * before objects in the order of locks.
 */
async function lockFailures(
  transaction: Transaction,
  generationId: number,
  objects: readonly PlannedObject[],
  names: Names,
): Promise<(KnownFailure & { readonly ofWhole: boolean })[]> {
  if (objects.length === 0) return [];
  return transaction.all(
    `SELECT ${failureColumns}, f.coordinate IS NULL AS "ofWhole"
     FROM unnest($2::text[], $3::text[], $4::text[]) AS planned (bucket, key, version)
       JOIN objects o ON o.generation_id = $1 AND o.bucket = planned.bucket AND o.key = planned.key
       JOIN failures f ON f.object_id = o.id
     WHERE f.state = 'open' AND (f.coordinate IS NULL OR o.version <> planned.version)
     ORDER BY f.id FOR UPDATE OF f`,
    generationId,
    ...names,
    objects.map(({ object }) => object.version),
  );
}

async function lockObjects(
  transaction: Transaction,
  generationId: number,
  names: Names,
): Promise<Map<string, ObjectRow>> {
  if (names[0].length === 0) return new Map();
  const rows = await transaction.all<ObjectRow>(
    `SELECT o.id, o.bucket, o.key, o.version, o.size, o.epoch, o.build, o.last_section AS "lastSection",
       o.sections_complete AS "sectionsComplete", o.complete, o.closed_row_failures + o.closed_message_failures AS settled
     FROM unnest($2::text[], $3::text[]) AS planned (bucket, key)
       JOIN objects o ON o.generation_id = $1 AND o.bucket = planned.bucket AND o.key = planned.key
     ORDER BY o.id FOR NO KEY UPDATE OF o`,
    generationId,
    ...names,
  );
  return new Map(rows.map((row) => [nameOf(row), row]));
}

async function readSections(transaction: Transaction, objectIds: readonly number[]): Promise<SectionRow[]> {
  if (objectIds.length === 0) return [];
  return transaction.all(
    `SELECT object_id AS "objectId", section, build, epoch, complete, next FROM sections
     WHERE object_id = ANY($1::bigint[]) ORDER BY object_id, section`,
    objectIds,
  );
}

/** An object that is planned could be opened; and nothing of an old version was applied: what failed of its rows means nothing any more. */
async function settleFailures(
  transaction: Transaction,
  generationId: number,
  request: PlanRequest,
  accepted: readonly Decision[],
  failures: readonly (KnownFailure & { readonly ofWhole: boolean })[],
): Promise<void> {
  const byId = new Map(accepted.map((decision) => [decision.row.id, decision]));
  const closed = failures.filter(({ objectId, ofWhole }) => ofWhole && byId.has(objectId as number));
  const dropped = failures.filter(
    ({ objectId, ofWhole }) => !ofWhole && byId.get(objectId as number)?.renewed,
  );
  const renewed = accepted.filter((decision) => decision.renewed).map(({ row }) => row.id);
  if (renewed.length > 0 && (await countOpen(transaction, renewed)) !== dropped.length) throw new Changed();
  const owners = new Owners(transaction, generationId, request);
  for (const failure of [...closed, ...dropped]) addOpen(owners, ownerOf(failure), weightOf(failure), -1);
  if (closed.length > 0)
    await transaction.run(
      `UPDATE failures SET state = 'closed', closed_by = 'plan',
         closed_at = greatest(tried_at, (SELECT started_at FROM runs WHERE run = $2))
       WHERE id = ANY($1::bigint[])`,
      closed.map(({ id }) => id),
      request.run,
    );
  if (dropped.length > 0)
    await transaction.run(
      'DELETE FROM failures WHERE id = ANY($1::bigint[])',
      dropped.map(({ id }) => id),
    );
  await owners.save();
}

/** Failures of rows that are open; one may have been opened before the objects were locked. */
async function countOpen(transaction: Transaction, objectIds: readonly number[]): Promise<number> {
  const found = await transaction.get<{ failures: number }>(
    `SELECT count(*) AS failures FROM failures WHERE object_id = ANY($1::bigint[]) AND coordinate IS NOT NULL AND state = 'open'`,
    objectIds,
  );
  return found?.failures ?? 0;
}

async function updateObjects(
  transaction: Transaction,
  build: string,
  accepted: readonly Decision[],
): Promise<void> {
  const changed = accepted.filter(
    ({ row, object, verdict, epoch, lastSection, renewed }) =>
      verdict !== 'complete' &&
      (renewed || row.size !== object.size || row.epoch !== epoch || row.lastSection !== lastSection),
  );
  if (changed.length === 0) return;
  await transaction.run(
    `UPDATE objects SET version = planned.version, size = planned.size, epoch = planned.epoch, build = $1,
       last_section = planned.last_section
     FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
       AS planned (id, version, size, epoch, last_section)
     WHERE objects.id = planned.id`,
    build,
    changed.map(({ row }) => row.id),
    changed.map(({ object }) => object.version),
    changed.map(({ object }) => object.size),
    changed.map(({ epoch }) => epoch),
    changed.map(({ lastSection }) => lastSection),
  );
}
