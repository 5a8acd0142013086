import type { Duration } from 'aws-cdk-lib';
import { type IMetric, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { FunctionName } from './manifest.ts';

/** Who counts what: every metric has pipeline and function as its dimensions. */
const counters = {
  rowsRead: 'transform',
  rowsPruned: 'transform',
  rowsFiltered: 'transform',
  rowsFailed: 'transform',
  rowsTransformed: 'transform',
  messages: 'transform',
  putsRejected: 'transform',
  retries: 'transform',
  applied: 'analyze',
  duplicates: 'analyze',
  stale: 'analyze',
  failuresOpened: 'analyze',
  failuresClosed: 'analyze',
} as const satisfies Record<string, FunctionName>;

export type CounterName = keyof typeof counters;

/** What the functions themselves count. */
export class PipelineMetrics {
  readonly #namespace: string;
  readonly #pipeline: string;

  constructor(namespace: string, pipeline: string) {
    this.#namespace = namespace;
    this.#pipeline = pipeline;
  }

  sum(name: CounterName, period: Duration): IMetric {
    return new Metric({
      namespace: this.#namespace,
      metricName: name,
      dimensionsMap: { pipeline: this.#pipeline, function: counters[name] },
      statistic: Stats.SUM,
      period,
      label: name,
    });
  }
}
