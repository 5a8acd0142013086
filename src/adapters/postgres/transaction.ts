import { createHash } from 'node:crypto';
import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock, Random } from '../../domain/ports/ambient.ts';
import { backoffMs, type RetryPolicy } from '../../domain/retry.ts';
import type { Database, Session, Value } from './database.ts';
import { databaseError, isConnectionLost, isWorthAnotherTry } from './errors.ts';
import { fromStored, toStored } from './text.ts';

/*
 * Every transaction takes its locks in this order, and rows of one table in the order of what stands behind it. Whoever waits for a lock
 * then waits for somebody who is further on, so that no two wait for each other:
 *
 *   1. the generation (an advisory lock: shared by all who write; alone by who declares it anew or purges it)
 *   2. rows of objects and sources that are missing (by bucket and key; by name)
 *   3. keys (by bytes)
 *   4. groups (by bytes)
 *   5. flags (by position)
 *   6. failures that are there (by id), then new ones (as their frame has them, which is the same in every try)
 *   7. objects (by id), which stand for their sections and frames as well; then sources (by id)
 *
 * The row of an object, which every frame of it counts in, is so held for the last statement and the commit alone. What
 * decides whether a frame may count is read before, without a lock, and looked at again under it: where it has
 * changed meanwhile, the transaction is rolled back and made anew (`Changed`).
 * Should a deadlock come about all the same, PostgreSQL ends one of the two, and that one is made anew as well.
 */

/** Ends a transaction that decided on what is no longer so; it is made anew. */
export class Changed extends Error {
  override readonly name = 'Changed';
  constructor() {
    super('what this transaction was decided on has changed');
  }
}

/** Deadlocks and changes end within a few tries; somebody who holds a lock for long shows as a timeout instead. */
const retry: RetryPolicy = { attempts: 12, baseMs: 4, maxMs: 500 };

/** Before the server ends a transaction whose owner says nothing more (a frozen function), in milliseconds. */
const IDLE_MS = 60_000;

/** How much longer than the server's own limit an answer may take before the connection counts as dead, in milliseconds. */
const GRACE_MS = 5_000;

export interface TransactionSettings {
  readonly schema: string;
  /** Milliseconds; 0: without limit. */
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
}

/** Who else may write in the same generation meanwhile. */
export interface GenerationLock {
  readonly generation: string;
  readonly mode: 'shared' | 'alone';
}

interface Beginning {
  readonly script: string;
  /** Before the connection counts as dead, for each statement. */
  readonly timeoutMs: number;
}

/** Statements of one transaction, in one schema. Texts are stored and read as `text.ts` has it. */
export class Transaction {
  readonly #session: Session;
  readonly #signal: AbortSignal;
  readonly #timeoutMs: number;

  constructor(session: Session, signal: AbortSignal, timeoutMs: number) {
    this.#session = session;
    this.#signal = signal;
    this.#timeoutMs = timeoutMs;
  }

  /** The first row, typed by the caller who wrote the columns. */
  async get<T>(sql: string, ...values: Value[]): Promise<T | undefined> {
    return (await this.all<T>(sql, ...values))[0];
  }

  async all<T>(sql: string, ...values: Value[]): Promise<T[]> {
    const { rows } = await this.#query(sql, values);
    return rows.map((row) => readable(row) as T);
  }

