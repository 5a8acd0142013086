import type { Failure } from './failure.ts';
import type { Counts, KeyedTotals, ObjectProgress } from './ports/result-store.ts';

/** Two ways to count the same. */
export interface Balance {
  readonly left: number;
  readonly right: number;
  readonly balances: boolean;
}

/** Whether every row and every message came to exactly one end. */
export interface Reconciliation {
  /** `rows` = `pruned` + `filtered` + `failed` + `transformed`. */
  readonly rows: Balance;
  /** `failed` = rows of open failures + rows of failures that redrives settled: no row failed without a failure to show for it. */
  readonly failures: Balance;
  /**
   * Messages made = messages that came to an end. Left: what transformed rows gave (`messages`) and what redrives made
   * (`redriven`). Right: `applied`, and messages that failed, whether they are open still or a redrive
   * settled them. A settled message stands on both sides twice: it was made by its row and failed, it was
   * made again by the redrive and applied.
   */
  readonly messages: Balance;
  /** All three do. */
  readonly balances: boolean;
}

/**
 * Balances one object. Meaningful once it is complete: before, frames are applied whose section record is still on
 * its way, so that the right sides may run ahead.
 */
export function reconcileObject(progress: ObjectProgress): Reconciliation {
  return reconcile(progress);
}

/** Balances messages from elsewhere; meaningful at any time, because what is applied and what is counted is one transaction. */
export function reconcileKeyed(totals: KeyedTotals): Reconciliation {
  return reconcile(totals);
}

/** Counts that somebody adds up. */
export type MutableCounts = { -readonly [Name in keyof Counts]: number };

export function noCounts(): MutableCounts {
  return {
    rows: 0,
    pruned: 0,
    filtered: 0,
    failed: 0,
    transformed: 0,
    messages: 0,
    applied: 0,
    redriven: 0,
    openRowFailures: 0,
    openMessageFailures: 0,
    closedRowFailures: 0,
    closedMessageFailures: 0,
    openFailedRows: 0,
    closedFailedRows: 0,
  };
}

/** What a failure adds to the counts of its object or source. */
export interface FailureWeight {
  readonly rowFailures: number;
  readonly messageFailures: number;
  readonly rows: number;
}

/** A failure without an output is of a row, a stretch of rows, or an object; with one it is of a message, which stands for no row. */
export function weightOfFailure(
  failure: Pick<Failure, 'rows'> & { readonly position: { readonly output: number | null } },
): FailureWeight {
  return failure.position.output === null
    ? { rowFailures: 1, messageFailures: 0, rows: failure.rows }
    : { rowFailures: 0, messageFailures: 1, rows: 0 };
}

function reconcile(counts: Counts): Reconciliation {
  const rows = balance(counts.rows, counts.pruned + counts.filtered + counts.failed + counts.transformed);
  const failures = balance(counts.failed, counts.openFailedRows + counts.closedFailedRows);
  const messages = balance(
    counts.messages + counts.redriven,
    counts.applied + counts.openMessageFailures + counts.closedMessageFailures,
  );
  return { rows, failures, messages, balances: rows.balances && failures.balances && messages.balances };
}

function balance(left: number, right: number): Balance {
  return { left, right, balances: left === right };
}
