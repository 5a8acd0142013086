import type { MigrationReport } from '../../adapters/postgres/migrate.ts';
import { isSluiceError, messageOf } from '../../domain/errors.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { isObject, type LambdaHandler } from './events.ts';
import { Fields, wrong } from './fields.ts';
import { createFunction, type FunctionName, type Surroundings } from './handler.ts';

export interface MigratePorts {
  /** `null`: results lie in S3, and there are no tables. */
  readonly tables: { migrate(signal: AbortSignal): Promise<MigrationReport> } | null;
}

/** What a direct call is told: what was done; that there is nothing that could be; or why the database does not allow it, and what to do. */
export type MigrateReply = MigrationReport | { readonly schema: null } | { readonly denied: string };

/** A database that nothing outside its network reaches gets its tables from a function inside: this event asks for them. */
export function asksForMigration(event: unknown): boolean {
  return isObject(event) && 'migrate' in event;
}

/** `{ "migrate": true }`: does what `sluice migrate` does. It opens no result store, which would refuse a database without tables. */
export function migrateFunction(
  name: FunctionName,
  pipeline: AnyPipeline,
  surroundings: Surroundings,
  start: () => Promise<MigratePorts>,
): LambdaHandler {
  return createFunction({
    name,
    surroundings,
    start,
    handle: async (event, { signal, log }, { tables }): Promise<MigrateReply> => {
      const fields = new Fields(event, ['migrate', 'pipeline']);
      fields.pipeline(pipeline);
      if (!fields.flag('migrate')) throw wrong('migrate', 'must be true');
      if (tables === null) return { schema: null };
      try {
        const report = await tables.migrate(signal);
        log.info({ ...report }, report.steps.length === 0 ? 'the tables are up to date' : 'migrated');
        return report;
      } catch (thrown) {
        if (!isSluiceError(thrown) || thrown.code !== 'E_ACCESS_DENIED') throw thrown;
        const denied = `${messageOf(thrown)}; the user of the functions has to be able to log in and to make tables: grant it that, or run \`sluice migrate --database postgres://…\` as a user who may, and let this one use them ("Database" in docs/deploy.md)`;
        // An answer and no error: whoever deploys can mend it, and looks at what it is.
        log.error({ code: thrown.code, error: thrown }, denied);
        return { denied };
      }
    },
  });
}
