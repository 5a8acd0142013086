import type { Failure } from '../../domain/failure.ts';
import type { Generation } from '../../domain/generation.ts';
import type { Clock, Random } from '../../domain/ports/ambient.ts';
import type {
  ApplyOutcome,
  Effects,
  FailureQuery,
  FailureRecord,
  Flag,
  GroupState,
  KeyedBatch,
  KeyedOutcome,
  KeyedTotals,
  MergeStates,
  ObjectPlan,
  ObjectProgress,
  ObjectQuery,
  PlannedObject,
  PlanRequest,
  PublishedGroup,
  RedriveRef,
  ResultStore,
  ResultStoreCapabilities,
  RunRecord,
  SectionFrameRef,
  SectionRecordRef,
} from '../../domain/ports/result-store.ts';
import { applyFrame, applySectionRecord } from './apply.ts';
import { defaultConnectionSettings, type ConnectionSettings } from './connection-settings.ts';
import type { Database } from './database.ts';
import { openFailures } from './failures.ts';
import { declare, isDeclared, purge, readGenerations, readRun, readRuns, saveRun } from './generations.ts';
import { applyKeyed, PURGE_KEYS, purgeSomeKeys } from './keyed.ts';
import { checkSchema, DEFAULT_SCHEMA } from './migrate.ts';
import { planObjects } from './plan.ts';
import { publish } from './publish.ts';
import {
  countOpenFailures,
  readFailures,
  readFlags,
  readGroups,
  readKeyedSources,
  readObjects,
} from './reading.ts';
import { applyRedrive } from './redrive.ts';
import { Transactions, type Transaction } from './transaction.ts';

export interface PostgresResultStoreOptions extends Pick<
  ConnectionSettings,
  'statementTimeoutMs' | 'lockTimeoutMs'
> {
  readonly mergeStates: MergeStates;
  /** For the wait before a transaction is tried again. */
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: Pick<Random, 'next'>;
  /** The schema that `sluice migrate` made the tables in. Default `sluice`. */
  readonly schema?: string;
}

/**
 * Opens the store of a database whose tables `sluice migrate` made; closing it closes the database. Any number of stores, in one
 * process or in many, may work on the same tables.
 *
 * @throws InfrastructureError `E_STORE_SCHEMA` where the tables are missing or too old; `E_INFRASTRUCTURE` where the
 *   database cannot be reached. The database is closed then.
 */
