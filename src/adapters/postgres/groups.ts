import type { GroupState, MergeStates } from '../../domain/ports/result-store.ts';
import type { Transaction } from './transaction.ts';

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

  const inserted = await transaction.all<{ group: string; place: string }>(
    `INSERT INTO groups (generation_id, "group", state)
     SELECT $1, "group", '' FROM unnest($2::text[]) AS named ("group") ORDER BY "group" COLLATE "C"
     ON CONFLICT (generation_id, left("group", 512), md5("group")) DO UPDATE SET state = excluded.state WHERE false
     RETURNING "group", ctid::text AS place`,
    generationId,
    [...merged.keys()],
  );
  // Where their rows are does not change while they are locked.
  const places = new Map(inserted.map(({ group, place }) => [group, place]));
  const known = [...merged.keys()].filter((group) => !places.has(group));
  if (known.length > 0) {
    // `LATERAL` and `LIMIT` make it one look-up for each name, where the planner might read all groups of the generation.
    const stored = await transaction.all<{ group: string; place: string; state: Uint8Array }>(
      `SELECT named."group", found.ctid::text AS place, found.state FROM unnest($2::text[]) AS named ("group")
       CROSS JOIN LATERAL (
         SELECT ctid, state FROM groups
         WHERE generation_id = $1 AND left("group", 512) = left(named."group", 512) AND md5("group") = md5(named."group") LIMIT 1
       ) AS found`,
      generationId,
      known,
    );
    for (const { group, place, state } of stored) {
      places.set(group, place);
      // Whoever merges gets plain bytes, and no driver's buffer.
      const plain = new Uint8Array(state.buffer, state.byteOffset, state.byteLength);
      merged.set(group, mergeStates(plain, merged.get(group) as Uint8Array));
    }
  }
  await transaction.run(
    `UPDATE groups SET state = merged.state FROM unnest($1::text[]::tid[], $2::bytea[]) AS merged (place, state)
     WHERE groups.ctid = merged.place`,
    [...merged.keys()].map((group) => places.get(group) as string),
    [...merged.values()],
  );
}
