import { createHash } from 'node:crypto';
import type { KeyedBatch, KeyedOutcome, MergeStates } from '../../domain/ports/result-store.ts';
import { applyEffects } from './effects.ts';
import { requireGeneration } from './lookups.ts';
import { findOrAddSources, Owners } from './owners.ts';
import type { Transaction } from './transaction.ts';

/** Keys that are forgotten in one transaction. */
export const PURGE_KEYS = 5_000;

/** An index takes no entry over 2,704 bytes. Nobody reads these keys: the digest of a longer one stands for it. */
const MAX_KEY_BYTES = 1_000;

export async function applyKeyed(
  transaction: Transaction,
  mergeStates: MergeStates,
  batch: KeyedBatch,
): Promise<KeyedOutcome> {
  const generationId = await requireGeneration(transaction, batch.generation);
  const sources = await findOrAddSources(transaction, generationId, [batch.source]);
  const owner = { table: 'sources', id: sources.get(batch.source.toWellFormed()) as number } as const;
  const keys = batch.keys.map(storedKey);
  const isNew = await insertKeys(transaction, owner.id, keys, batch.at);
  const { effects, totals } = batch.fold(isNew);
  const owners = new Owners(transaction, generationId, batch);
  owners.know({ kind: 'key', source: batch.source, key: '', output: null }, owner);
  await applyEffects(transaction, mergeStates, generationId, owner, owners, effects, batch);
  const { rows, pruned, filtered, failed, transformed, messages } = totals;
  owners.add(owner, { rows, pruned, filtered, failed, transformed, messages });
  await owners.save();
  return { isNew, effects, totals };
}

async function insertKeys(
  transaction: Transaction,
  sourceId: number,
  keys: readonly string[],
  at: number,
): Promise<boolean[]> {
  const inserted = await transaction.all<{ key: string }>(
    `INSERT INTO keys (source_id, key, applied_at)
     SELECT $1, key, $2 FROM unnest($3::text[]) AS added (key) ORDER BY key COLLATE "C" ON CONFLICT DO NOTHING RETURNING key`,
    sourceId,
    at,
    [...new Set(keys)],
  );
  const fresh = new Set(inserted.map(({ key }) => key));
  // The first of the same keys is new, those after it are not.
  return keys.map((key) => fresh.delete(key));
}

function storedKey(key: string): string {
  const wellFormed = key.toWellFormed();
  if (Buffer.byteLength(wellFormed) <= MAX_KEY_BYTES) return wellFormed;
  return `${wellFormed.slice(0, 100).toWellFormed()} sha256:${createHash('sha256').update(wellFormed).digest('hex')}`;
}

/** Forgets some of the keys that were applied before a time; those that somebody else is at are left to them. */
export function purgeSomeKeys(
  transaction: Transaction,
  generation: string,
  appliedBefore: number,
): Promise<number> {
  return transaction.run(
    `DELETE FROM keys WHERE ctid = ANY(ARRAY(
       SELECT keys.ctid FROM keys JOIN sources ON sources.id = source_id JOIN generations ON generations.id = generation_id
       WHERE generation = $1 AND applied_at < $2 LIMIT ${PURGE_KEYS} FOR UPDATE OF keys SKIP LOCKED))`,
    generation,
    appliedBefore,
  );
}
