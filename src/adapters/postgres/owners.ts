import type { LakeObject } from '../../domain/lake-object.ts';
import type { Counts } from '../../domain/ports/result-store.ts';
import type { Position } from '../../domain/position.ts';
import { addCounts, sumOf, type Owner } from './counts.ts';
import type { Transaction } from './transaction.ts';

/**
 * What one transaction changes of objects and sources: finds their rows at its start, adds up their counts, writes them at
 * its end.
 */
export class Owners {
  readonly #transaction: Transaction;
  readonly #generationId: number;
  readonly #run: string;
  readonly #build: string;
  readonly #found = new Map<string, Owner>();
  readonly #added = new Map<Owner['table'], Map<number, Counts>>();

  constructor(
    transaction: Transaction,
    generationId: number,
    attempt: { readonly run: string; readonly build: string },
  ) {
    this.#transaction = transaction;
    this.#generationId = generationId;
    this.#run = attempt.run;
    this.#build = attempt.build;
  }

  /** A row that is known already needs not be looked for. */
  know(position: Position, owner: Owner): void {
    this.#found.set(nameOf(position), owner);
  }

  /** Finds the rows of all positions; those that are missing are made. */
  async find(positions: readonly Position[]): Promise<void> {
    const unknown = new Map(positions.map((position) => [nameOf(position), position]));
    for (const name of this.#found.keys()) unknown.delete(name);
    const objects = [...unknown.values()].flatMap((one) => (one.kind === 'row' ? [one.object] : []));
    const sources = [...unknown.values()].flatMap((one) => (one.kind === 'key' ? [one.source] : []));
    if (objects.length > 0) await this.#findObjects(objects);
    if (sources.length > 0) await this.#findSources(sources);
  }

  /** Of a position that was looked for. */
  ofPosition(position: Position): Owner {
    const owner = this.#found.get(nameOf(position));
    if (owner === undefined) throw new Error(`nobody looked for ${nameOf(position)}`);
    return owner;
  }

  add({ table, id }: Owner, added: Partial<Counts>): void {
    let counts = this.#added.get(table);
    if (counts === undefined) this.#added.set(table, (counts = new Map<number, Counts>()));
    counts.set(id, sumOf(counts.get(id) ?? {}, added));
  }

  /** Takes out what would be written of one owner, for whom somebody else writes it. */
  take({ table, id }: Owner): Partial<Counts> {
    const counts = this.#added.get(table)?.get(id);
    this.#added.get(table)?.delete(id);
    return counts ?? {};
  }

  async save(): Promise<void> {
    for (const table of ['objects', 'sources'] as const)
      await addCounts(this.#transaction, table, this.#added.get(table) ?? new Map());
    this.#added.clear();
  }

  /** An object that was never planned (it could not be opened) becomes known by its failure, with epoch 0. */
  async #findObjects(objects: readonly LakeObject[]): Promise<void> {
    const names = [objects.map(({ bucket }) => bucket), objects.map(({ key }) => key)] as const;
    const find = () =>
      this.#transaction.all<{ id: number; bucket: string; key: string }>(
        `SELECT id, bucket, key FROM objects JOIN unnest($2::text[], $3::text[]) AS named (bucket, key) USING (bucket, key)
         WHERE generation_id = $1`,
        this.#generationId,
        ...names,
      );
    let rows = await find();
    if (rows.length < objects.length) {
      const made = await this.#transaction.all<{ id: number }>(
        `INSERT INTO objects (generation_id, bucket, key, version, size, epoch, build)
         SELECT $1, bucket, key, version, size, 0, $2
         FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[]) AS named (bucket, key, version, size)
         ORDER BY bucket COLLATE "C", key COLLATE "C" ON CONFLICT DO NOTHING RETURNING id`,
        this.#generationId,
        this.#build,
        ...names,
        objects.map(({ version }) => version),
        objects.map(({ size }) => size),
      );
      await addToRun(
        this.#transaction,
        this.#run,
        made.map(({ id }) => id),
      );
      rows = await find();
    }
    for (const { id, bucket, key } of rows)
      this.#found.set(objectName({ bucket, key }), { table: 'objects', id });
  }

  async #findSources(sources: readonly string[]): Promise<void> {
    for (const [source, id] of await findOrAddSources(this.#transaction, this.#generationId, sources))
      this.#found.set(sourceName(source), { table: 'sources', id });
  }
}

export async function findOrAddSources(
  transaction: Transaction,
  generationId: number,
  sources: readonly string[],
): Promise<Map<string, number>> {
  const find = () =>
    transaction.all<{ id: number; source: string }>(
      'SELECT id, source FROM sources WHERE generation_id = $1 AND source = ANY($2::text[])',
      generationId,
      sources,
    );
  let rows = await find();
  if (rows.length < sources.length) {
    await transaction.run(
      `INSERT INTO sources (generation_id, source)
       SELECT $1, source FROM unnest($2::text[]) AS named (source) ORDER BY source COLLATE "C" ON CONFLICT DO NOTHING`,
      generationId,
      sources,
    );
    rows = await find();
  }
  return new Map(rows.map(({ source, id }) => [source, id]));
}

export async function addToRun(
  transaction: Transaction,
  run: string,
  objectIds: readonly number[],
): Promise<void> {
  if (objectIds.length === 0) return;
  await transaction.run(
    `INSERT INTO run_objects (run, object_id)
     SELECT $1, id FROM unnest($2::bigint[]) AS added (id) ORDER BY id ON CONFLICT DO NOTHING`,
    run,
    objectIds,
  );
}

function nameOf(position: Position): string {
  return position.kind === 'row' ? objectName(position.object) : sourceName(position.source);
}

function objectName({ bucket, key }: Pick<LakeObject, 'bucket' | 'key'>): string {
  return `row:${JSON.stringify([bucket.toWellFormed(), key.toWellFormed()])}`;
}

function sourceName(source: string): string {
  return `key:${source.toWellFormed()}`;
}
