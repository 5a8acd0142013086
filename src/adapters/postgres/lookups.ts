import { DomainError } from '../../domain/errors.ts';
import type { Transaction } from './transaction.ts';

/** The row of a generation; `undefined` where it is not declared (or was purged). */
export async function findGeneration(
  transaction: Transaction,
  generation: string,
): Promise<number | undefined> {
  const row = await transaction.get<{ id: number }>(
    'SELECT id FROM generations WHERE generation = $1',
    generation,
  );
  return row?.id;
}

/** @throws DomainError `E_NOT_FOUND` */
export async function requireGeneration(transaction: Transaction, generation: string): Promise<number> {
  const id = await findGeneration(transaction, generation);
  if (id === undefined) throw notDeclared(generation);
  return id;
}

export function notDeclared(generation: string): DomainError {
  return new DomainError(`${generation} is not declared in this store`, { code: 'E_NOT_FOUND' });
}
