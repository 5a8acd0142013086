import type { PublishedGroup } from '../../../domain/ports/result-store.ts';
import type { Connection } from './connection.ts';
import { toJson } from './json.ts';
import { requireGeneration } from './lookups.ts';

const BATCH_ROWS = 500;

/**
 * Replaces a generation's `results` and its view. The groups come asynchronously and a write lock must not be held
 * meanwhile, so they gather in a temporary table (which is no part of the file, and gone with the process); one
 * transaction then puts them in the place of the old ones.
 */
export async function publish(
  connection: Connection,
  generation: string,
  results: AsyncIterable<PublishedGroup>,
  staging: string,
  signal: AbortSignal,
): Promise<void> {
  connection.read(() => requireGeneration(connection, generation));
  const columns = new ResultColumns();
  connection.exec(
    `CREATE TEMP TABLE ${staging} ("group" TEXT NOT NULL PRIMARY KEY, measures TEXT NOT NULL, findings TEXT NOT NULL) STRICT`,
  );
  try {
    let batch: PublishedGroup[] = [];
    for await (const group of results) {
      signal.throwIfAborted();
      columns.add(group.measures);
      batch.push(group);
      if (batch.length < BATCH_ROWS) continue;
      stage(connection, staging, batch);
      batch = [];
    }
    stage(connection, staging, batch);
    signal.throwIfAborted();
    connection.write(() => {
      requireGeneration(connection, generation);
      connection.run('DELETE FROM results WHERE generation = ?', generation);
      connection.exec(
        `INSERT INTO results SELECT ${literal(generation)}, "group", measures, findings FROM temp.${staging} ORDER BY "group"`,
      );
      dropView(connection, generation);
      connection.exec(viewOf(generation, columns));
    });
  } finally {
    if (connection.isOpen) connection.exec(`DROP TABLE temp.${staging}`);
  }
}

export function dropView(connection: Connection, generation: string): void {
  connection.exec(`DROP VIEW IF EXISTS ${identifier(generation)}`);
}

function stage(connection: Connection, staging: string, batch: readonly PublishedGroup[]): void {
  connection.read(() => {
    const insert = connection.statement(
      `INSERT OR REPLACE INTO temp.${staging} ("group", measures, findings) VALUES (?, ?, ?)`,
    );
    for (const { group, measures, findings } of batch) insert.run(group, toJson(measures), toJson(findings));
  });
}

/** Which columns the view has: one per measure, or one per field where a measure's value is an object (`delay_p50`). */
class ResultColumns {
  /** Per measure the fields seen; none where it was a plain value so far. */
  readonly #measures = new Map<string, Set<string>>();

  add(measures: PublishedGroup['measures']): void {
    for (const [name, value] of Object.entries(measures)) {
      let fields = this.#measures.get(name);
      if (fields === undefined) this.#measures.set(name, (fields = new Set()));
      if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date)
        continue;
      for (const field of Object.keys(value)) fields.add(field);
    }
  }

  /** Column names and where their values are, in order. SQLite's names know no case: a name that is taken gets a number. */
  *[Symbol.iterator](): Generator<{ readonly column: string; readonly value: string }> {
    const taken = new Set(['group', 'findings']);
    const free = (name: string): string => {
      let column = name;
      for (let n = 2; taken.has(column.toLowerCase()); n++) column = `${name}_${n}`;
      taken.add(column.toLowerCase());
      return column;
    };
    for (const [measure, fields] of this.#measures) {
      if (fields.size === 0) yield { column: free(measure), value: `measures ->> ${label(measure)}` };
      for (const field of fields) {
        yield {
          column: free(`${measure}_${field}`),
          value: `measures -> ${label(measure)} ->> ${label(field)}`,
        };
      }
    }
  }
}

function viewOf(generation: string, columns: ResultColumns): string {
  const selected = [...columns].map(({ column, value }) => `, ${value} AS ${identifier(column)}`);
  return `CREATE VIEW ${identifier(generation)} AS
SELECT "group"${selected.join('')}, findings
FROM results WHERE generation = ${literal(generation)}`;
}

/** A field's name as an operand of `->`, which takes what begins with `$` for a path. */
function label(name: string): string {
  return literal(`$.${JSON.stringify(name)}`);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
