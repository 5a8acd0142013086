/** Values that a text is searched for: a row of 100,000 columns must not cost a second for each of its failures. */
const MAX_VALUES = 1_000;
/** Levels of a row that are looked at. */
const MAX_DEPTH = 5;
/** Shorter ones tell nothing about anybody, and stand in any text by chance. In UTF-16 code units. */
const MIN_LENGTH = 3;

/**
 * A validator's text without the values of the row that it quotes (`must be a number (was "…")`): what a row holds is kept in
 * the failure's payload and nowhere else.
 */
export function withoutValues(text: string, row: unknown): string {
  const values = new Set<string>();
  collect(row, values, 0);
  let clean = text;
  // The longest first: a value may be part of another.
  for (const value of [...values].sort((a, b) => b.length - a.length)) clean = clean.replaceAll(value, '…');
  return clean;
}

function collect(value: unknown, into: Set<string>, depth: number): void {
  if (into.size >= MAX_VALUES || depth > MAX_DEPTH) return;
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    for (const inner of Object.values(value)) collect(inner, into, depth + 1);
    return;
  }
  const texts =
    value instanceof Date && !Number.isNaN(value.getTime())
      ? [value.toISOString(), String(value)]
      : [String(value)];
  for (const text of texts) {
    // As it stands, and as validators quote it.
    for (const written of [text, JSON.stringify(text).slice(1, -1)])
      if (written.length >= MIN_LENGTH && !WORDS.has(written)) into.add(written);
  }
}

/** Names of types: they tell what was expected, whatever a row holds. */
const WORDS: ReadonlySet<string> = new Set(
  'string number bigint boolean object array date null undefined true false NaN'.split(' '),
);
