import { Duration } from 'aws-cdk-lib';
import {
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IAlarm,
  type IMetric,
  Stats,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Function } from 'aws-cdk-lib/aws-lambda';
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { FunctionName } from './manifest.ts';
import type { CounterName, PipelineMetrics } from './metrics.ts';

const MINUTE = Duration.minutes(1);
const HALF = 12;

export interface DashboardProps {
  readonly name: string;
  readonly functions: Readonly<Record<FunctionName, Function>>;
  readonly queues: Readonly<Record<string, Queue>>;
  readonly stream: IStream;
  readonly metrics: PipelineMetrics;
  readonly alarms: readonly IAlarm[];
}

/** The way of the data from left to right and from top to bottom. */
export function addDashboard(scope: Construct, id: string, props: DashboardProps): Dashboard {
  const { functions, queues, stream, metrics, alarms } = props;
  const all = Object.values(functions);
  const counters = (names: readonly CounterName[]): IMetric[] =>
    names.map((name) => metrics.sum(name, MINUTE));
  const graph = (title: string, left: readonly IMetric[], right: readonly IMetric[] = []): GraphWidget =>
    new GraphWidget({ title, width: HALF, left: [...left], right: [...right] });
  return new Dashboard(scope, id, {
    dashboardName: props.name,
    widgets: [
      [new AlarmStatusWidget({ title: 'alarms', width: 2 * HALF, alarms: [...alarms] })],
      [
        graph('rows', counters(['rowsRead', 'rowsPruned', 'rowsFiltered', 'rowsTransformed', 'rowsFailed'])),
        graph(
          'messages',
          counters(['messages', 'applied', 'duplicates', 'failuresOpened', 'failuresClosed']),
        ),
      ],
      [
        graph(
          'queues: messages waiting',
          Object.entries(queues).map(([label, queue]) =>
            queue.metricApproximateNumberOfMessagesVisible({
              label,
              statistic: Stats.MAXIMUM,
              period: MINUTE,
            }),
          ),
        ),
        graph(
          'stream: bytes in, and age of what analyze reads (ms)',
          [stream.metricIncomingBytes({ statistic: Stats.SUM, period: MINUTE })],
          [functions.analyze.metric('IteratorAge', { statistic: Stats.MAXIMUM, period: MINUTE })],
        ),
      ],
      [
        graph(
          'functions at once',
          all.map((one) => one.metric('ConcurrentExecutions', { statistic: Stats.MAXIMUM, period: MINUTE })),
        ),
        graph(
          'how long they take (p95, ms)',
          all.map((one) => one.metricDuration({ statistic: 'p95', period: MINUTE })),
        ),
      ],
      [
        graph(
          'errors and throttles',
          all.map((one) => one.metricErrors({ statistic: Stats.SUM, period: MINUTE })),
          all.map((one) => one.metricThrottles({ statistic: Stats.SUM, period: MINUTE })),
        ),
        graph('what was tried again', counters(['retries', 'putsRejected', 'stale'])),
      ],
    ],
  });
}
