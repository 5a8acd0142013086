/** What Hive and its kin write where a partition's value is missing. */
const HIVE_NULL = '__HIVE_DEFAULT_PARTITION__';

const WHOLE_NUMBER = /^-?\d+$/;

/**
 * The columns that an object's key gives: the parts of its path of the form `name=value`, without the file's own
 * name. Whole numbers within ±(2^53 − 1) become numbers (`mm=05` is 5), everything else is text, percent-decoded where it
 * is validly encoded. Where a name comes twice, the last one wins. The result has no prototype.
 */
export function pathColumns(key: string): Readonly<Record<string, string | number | null>> {
  const columns = Object.create(null) as Record<string, string | number | null>;
  for (const part of key.split('/').slice(0, -1)) {
    const equals = part.indexOf('=');
    if (equals > 0) columns[percentDecoded(part.slice(0, equals))] = pathValue(part.slice(equals + 1));
  }
  return columns;
}

function pathValue(text: string): string | number | null {
  if (text === HIVE_NULL) return null;
  if (WHOLE_NUMBER.test(text)) {
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
