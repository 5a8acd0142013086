/** What a declared column's values are turned into. Text formats hold only text; Parquet and JSON are checked. */
export interface ColumnTypes {
  string: string;
  /** A double. Text is read as a decimal number; `NaN`, `inf` and `-inf` are numbers too. */
  number: number;
  /** A whole number within ±(2^53 − 1). */
  integer: number;
  /** A whole number of any size. */
  bigint: bigint;
  /** `true`/`false`, `1`/`0`, in any case. */
  boolean: boolean;
  /** A point in time: ISO 8601 text (without an offset it is UTC), or milliseconds since 1970. */
  timestamp: Date;
  /** JSON text, parsed; a value that is not text stays as it is. */
  json: unknown;
}

export type ColumnType = keyof ColumnTypes;

export const columnTypes = [
  'string',
  'number',
  'integer',
  'bigint',
  'boolean',
  'timestamp',
  'json',
] as const satisfies readonly ColumnType[];

/** The columns that a pipeline reads: their names, or their names with their types. An empty text field is `null`, but for `string`. */
export type Columns = readonly string[] | { readonly [column: string]: ColumnType };

/** The row that `transform` gets. Columns without a type are `any`: what they hold is the file's business. */
export type RowOf<C extends Columns> = C extends readonly (infer Name extends string)[]
  ? { readonly [Column in Name]: any } // oxlint-disable-line typescript/no-explicit-any
  : C extends { readonly [column: string]: ColumnType }
    ? { readonly [Column in keyof C]: ColumnTypes[C[Column]] | null }
    : never;

export function columnNames(columns: Columns): readonly string[] {
  return Array.isArray(columns) ? columns : Object.keys(columns);
}

export function columnType(columns: Columns | undefined, name: string): ColumnType | undefined {
  if (columns === undefined || Array.isArray(columns)) return undefined;
  return Object.hasOwn(columns, name) ? (columns as Record<string, ColumnType>)[name] : undefined;
}
