import { noCounts, reconcileKeyed, reconcileObject } from '../../domain/reconcile.ts';
import type { Counts, ResultStore, RunRecord } from '../../domain/ports/result-store.ts';
import type { BalanceLine } from './run-report.ts';

/** The objects of one run, or one source of messages from elsewhere. */
export interface Scope {
  readonly generation: string;
  /** Default: all of the generation. */
  readonly run?: string;
  readonly source?: string;
}

/**
 * What a run that is kept planned. A run over a pipe says its source in its report; a redrive planned nothing and
 * settled failures anywhere in its generation.
 */
export function scopeOf({ id, generation, report }: RunRecord): Scope {
  const { source, redriven } = (report === null ? {} : JSON.parse(report)) as {
    source?: string;
    redriven?: number;
  };
  if (redriven !== undefined) return { generation };
  return { generation, run: id, ...(source === undefined ? {} : { source }) };
}

/** Open failures of what a run planned, those of earlier runs too. */
export async function openFailuresOf(
  scope: Scope,
  store: ResultStore,
  signal: AbortSignal,
): Promise<{ total: number; byCode: Record<string, number> }> {
  const byCode = await store.countOpenFailures(scope, signal);
  return { total: Object.values(byCode).reduce((total, count) => total + count, 0), byCode: { ...byCode } };
}

/** Objects that do not balance: there may be as many as were planned, and the first ones are named. */
export interface Unbalanced {
  readonly total: number;
  readonly first: readonly string[];
}

const NAMED = 1_000;

/** The state of what a run planned: how rows and messages add up, and whether everything is complete. */
export async function balanceOf(
  scope: Scope,
  store: ResultStore,
  signal: AbortSignal,
): Promise<{ balance: readonly BalanceLine[]; complete: boolean; unbalanced: Unbalanced }> {
  const totals = new Totals();
  let complete = true;
  const unbalanced = { total: 0, first: [] as string[] };
  if (scope.source === undefined) {
    for await (const object of store.objects(scope, signal)) {
      const { balances } = reconcileObject(object);
      totals.add(object, balances);
      complete &&= object.complete;
      if (balances) continue;
      unbalanced.total++;
      if (unbalanced.first.length < NAMED)
        unbalanced.first.push(`${object.object.bucket}/${object.object.key}`);
    }
  } else {
    for (const source of await store.keyedSources(scope.generation, signal)) {
      if (source.source === scope.source) totals.add(source, reconcileKeyed(source).balances);
    }
  }
  return { balance: totals.lines(), complete, unbalanced };
}

class Totals {
  readonly #sums = noCounts();
  #balances = true;

  add(counts: Counts, balances: boolean): void {
    for (const name of Object.keys(this.#sums) as (keyof Counts)[]) this.#sums[name] += counts[name];
    this.#balances &&= balances;
  }

  lines(): readonly BalanceLine[] {
    const sums = this.#sums;
    const line = (label: string, whole: BalanceLine['whole'], parts: BalanceLine['parts']): BalanceLine => {
      const sum = parts.reduce((total, part) => total + part.value, 0);
      return { label, whole, parts, balanced: this.#balances && sum === whole.value };
    };
    return [
      line('rows', { label: 'rows', value: sums.rows }, [
        { label: 'pruned', value: sums.pruned },
        { label: 'filtered', value: sums.filtered },
        { label: 'failed', value: sums.failed },
        { label: 'transformed', value: sums.transformed },
      ]),
      line('failures', { label: 'failed rows', value: sums.failed }, [
        { label: 'open', value: sums.openFailedRows },
        { label: 'settled', value: sums.closedFailedRows },
      ]),
      line('messages', { label: 'messages made', value: sums.messages + sums.redriven }, [
        { label: 'applied', value: sums.applied },
        { label: 'failed, open', value: sums.openMessageFailures },
        { label: 'failed, settled', value: sums.closedMessageFailures },
      ]),
    ];
  }
}
