import type { LakeObject } from '../../../domain/lake-object.ts';
import type { Finding } from '../../../domain/pipeline.ts';
import type {
  Counts,
  FailureQuery,
  FailureRecord,
  Flag,
  GroupState,
  KeyedTotals,
  ObjectProgress,
  ObjectQuery,
} from '../../../domain/ports/result-store.ts';
import type { Position } from '../../../domain/position.ts';
import type { Stage } from '../../../domain/failure.ts';
import type { SQLInputValue } from 'node:sqlite';
import type { Connection } from './connection.ts';
import { countsOf, selectCounts } from './counts.ts';
import { findGeneration } from './lookups.ts';

/**
 * Results are read page by page, each page by a statement of its own that begins after the last row of the page
 * before: no read transaction is open while the consumer works, which would keep the write-ahead log from shrinking.
 */
const PAGE_ROWS = 200;

type ObjectRow = LakeObject &
  Counts & {
    readonly id: number;
    readonly epoch: number;
    readonly build: string;
    readonly lastSection: number | null;
    readonly sectionsComplete: number;
    readonly complete: number;
    readonly frames: number;
  };

export async function* readObjects(
  connection: Connection,
  { generation, run, after: from = { bucket: '', key: '' } }: ObjectQuery,
  signal: AbortSignal,
): AsyncGenerator<ObjectProgress> {
  const ofRun =
    run === undefined
      ? ''
      : 'AND EXISTS (SELECT 1 FROM run_objects WHERE run = ? AND object_id = objects.id)';
  const sql = `SELECT bucket, key, version, size, epoch, build, last_section AS lastSection, sections_complete AS sectionsComplete,
      complete, frames, ${selectCounts}
    FROM objects WHERE generation_id = ? AND (bucket, key) > (?, ?) ${ofRun} ORDER BY bucket, key LIMIT ${PAGE_ROWS}`;
  const runValues = run === undefined ? [] : [run];
  let after = from;
  for (;;) {
    signal.throwIfAborted();
    const rows = connection.read(() => {
      const generationId = findGeneration(connection, generation);
      if (generationId === undefined) return [];
      return connection.all<ObjectRow>(sql, generationId, after.bucket, after.key, ...runValues);
    });
    for (const row of rows) {
      const { bucket, key, version, size, epoch, build, lastSection, sectionsComplete, complete, frames } =
        row;
      const object = { bucket, key, version, size };
      yield {
        object,
        epoch,
        build,
        lastSection,
        sectionsComplete,
        complete: complete === 1,
        frames,
        ...countsOf(row),
      };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    after = last;
  }
}

export function readKeyedSources(connection: Connection, generation: string): KeyedTotals[] {
  return connection
    .all<Counts & { readonly source: string }>(
      `SELECT source, ${selectCounts} FROM sources
       WHERE generation_id = (SELECT id FROM generations WHERE generation = ?) ORDER BY source`,
      generation,
    )
    .map((row) => ({ source: row.source, ...countsOf(row) }));
}

export async function* readGroups(
  connection: Connection,
  generation: string,
  signal: AbortSignal,
): AsyncGenerator<GroupState> {
  const page = (comparison: '>=' | '>'): string =>
    `SELECT "group", state FROM groups WHERE generation_id = (SELECT id FROM generations WHERE generation = ?)
       AND "group" ${comparison} ? ORDER BY "group" LIMIT ${PAGE_ROWS}`;
  let sql = page('>=');
  let after = '';
  for (;;) {
    signal.throwIfAborted();
    const rows = connection.read(() =>
      connection.all<{ group: string; state: Uint8Array }>(sql, generation, after),
    );
    for (const { group, state } of rows) yield { group, state };
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    after = last.group;
    sql = page('>');
  }
}

interface FlagRow {
  readonly id: number;
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
  FROM objects o CROSS JOIN flags f ON f.object_id = o.id
  WHERE o.generation_id = (SELECT id FROM generations WHERE generation = ?) AND (o.bucket, o.key) >= (?, ?)
    AND (o.bucket, o.key, ifnull(f.coordinate, -1), ifnull(f.output, -1)) > (?, ?, ?, ?)
  ORDER BY o.bucket, o.key, ifnull(f.coordinate, -1), ifnull(f.output, -1) LIMIT ${PAGE_ROWS}`;

const flagsOfSources = `SELECT s.source, f.key, ${flagColumns}
  FROM sources s CROSS JOIN flags f ON f.source_id = s.id
  WHERE s.generation_id = (SELECT id FROM generations WHERE generation = ?) AND s.source >= ?
    AND (s.source, f.key, ifnull(f.output, -1)) > (?, ?, ?)
  ORDER BY s.source, f.key, ifnull(f.output, -1) LIMIT ${PAGE_ROWS}`;

export async function* readFlags(
  connection: Connection,
  generation: string,
  signal: AbortSignal,
): AsyncGenerator<Flag> {
  let after: SQLInputValue[] = ['', '', '', '', -2, -2];
  for (;;) {
    signal.throwIfAborted();
    const rows = connection.read(() => connection.all<FlagRow>(flagsOfObjects, generation, ...after));
    for (const row of rows) {
      const { bucket, key, version, size, coordinate, output } = row;
      yield {
        position: { kind: 'row', object: { bucket, key, version, size }, coordinate, output },
        finding: findingOf(row),
      };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) break;
    after = [last.bucket, last.key, last.bucket, last.key, last.coordinate ?? -1, last.output ?? -1];
  }
  after = ['', '', '', -2];
  for (;;) {
    signal.throwIfAborted();
    const rows = connection.read(() => connection.all<FlagRow>(flagsOfSources, generation, ...after));
    for (const row of rows) {
      const { source, key, output } = row;
      yield { position: { kind: 'key', source, key, output }, finding: findingOf(row) };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return;
    after = [last.source, last.source, last.key, last.output ?? -1];
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
  connection: Connection,
  query: FailureQuery,
  signal: AbortSignal,
): AsyncGenerator<FailureRecord> {
  const { conditions, values } = failureConditions(query);
  const sql = `SELECT f.id, g.generation, f.failure, f.state, o.bucket, o.key AS objectKey, f.object_version AS version, f.object_size AS size,
      f.coordinate, s.source, f.key, f.output, f.stage, f.code, f.message, f.rows, f.payload, f.attempts, f.run, f.build,
      f.opened_at AS openedAt, f.tried_at AS triedAt, f.closed_at AS closedAt
    FROM failures f JOIN generations g ON g.id = f.generation_id
      LEFT JOIN objects o ON o.id = f.object_id LEFT JOIN sources s ON s.id = f.source_id
    WHERE ${['f.id > ?', ...conditions].join(' AND ')} ORDER BY f.id LIMIT ?`;
  let left = query.limit ?? Infinity;
  let after = 0;
  while (left > 0) {
    signal.throwIfAborted();
    const size = Math.min(PAGE_ROWS, left);
    const rows = connection.read(() => connection.all<FailureRow>(sql, after, ...values, size));
    for (const row of rows) yield failureRecordOf(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return;
    after = last.id;
    left -= rows.length;
  }
}

export function countOpenFailures(
  connection: Connection,
  {
    generation,
    run,
    source,
  }: { readonly generation: string; readonly run?: string; readonly source?: string },
): Record<string, number> {
  const owners: string[] = [];
  const values: string[] = [generation];
  if (run !== undefined) {
    owners.push('object_id IN (SELECT object_id FROM run_objects WHERE run = ?)');
    values.push(run);
  }
  if (source !== undefined) {
    owners.push('source_id IN (SELECT id FROM sources WHERE source = ?)');
    values.push(source);
  }
  const rows = connection.all<{ code: string; failures: number }>(
    `SELECT code, count(*) AS failures FROM failures
     WHERE generation_id = (SELECT id FROM generations WHERE generation = ?) AND state = 'open'
       ${owners.length === 0 ? '' : `AND (${owners.join(' OR ')})`}
     GROUP BY code ORDER BY code`,
    ...values,
  );
  return Object.fromEntries(rows.map(({ code, failures }) => [code, failures]));
}

function failureConditions(query: FailureQuery): { conditions: string[]; values: SQLInputValue[] } {
  const conditions: string[] = [];
  const values: SQLInputValue[] = [];
  const where = (condition: string, value: SQLInputValue | undefined): void => {
    if (value === undefined) return;
    conditions.push(condition);
    values.push(value);
  };
  // The plus keeps SQLite from using an index other than that of the failure's id, and so from sorting for each page.
  where('+f.generation_id = (SELECT id FROM generations WHERE generation = ?)', query.generation);
  where('f.failure = ?', query.id);
  where('+f.state = ?', query.state);
  where('+f.code = ?', query.code);
  where('f.stage = ?', query.stage);
  where('+f.object_id IN (SELECT id FROM objects WHERE bucket = ?)', query.object?.bucket);
  where('+f.object_id IN (SELECT id FROM objects WHERE key = ?)', query.object?.key);
  where('f.tried_at >= ?', query.since);
  where('f.tried_at < ?', query.until);
  return { conditions, values };
}

function failureRecordOf(row: FailureRow): FailureRecord {
  const {
    generation,
    run,
    build,
    state,
    attempts,
    openedAt,
    triedAt,
    closedAt,
    stage,
    code,
    message,
    rows,
    payload,
  } = row;
  return {
    generation,
    run,
    build,
    failure: { id: row.failure, position: positionOf(row), stage, code, message, rows, payload },
    state,
    attempts,
    openedAt,
    triedAt,
    closedAt,
  };
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
