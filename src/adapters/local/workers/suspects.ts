import type { Task } from '../../../domain/section.ts';
import type { MarkedRow } from '../../../domain/ports/row-mark.ts';

/** A stretch of an object, as one build of a generation reads it: what a task is made of when another run makes it anew. */
export type Stretch = Pick<Task, 'generation' | 'build' | 'object' | 'sections'>;

/** How often a worker ended in a row. */
export interface RowDeaths extends MarkedRow {
  readonly deaths: number;
}

/** A stretch in which a worker ended. */
export interface Suspect {
  readonly stretch: Stretch;
  readonly rows: readonly RowDeaths[];
}

export function stretchOf({ generation, build, object, sections }: Task): Stretch {
  return { generation, build, object, sections };
}

/** Stretches whose rows hung a worker or ended it: their tasks are to be transformed with care. */
export class Suspects {
  #suspects: Suspect[];

  constructor(suspects: readonly Suspect[] = []) {
    this.#suspects = [...suspects];
  }

  get list(): readonly Suspect[] {
    return this.#suspects;
  }

  has(stretch: Stretch): boolean {
    return this.#suspects.some((suspect) => touches(suspect.stretch, stretch));
  }

  /**
   * Notes that a worker ended in a stretch.
   *
   * @param row in which; `null`: in none, or nobody knows
   * @returns how often one ended in this row by now; 0 where there is none
   */
  add(stretch: Stretch, row: MarkedRow | null): number {
    const known = this.#suspects.filter((suspect) => touches(suspect.stretch, stretch));
    const rows = known.flatMap((suspect) => suspect.rows);
    this.remove(stretch);
    if (row === null) {
      this.#suspects.push({ stretch, rows });
      return 0;
    }
    const isSame = (other: MarkedRow) => other.section === row.section && other.coordinate === row.coordinate;
    const deaths = 1 + rows.filter(isSame).reduce((sum, before) => sum + before.deaths, 0);
    const { section, coordinate } = row;
    const others = rows.filter((other) => !isSame(other));
    this.#suspects.push({ stretch, rows: [...others, { section, coordinate, deaths }] });
    return deaths;
  }

  /** The stretch came through. */
  remove(stretch: Stretch): void {
    this.#suspects = this.#suspects.filter((suspect) => !touches(suspect.stretch, stretch));
  }
}

function touches(a: Stretch, b: Stretch): boolean {
  const isSameObject =
    a.generation === b.generation &&
    a.build === b.build &&
    a.object.bucket === b.object.bucket &&
    a.object.key === b.object.key &&
    a.object.version === b.object.version;
  const { from: fromA, to: toA } = a.sections;
  const { from: fromB, to: toB } = b.sections;
  return isSameObject && fromA <= (toB ?? Infinity) && fromB <= (toA ?? Infinity);
}
