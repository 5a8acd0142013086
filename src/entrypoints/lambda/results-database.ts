import type { ContainerModule } from 'inversify';
import { databaseTokens } from '../../adapters/aws/database-token.ts';
import { parseDatabaseUrl } from '../../adapters/postgres/connection-settings.ts';
import { postgresResultsModule } from '../../adapters/postgres/module.ts';
import { InfrastructureError } from '../../domain/errors.ts';
import type { databaseSettings } from './configuration.ts';

/**
 * The result store of a database. Without a password in its URL the function's role logs in.
 *
 * @throws InfrastructureError `E_CONFIGURATION`
 */
export function databaseModule({ url, connections }: ReturnType<typeof databaseSettings>): ContainerModule {
  const { host, port, user, password } = parseDatabaseUrl(url);
  if (password !== undefined) return postgresResultsModule({ url, maxConnections: connections });
  if (user === undefined) {
    throw new InfrastructureError('SLUICE_DATABASE_URL names no user', { code: 'E_CONFIGURATION' });
  }
  return postgresResultsModule({
    url,
    maxConnections: connections,
    password: databaseTokens({ host, port, user }),
  });
}
