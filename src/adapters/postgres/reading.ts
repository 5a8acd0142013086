import type { Stage } from '../../domain/failure.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import type { Finding } from '../../domain/pipeline.ts';
import type {
  Counts,
  FailureQuery,
  FailureRecord,
  Flag,
  GroupState,
  KeyedTotals,
  ObjectProgress,
  ObjectQuery,
} from '../../domain/ports/result-store.ts';
import type { Position } from '../../domain/position.ts';
import { countsOf, selectCounts } from './counts.ts';
import type { Value } from './database.ts';
import type { Transaction, Transactions } from './transaction.ts';

/**
 * Results are read page by page, each page by a transaction of its own that begins after the last row of the page before:
 * a consumer that takes its time, or leaves early, holds no connection and keeps no old rows from being cleaned up.
 */
const PAGE_ROWS = 500;

/** Reads pages until one is not full. */
async function* pages<Row>(
  transactions: Transactions,
  signal: AbortSignal,
  read: (transaction: Transaction, last: Row | undefined) => Promise<readonly Row[]>,
): AsyncGenerator<Row> {
  let last: Row | undefined;
  for (;;) {
    const rows = await transactions.read(signal, (transaction) => read(transaction, last));
    yield* rows;
    last = rows.at(-1);
    if (rows.length < PAGE_ROWS) return;
  }
}

type ObjectRow = LakeObject &
  Counts & {
    readonly epoch: number;
    readonly build: string;
    readonly lastSection: number | null;
    readonly sectionsComplete: number;
    readonly complete: boolean;
    readonly frames: number;
  };

export async function* readObjects(
  transactions: Transactions,
  { generation, run, after }: ObjectQuery,
  signal: AbortSignal,
): AsyncGenerator<ObjectProgress> {
  // A value, and not `EXISTS`, stays a look-up for each object. Of a run that began after the last `ANALYZE` the planner thinks that
  // it has hardly any objects, and would compare each of its objects with each of the generation's.
  const ofRun =
    run === undefined ? '' : 'AND (SELECT true FROM run_objects WHERE run = $4 AND object_id = objects.id)';
  const sql = `SELECT bucket, key, version, size, epoch, build, last_section AS "lastSection", sections_complete AS "sectionsComplete",
      complete, frames, ${selectCounts}
    FROM objects WHERE generation_id = (SELECT id FROM generations WHERE generation = $1) AND (bucket, key) > ($2, $3) ${ofRun}
    ORDER BY bucket, key LIMIT ${PAGE_ROWS}`;
  const rows = pages<ObjectRow>(transactions, signal, (transaction, last) =>
    transaction.all(
      sql,
      generation,
      (last ?? after)?.bucket ?? '',
      (last ?? after)?.key ?? '',
      ...(run === undefined ? [] : [run]),
    ),
  );
  for await (const row of rows) {
    const { bucket, key, version, size, epoch, build, lastSection, sectionsComplete, complete, frames } = row;
    const object = { bucket, key, version, size };
    yield { object, epoch, build, lastSection, sectionsComplete, complete, frames, ...countsOf(row) };
  }
}

export async function readKeyedSources(transaction: Transaction, generation: string): Promise<KeyedTotals[]> {
  const rows = await transaction.all<Counts & { readonly source: string }>(
    `SELECT source, ${selectCounts} FROM sources
     WHERE generation_id = (SELECT id FROM generations WHERE generation = $1) ORDER BY source`,
    generation,
  );
  return rows.map((row) => ({ source: row.source, ...countsOf(row) }));
}

export async function* readGroups(
  transactions: Transactions,
  generation: string,
  signal: AbortSignal,
): AsyncGenerator<GroupState> {
  // The order is that of the index, which has the start of each name; names that start alike are put in order among themselves.
  const page = (behind: string): string =>
    `SELECT "group", state FROM groups WHERE generation_id = (SELECT id FROM generations WHERE generation = $1) ${behind}
     ORDER BY left("group", 512), "group" LIMIT ${PAGE_ROWS}`;
  const behindLast = `AND left("group", 512) >= left($2, 512) AND (left("group", 512), "group") > (left($2, 512), $2)`;
  const rows = pages<{ group: string; state: Uint8Array }>(transactions, signal, (transaction, last) =>
    last === undefined
      ? transaction.all(page(''), generation)
      : transaction.all(page(behindLast), generation, last.group),
  );
  for await (const { group, state } of rows) yield { group, state: new Uint8Array(state) };
}

