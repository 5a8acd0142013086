import { castTo } from './cast.ts';
import { type Columns, columnType } from './columns.ts';
import { emptyRow, type Row } from './row.ts';

/** What Hive and its kin write where a partition's value is missing. */
const HIVE_NULL = '__HIVE_DEFAULT_PARTITION__';

const WHOLE_NUMBER = /^-?\d+$/;

/**
 * The columns that an object's key gives: the parts of its path of the form `name=value`, without the file's own
 * name. Values are text, percent-decoded where they are validly encoded; without a declared type, whole numbers
 * within ±(2^53 − 1) become numbers (`mm=05` is 5). A declared type is cast to later, from the text: `zip=01234` may be a `string`.
 * Where a name comes twice, the last one wins. The result has no prototype.
 */
export function pathColumns(
  key: string,
  declared: Columns | undefined,
): Readonly<Record<string, string | number | null>> {
  const columns = Object.create(null) as Record<string, string | number | null>;
  for (const part of key.split('/').slice(0, -1)) {
    const equals = part.indexOf('=');
    if (equals <= 0) continue;
    const name = percentDecoded(part.slice(0, equals));
    columns[name] = pathValue(part.slice(equals + 1), columnType(declared, name) !== undefined);
  }
  return columns;
}

/** What is known of every row of an object by its path alone, cast to the declared types. A value that cannot be cast is not known. */
export function knownByPath(key: string, declared: Columns | undefined): Row {
  const known = emptyRow();
  for (const [name, value] of Object.entries(pathColumns(key, declared))) {
    const type = columnType(declared, name);
    try {
      known[name] = type === undefined ? value : castTo(type, name)(value);
    } catch {
      // Each row will be a failure, which leaving the object out must not hide.
    }
  }
  return known;
}

function pathValue(text: string, typed: boolean): string | number | null {
  if (text === HIVE_NULL) return null;
  if (!typed && WHOLE_NUMBER.test(text)) {
    const number = Number(text);
    // Adding 0 makes -0 the same as 0.
    if (Number.isSafeInteger(number)) return number + 0;
  }
  return percentDecoded(text);
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
