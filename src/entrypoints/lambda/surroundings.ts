import process from 'node:process';
import { awsLog } from '../../adapters/aws/log.ts';
import { EmfMetrics } from '../../adapters/aws/metrics.ts';
import { traced } from '../../adapters/aws/tracing.ts';
import { SystemClock } from '../../adapters/inmemory/clock.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { surroundingSettings, Variables } from './configuration.ts';
import type { FunctionName, Surroundings } from './handler.ts';
import { watchRejections } from './owners.ts';

/** Clock, log, counters and traces of a function on Lambda. */
export function lambdaSurroundings(name: FunctionName, pipeline: AnyPipeline, build: string): Surroundings {
  const { logLevel, redact, metricsNamespace } = surroundingSettings(new Variables(process.env));
  const clock = new SystemClock();
  const fields = { pipeline: pipeline.name, function: name, build };
  const log = awsLog({ level: logLevel, redact, fields });
  watchRejections(log);
  return {
    clock,
    log,
    startMetrics: (requestId) => {
      const metrics = new EmfMetrics(
        { clock },
        {
          namespace: metricsNamespace,
          pipeline: pipeline.name,
          version: pipeline.version,
          function: name,
          properties: { requestId, build },
        },
      );
      return { metrics, flush: () => metrics.flush() };
    },
    traced,
  };
}
