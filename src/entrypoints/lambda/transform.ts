import process from 'node:process';
import {
  awsKilledRowsModule,
  awsLakeModule,
  awsQueueModule,
  awsStreamModule,
  awsTokens,
} from '../../adapters/aws/module.ts';
import { messageLineOfBody, taskOfBody } from '../../adapters/aws/sqs-message.ts';
import { redisDedupModule } from '../../adapters/redis/module.ts';
import { tokens } from '../../adapters/tokens.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import {
  lakeSettings,
  messageSettings,
  readSettings,
  streamSettings,
  taskQueueUrl,
} from './configuration.ts';
import { composed, optional } from './container.ts';
import { resourceName, type LambdaHandler } from './events.ts';
import { transformFunction, type TransformFunctionPorts } from './handle-transform.ts';
import type { Surroundings } from './handler.ts';
import { KeptBundles } from './kept-bundles.ts';
import { lambdaSurroundings } from './surroundings.ts';

export type { LambdaContext, LambdaHandler } from './events.ts';

/** The function `transform` of a pipeline: docs/functions.md tells its events, its replies and its environment. */
export function createHandler(pipeline: AnyPipeline, { build }: { readonly build: string }): LambdaHandler {
  const surroundings = lambdaSurroundings('transform', pipeline, build);
  return transformFunction(pipeline, build, surroundings, () => start(pipeline, surroundings));
}

async function start(pipeline: AnyPipeline, surroundings: Surroundings): Promise<TransformFunctionPorts> {
  const { lake, stream, tasks, messages } = readSettings(process.env, (variables) => ({
    lake: lakeSettings(variables),
    stream: streamSettings(variables),
    tasks: taskQueueUrl(variables),
    messages: messageSettings(variables),
  }));
  const { redisUrl, messageQueueUrl } = messages;
  const modules = [
    awsLakeModule(lake),
    awsKilledRowsModule(lake),
    awsStreamModule({ ...stream, partitions: pipeline.partitions }),
    awsQueueModule({ taskQueueUrl: tasks }),
    ...(redisUrl === undefined ? [] : [redisDedupModule({ url: redisUrl })]),
  ];
  return composed(surroundings, modules, async (container) => {
    const claims = container.get(awsTokens.claims);
    const source = container.get(tokens.objectSource);
    return {
      source,
      sink: container.get(tokens.recordSink),
      tasks: container.get(tokens.taskQueue),
      killed: container.get(tokens.killedRows),
      random: container.get(tokens.random),
      dedup: optional(container, tokens.dedupStore),
      arrivals: {
        task: (body, signal) => taskOfBody(body, claims, signal),
        messageLine: (body, signal) => messageLineOfBody(body, claims, signal),
      },
      kept: new KeptBundles({ source, bucket: lake.bucket, pipeline: pipeline.name, name: 'transform' }),
      streamName: stream.streamName,
      queues: {
        tasks: resourceName(tasks),
        messages: messageQueueUrl === undefined ? null : resourceName(messageQueueUrl),
      },
    };
  });
}
