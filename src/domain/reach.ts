/**
 * How far the rows of a section had been read when something of it was cut, and which of them a verdict kept from `transform`: all that a
 * frame holds, and where it ends, follows from the rows up to there and from these verdicts.
 */
export interface Reach {
  /** Coordinate of the last row that had been read; `null`: all rows of the section had been. */
  readonly reach: number | null;
  /** Coordinates, ascending, of the rows up to there that a verdict kept from `transform`. */
  readonly killed: readonly number[];
}
