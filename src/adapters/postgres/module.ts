import { ContainerModule } from 'inversify';
import { tokens } from '../tokens.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { PgDatabase } from './pg-database.ts';
import { openPostgresResultStore } from './result-store.ts';

export interface PostgresResultsOptions extends ConnectionSettings {
  /** The schema that `sluice migrate` made the tables in. Default `sluice`. */
  readonly schema?: string;
}

/**
 * Binds `resultStore`; needs `mergeStates`, `clock` and `random`. It opens asynchronously:
 * `await container.getAsync(tokens.resultStore)`. A container remembers for ever that it failed to open: build a new one
 * for another attempt.
 */
export function postgresResultsModule(options: PostgresResultsOptions): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.resultStore)
      .toResolvedValue(
        (mergeStates, clock, random) =>
          openPostgresResultStore(new PgDatabase(options), { ...options, mergeStates, clock, random }),
        [tokens.mergeStates, tokens.clock, tokens.random],
      )
      .inSingletonScope();
  });
}
