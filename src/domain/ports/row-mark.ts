/**
 * Told which row the pipeline's code is about to get, so that whoever looks on from outside knows the row that hangs or kills. Called
 * for every row: it must cost next to nothing.
 */
export interface RowMark {
  enter(section: number, coordinate: number): void;
  /** No row is under way any more. */
  leave(): void;
}
