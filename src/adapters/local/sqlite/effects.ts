import type { Effects, Flag, GroupState, MergeStates } from '../../../domain/ports/result-store.ts';
import type { Connection } from './connection.ts';
import type { Owner } from './counts.ts';
import { toJson } from './json.ts';
import { openFailure, type Attempt } from './failures.ts';
import type { Owners } from './owners.ts';

/** Adds what a frame does to the results; `owner` is where its messages come from. */
export function applyEffects(
  connection: Connection,
  mergeStates: MergeStates,
  generationId: number,
  owner: Owner,
  owners: Owners,
  effects: Effects,
  attempt: Attempt,
): void {
  mergeGroups(connection, mergeStates, generationId, effects.groups);
  for (const flag of effects.flags) saveFlag(connection, owners, flag);
  for (const failure of effects.failures) openFailure(connection, generationId, owners, failure, attempt);
  owners.add(owner, { applied: effects.applied });
}

function mergeGroups(
  connection: Connection,
  mergeStates: MergeStates,
  generationId: number,
  groups: readonly GroupState[],
): void {
  const find = connection.statement('SELECT id, state FROM groups WHERE generation_id = ? AND "group" = ?');
  const update = connection.statement('UPDATE groups SET state = ? WHERE id = ?');
  const insert = connection.statement('INSERT INTO groups (generation_id, "group", state) VALUES (?, ?, ?)');
  for (const { group, state } of groups) {
    const stored = find.get(generationId, group) as { id: number; state: Uint8Array } | undefined;
    if (stored === undefined) insert.run(generationId, group, state);
    else update.run(mergeStates(stored.state, state), stored.id);
  }
}

function saveFlag(connection: Connection, owners: Owners, { position, finding }: Flag): void {
  const owner = owners.ofPosition(position);
  const ofRow = position.kind === 'row';
  const key = ofRow ? null : position.key;
  const coordinate = ofRow ? position.coordinate : null;
  // A message has one flag: the last one counts.
  connection.run(
    ofRow
      ? 'DELETE FROM flags WHERE object_id = ? AND ifnull(coordinate, -1) = ifnull(?, -1) AND ifnull(output, -1) = ifnull(?, -1)'
      : 'DELETE FROM flags WHERE source_id = ? AND key = ? AND ifnull(output, -1) = ifnull(?, -1)',
    owner.id,
    ofRow ? coordinate : key,
    position.output,
  );
  connection.run(
    `INSERT INTO flags (object_id, coordinate, source_id, key, output, kind, severity, message, details)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ofRow ? owner.id : null,
    coordinate,
    ofRow ? null : owner.id,
    key,
    position.output,
    finding.kind,
    finding.severity ?? null,
    finding.message,
    finding.details === undefined ? null : toJson(finding.details),
  );
}
