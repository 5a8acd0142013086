import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  type IMetric,
  MathExpression,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { CfnEventSourceMapping, Function } from 'aws-cdk-lib/aws-lambda';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { FunctionName } from './manifest.ts';
import type { PipelineMetrics } from './metrics.ts';

/** A stream's mapping, and whose function reads by it. */
export interface StreamAlarms {
  readonly mapping: CfnEventSourceMapping;
  readonly reader: FunctionName;
  /** What its records are, in words. */
  readonly records: string;
}

export interface AlarmsProps {
  readonly functions: Readonly<Record<FunctionName, Function>>;
  /** By what their letters were. */
  readonly deadLetters: Readonly<Record<string, Queue>>;
  /** Of streams, by what they are: `Frames` of analyze, and those of somebody else. */
  readonly streams: Readonly<Record<string, StreamAlarms>>;
  readonly metrics: PipelineMetrics;
  /** In seconds: the age after which a record is given up. */
  readonly maxRecordAge: number;
  readonly failurePercent: number;
  readonly topicArn: string | undefined;
}

const MINUTE = Duration.minutes(1);
const FIVE_MINUTES = Duration.minutes(5);
/** Of the age at which records are given up. */
const LATE = 0.25;

/** What a person has to know without looking. */
export class Alarms extends Construct {
  readonly all: Alarm[] = [];
  readonly #action: IAlarmAction | undefined;

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const { functions, deadLetters, streams, metrics, topicArn } = props;
    this.#action =
      topicArn === undefined ? undefined : new SnsAction(Topic.fromTopicArn(this, 'Topic', topicArn));

    for (const [what, { mapping, reader, records }] of Object.entries(streams)) {
      this.#add(`${what}Late`, {
        says: `${records} wait too long for ${reader}: they are given up when they are four times as old.`,
        // By function, and not by mapping: that is what Lambda has.
        metric: functions[reader].metric('IteratorAge', { statistic: Stats.MAXIMUM, period: MINUTE }),
        over: props.maxRecordAge * LATE * 1000,
        periods: 5,
      });
      this.#add(`${what}GivenUp`, {
        says: `${records} were given up by ${reader} and lie in the state bucket under aws/lambda/: \`sluice doctor --logs\`, then reprocess.`,
        metric: new Metric({
          namespace: 'AWS/Lambda',
          metricName: 'OnFailureDestinationDeliveredEventCount',
          dimensionsMap: { EventSourceMappingUUID: mapping.ref },
          statistic: Stats.SUM,
          period: FIVE_MINUTES,
        }),
        over: 0,
      });
    }
    for (const [what, queue] of Object.entries(deadLetters)) {
      this.#add(`DeadLettersOf${what}`, {
        says: `Dead letters of ${what}: their sections or calls are missing until they are sent again.`,
        metric: queue.metricApproximateNumberOfMessagesVisible({
          statistic: Stats.MAXIMUM,
          period: FIVE_MINUTES,
        }),
        over: 0,
      });
    }
    const failures = metrics.ofEach('failuresOpened', ['analyze', 'dispatch'], MINUTE);
    this.#add('FailureRate', {
      says: 'Too many rows, messages and objects fail.',
      metric: new MathExpression({
        label: 'failures in percent of rows read',
        // A minute in which nobody counted one of them has no value at all, and no value makes none of the whole.
        expression: `100 * (${Object.keys(failures)
          .map((name) => `FILL(${name}, 0)`)
          .join(' + ')}) / MAX([FILL(rows, 0), ${Object.keys(failures)
          .map((name) => `FILL(${name}, 0)`)
          .join(', ')}, 1])`,
        usingMetrics: { ...failures, rows: metrics.sum('rowsRead', MINUTE) },
        period: FIVE_MINUTES,
      }),
      over: props.failurePercent,
    });
    this.#add('RecordsLost', {
      says: 'Records that a mapping gave up are gone from their stream: sections among them are done again by the next dispatch, messages from elsewhere have to be sent again.',
      metric: metrics.sum('recordsLost', FIVE_MINUTES),
      over: 0,
    });
    for (const [name, target] of Object.entries(functions)) {
      this.#add(`ErrorsOf${name}`, {
        says: `${name} fails: see its log, or \`sluice doctor --logs\`.`,
        metric: target.metricErrors({ statistic: Stats.SUM, period: FIVE_MINUTES }),
        over: 0,
        periods: 3,
      });
      this.#add(`ThrottlesOf${name}`, {
        says: `${name} is throttled: its own cap, or the account's, is reached.`,
        metric: target.metricThrottles({ statistic: Stats.SUM, period: FIVE_MINUTES }),
        over: 0,
        periods: 3,
      });
    }
  }

  #add(
    id: string,
    { says, metric, over, periods = 1 }: { says: string; metric: IMetric; over: number; periods?: number },
  ): void {
    const alarm = new Alarm(this, id, {
      alarmDescription: says,
      metric,
      threshold: over,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods,
      // A pipeline that has nothing to do says nothing.
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    if (this.#action !== undefined) alarm.addAlarmAction(this.#action);
    this.all.push(alarm);
  }
}