interface FlagRow {
  readonly bucket: string;
  readonly key: string;
  readonly version: string;
  readonly size: number;
  readonly source: string;
  readonly coordinate: number | null;
  readonly output: number | null;
  readonly kind: string;
  readonly severity: 'info' | 'warning' | 'critical' | null;
  readonly message: string;
  readonly details: string | null;
}

const flagColumns = 'f.output, f.kind, f.severity, f.message, f.details';

const flagsOfObjects = `SELECT o.bucket, o.key, o.version, o.size, f.coordinate, ${flagColumns}
  FROM objects o JOIN flags f ON f.object_id = o.id
  WHERE o.generation_id = (SELECT id FROM generations WHERE generation = $1) AND (o.bucket, o.key) >= ($2, $3)
    AND (o.bucket, o.key, coalesce(f.coordinate, -1), coalesce(f.output, -1)) > ($2, $3, $4::bigint, $5::bigint)
  ORDER BY o.bucket, o.key, coalesce(f.coordinate, -1), coalesce(f.output, -1) LIMIT ${PAGE_ROWS}`;

const flagsOfSources = `SELECT s.source, f.key, ${flagColumns}
  FROM sources s JOIN flags f ON f.source_id = s.id
  WHERE s.generation_id = (SELECT id FROM generations WHERE generation = $1) AND s.source >= $2
    AND (s.source, f.key, coalesce(f.output, -1)) > ($2, $3, $4::bigint)
  ORDER BY s.source, f.key, coalesce(f.output, -1) LIMIT ${PAGE_ROWS}`;

/** Below every coordinate and output, `null` (which counts as -1) included. */
const BELOW = -2;

export async function* readFlags(
  transactions: Transactions,
  generation: string,
  signal: AbortSignal,
): AsyncGenerator<Flag> {
  const ofObjects = pages<FlagRow>(transactions, signal, (transaction, last) => {
    const place = last === undefined ? [BELOW, BELOW] : [last.coordinate ?? -1, last.output ?? -1];
    return transaction.all(flagsOfObjects, generation, last?.bucket ?? '', last?.key ?? '', ...place);
  });
  for await (const row of ofObjects) {
    const { bucket, key, version, size, coordinate, output } = row;
    const position = { kind: 'row', object: { bucket, key, version, size }, coordinate, output } as const;
    yield { position, finding: findingOf(row) };
  }
  const ofSources = pages<FlagRow>(transactions, signal, (transaction, last) => {
    const output = last === undefined ? BELOW : (last.output ?? -1);
    return transaction.all(flagsOfSources, generation, last?.source ?? '', last?.key ?? '', output);
  });
  for await (const row of ofSources) {
    const { source, key, output } = row;
    yield { position: { kind: 'key', source, key, output }, finding: findingOf(row) };
  }
}

function findingOf({ kind, message, severity, details }: FlagRow): Finding {
  return {
    kind,
    message,
    ...(severity === null ? {} : { severity }),
    ...(details === null ? {} : { details: JSON.parse(details) as Record<string, unknown> }),
  };
}

interface FailureRow {
  readonly id: number;
  readonly generation: string;
  readonly failure: string;
  readonly state: 'open' | 'closed';
  readonly bucket: string | null;
  readonly objectKey: string | null;
  readonly version: string | null;
  readonly size: number | null;
  readonly coordinate: number | null;
  readonly source: string | null;
  readonly key: string | null;
  readonly output: number | null;
  readonly stage: Stage;
  readonly code: string;
  readonly message: string;
  readonly rows: number;
  readonly payload: Uint8Array | null;
  readonly attempts: number;
  readonly run: string;
  readonly build: string;
  readonly openedAt: number;
  readonly triedAt: number;
  readonly closedAt: number | null;
}

