import type { ContainerModule } from 'inversify';
import { awsResultsModule } from '../../adapters/aws/module.ts';
import type { resultsSettings } from './configuration.ts';
import { databaseModule } from './results-database.ts';

/**
 * The result store: of a database, or of objects on S3.
 *
 * @throws InfrastructureError `E_CONFIGURATION`
 */
export function resultsModule(settings: ReturnType<typeof resultsSettings>): ContainerModule {
  return settings.kind === 'lake' ? awsResultsModule(settings) : databaseModule(settings);
}
