import { readResults } from '../../application/results/read-results.ts';
import { DomainError } from '../../domain/errors.ts';
import { declaredMeasures, type Generation } from '../../domain/generation.ts';
import type { MeasureKind } from '../../domain/measure.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { PublishedGroup, ResultStore } from '../../domain/ports/result-store.ts';

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
    Object.keys(declared),
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
  names: readonly string[],
): (group: PublishedGroup) => number | string {
  if (by === undefined) return () => 0;
  const name = names.find((measure) => by === measure || by.startsWith(`${measure}.`));
  if (name === undefined)
    throw new DomainError(`there is no measure ${by}: there are ${names.join(', ')}`, { code: 'E_USAGE' });
  const part = by.slice(name.length + 1);
  return ({ measures }) => {
    const value = measures[name];
    return comparable(
      part !== '' && typeof value === 'object' && value !== null
        ? (value as Record<string, unknown>)[part]
        : value,
      by,
    );
  };
}

function comparable(value: unknown, by: string): number | string {
  if (value === null || value === undefined) return Number.NEGATIVE_INFINITY;
  if (typeof value === 'number' || typeof value === 'string') return value;
  if (value instanceof Date) return value.getTime();
  throw new DomainError(`${by} has several values: say which, e.g. ${by}.p95`, { code: 'E_USAGE' });
}

function compare(a: number | string, b: number | string): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
