import { Buffer } from 'node:buffer';
import process from 'node:process';
import { isListed } from '../../adapters/aws/locations.ts';
import { awsFailureModule, awsLakeModule, awsQueueModule, awsTokens } from '../../adapters/aws/module.ts';
import { queueJson } from '../../adapters/aws/sqs-batch.ts';
import { tokens } from '../../adapters/tokens.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import {
  dispatchQueueUrl,
  failureSettings,
  lakePlaces,
  lakeSettings,
  readSettings,
  resultsSettings,
  taskQueueUrl,
} from './configuration.ts';
import { composed } from './container.ts';
import type { DispatchFunctionPorts } from './dispatch-call.ts';
import { parseJson, type LambdaHandler } from './events.ts';
import { payloadToJson } from './failure-payload.ts';
import { dispatchFunction } from './handle-dispatch.ts';
import type { Surroundings } from './handler.ts';
import { resultsModule } from './results-module.ts';
import { lambdaSurroundings } from './surroundings.ts';

export type { LambdaContext, LambdaHandler } from './events.ts';

/** The function `dispatch` of a pipeline: docs/functions.md tells its events, its replies and its environment. */
export function createHandler(pipeline: AnyPipeline, { build }: { readonly build: string }): LambdaHandler {
  const surroundings = lambdaSurroundings('dispatch', pipeline, build);
  return dispatchFunction(pipeline, build, surroundings, () => start(surroundings));
}

async function start(surroundings: Surroundings): Promise<DispatchFunctionPorts> {
  const settings = readSettings(process.env, (variables) => ({
    lake: lakeSettings(variables),
    places: lakePlaces(variables),
    results: resultsSettings(variables),
    failures: failureSettings(variables),
    queues: { taskQueueUrl: taskQueueUrl(variables), dispatchQueueUrl: dispatchQueueUrl(variables) },
  }));
  const modules = [
    awsLakeModule(settings.lake),
    awsQueueModule(settings.queues),
    awsFailureModule({ ...settings.lake, ...settings.failures, payloadToJson }),
    resultsModule(settings.results),
  ];
  return composed(surroundings, modules, async (container) => {
    const claims = container.get(awsTokens.claims);
    const sender = container.get(awsTokens.orders);
    return {
      source: container.get(tokens.objectSource),
      isOfLake: (name) => isListed(name, settings.places),
      tasks: container.get(tokens.taskQueue),
      router: container.get(tokens.errorRouter),
      random: container.get(tokens.random),
      store: await container.getAsync(tokens.resultStore),
      orders: {
        send: (order, signal) => sender.send([{ body: queueJson(order) }], signal),
        read: async (body, signal) => {
          const data = await claims.redeem(Buffer.from(body, 'utf8'), signal);
          return parseJson(Buffer.from(data).toString('utf8'), 'an order');
        },
      },
    };
  });
}
