import type { MeasureKind } from '../../domain/measure.ts';
import { countIfKind, countKind } from './counts.ts';
import { distinctKind } from './distinct.ts';
import { maxKind, minKind } from './extremes.ts';
import type { Kind } from './kind.ts';
import { quantilesKind } from './quantiles.ts';
import { meanKind, sumKind } from './sums.ts';

export const kinds: Readonly<Record<MeasureKind, Kind>> = {
  count: countKind,
  countIf: countIfKind,
  sum: sumKind,
  mean: meanKind,
  min: minKind,
  max: maxKind,
  distinct: distinctKind,
  quantiles: quantilesKind,
};

/** Kinds by the tag that stands in a state. */
export const kindsByTag: readonly (Kind | undefined)[] = (() => {
  const byTag: (Kind | undefined)[] = [];
  for (const kind of Object.values(kinds)) byTag[kind.tag] = kind;
  return byTag;
})();
