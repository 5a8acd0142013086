import { Buffer } from 'node:buffer';
import process from 'node:process';
import { readFailureMessage } from '../../adapters/aws/failure-message.ts';
import { readShardRange } from '../../adapters/aws/kinesis-records.ts';
import { awsLakeModule, awsQueueModule, awsStreamModule, awsTokens } from '../../adapters/aws/module.ts';
import { queueJson } from '../../adapters/aws/sqs-batch.ts';
import { taskOfBody } from '../../adapters/aws/sqs-message.ts';
import { tokens } from '../../adapters/tokens.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import {
  lakeSettings,
  readSettings,
  reprocessRate,
  resultsSettings,
  streamSettings,
  taskQueueUrl,
  undeliveredQueueUrl,
} from './configuration.ts';
import { composed, optional } from './container.ts';
import type { LambdaHandler } from './events.ts';
import { reprocessFunction, type ReprocessFunctionPorts } from './handle-reprocess.ts';
import type { Surroundings } from './handler.ts';
import { KeptBundles } from './kept-bundles.ts';
import { locationOf } from './order.ts';
import { Pace } from './pace.ts';
import { resultsModule } from './results-module.ts';
import { lambdaSurroundings } from './surroundings.ts';

export type { LambdaContext, LambdaHandler } from './events.ts';

/** The function `reprocess` of a pipeline: docs/functions.md tells its events, its replies and its environment. */
export function createHandler(pipeline: AnyPipeline, { build }: { readonly build: string }): LambdaHandler {
  const surroundings = lambdaSurroundings('reprocess', pipeline, build);
  return reprocessFunction(pipeline, build, surroundings, () => start(pipeline, surroundings));
}

async function start(pipeline: AnyPipeline, surroundings: Surroundings): Promise<ReprocessFunctionPorts> {
  const { lake, stream, queues, results, rate } = readSettings(process.env, (variables) => ({
    lake: lakeSettings(variables),
    stream: streamSettings(variables),
    queues: { tasks: taskQueueUrl(variables), undelivered: undeliveredQueueUrl(variables) },
    results: resultsSettings(variables),
    rate: reprocessRate(variables),
  }));
  const modules = [
    awsLakeModule(lake),
    awsStreamModule({ ...stream, partitions: pipeline.partitions }),
    awsQueueModule({
      taskQueueUrl: queues.tasks,
      ...(queues.undelivered === undefined ? {} : { undeliveredQueueUrl: queues.undelivered }),
    }),
    resultsModule(results),
  ];
  return composed(surroundings, modules, async (container) => {
    const claims = container.get(awsTokens.claims);
    const source = container.get(tokens.objectSource);
    const toTasks = container.get(awsTokens.taskOrders);
    const toItself = optional(container, awsTokens.undelivered);
    const reading = {
      calls: container.get(awsTokens.kinesis),
      clock: container.get(tokens.clock),
      random: container.get(tokens.random),
      metrics: container.get(tokens.metrics),
    };
    return {
      store: await container.getAsync(tokens.resultStore),
      source,
      sink: container.get(tokens.recordSink),
      tasks: container.get(tokens.taskQueue),
      random: reading.random,
      claims,
      kept: new KeptBundles({ source, bucket: lake.bucket, pipeline: pipeline.name, name: 'reprocess' }),
      pace: new Pace(rate, reading.clock),
      streamName: stream.streamName,
      readShard: (range, signal) => readShardRange(range, reading, signal),
      handOn: {
        toTransform: (name, signal) =>
          toTasks.send([{ body: queueJson({ undelivered: locationOf(name) }) }], signal),
        toItself:
          toItself === null ? null : (call, signal) => toItself.send([{ body: queueJson(call) }], signal),
      },
      letters: {
        read: async (body, signal) =>
          Buffer.from(await claims.redeem(Buffer.from(body, 'utf8'), signal)).toString('utf8'),
        failure: readFailureMessage,
        task: (text, signal) => taskOfBody(text, claims, signal),
      },
    };
  });
}
