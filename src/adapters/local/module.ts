import path from 'node:path';
import { ContainerModule } from 'inversify';
import { tokens } from '../tokens.ts';
import { FailureLedger } from './failure-ledger.ts';
import { LocalKilledRows } from './killed-rows.ts';
import { localLog, type LocalLogOptions } from './log.ts';
import { LocalObjectSource } from './object-source.ts';
import { openSqliteResultStore } from './sqlite/result-store.ts';

/** Name of the results file in the output folder. */
export const RESULTS_FILE = 'results.sqlite';

export interface LocalLakeOptions {
  /** Left out of listings, and keeps the cache of versions. Default: none. */
  readonly outputFolder?: string;
  readonly log?: LocalLogOptions;
}

/** Binds `objectSource` and `log`; needs `clock`. */
export function localLakeModule({ outputFolder, log }: LocalLakeOptions = {}): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.log)
      .toResolvedValue(() => localLog(log))
      .inSingletonScope();
    bind(tokens.objectSource)
      .toResolvedValue(
        (clock, lines) =>
          new LocalObjectSource({ clock, log: lines }, outputFolder === undefined ? {} : { outputFolder }),
        [tokens.clock, tokens.log],
      )
      .inSingletonScope();
  });
}

export interface LocalLedgerOptions {
  /** Gets a folder of failures. */
  readonly outputFolder: string;
  /** A failure's payload as JSON text. */
  readonly payloadToJson: (payload: Uint8Array) => string;
}

/** Binds `errorRouter`. */
export function localLedgerModule({ outputFolder, payloadToJson }: LocalLedgerOptions): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.errorRouter)
      .toResolvedValue(() => new FailureLedger({ folder: outputFolder, payloadToJson }))
      .inSingletonScope();
  });
}

/** Binds `killedRows`: a file in the output folder. */
export function localKilledRowsModule(outputFolder: string): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.killedRows)
      .toResolvedValue(() => new LocalKilledRows(outputFolder))
      .inSingletonScope();
  });
}

export interface LocalResultsOptions {
  /** Gets the results file. */
  readonly outputFolder: string;
  /** Whether to make the results file where there is none. Default `true`. */
  readonly createResults?: boolean;
}

/**
 * Binds `resultStore`; needs `mergeStates`. It opens asynchronously: `await container.getAsync(tokens.resultStore)`. A
 * container remembers for ever that it failed to open: build a new one for another attempt.
 */
export function localResultsModule({
  outputFolder,
  createResults = true,
}: LocalResultsOptions): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.resultStore)
      .toResolvedValue(
        (mergeStates) =>
          openSqliteResultStore(path.join(outputFolder, RESULTS_FILE), {
            mergeStates,
            create: createResults,
          }),
        [tokens.mergeStates],
      )
      .inSingletonScope();
  });
}
