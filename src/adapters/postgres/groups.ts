import type { GroupState, MergeStates } from '../../domain/ports/result-store.ts';
import type { Transaction } from './transaction.ts';

/**
 * How a group is found. An index takes no entry over 2,704 bytes, and a group may be longer: its start and a digest stand
 * for it there.
 */
const isNamed = `left(groups."group", 512) = left(named."group", 512) AND md5(groups."group") = md5(named."group")`;

/**
 * Merges states into groups, in three statements however many they are. Groups that are new and groups that are there have to
 * be locked in one order, so one statement does both: `WHERE false` locks the row of a group that is there and leaves it as it is.
 */
export async function mergeGroups(
  transaction: Transaction,
  mergeStates: MergeStates,
  generationId: number,
  groups: readonly GroupState[],
): Promise<void> {
  const merged = new Map<string, Uint8Array>();
  for (const { group, state } of groups) {
    const name = group.toWellFormed();
    const before = merged.get(name);
    merged.set(name, before === undefined ? state : mergeStates(before, state));
  }
  if (merged.size === 0) return;

  const inserted = await transaction.all<{ group: string }>(
    `INSERT INTO groups (generation_id, "group", state)
     SELECT $1, "group", '' FROM unnest($2::text[]) AS named ("group") ORDER BY "group" COLLATE "C"
     ON CONFLICT (generation_id, left("group", 512), md5("group")) DO UPDATE SET state = excluded.state WHERE false
     RETURNING "group"`,
    generationId,
    [...merged.keys()],
  );
  const isNew = new Set(inserted.map(({ group }) => group));
  const known = [...merged.keys()].filter((group) => !isNew.has(group));
  if (known.length > 0) {
    const stored = await transaction.all<{ group: string; state: Uint8Array }>(
      `SELECT groups."group", groups.state FROM unnest($2::text[]) AS named ("group")
       JOIN groups ON generation_id = $1 AND ${isNamed}`,
      generationId,
      known,
    );
    for (const { group, state } of stored)
      merged.set(group, mergeStates(state, merged.get(group) as Uint8Array));
  }
  await transaction.run(
    `UPDATE groups SET state = named.state FROM unnest($2::text[], $3::bytea[]) AS named ("group", state)
     WHERE generation_id = $1 AND ${isNamed}`,
    generationId,
    [...merged.keys()],
    [...merged.values()],
  );
}