export async function* readFailures(
  transactions: Transactions,
  query: FailureQuery,
  signal: AbortSignal,
): AsyncGenerator<FailureRecord> {
  let left = query.limit ?? Infinity;
  if (left <= 0) return;
  const { conditions, values } = failureConditions(query);
  const sql = `SELECT f.id, g.generation, f.failure, f.state, o.bucket, o.key AS "objectKey", f.object_version AS version,
      f.object_size AS size, f.coordinate, s.source, f.key, f.output, f.stage, f.code, f.message, f.rows, f.payload, f.attempts,
      f.run, f.build, f.opened_at AS "openedAt", f.tried_at AS "triedAt", f.closed_at AS "closedAt"
    FROM failures f JOIN generations g ON g.id = f.generation_id
      LEFT JOIN objects o ON o.id = f.object_id LEFT JOIN sources s ON s.id = f.source_id
    WHERE ${['f.id > $1', ...conditions].join(' AND ')} ORDER BY f.id LIMIT ${Math.min(PAGE_ROWS, left)}`;
  const rows = pages<FailureRow>(transactions, signal, (transaction, last) =>
    transaction.all(sql, last?.id ?? 0, ...values),
  );
  for await (const row of rows) {
    yield failureRecordOf(row);
    if (--left <= 0) return;
  }
}

export async function countOpenFailures(
  transaction: Transaction,
  {
    generation,
    run,
    source,
  }: { readonly generation: string; readonly run?: string; readonly source?: string },
): Promise<Record<string, number>> {
  const owners: string[] = [];
  const values: string[] = [generation];
  if (run !== undefined)
    owners.push(`object_id IN (SELECT object_id FROM run_objects WHERE run = $${values.push(run)})`);
  if (source !== undefined)
    owners.push(`source_id IN (SELECT id FROM sources WHERE source = $${values.push(source)})`);
  const rows = await transaction.all<{ code: string; failures: number }>(
    `SELECT code, count(*) AS failures FROM failures
     WHERE generation_id = (SELECT id FROM generations WHERE generation = $1) AND state = 'open'
       ${owners.length === 0 ? '' : `AND (${owners.join(' OR ')})`}
     GROUP BY code ORDER BY code`,
    ...values,
  );
  return Object.fromEntries(rows.map(({ code, failures }) => [code, failures]));
}

/** The first value is that of the page. */
function failureConditions(query: FailureQuery): { conditions: string[]; values: Value[] } {
  const conditions: string[] = [];
  const values: Value[] = [];
  const where = (condition: (value: string) => string, value: Value | undefined): void => {
    if (value !== undefined) conditions.push(condition(`$${values.push(value) + 1}`));
  };
  where(
    (value) => `f.generation_id = (SELECT id FROM generations WHERE generation = ${value})`,
    query.generation,
  );
  where((value) => `f.failure = ${value}`, query.id);
  where((value) => `f.state = ${value}`, query.state);
  where((value) => `f.code = ${value}`, query.code);
  where((value) => `f.stage = ${value}`, query.stage);
  where((value) => `o.bucket = ${value}`, query.object?.bucket);
  where((value) => `o.key = ${value}`, query.object?.key);
  where((value) => `f.tried_at >= ${value}`, query.since);
  where((value) => `f.tried_at < ${value}`, query.until);
  return { conditions, values };
}

function failureRecordOf(row: FailureRow): FailureRecord {
  const { generation, run, build, state, attempts, openedAt, triedAt, closedAt } = row;
  const { stage, code, message, rows } = row;
  const payload = row.payload === null ? null : new Uint8Array(row.payload);
  const failure = { id: row.failure, position: positionOf(row), stage, code, message, rows, payload };
  return { generation, run, build, failure, state, attempts, openedAt, triedAt, closedAt };
}

function positionOf({
  source,
  key,
  output,
  bucket,
  objectKey,
  version,
  size,
  coordinate,
}: FailureRow): Position {
  if (source !== null) return { kind: 'key', source, key: key as string, output };
  const object = {
    bucket: bucket as string,
    key: objectKey as string,
    version: version as string,
    size: size as number,
  };
  return { kind: 'row', object, coordinate, output };
}
