/** Ids of one group. */
export const STRETCH = 1_000;
const LANES = 17;

/** A row of the lake, and a message from elsewhere. */
export interface Parcel {
  readonly id: number;
  readonly lane: string;
  readonly value: number;
}

export const parcel = (id: number): Parcel => ({
  id,
  lane: `lane-${id % LANES}`,
  value: (id % 1_000) / 8,
});

/** Rows that fail. */
export const isRefused = (id: number): boolean => id % 5_003 === 7;
/** Rows of which nothing is made, on purpose. */
export const isFiltered = (id: number): boolean => id % 97 === 5;

const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

export const parcels = (from: number, to: number): readonly Parcel[] => range(from, to).map(parcel);

export const csvOf = (rows: readonly Parcel[]): string =>
  `id,lane,value\n${rows.map(({ id, lane, value }) => `${id},${lane},${value}\n`).join('')}`;

export const jsonLinesOf = (rows: readonly Parcel[]): string =>
  rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** What is measured of one group. */
export interface StretchMeasures {
  readonly parcels: number;
  readonly ids: number;
  readonly squares: number;
  readonly value: number;
  readonly first: number;
  readonly last: number;
}

/** What the measures have to come to, by plain loops; `stretches` are those of ids `from` to `to`, added to what is there. */
export function measureStretches(stretches: Map<string, StretchMeasures>, from: number, to: number): void {
  for (let id = from; id < to; id++) {
    if (isRefused(id) || isFiltered(id)) continue;
    const group = `stretch-${Math.floor(id / STRETCH)}`;
    const of = stretches.get(group);
    stretches.set(group, {
      parcels: (of?.parcels ?? 0) + 1,
      ids: (of?.ids ?? 0) + id,
      squares: (of?.squares ?? 0) + (id % STRETCH) ** 2,
      value: (of?.value ?? 0) + parcel(id).value,
      first: Math.min(of?.first ?? id, id),
      last: Math.max(of?.last ?? id, id),
    });
  }
}

export const countRefused = (from: number, to: number): number => range(from, to).filter(isRefused).length;
