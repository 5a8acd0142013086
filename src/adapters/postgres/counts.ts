import type { Counts } from '../../domain/ports/result-store.ts';
import { noCounts } from '../../domain/reconcile.ts';
import type { Value } from './database.ts';
import type { Transaction } from './transaction.ts';

/** The column of each count; `objects` and `sources` both have them. */
const countColumns: Readonly<Record<keyof Counts, string>> = {
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

/** Selects every count under its name in the port. */
export const selectCounts = names.map((name) => `${countColumns[name]} AS "${name}"`).join(', ');

/** What counts belong to: an object, or a source of messages from elsewhere. */
export interface Owner {
  readonly table: 'objects' | 'sources';
  readonly id: number;
}

/** `SET` clauses that add counts given as `$first` and the following values; see `countValues`. */
export function addition(first: number): string {
  return names
    .map((name, i) => `${countColumns[name]} = objects.${countColumns[name]} + $${first + i}::bigint`)
    .join(', ');
}

export function countValues(added: Partial<Counts>): number[] {
  return names.map((name) => added[name] ?? 0);
}

/** Adds to owners of one table, in one statement; their rows are locked in the order of their ids first. */
export async function addCounts(
  transaction: Transaction,
  table: Owner['table'],
  added: ReadonlyMap<number, Partial<Counts>>,
): Promise<void> {
  const ids = [...added.keys()];
  if (ids.length === 0) return;
  if (ids.length > 1)
    await transaction.all(
      `SELECT id FROM ${table} WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE`,
      ids,
    );
  const values: Value[] = names.map((name) => ids.map((id) => added.get(id)?.[name] ?? 0));
  await transaction.run(
    `UPDATE ${table} SET ${names.map((name) => `${countColumns[name]} = ${table}.${countColumns[name]} + added.${countColumns[name]}`).join(', ')}
     FROM unnest($1::bigint[], ${names.map((_, i) => `$${i + 2}::bigint[]`).join(', ')})
       AS added (id, ${names.map((name) => countColumns[name]).join(', ')})
     WHERE ${table}.id = added.id`,
    ids,
    ...values,
  );
}

export function countsOf(row: Counts): Counts {
  return Object.fromEntries(names.map((name) => [name, row[name]])) as unknown as Counts;
}

export function sumOf(counts: Partial<Counts>, added: Partial<Counts>): Counts {
  const sum = { ...noCounts(), ...counts };
  for (const [name, value] of Object.entries(added) as [keyof Counts, number][]) sum[name] += value;
  return sum;
}