export async function openPostgresResultStore(
  database: Database,
  options: PostgresResultStoreOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<ResultStore> {
  const {
    schema = DEFAULT_SCHEMA,
    statementTimeoutMs,
    lockTimeoutMs,
  } = { ...defaultConnectionSettings, ...options };
  const transactions = new Transactions(database, { schema, statementTimeoutMs, lockTimeoutMs }, options);
  try {
    await checkSchema(transactions, signal);
  } catch (thrown) {
    await database.close();
    throw thrown;
  }
  return new PostgresResultStore(database, transactions, options.mergeStates);
}

/** The result store that many functions share: one schema of a PostgreSQL database (docs/result-store.md). */
class PostgresResultStore implements ResultStore {
  readonly capabilities: ResultStoreCapabilities = { durable: true };
  readonly #database: Database;
  readonly #transactions: Transactions;
  readonly #mergeStates: MergeStates;

  constructor(database: Database, transactions: Transactions, mergeStates: MergeStates) {
    this.#database = database;
    this.#transactions = transactions;
    this.#mergeStates = mergeStates;
  }

  async declare(generation: Generation, signal: AbortSignal): Promise<void> {
    if (await this.#read(signal, (transaction) => isDeclared(transaction, generation))) return;
    await this.#writeAlone(generation.id, signal, (transaction) => declare(transaction, generation));
  }

  async purge(generation: string, signal: AbortSignal): Promise<void> {
    await this.#writeAlone(generation, signal, (transaction) => purge(transaction, generation));
  }

  async purgeKeys(generation: string, appliedBefore: number, signal: AbortSignal): Promise<number> {
    let forgotten = 0;
    for (;;) {
      const some = await this.#write(generation, signal, (transaction) =>
        purgeSomeKeys(transaction, generation, appliedBefore),
      );
      forgotten += some;
      if (some < PURGE_KEYS) return forgotten;
    }
  }

  saveRun(run: RunRecord, signal: AbortSignal): Promise<void> {
    return this.#transactions.write(null, signal, (transaction) => saveRun(transaction, run));
  }

  plan(
    request: PlanRequest,
    objects: readonly PlannedObject[],
    signal: AbortSignal,
  ): Promise<readonly ObjectPlan[]> {
    return this.#write(request.generation, signal, (transaction) =>
      planObjects(transaction, request, objects),
    );
  }

  applyFrame(frame: SectionFrameRef, effects: Effects, signal: AbortSignal): Promise<ApplyOutcome> {
    return this.#write(frame.generation, signal, (transaction) =>
      applyFrame(transaction, this.#mergeStates, frame, effects),
    );
  }

  applySectionRecord(frame: SectionRecordRef, signal: AbortSignal): Promise<ApplyOutcome> {
    return this.#write(frame.generation, signal, (transaction) => applySectionRecord(transaction, frame));
  }

  applyKeyed(batch: KeyedBatch, signal: AbortSignal): Promise<KeyedOutcome> {
    return this.#write(batch.generation, signal, (transaction) =>
      applyKeyed(transaction, this.#mergeStates, batch),
    );
  }

  applyRedrive(
    redrive: RedriveRef,
    effects: Effects,
    signal: AbortSignal,
  ): Promise<'applied' | 'failed-again' | 'closed'> {
    return this.#write(redrive.generation, signal, (transaction) =>
      applyRedrive(transaction, this.#mergeStates, redrive, effects),
    );
  }

  openFailures(
    generation: string,
    run: string,
    failures: readonly Failure[],
    at: number,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#write(generation, signal, (transaction) =>
      openFailures(transaction, generation, run, failures, at),
    );
  }

  run(id: string, signal: AbortSignal): Promise<RunRecord | undefined> {
    return this.#read(signal, (transaction) => readRun(transaction, id));
  }

  runs(signal: AbortSignal): Promise<readonly RunRecord[]> {
    return this.#read(signal, readRuns);
  }

  generations(signal: AbortSignal): Promise<readonly Generation[]> {
    return this.#read(signal, readGenerations);
  }

  objects(query: ObjectQuery, signal: AbortSignal): AsyncIterable<ObjectProgress> {
    return readObjects(this.#transactions, query, signal);
  }

  keyedSources(generation: string, signal: AbortSignal): Promise<readonly KeyedTotals[]> {
    return this.#read(signal, (transaction) => readKeyedSources(transaction, generation));
  }

  groups(generation: string, signal: AbortSignal): AsyncIterable<GroupState> {
    return readGroups(this.#transactions, generation, signal);
  }

  flags(generation: string, signal: AbortSignal): AsyncIterable<Flag> {
    return readFlags(this.#transactions, generation, signal);
  }

  failures(query: FailureQuery, signal: AbortSignal): AsyncIterable<FailureRecord> {
    return readFailures(this.#transactions, query, signal);
  }

  countOpenFailures(
    query: { readonly generation: string; readonly run?: string; readonly source?: string },
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, number>>> {
    return this.#read(signal, (transaction) => countOpenFailures(transaction, query));
  }

  publish(generation: string, results: AsyncIterable<PublishedGroup>, signal: AbortSignal): Promise<void> {
    return publish(this.#transactions, generation, results, signal);
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #read<T>(signal: AbortSignal, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#transactions.read(signal, work);
  }

  #write<T>(
    generation: string,
    signal: AbortSignal,
    work: (transaction: Transaction) => Promise<T>,
  ): Promise<T> {
    return this.#transactions.write({ generation, mode: 'shared' }, signal, work);
  }

  /** Forgetting a generation takes as long as it takes. */
  #writeAlone<T>(
    generation: string,
    signal: AbortSignal,
    work: (transaction: Transaction) => Promise<T>,
  ): Promise<T> {
    return this.#transactions.write({ generation, mode: 'alone' }, signal, work, { statementTimeoutMs: 0 });
  }
}
