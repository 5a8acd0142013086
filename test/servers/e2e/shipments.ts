const LANES = 17;

/** A row of the objects that the tests put, and a message. */
export interface Shipment {
  readonly id: number;
  readonly lane: string;
  readonly value: number;
}

export const shipments = (from: number, to: number): readonly Shipment[] =>
  Array.from({ length: to - from }, (_, at) => ({
    id: from + at,
    lane: `lane-${(from + at) % LANES}`,
    value: ((from + at) % 1_000) / 8,
  }));

export const csvOf = (rows: readonly Shipment[]): string =>
  `id,lane,value\n${rows.map(({ id, lane, value }) => `${id},${lane},${value}\n`).join('')}`;

/** What counting and summing by lane has to come to. */
export function lanesOf(
  rows: readonly Shipment[],
): Record<string, { readonly messages: number; readonly value: number }> {
  const lanes: Record<string, { messages: number; value: number }> = {};
  for (const { lane, value } of rows) {
    const of = (lanes[lane] ??= { messages: 0, value: 0 });
    of.messages++;
    of.value += value;
  }
  return lanes;
}
