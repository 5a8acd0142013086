import { isDomainError, messageOf } from '../../../domain/errors.ts';
import type { Row } from '../../../domain/row.ts';
import type { RowBatch, RowFault, SectionEnd } from '../decoder.ts';
import type { RowShaper } from '../row-shaper.ts';

const BATCH_ROWS = 1_000;
const BATCH_BYTES = 1024 * 1024;
/**
 * So many bytes are enough for a batch of rows that are not huge: V8 copies what is alive when it collects the young, and rows of 80 columns
 * are read a seventh faster than in batches of 1 MiB.
 */
const ENOUGH_BYTES = 256 * 1024;
const ENOUGH_ROWS = 16;

/** What of a faulty row's text is kept, in bytes. */
export const MAX_RAW_BYTES = 64 * 1024;

/** Gathers the rows of one section into batches. */
export class RowCollector {
  readonly #shaper: RowShaper;
  readonly #maxRows: number;
  #rows: Row[] = [];
  #coordinates: number[] = [];
  #faults: RowFault[] = [];
  #filtered = 0;
  #bytes = 0;

  /** @param maxRows rows and faults in one batch; default 1,000 */
  constructor(shaper: RowShaper, maxRows = BATCH_ROWS) {
    this.#shaper = shaper;
    this.#maxRows = maxRows;
  }

  get isFull(): boolean {
    const rows = this.#rows.length + this.#faults.length;
    return (
      rows >= this.#maxRows ||
      (this.#bytes >= ENOUGH_BYTES && (rows >= ENOUGH_ROWS || this.#bytes >= BATCH_BYTES))
    );
  }

  /** @param stored the row's text lies in it, from `start` up to `end` */
  row(decoded: Row, coordinate: number, stored: Uint8Array, start: number, end: number): void {
    this.#bytes += end - start;
    let row: Row | undefined;
    try {
      row = this.#shaper.shape(decoded);
    } catch (thrown) {
      if (!isDomainError(thrown)) throw thrown;
      this.fault(coordinate, thrown.code, messageOf(thrown), stored.subarray(start, end));
      return;
    }
    if (row === undefined) this.#filtered++;
    else {
      this.#rows.push(row);
      this.#coordinates.push(coordinate);
    }
  }

  /** @param raw is copied, and cut */
  fault(coordinate: number, code: string, message: string, raw: Uint8Array | null): void {
    const kept = raw === null ? null : Uint8Array.from(raw.subarray(0, MAX_RAW_BYTES));
    this.#bytes += kept === null ? 0 : kept.length;
    this.#faults.push({ coordinate, code, message, rows: 1, raw: kept });
  }

  /** The batch so far; the next one begins. */
  take(section: number, end?: SectionEnd): RowBatch {
    const batch: RowBatch = {
      section,
      rows: this.#rows,
      coordinates: this.#coordinates,
      faults: this.#faults,
      pruned: 0,
      filtered: this.#filtered,
      ...(end === undefined ? {} : { end }),
    };
    this.#rows = [];
    this.#coordinates = [];
    this.#faults = [];
    this.#filtered = 0;
    this.#bytes = 0;
    return batch;
  }
}
