import { DomainError } from '../../../domain/errors.ts';
import type { ObjectName } from '../../../domain/lake-object.ts';
import type { Connection } from './connection.ts';

/** The row of a generation; `undefined` where it is not declared (or was purged). */
export function findGeneration(connection: Connection, generation: string): number | undefined {
  return connection.get<{ id: number }>('SELECT id FROM generations WHERE generation = ?', generation)?.id;
}

/** @throws DomainError `E_NOT_FOUND` */
export function requireGeneration(connection: Connection, generation: string): number {
  const id = findGeneration(connection, generation);
  if (id === undefined)
    throw new DomainError(`${generation} is not declared in this store`, { code: 'E_NOT_FOUND' });
  return id;
}

/** What decides about an object; its counts are not in it. */
export interface ObjectRow {
  readonly id: number;
  readonly version: string;
  readonly size: number;
  readonly epoch: number;
  readonly build: string;
  readonly lastSection: number | null;
  readonly sectionsComplete: number;
  readonly complete: number;
  /** Failures that redrives settled. */
  readonly settled: number;
}

export function findObject(
  connection: Connection,
  generationId: number,
  name: ObjectName,
): ObjectRow | undefined {
  return connection.get<ObjectRow>(
    `SELECT id, version, size, epoch, build, last_section AS lastSection, sections_complete AS sectionsComplete, complete,
       closed_row_failures + closed_message_failures AS settled
     FROM objects WHERE generation_id = ? AND bucket = ? AND key = ?`,
    generationId,
    name.bucket,
    name.key,
  );
}

export function addToRun(connection: Connection, run: string, objectId: number): void {
  connection.run(
    'INSERT INTO run_objects (run, object_id) VALUES (?, ?) ON CONFLICT DO NOTHING',
    run,
    objectId,
  );
}

export function findSource(connection: Connection, generationId: number, source: string): number | undefined {
  return connection.get<{ id: number }>(
    'SELECT id FROM sources WHERE generation_id = ? AND source = ?',
    generationId,
    source,
  )?.id;
}

export function findOrAddSource(connection: Connection, generationId: number, source: string): number {
  const known = findSource(connection, generationId, source);
  if (known !== undefined) return known;
  return Number(
    connection
      .statement('INSERT INTO sources (generation_id, source) VALUES (?, ?)')
      .run(generationId, source).lastInsertRowid,
  );
}
