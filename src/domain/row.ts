/** A decoded source record. It has no prototype, so that a column may have any name, `__proto__` too. */
export type Row = Record<string, unknown>;

export function emptyRow(): Row {
  return Object.create(null) as Row;
}
