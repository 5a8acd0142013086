import type { Flag } from '../../domain/ports/result-store.ts';
import { toJson } from './json.ts';
import type { Owners } from './owners.ts';
import type { Transaction } from './transaction.ts';

interface FlagRow extends Flag {
  readonly ownerId: number;
}

const fields = 'kind, severity, message, details';
const replacement =
  'kind = excluded.kind, severity = excluded.severity, message = excluded.message, details = excluded.details';

const saveOfObjects = `INSERT INTO flags (object_id, coordinate, output, ${fields})
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS added (owner_id, place, output, ${fields}) ORDER BY owner_id, place, output
  ON CONFLICT (object_id, coalesce(coordinate, -1), coalesce(output, -1)) WHERE object_id IS NOT NULL DO UPDATE SET ${replacement}`;

const saveOfSources = `INSERT INTO flags (source_id, key, output, ${fields})
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS added (owner_id, place, output, ${fields}) ORDER BY owner_id, place COLLATE "C", output
  ON CONFLICT (source_id, left(key, 512), md5(key), coalesce(output, -1)) WHERE source_id IS NOT NULL DO UPDATE SET ${replacement}`;

/** Saves flags of positions that `owners` knows. A message has one flag: the last one counts. */
export async function saveFlags(
  transaction: Transaction,
  owners: Owners,
  flags: readonly Flag[],
): Promise<void> {
  const ofObjects = new Map<string, FlagRow>();
  const ofSources = new Map<string, FlagRow>();
  for (const flag of flags) {
    const { position } = flag;
    const { table, id } = owners.ofPosition(position);
    const place = position.kind === 'row' ? position.coordinate : position.key.toWellFormed();
    const key = JSON.stringify([id, place, position.output]);
    (table === 'objects' ? ofObjects : ofSources).set(key, { ...flag, ownerId: id });
  }
  for (const [sql, rows] of [
    [saveOfObjects, [...ofObjects.values()]],
    [saveOfSources, [...ofSources.values()]],
  ] as const) {
    if (rows.length === 0) continue;
    await transaction.run(
      sql,
      rows.map(({ ownerId }) => ownerId),
      rows.map(({ position }) => (position.kind === 'row' ? position.coordinate : position.key)),
      rows.map(({ position }) => position.output),
      rows.map(({ finding }) => finding.kind),
      rows.map(({ finding }) => finding.severity ?? null),
      rows.map(({ finding }) => finding.message),
      rows.map(({ finding }) => (finding.details === undefined ? null : toJson(finding.details))),
    );
  }
}
