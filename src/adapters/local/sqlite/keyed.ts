import type { KeyedBatch, KeyedOutcome, MergeStates } from '../../../domain/ports/result-store.ts';
import type { Connection } from './connection.ts';
import { applyEffects } from './effects.ts';
import { findOrAddSource, requireGeneration } from './lookups.ts';
import { Owners } from './owners.ts';

export function applyKeyed(
  connection: Connection,
  mergeStates: MergeStates,
  batch: KeyedBatch,
): KeyedOutcome {
  const generationId = requireGeneration(connection, batch.generation);
  const id = findOrAddSource(connection, generationId, batch.source);
  const insert = connection.statement(
    'INSERT INTO keys (source_id, key, applied_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const isNew = batch.keys.map((key) => insert.run(id, key, batch.at).changes === 1);
  const { effects, totals } = batch.fold(isNew);
  const owners = new Owners(connection, generationId, batch);
  const owner = { table: 'sources', id } as const;
  applyEffects(connection, mergeStates, generationId, owner, owners, effects, batch);
  const { rows, pruned, filtered, failed, transformed, messages } = totals;
  owners.add(owner, { rows, pruned, filtered, failed, transformed, messages });
  owners.save();
  return { isNew, effects, totals };
}
