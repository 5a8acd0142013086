import { PGlite } from '@electric-sql/pglite';
import type { Answer, Database, Session, Value } from '../../../src/adapters/postgres/database.ts';

/** PostgreSQL in this process, with the one connection that it has: transactions wait for each other. */
export class PgliteDatabase implements Database {
  readonly name = 'pglite';
  readonly #engine: PGlite;
  #free: Promise<void> = Promise.resolve();

  constructor(engine: PGlite) {
    this.#engine = engine;
  }

  async connect(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    const before = this.#free;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#free = promise;
    await before;
    return new PgliteSession(this.#engine, resolve);
  }

  /** The engine belongs to whoever made it. */
  async close(): Promise<void> {
    await this.#free;
  }
}

class PgliteSession implements Session {
  readonly #engine: PGlite;
  readonly #free: () => void;
  #underWay: Promise<unknown> = Promise.resolve();

  constructor(engine: PGlite, free: () => void) {
    this.#engine = engine;
    this.#free = free;
  }

  async execute(script: string): Promise<void> {
    await this.#ask(() => this.#engine.exec(script));
  }

  async query(sql: string, values: readonly Value[]): Promise<Answer> {
    const { rows, affectedRows } = await this.#ask(() =>
      this.#engine.query<Record<string, unknown>>(sql, [...values]),
    );
    return { rows, count: rows.length > 0 ? rows.length : (affectedRows ?? 0) };
  }

  async release(isClean: boolean): Promise<void> {
    if (!isClean) {
      await this.#underWay;
      await this.#engine.exec('ROLLBACK');
    }
    this.#free();
  }

  #ask<T>(start: () => Promise<T>): Promise<T> {
    const asked = start();
    this.#underWay = asked.catch(() => {});
    return asked;
  }
}

/** One engine for a test file: it takes seconds to start. */
export async function startPglite(): Promise<PGlite> {
  return PGlite.create({ debug: 0 });
}
