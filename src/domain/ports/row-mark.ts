/** A row of a task's object, as a mark names it. */
export interface MarkedRow {
  readonly section: number;
  readonly coordinate: number;
}

/** Whether a row stands behind another one of the same object. */
export function isBehind(row: MarkedRow, other: MarkedRow): boolean {
  return row.section === other.section ? row.coordinate > other.coordinate : row.section > other.section;
}

/**
 * Told which row the pipeline's code is about to get, so that whoever looks on from outside knows the row that hangs or kills. Called
 * for every row: it must cost next to nothing.
 */
export interface RowMark {
  enter(section: number, coordinate: number): void;
  /** No row is under way any more. */
  leave(): void;
}