  /** @returns how many rows were changed */
  async run(sql: string, ...values: Value[]): Promise<number> {
    return (await this.#query(sql, values)).count;
  }

  /** Statements that make or drop something. */
  async execute(script: string): Promise<void> {
    await unlessAborted(() => this.#session.execute(script, this.#timeoutMs), this.#signal);
  }

  #query(sql: string, values: readonly Value[]) {
    return unlessAborted(() => this.#session.query(sql, values.map(storable), this.#timeoutMs), this.#signal);
  }
}

/** Runs transactions: begins, commits, rolls back, and makes those anew that can be. */
export class Transactions {
  readonly name: string;
  readonly #database: Database;
  readonly #settings: TransactionSettings;
  readonly #clock: Pick<Clock, 'sleep'>;
  readonly #random: Pick<Random, 'next'>;

  constructor(
    database: Database,
    settings: TransactionSettings,
    { clock, random }: { readonly clock: Pick<Clock, 'sleep'>; readonly random: Pick<Random, 'next'> },
  ) {
    this.name = database.name;
    this.#database = database;
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
  }

  get schema(): string {
    return this.#settings.schema;
  }

  /** @param lock `null`: what is written belongs to no generation */
  write<T>(
    lock: GenerationLock | null,
    signal: AbortSignal,
    work: (transaction: Transaction) => Promise<T>,
    limits: Partial<TransactionSettings> = {},
  ): Promise<T> {
    return this.#repeatedly(this.#beginning('READ WRITE', lock, limits), signal, work);
  }

  read<T>(signal: AbortSignal, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#repeatedly(this.#beginning('READ ONLY', null), signal, work);
  }

  /**
   * Settings hold for their transaction alone: a proxy that deals its connections out by transaction has to keep none of them.
   * Whatever the database's defaults are, statements see what was committed before each of them.
   */
  #beginning(
    access: 'READ ONLY' | 'READ WRITE',
    lock: GenerationLock | null,
    limits: Partial<TransactionSettings> = {},
  ): Beginning {
    const { schema, statementTimeoutMs, lockTimeoutMs } = { ...this.#settings, ...limits };
    const statements = [
      `BEGIN ISOLATION LEVEL READ COMMITTED ${access}`,
      `SET LOCAL search_path TO ${identifier(schema)}`,
      `SET LOCAL statement_timeout TO ${statementTimeoutMs}`,
      `SET LOCAL lock_timeout TO ${lockTimeoutMs}`,
      `SET LOCAL idle_in_transaction_session_timeout TO ${IDLE_MS}`,
      // Pages are read along an index. Of new tables the planner knows so little that it would rather sort all rows for each page.
      ...(access === 'READ ONLY' ? ['SET LOCAL enable_sort TO off'] : []),
      ...(lock === null ? [] : [lockStatement(schema, lock)]),
    ];
    const timeoutMs = statementTimeoutMs === 0 ? 0 : statementTimeoutMs + GRACE_MS;
    return { script: statements.join('; '), timeoutMs };
  }

  async #repeatedly<T>(
    beginning: Beginning,
    signal: AbortSignal,
    work: (transaction: Transaction) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const progress = { isConnected: false, isBegun: false };
      try {
        return await this.#once(beginning, signal, work, progress);
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        // A connection that lay idle may be dead, which shows at its first use: nothing has happened yet.
        const wasDead = progress.isConnected && !progress.isBegun && isConnectionLost(thrown);
        const again = thrown instanceof Changed || isWorthAnotherTry(thrown) || wasDead;
        if (!again) throw databaseError(thrown, this.name);
        if (attempt === retry.attempts)
          throw new InfrastructureError(
            `${this.name} let none of ${retry.attempts} tries of a transaction through`,
            {
              code: 'E_STORE_BUSY',
              cause: thrown,
            },
          );
        await this.#clock.sleep(backoffMs(retry, attempt, this.#random.next()), signal);
      }
    }
  }

  async #once<T>(
    { script, timeoutMs }: Beginning,
    signal: AbortSignal,
    work: (transaction: Transaction) => Promise<T>,
    progress: { isConnected: boolean; isBegun: boolean },
  ): Promise<T> {
    const session = await this.#database.connect(signal);
    progress.isConnected = true;
    let isClean = false;
    try {
      await unlessAborted(() => session.execute(script, timeoutMs), signal);
      progress.isBegun = true;
      const result = await work(new Transaction(session, signal, timeoutMs));
      signal.throwIfAborted();
      // Not broken off: whoever asked must not go on while it is open whether this happened.
      await session.execute('COMMIT', timeoutMs);
      isClean = true;
      return result;
    } catch (thrown) {
      // After an abort a statement may still be under way, behind which a rollback would have to wait.
      if (!signal.aborted && !isConnectionLost(thrown)) isClean = await isRolledBack(session, timeoutMs);
      throw thrown;
    } finally {
      await session.release(isClean);
    }
  }
}

/** Statement that waits for, and then holds, a generation's lock until the end of the transaction. */
function lockStatement(schema: string, { generation, mode }: GenerationLock): string {
  const shared = mode === 'shared' ? '_shared' : '';
  return `SELECT pg_advisory_xact_lock${shared}(${lockNumber(schema, 'generation', generation)})`;
}

/** Advisory locks have numbers for names, and one space of them in each database. */
export function lockNumber(...names: readonly string[]): bigint {
  const digest = createHash('sha256')
    .update(JSON.stringify(['sluice', ...names]))
    .digest();
  return digest.readBigInt64BE();
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  // The form that reads a backslash the same whatever `standard_conforming_strings` says.
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

async function isRolledBack(session: Session, timeoutMs: number): Promise<boolean> {
  try {
    await session.execute('ROLLBACK', timeoutMs);
    return true;
  } catch {
    return false;
  }
}

/** Does not wait for what is under way any longer than the signal wants. */
function unlessAborted<T>(start: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as unknown);
    signal.addEventListener('abort', stop, { once: true });
    start()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', stop));
  });
}

function storable(value: Value): Value {
  if (typeof value === 'string') return toStored(value);
  if (!Array.isArray(value)) return value;
  return value.map((item: unknown) => (typeof item === 'string' ? toStored(item) : item)) as Value;
}

function readable(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let changed: Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(row)) {
    if (typeof value !== 'string') continue;
    const text = fromStored(value);
    if (text !== value) (changed ??= { ...row })[name] = text;
  }
  return changed ?? row;
}
