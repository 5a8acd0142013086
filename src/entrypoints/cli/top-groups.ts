import { readResults } from '../../application/results/read-results.ts';
import { DomainError } from '../../domain/errors.ts';
import { declaredMeasures, type Generation } from '../../domain/generation.ts';
import type { MeasureKind } from '../../domain/measure.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { PublishedGroup, ResultStore } from '../../domain/ports/result-store.ts';
import { allColumns } from './terminal/results-table.ts';

export interface TopGroups {
  readonly measures: readonly { readonly name: string; readonly kind: MeasureKind }[];
  readonly groups: readonly PublishedGroup[];
}

/**
 * The groups with the largest values of a measure, largest first; without a measure that is named, of the first that counts.
 *
 * @param by `flights`, or `delay.p95` for a part of a measure
 */
export async function topGroups(
  generation: Generation,
  pipeline: AnyPipeline | undefined,
  { top, by }: { readonly top: number; readonly by?: string | undefined },
  store: ResultStore,
  signal: AbortSignal,
): Promise<TopGroups> {
  const declared = declaredMeasures(generation);
  const measures = Object.entries(declared).map(([name, { kind }]) => ({ name, kind }));
  const valueOf = valueReader(
    by ?? measures.find(({ kind }) => kind === 'count')?.name ?? measures[0]?.name,
    measures,
  );
  // One more than is asked for, sorted again whenever it is twice as many: whatever the number of groups, few are held.
  let best: { value: number | string; group: PublishedGroup }[] = [];
  const keep = () => {
    best.sort((a, b) => compare(b.value, a.value) || compare(a.group.group, b.group.group));
    best = best.slice(0, top);
  };
  if (top > 0) {
    for await (const { error: _error, ...group } of readResults(
      store,
      generation.id,
      pipeline,
      declared,
      signal,
    )) {
      best.push({ value: valueOf(group), group });
      if (best.length >= 2 * top + 64) keep();
    }
    keep();
  }
  return { measures, groups: best.map(({ group }) => group) };
}

function valueReader(
  by: string | undefined,
  measures: TopGroups['measures'],
): (group: PublishedGroup) => number | string {
  if (by === undefined) return () => 0;
  // Without the first and the last, which are the group and its findings.
  const columns = allColumns(measures).slice(1, -1);
  const column = columns.find(({ title }) => title === by);
  if (column === undefined) {
    const problem = measures.some(({ name }) => name === by)
      ? `${by} has several values, say which`
      : `there is no measure ${by}`;
    throw new DomainError(`${problem}: there are ${columns.map(({ title }) => title).join(', ')}`, {
      code: 'E_USAGE',
    });
  }
  return (group) => comparable(column.value(group));
}

function comparable(value: unknown): number | string {
  if (typeof value === 'number' || typeof value === 'string') return value;
  return value instanceof Date ? value.getTime() : Number.NEGATIVE_INFINITY;
}

function compare(a: number | string, b: number | string): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
