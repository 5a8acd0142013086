import process from 'node:process';
import { awsFailureModule, awsLakeModule, awsQueueModule, awsTokens } from '../../adapters/aws/module.ts';
import { tokens } from '../../adapters/tokens.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { failureSettings, lakeSettings, readSettings, resultsSettings } from './configuration.ts';
import { composed } from './container.ts';
import type { LambdaHandler } from './events.ts';
import { payloadToJson } from './failure-payload.ts';
import { analyzeFunction, type AnalyzeFunctionPorts } from './handle-analyze.ts';
import { asksForMigration, migrateFunction, type MigratePorts } from './handle-migrate.ts';
import type { Surroundings } from './handler.ts';
import { KeptBundles } from './kept-bundles.ts';
import { migrateDatabase } from './results-database.ts';
import { resultsModule } from './results-module.ts';
import { lambdaSurroundings } from './surroundings.ts';

export type { LambdaContext, LambdaHandler } from './events.ts';

/** The function `analyze` of a pipeline: docs/functions.md tells its events, its replies and its environment. */
export function createHandler(pipeline: AnyPipeline, { build }: { readonly build: string }): LambdaHandler {
  const surroundings = lambdaSurroundings('analyze', pipeline, build);
  const analyze = analyzeFunction(pipeline, build, surroundings, () => start(pipeline, surroundings));
  // Of the functions that have the database, this one may do least beside: it neither reads the lake nor sends tasks or frames.
  const migrate = migrateFunction('analyze', pipeline, surroundings, startMigration);
  return (event, context) => (asksForMigration(event) ? migrate(event, context) : analyze(event, context));
}

async function startMigration(): Promise<MigratePorts> {
  const results = readSettings(process.env, resultsSettings);
  if (results.kind === 'lake') return { tables: null };
  return { tables: { migrate: (signal) => migrateDatabase(results, signal) } };
}

async function start(pipeline: AnyPipeline, surroundings: Surroundings): Promise<AnalyzeFunctionPorts> {
  const { lake, results, failures } = readSettings(process.env, (variables) => ({
    lake: lakeSettings(variables),
    results: resultsSettings(variables),
    failures: failureSettings(variables),
  }));
  const modules = [
    awsLakeModule(lake),
    awsQueueModule({}),
    awsFailureModule({ ...lake, ...failures, payloadToJson }),
    resultsModule(results),
  ];
  return composed(surroundings, modules, async (container) => ({
    store: await container.getAsync(tokens.resultStore),
    router: container.get(tokens.errorRouter),
    claims: container.get(awsTokens.claims),
    kept: new KeptBundles({
      source: container.get(tokens.objectSource),
      bucket: lake.bucket,
      pipeline: pipeline.name,
      name: 'analyze',
    }),
    concurrency: results.connections,
  }));
}
