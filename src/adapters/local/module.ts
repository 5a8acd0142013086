import path from 'node:path';
import { ContainerModule } from 'inversify';
import { tokens } from '../tokens.ts';
import { FailureLedger } from './failure-ledger.ts';
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

export interface LocalResultsOptions {
  /** Results and failures. */
  readonly outputFolder: string;
  /** A failure's payload as JSON text, for the ledger. */
  readonly payloadToJson: (payload: Uint8Array) => string;
  /** Whether to make the results file where there is none. Default `true`. */
  readonly createResults?: boolean;
}

/**
 * Binds `errorRouter` and `resultStore`; needs `mergeStates`. The result store opens asynchronously:
 * `await container.getAsync(tokens.resultStore)`. A container remembers for ever that it failed to open: build a new one
 * for another attempt.
 */
export function localResultsModule({
  outputFolder,
  payloadToJson,
  createResults = true,
}: LocalResultsOptions): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.errorRouter)
      .toResolvedValue(() => new FailureLedger({ folder: outputFolder, payloadToJson }))
      .inSingletonScope();
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
