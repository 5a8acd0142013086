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

/**
 * Two frames agree when the same rows have a verdict as far as both reach. Those that do not come from tries of which one found a row
 * alive that killed the other: never may both count, as one has messages of the row and the other has its failure.
 *
 * @param applied of all that was applied of the section; `undefined` where nothing was
 * @returns `stale`: the frame is from before a verdict that was adopted. `not-deterministic`: it has a verdict on a row that something
 *   applied went past; dropped in silence, its section would never be complete
 */
export function judgeReach(
  applied: Reach | undefined,
  incoming: Reach,
): 'agrees' | 'stale' | 'not-deterministic' {
  if (applied === undefined) return 'agrees';
  if (applied.killed.some((row) => isReached(row, incoming) && !incoming.killed.includes(row)))
    return 'stale';
  return newlyKilled(applied, incoming).some((row) => isReached(row, applied))
    ? 'not-deterministic'
    : 'agrees';
}

/** How far a section is applied once a frame that agrees is. */
export function extendReach(applied: Reach | undefined, incoming: Reach): Reach {
  if (applied === undefined) return { reach: incoming.reach, killed: incoming.killed };
  const reach =
    applied.reach === null || incoming.reach === null ? null : Math.max(applied.reach, incoming.reach);
  const killed = [...applied.killed, ...newlyKilled(applied, incoming)].sort((a, b) => a - b);
  return { reach, killed };
}

/** The rows, ascending, on which a frame brings the first verdict. */
export function newlyKilled(applied: Reach | undefined, { killed }: Reach): readonly number[] {
  return applied === undefined ? killed : killed.filter((row) => !applied.killed.includes(row));
}

function isReached(row: number, { reach }: Reach): boolean {
  return reach === null || row <= reach;
}
