import type { Duration } from 'aws-cdk-lib';
import { type IMetric, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { BuildManifest, FunctionName } from './manifest.ts';

/** Who counts what: every metric has pipeline, version and function as its dimensions. */
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
  recordsLost: 'reprocess',
} as const satisfies Record<string, FunctionName>;

export type CounterName = keyof typeof counters;

/** What the functions themselves count. */
export class PipelineMetrics {
  readonly #namespace: string;
  readonly #pipeline: string;
  readonly #version: string;

  constructor(namespace: string, { pipeline, version }: Pick<BuildManifest, 'pipeline' | 'version'>) {
    this.#namespace = namespace;
    this.#pipeline = pipeline;
    this.#version = String(version);
  }

  sum(name: CounterName, period: Duration): IMetric {
    return this.#of(name, counters[name], period, name);
  }

  /** What several functions count, each by itself, by a name for expressions. */
  ofEach(
    name: CounterName,
    by: readonly FunctionName[],
    period: Duration,
  ): Readonly<Record<string, IMetric>> {
    return Object.fromEntries(
      by.map((one) => [`${name}Of${one}`, this.#of(name, one, period, `${name} of ${one}`)]),
    );
  }

  #of(metricName: CounterName, by: FunctionName, period: Duration, label: string): IMetric {
    return new Metric({
      namespace: this.#namespace,
      metricName,
      dimensionsMap: { pipeline: this.#pipeline, version: this.#version, function: by },
      statistic: Stats.SUM,
      period,
      label,
    });
  }
}
