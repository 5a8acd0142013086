import type { KeyedBatch, KeyedOutcome, MergeStates } from '../../../domain/ports/result-store.ts';
import type { Connection } from './connection.ts';
import { applyEffects } from './effects.ts';
import { findOrAddSource, requireGeneration } from './lookups.ts';
import { Owners } from './owners.ts';

/** Keys that are looked at in one transaction: as many as keep others waiting for some milliseconds. */
const PURGE_KEYS = 5_000;

/** Where a walk through the keys of a source goes on: behind a key; `undefined` at its start. */
interface KeyWalk {
  readonly forgotten: number;
  readonly last: string | undefined;
  readonly ended: boolean;
}

export function keySources(connection: Connection, generation: string): number[] {
  return connection
    .all<{ id: number }>(
      'SELECT id FROM sources WHERE generation_id = (SELECT id FROM generations WHERE generation = ?) ORDER BY id',
      generation,
    )
    .map(({ id }) => id);
}

/** Forgets those of the next keys behind `after` that were applied before a time. */
export function purgeNextKeys(
  connection: Connection,
  sourceId: number,
  after: string | undefined,
  appliedBefore: number,
): KeyWalk {
  const behind = after === undefined ? 'key >= ?' : 'key > ?';
  const values = [sourceId, after ?? ''] as const;
  const last = connection.get<{ key: string }>(
    `SELECT key FROM keys WHERE source_id = ? AND ${behind} ORDER BY key LIMIT 1 OFFSET ${PURGE_KEYS - 1}`,
    ...values,
  )?.key;
  const ended = last === undefined;
  const forgotten = connection.run(
    `DELETE FROM keys WHERE source_id = ? AND ${behind} ${ended ? '' : 'AND key <= ?'} AND applied_at < ?`,
    ...values,
    ...(ended ? [] : [last]),
    appliedBefore,
  );
  return { forgotten, last, ended };
}

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
