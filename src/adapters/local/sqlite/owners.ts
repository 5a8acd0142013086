import type { Counts } from '../../../domain/ports/result-store.ts';
import type { Position } from '../../../domain/position.ts';
import type { Connection } from './connection.ts';
import { addCounts, type Owner } from './counts.ts';
import { addToRun, findObject, findOrAddSource } from './lookups.ts';

/** What one transaction changes of objects and sources: finds their rows once, adds up their counts, writes them at the end. */
export class Owners {
  readonly #connection: Connection;
  readonly #generationId: number;
  readonly #run: string;
  readonly #build: string;
  readonly #found = new Map<string, Owner>();
  readonly #added = new Map<
    string,
    { readonly owner: Owner; readonly counts: Partial<Record<keyof Counts, number>> }
  >();

  constructor(
    connection: Connection,
    generationId: number,
    attempt: { readonly run: string; readonly build: string },
  ) {
    this.#connection = connection;
    this.#generationId = generationId;
    this.#run = attempt.run;
    this.#build = attempt.build;
  }

  ofPosition(position: Position): Owner {
    const name =
      position.kind === 'row'
        ? JSON.stringify([position.object.bucket, position.object.key])
        : position.source;
    const cacheKey = `${position.kind}:${name}`;
    let owner = this.#found.get(cacheKey);
    if (owner === undefined) {
      owner =
        position.kind === 'row'
          ? { table: 'objects', id: this.#objectId(position) }
          : { table: 'sources', id: findOrAddSource(this.#connection, this.#generationId, position.source) };
      this.#found.set(cacheKey, owner);
    }
    return owner;
  }

  add(owner: Owner, added: Partial<Counts>): void {
    const key = `${owner.table}:${owner.id}`;
    const entry = this.#added.get(key) ?? { owner, counts: {} };
    this.#added.set(key, entry);
    for (const [name, value] of Object.entries(added) as [keyof Counts, number][]) {
      entry.counts[name] = (entry.counts[name] ?? 0) + value;
    }
  }

  save(): void {
    for (const { owner, counts } of this.#added.values()) addCounts(this.#connection, owner, counts);
    this.#added.clear();
  }

  /** An object that was never planned (it could not be opened) becomes known by its failure, with epoch 0. */
  #objectId(position: Extract<Position, { kind: 'row' }>): number {
    const { object } = position;
    const known = findObject(this.#connection, this.#generationId, object);
    if (known !== undefined) return known.id;
    const id = Number(
      this.#connection
        .statement(
          'INSERT INTO objects (generation_id, bucket, key, version, size, epoch, build) VALUES (?, ?, ?, ?, ?, 0, ?)',
        )
        .run(this.#generationId, object.bucket, object.key, object.version, object.size, this.#build)
        .lastInsertRowid,
    );
    addToRun(this.#connection, this.#run, id);
    return id;
  }
}
