import type { Row } from '../../../domain/row.ts';
import type { Decoder, ObjectBytes, ReadOptions } from '../decoder.ts';

/** The columns of the first rows with the types that their values suggest, after the columns that are known anyway. */
export async function describeRows(
  decoder: Decoder,
  object: ObjectBytes,
  options: ReadOptions,
  signal: AbortSignal,
  known: readonly string[] = [],
): Promise<{ readonly name: string; readonly type: string }[]> {
  const all = { ...options, columns: undefined, where: undefined, pathColumns: {} };
  const types = new Map<string, Set<string>>(known.map((name) => [name, new Set()]));
  for await (const { rows } of decoder.read(object, { from: 0, to: null }, null, all, signal)) {
    for (const row of rows) addTypes(row, types);
    if (rows.length > 0) break;
  }
  return [...types].map(([name, seen]) => ({ name, type: commonType(seen) }));
}

function addTypes(row: Row, types: Map<string, Set<string>>): void {
  for (const name of Object.keys(row)) {
    const type = typeOf(row[name]);
    let seen = types.get(name);
    if (seen === undefined) types.set(name, (seen = new Set()));
    if (type !== null) seen.add(type);
  }
}

const INTEGER = /^[+-]?\d{1,15}$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const BOOLEAN = /^(?:true|false)$/i;
const TIMESTAMP = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:?\d\d)?)?$/;

/** Names of `ColumnType`; `null` where the value tells nothing. */
function typeOf(value: unknown): string | null {
  switch (typeof value) {
    case 'string':
      if (value === '') return null;
      // A leading zero means something: 01234 is a code, not a count.
      if (INTEGER.test(value)) return /^[+-]?0\d/.test(value) ? 'string' : 'integer';
      if (NUMBER.test(value)) return 'number';
      if (BOOLEAN.test(value)) return 'boolean';
      return TIMESTAMP.test(value) ? 'timestamp' : 'string';
    case 'number':
      return Number.isSafeInteger(value) ? 'integer' : 'number';
    case 'boolean':
      return 'boolean';
    case 'object':
      return value === null ? null : 'json';
    default:
      return null;
  }
}

function commonType(seen: ReadonlySet<string>): string {
  const [first, ...others] = seen;
  if (first === undefined) return 'string';
  if (others.length === 0) return first;
  if ([...seen].every((type) => type === 'integer' || type === 'number')) return 'number';
  return seen.has('json') ? 'json' : 'string';
}
