import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { InfrastructureError } from '../../../domain/errors.ts';
import { storeError } from './errors.ts';

/**
 * One connection: its statements are prepared once, and a transaction never outlives the call that began it.
 * All of it is synchronous, so that nothing else of this process can come between.
 */
export class Connection {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.path = path;
  }

  statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** The first row, typed by the caller who wrote the columns. */
  get<T>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.statement(sql).get(...values) as T | undefined;
  }

  all<T>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.statement(sql).all(...values) as T[];
  }

  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.statement(sql).run(...values).changes);
  }

  /** Statements that are run once, and those that make or drop something. */
  exec(sql: string): void {
    try {
      this.#database.exec(sql);
    } catch (thrown) {
      throw storeError(thrown, this.path);
    }
  }

  get isOpen(): boolean {
    return this.#database.isOpen;
  }

  /** Runs `work` in a transaction that holds the write lock from its start, so that what it reads stays true until it writes. */
  write<T>(work: () => T): T {
    return this.#transaction('BEGIN IMMEDIATE', work);
  }

  /** Runs `work` on one snapshot. */
  read<T>(work: () => T): T {
    return this.#transaction('BEGIN', work);
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #transaction<T>(begin: string, work: () => T): T {
    if (!this.#database.isOpen)
      throw new InfrastructureError(`${this.path} was closed`, { code: 'E_INTERNAL' });
    try {
      this.statement(begin).run();
      const result = work();
      this.statement('COMMIT').run();
      return result;
    } catch (thrown) {
      // SQLite has rolled back by itself after some errors (disk full).
      if (this.#database.isTransaction) this.statement('ROLLBACK').run();
      throw storeError(thrown, this.path);
    }
  }
}
