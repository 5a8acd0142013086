/** A value that a predicate compares with. A `Date` may be given as ISO 8601 text. */
export type Operand = string | number | bigint | boolean | Date | null;

export interface Operators {
  readonly $eq?: Operand;
  readonly $ne?: Operand;
  readonly $in?: readonly Operand[];
  readonly $nin?: readonly Operand[];
  readonly $lt?: Operand;
  readonly $lte?: Operand;
  readonly $gt?: Operand;
  readonly $gte?: Operand;
  readonly $exists?: boolean;
  readonly $not?: Operators;
}

/** Which rows to keep, in the shape that MongoDB and hyparquet use; `docs/pipelines.md`, "Predicates". */
export type Where =
  | { readonly $and: readonly Where[] }
  | { readonly $or: readonly Where[] }
  | { readonly $nor: readonly Where[] }
  | { readonly $not: Where }
  | { readonly [column: string]: Operators | Operand };
