import type { StoredGroup } from './footer.ts';

/** A stretch of rows, by their numbers in the file. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/** Consecutive sections of one kind: one of several row groups, or the pieces of one big group. */
interface Stretch extends RowRange {
  readonly firstSection: number;
  /** Rows in each section but the last. */
  readonly piece: number;
}

/** How a file's rows divide into sections: a matter of its row groups and of `limits.sectionRows` alone. */
export class SectionPlan {
  readonly lastSection: number;
  readonly #stretches: readonly Stretch[];

  constructor(groups: readonly Pick<StoredGroup, 'firstRow' | 'rows'>[], sectionRows: number) {
    const stretches: Stretch[] = [];
    let section = 0;
    let start = 0;
    let end = 0;
    const close = () => {
      if (end === start) return;
      const piece = Math.min(sectionRows, end - start);
      stretches.push({ firstSection: section, start, end, piece });
      section += Math.ceil((end - start) / piece);
      start = end;
    };
    for (const group of groups) {
      if (end - start + group.rows > sectionRows) close();
      end = group.firstRow + group.rows;
      if (end - start > sectionRows) close();
    }
    close();
    this.#stretches = stretches;
    this.lastSection = Math.max(0, section - 1);
  }

  /** Sections that share no row group with the one before them, in order. */
  get groupStarts(): readonly number[] {
    return this.#stretches.map(({ firstSection }) => firstSection);
  }

  /** Rows of a section; none where there is no such section. */
  rowsOf(section: number): RowRange {
    const stretch = this.#find((each) => each.firstSection <= section);
    if (stretch === undefined) return { start: 0, end: 0 };
    const start = stretch.start + (section - stretch.firstSection) * stretch.piece;
    return { start: Math.min(start, stretch.end), end: Math.min(start + stretch.piece, stretch.end) };
  }

  /** Section of a row that the file has. */
  sectionOf(row: number): number {
    const stretch = this.#find((each) => each.start <= row);
    return stretch === undefined
      ? 0
      : stretch.firstSection + Math.floor((row - stretch.start) / stretch.piece);
  }

  /** The last stretch that begins early enough. */
  #find(isEarly: (stretch: Stretch) => boolean): Stretch | undefined {
    let low = 0;
    let high = this.#stretches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isEarly(this.#stretches[middle]!)) low = middle + 1;
      else high = middle;
    }
    return this.#stretches[low - 1];
  }
}
