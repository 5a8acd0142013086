import type { Duration } from 'aws-cdk-lib';
import { type IMetric, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';

/** The metrics that the functions themselves write: one namespace, with the pipeline as dimension. */
export class PipelineMetrics {
  readonly #namespace: string;
  readonly #pipeline: string;

  constructor(namespace: string, pipeline: string) {
    this.#namespace = namespace;
    this.#pipeline = pipeline;
  }

  sum(name: string, period: Duration): IMetric {
    return new Metric({
      namespace: this.#namespace,
      metricName: name,
      dimensionsMap: { service: this.#pipeline },
      statistic: Stats.SUM,
      period,
      label: name,
    });
  }
}
