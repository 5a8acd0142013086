import type { ContainerModule } from 'inversify';
import { databaseTokens } from '../../adapters/aws/database-token.ts';
import { parseDatabaseUrl, type ConnectionSettings } from '../../adapters/postgres/connection-settings.ts';
import { migrate, type MigrationReport } from '../../adapters/postgres/migrate.ts';
import { postgresResultsModule } from '../../adapters/postgres/module.ts';
import { PgDatabase } from '../../adapters/postgres/pg-database.ts';
import { InfrastructureError } from '../../domain/errors.ts';
import type { databaseSettings } from './configuration.ts';

type DatabaseSettings = ReturnType<typeof databaseSettings>;

/**
 * The result store of a database.
 *
 * @throws InfrastructureError `E_CONFIGURATION`
 */
export function databaseModule(settings: DatabaseSettings): ContainerModule {
  return postgresResultsModule(connectionOf(settings));
}

/**
 * Makes the tables, or brings them up to date, on a connection of its own that is closed afterwards.
 *
 * @throws InfrastructureError `E_CONFIGURATION`, or where the database cannot be reached, or does not allow it
 */
export async function migrateDatabase(
  settings: DatabaseSettings,
  signal: AbortSignal,
): Promise<MigrationReport> {
  const database = new PgDatabase(connectionOf({ ...settings, connections: 1 }));
  try {
    return await migrate(database, {}, signal);
  } finally {
    await database.close();
  }
}

/** Without a password in its URL the function's role logs in. */
function connectionOf({ url, connections }: DatabaseSettings): ConnectionSettings {
  const { host, port, user, password } = parseDatabaseUrl(url);
  if (password !== undefined) return { url, maxConnections: connections };
  if (user === undefined) {
    throw new InfrastructureError('SLUICE_DATABASE_URL names no user', { code: 'E_CONFIGURATION' });
  }
  return { url, maxConnections: connections, password: databaseTokens({ host, port, user }) };
}
