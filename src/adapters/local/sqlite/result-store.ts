import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import { DomainError, InfrastructureError } from '../../../domain/errors.ts';
import type { Failure } from '../../../domain/failure.ts';
import type { Generation } from '../../../domain/generation.ts';
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
} from '../../../domain/ports/result-store.ts';
import { applyFrame, applySectionRecord } from './apply.ts';
import { Connection } from './connection.ts';
import { isBusy, storeError } from './errors.ts';
import { openFailures } from './failures.ts';
import { declare, purge, readGenerations, readRun, readRuns, saveRun } from './generations.ts';
import { applyKeyed, keySources, purgeNextKeys } from './keyed.ts';
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
import { checkFile, migrate } from './schema.ts';

export interface SqliteResultStoreOptions {
  readonly mergeStates: MergeStates;
  /** How long a call waits for another process that is writing, in milliseconds; it blocks the event loop meanwhile. Default 5,000. */
  readonly busyTimeoutMs?: number;
  /** Whether to make the file and its folder where there is none. Default true. */
  readonly create?: boolean;
}

/**
 * Opens a results file, or makes it. Several stores, in one process or in many, may have the same file open.
 *
 * @throws DomainError `E_NOT_FOUND` where there is no file and `create` is false
 * @throws InfrastructureError `E_OUTPUT` where it cannot be read or written, or is not a results file of this version;
 *   `E_STORE_BUSY` where another process holds it
 */
export async function openSqliteResultStore(
  path: string,
  options: SqliteResultStoreOptions,
): Promise<ResultStore> {
  const { mergeStates, busyTimeoutMs = 5_000, create = true } = options;
  if (!create && !existsSync(path))
    throw new DomainError(`there is no results file ${path}`, { code: 'E_NOT_FOUND' });
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (thrown) {
    throw new InfrastructureError(`the folder ${dirname(path)} cannot be made`, {
      code: 'E_OUTPUT',
      cause: thrown,
    });
  }
  // Switching a new file to its write-ahead log fails at once, without the timeout, while another process does the same.
  for (let waited = 0; ; waited += 10) {
    try {
      return new SqliteResultStore(new Connection(openDatabase(path, busyTimeoutMs), path), mergeStates);
    } catch (thrown) {
      if (!isBusy(thrown) || waited >= busyTimeoutMs) throw storeError(thrown, path);
      await sleep(10);
    }
  }
}

function openDatabase(path: string, busyTimeoutMs: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
  try {
    // Before anything is changed: the file may belong to another program.
    checkFile(database, path);
    database.exec('PRAGMA journal_mode = WAL');
    // A commit survives the end of the process; a power loss may take the last ones, whole and in order.
    database.exec('PRAGMA synchronous = NORMAL');
    database.exec('PRAGMA cache_size = -32768');
    database.exec('PRAGMA wal_autocheckpoint = 4000');
    migrate(database, path);
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** The result store of the embedded default: one SQLite file that any SQLite tool can open (docs/result-store.md). */
class SqliteResultStore implements ResultStore {
  readonly capabilities: ResultStoreCapabilities = { durable: true };
  readonly #connection: Connection;
  readonly #mergeStates: MergeStates;
  #publications = 0;

  constructor(connection: Connection, mergeStates: MergeStates) {
    this.#connection = connection;
    this.#mergeStates = mergeStates;
  }

  async declare(generation: Generation, signal: AbortSignal): Promise<void> {
    this.#write(signal, (connection) => declare(connection, generation));
  }

  async purge(generation: string, signal: AbortSignal): Promise<void> {
    this.#write(signal, (connection) => purge(connection, generation));
  }

  async purgeKeys(generation: string, appliedBefore: number, signal: AbortSignal): Promise<number> {
    let forgotten = 0;
    for (const source of this.#read(signal, (connection) => keySources(connection, generation))) {
      let after: string | undefined;
      for (let ended = false; !ended; await breathe()) {
        const walk = this.#write(signal, (connection) =>
          purgeNextKeys(connection, source, after, appliedBefore),
        );
        ({ ended, last: after } = walk);
        forgotten += walk.forgotten;
      }
    }
    return forgotten;
  }

  async saveRun(run: RunRecord, signal: AbortSignal): Promise<void> {
    this.#write(signal, (connection) => saveRun(connection, run));
  }

  async plan(
    run: PlanRequest,
    objects: readonly PlannedObject[],
    signal: AbortSignal,
  ): Promise<readonly ObjectPlan[]> {
    return this.#write(signal, (connection) => planObjects(connection, run, objects));
  }

  async applyFrame(frame: SectionFrameRef, effects: Effects, signal: AbortSignal): Promise<ApplyOutcome> {
    return this.#write(signal, (connection) => applyFrame(connection, this.#mergeStates, frame, effects));
  }

  async applySectionRecord(frame: SectionRecordRef, signal: AbortSignal): Promise<ApplyOutcome> {
    return this.#write(signal, (connection) => applySectionRecord(connection, frame));
  }

  async applyKeyed(batch: KeyedBatch, signal: AbortSignal): Promise<KeyedOutcome> {
    return this.#write(signal, (connection) => applyKeyed(connection, this.#mergeStates, batch));
  }

  async applyRedrive(
    redrive: RedriveRef,
    effects: Effects,
    signal: AbortSignal,
  ): Promise<'applied' | 'failed-again' | 'closed'> {
    return this.#write(signal, (connection) => applyRedrive(connection, this.#mergeStates, redrive, effects));
  }

  async openFailures(
    generation: string,
    run: string,
    failures: readonly Failure[],
    at: number,
    signal: AbortSignal,
  ): Promise<void> {
    this.#write(signal, (connection) => openFailures(connection, generation, run, failures, at));
  }

  async run(id: string, signal: AbortSignal): Promise<RunRecord | undefined> {
    return this.#read(signal, (connection) => readRun(connection, id));
  }

  async runs(signal: AbortSignal): Promise<readonly RunRecord[]> {
    return this.#read(signal, readRuns);
  }

  async generations(signal: AbortSignal): Promise<readonly Generation[]> {
    return this.#read(signal, readGenerations);
  }

  objects(query: ObjectQuery, signal: AbortSignal): AsyncIterable<ObjectProgress> {
    return readObjects(this.#connection, query, signal);
  }

  async keyedSources(generation: string, signal: AbortSignal): Promise<readonly KeyedTotals[]> {
    return this.#read(signal, (connection) => readKeyedSources(connection, generation));
  }

  groups(generation: string, signal: AbortSignal): AsyncIterable<GroupState> {
    return readGroups(this.#connection, generation, signal);
  }

  flags(generation: string, signal: AbortSignal): AsyncIterable<Flag> {
    return readFlags(this.#connection, generation, signal);
  }

  failures(query: FailureQuery, signal: AbortSignal): AsyncIterable<FailureRecord> {
    return readFailures(this.#connection, query, signal);
  }

  async countOpenFailures(
    query: { readonly generation: string; readonly run?: string; readonly source?: string },
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, number>>> {
    return this.#read(signal, (connection) => countOpenFailures(connection, query));
  }

  async publish(
    generation: string,
    results: AsyncIterable<PublishedGroup>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    await publish(this.#connection, generation, results, `publication_${++this.#publications}`, signal);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  #write<T>(signal: AbortSignal, work: (connection: Connection) => T): T {
    signal.throwIfAborted();
    return this.#connection.write(() => work(this.#connection));
  }

  #read<T>(signal: AbortSignal, work: (connection: Connection) => T): T {
    signal.throwIfAborted();
    return this.#connection.read(() => work(this.#connection));
  }
}
