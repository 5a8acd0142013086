import { createHash } from 'node:crypto';
import type { PublishedGroup } from '../../domain/ports/result-store.ts';
import { codeOf, DEPENDENT_OBJECTS } from './errors.ts';
import { toStored } from './text.ts';
import { identifier, literal, type Transaction } from './transaction.ts';

/** PostgreSQL cuts names off behind so many bytes. */
const MAX_NAME_BYTES = 63;

type Kind = 'number' | 'boolean' | 'text' | 'json';

const typeOf: Readonly<Record<Kind, string>> = {
  number: 'numeric',
  boolean: 'boolean',
  text: 'text',
  json: 'jsonb',
};

/** Which columns a view has: one per measure, or one per field where a measure's value is an object (`delay_p50`). */
export class ResultColumns {
  readonly #measures = new Map<string, Column>();

  add(measures: PublishedGroup['measures']): void {
    for (const [name, value] of Object.entries(measures)) columnOf(this.#measures, name).see(value);
  }

  /** Name, type and value of each column, in order. */
  *[Symbol.iterator](): Generator<{ readonly name: string; readonly type: string; readonly value: string }> {
    const taken = new Set(['group', 'findings']);
    const free = (wanted: string): string => {
      let name = shortName(wanted);
      for (let n = 2; taken.has(name); n++) name = shortName(wanted, `_${n}`);
      taken.add(name);
      return name;
    };
    for (const [measure, column] of this.#measures) {
      const path = `measures -> ${literal(toStored(measure))}`;
      if (column.fields.size === 0) yield { name: free(measure), ...column.read('measures', measure) };
      for (const [field, inner] of column.fields)
        yield { name: free(`${measure}_${field}`), ...inner.read(`(${path})`, field) };
    }
  }
}

class Column {
  readonly fields = new Map<string, Column>();
  readonly #kinds = new Set<Kind>();

  see(value: unknown): void {
    if (value === null || value === undefined) return;
    if (typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date)) {
      for (const [field, inner] of Object.entries(value)) columnOf(this.fields, field).seePlain(inner);
    } else {
      this.seePlain(value);
    }
  }

  seePlain(value: unknown): void {
    // NaN and infinities are null in JSON.
    if (value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value)))
      return;
    if (typeof value === 'number' || typeof value === 'bigint') this.#kinds.add('number');
    else if (typeof value === 'boolean') this.#kinds.add('boolean');
    else if (typeof value === 'string' || value instanceof Date) this.#kinds.add('text');
    else this.#kinds.add('json');
  }

  /** Values of several types are text; so is what was never seen. */
  read(from: string, field: string): { readonly type: string; readonly value: string } {
    const [only = 'text', ...others] = this.#kinds;
    const kind = others.length > 0 ? 'text' : only;
    const name = literal(toStored(field));
    if (kind === 'json') return { type: typeOf.json, value: `${from} -> ${name}` };
    return { type: typeOf[kind], value: `(${from} ->> ${name})::${typeOf[kind]}` };
  }
}

function columnOf(columns: Map<string, Column>, name: string): Column {
  let column = columns.get(name);
  if (column === undefined) columns.set(name, (column = new Column()));
  return column;
}

/** Makes the view of a generation; one that has these columns already stays. */
export async function replaceView(
  transaction: Transaction,
  generation: string,
  columns: ResultColumns,
): Promise<void> {
  const view = identifier(viewName(generation));
  const wanted = [...columns];
  const shape = [['group', 'text'], ...wanted.map(({ name, type }) => [name, type]), ['findings', 'jsonb']];
  const there = await transaction.all<{ name: string; type: string }>(
    `SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    view,
  );
  if (JSON.stringify(there.map(({ name, type }) => [name, type])) === JSON.stringify(shape)) return;
  const selected = wanted.map(({ name, value }) => `, ${value} AS ${identifier(name)}`);
  await transaction.execute('SAVEPOINT columns');
  try {
    await transaction.execute(
      `DROP VIEW IF EXISTS ${view};
       CREATE VIEW ${view} AS SELECT "group"${selected.join('')}, findings FROM results WHERE generation = ${literal(toStored(generation))}`,
    );
  } catch (thrown) {
    // Somebody has built on the view: it keeps the columns that it has, and shows what is new in them.
    if (codeOf(thrown) !== DEPENDENT_OBJECTS) throw thrown;
    await transaction.execute('ROLLBACK TO SAVEPOINT columns');
  }
}

/** With whatever was built on it: nothing of it can stay. */
export async function dropView(transaction: Transaction, generation: string): Promise<void> {
  await transaction.execute(`DROP VIEW IF EXISTS ${identifier(viewName(generation))} CASCADE`);
}

/** A name that is too long ends in a digest of itself. */
export function viewName(generation: string): string {
  const name = toStored(generation);
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  return shortName(name, `~${createHash('sha256').update(name).digest('hex').slice(0, 12)}`);
}

/** The text with its ending; its start is cut so that both fit. */
function shortName(text: string, ending = ''): string {
  const room = MAX_NAME_BYTES - Buffer.byteLength(ending);
  let start = toStored(text);
  if (Buffer.byteLength(start) > room) {
    // What is cut in the middle of a character loses it.
    start = Buffer.from(start)
      .subarray(0, room)
      .toString('utf8')
      .replace(/\u{fffd}+$/u, '');
  }
  return `${start === '' ? '_' : start}${ending}`;
}
