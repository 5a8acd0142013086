import type { Counts } from '../../../domain/ports/result-store.ts';
import type { Connection } from './connection.ts';

/** The column of each count; `objects` and `sources` both have them. */
export const countColumns: Readonly<Record<keyof Counts, string>> = {
  rows: 'rows',
  pruned: 'pruned',
  filtered: 'filtered',
  failed: 'failed',
  transformed: 'transformed',
  messages: 'messages',
  applied: 'applied',
  redriven: 'redriven',
  openRowFailures: 'open_row_failures',
  openMessageFailures: 'open_message_failures',
  closedRowFailures: 'closed_row_failures',
  closedMessageFailures: 'closed_message_failures',
  openFailedRows: 'open_failed_rows',
  closedFailedRows: 'closed_failed_rows',
};

const names = Object.keys(countColumns) as (keyof Counts)[];

/** The counts as a row gives them. */
export type CountRow = Counts;

/** Selects every count under its name in the port. */
export const selectCounts = names.map((name) => `${countColumns[name]} AS "${name}"`).join(', ');

export const declareCounts = names
  .map((name) => `${countColumns[name]} INTEGER NOT NULL DEFAULT 0`)
  .join(',\n  ');

/** What counts belong to: an object, or a source of messages from elsewhere. */
export interface Owner {
  readonly table: 'objects' | 'sources';
  readonly id: number;
}

const additions = names.map((name) => `${countColumns[name]} = ${countColumns[name]} + ?`).join(', ');
const addTo = {
  objects: `UPDATE objects SET ${additions} WHERE id = ?`,
  sources: `UPDATE sources SET ${additions} WHERE id = ?`,
};

export function addCounts(connection: Connection, owner: Owner, added: Partial<Counts>): void {
  connection.run(addTo[owner.table], ...names.map((name) => added[name] ?? 0), owner.id);
}

export function countsOf(row: CountRow): Counts {
  return Object.fromEntries(names.map((name) => [name, row[name]])) as unknown as Counts;
}
