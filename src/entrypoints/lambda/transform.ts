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
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import {
  lakeSettings,
  messageSettings,
  probeSettings,
  readSettings,
  streamSettings,
  taskQueueUrl,
} from './configuration.ts';
import { composed, optional } from './container.ts';
import { resourceName, type LambdaHandler } from './events.ts';
import { transformFunction, type TransformFunctionPorts } from './handle-transform.ts';
import type { Surroundings } from './handler.ts';
import { KeptBundles } from './kept-bundles.ts';
import { probesIn } from './probe-process.ts';
import { isProbe, serveProbe } from './serve-probe.ts';
import { lambdaSurroundings } from './surroundings.ts';

export type { LambdaContext, LambdaHandler } from './events.ts';

/** The function `transform` of a pipeline: docs/functions.md tells its events, its replies and its environment. */
export function createHandler(pipeline: AnyPipeline, { build, module }: TransformOptions): LambdaHandler {
  const surroundings = lambdaSurroundings('transform', pipeline, build);
  if (isProbe()) serveProbe(pipeline, () => openLake(surroundings));
  return transformFunction(pipeline, build, surroundings, () => start(pipeline, module, surroundings));
}

export interface TransformOptions {
  readonly build: string;
  /**
   * `import.meta.url` of the module that calls this: it is run once more, in a process of its own, to find a row that hangs the function
   * or ends it. Default: none, and such a row takes its task into the dead letters.
   */
  readonly module?: string;
}

async function openLake(surroundings: Surroundings): Promise<ObjectSource> {
  const lake = readSettings(process.env, lakeSettings);
  return composed(surroundings, [awsLakeModule(lake)], async (container) =>
    container.get(tokens.objectSource),
  );
}

async function start(
  pipeline: AnyPipeline,
  module: string | undefined,
  surroundings: Surroundings,
): Promise<TransformFunctionPorts> {
  const { lake, stream, tasks, messages, probes } = readSettings(process.env, (variables) => ({
    lake: lakeSettings(variables),
    stream: streamSettings(variables),
    tasks: taskQueueUrl(variables),
    messages: messageSettings(variables),
    probes: probeSettings(variables),
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
      probe: module === undefined ? null : probesIn(module, probes.memoryBytes),
      rowTimeoutMs: probes.rowTimeoutMs,
      streamName: stream.streamName,
      queues: {
        tasks: resourceName(tasks),
        messages: messageQueueUrl === undefined ? null : resourceName(messageQueueUrl),
      },
    };
  });
}
