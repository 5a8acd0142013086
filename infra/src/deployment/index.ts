import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient, GetMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import {
  GetEventSourceMappingCommand,
  InvokeCommand,
  LambdaClient,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda';
import { ExecuteStatementCommand, RDSDataClient } from '@aws-sdk/client-rds-data';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

/** What `sluice deploy` asks of AWS; its `DeploymentCalls`, word for word. */
export interface DeploymentCalls {
  outputs(stack: string, signal: AbortSignal): Promise<Readonly<Record<string, string>> | null>;
  setMapping(mapping: string, enabled: boolean, signal: AbortSignal): Promise<void>;
  mappingState(mapping: string, signal: AbortSignal): Promise<'enabled' | 'disabled' | 'changing'>;
  queueDepth(
    queueUrl: string,
    signal: AbortSignal,
  ): Promise<{ readonly visible: number; readonly inFlight: number; readonly delayed: number }>;
  iteratorAge(functionName: string, signal: AbortSignal): Promise<number>;
  putObject(bucket: string, key: string, data: Uint8Array, signal: AbortSignal): Promise<void>;
  send(queueUrl: string, body: string, signal: AbortSignal): Promise<void>;
  invoke(functionName: string, event: unknown, signal: AbortSignal): Promise<unknown>;
  executeSql(
    statement: {
      readonly cluster: string;
      readonly secret: string;
      readonly database: string;
      readonly sql: string;
    },
    signal: AbortSignal,
  ): Promise<void>;
}

/** CloudWatch has a minute's value some minutes later. */
const LOOK_BACK_MS = 5 * 60_000;

/**
 * With the standard settings of AWS: region, credentials, endpoints. Here the clients retry by themselves: nothing above them does.
 */
export function createDeploymentCalls(): DeploymentCalls {
  // Made when they are used: what is only asked of one service needs no settings of the others.
  const cloudFormation = once(() => new CloudFormationClient());
  const lambda = once(() => new LambdaClient());
  const cloudWatch = once(() => new CloudWatchClient());
  const sqs = once(() => new SQSClient({ useQueueUrlAsEndpoint: false }));
  const rdsData = once(() => new RDSDataClient());
  const s3 = once(
    () =>
      new S3Client({
        forcePathStyle: process.env['SLUICE_S3_PATH_STYLE'] === 'true',
        requestChecksumCalculation: 'WHEN_REQUIRED',
      }),
  );
  return {
    async outputs(stack, abortSignal) {
      try {
        const { Stacks = [] } = await cloudFormation().send(new DescribeStacksCommand({ StackName: stack }), {
          abortSignal,
        });
        // A stack that was never made whole, or is being deleted, has nothing to build on.
        const found = Stacks.find(({ StackStatus }) => !/^(DELETE_|REVIEW_)/.test(StackStatus ?? ''));
        if (found === undefined) return null;
        return Object.fromEntries(
          (found.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]),
        );
      } catch (thrown) {
        // CloudFormation has no error of its own for it.
        if (thrown instanceof Error && /does not exist/.test(thrown.message)) return null;
        throw thrown;
      }
    },
    async setMapping(mapping, enabled, abortSignal) {
      await lambda().send(new UpdateEventSourceMappingCommand({ UUID: mapping, Enabled: enabled }), {
        abortSignal,
      });
    },
    async mappingState(mapping, abortSignal) {
      const { State } = await lambda().send(new GetEventSourceMappingCommand({ UUID: mapping }), {
        abortSignal,
      });
      if (State === 'Enabled') return 'enabled';
      return State === 'Disabled' ? 'disabled' : 'changing';
    },
    async queueDepth(queueUrl, abortSignal) {
      const { Attributes = {} } = await sqs().send(
        new GetQueueAttributesCommand({
          QueueUrl: queueUrl,
          AttributeNames: [
            'ApproximateNumberOfMessages',
            'ApproximateNumberOfMessagesNotVisible',
            'ApproximateNumberOfMessagesDelayed',
          ],
        }),
        { abortSignal },
      );
      return {
        visible: Number(Attributes['ApproximateNumberOfMessages'] ?? 0),
        inFlight: Number(Attributes['ApproximateNumberOfMessagesNotVisible'] ?? 0),
        delayed: Number(Attributes['ApproximateNumberOfMessagesDelayed'] ?? 0),
      };
    },
    async iteratorAge(functionName, abortSignal) {
      const now = Date.now();
      const { MetricDataResults = [] } = await cloudWatch().send(
        new GetMetricDataCommand({
          StartTime: new Date(now - LOOK_BACK_MS),
          EndTime: new Date(now),
          ScanBy: 'TimestampDescending',
          MetricDataQueries: [
            {
              Id: 'age',
              MetricStat: {
                Metric: {
                  Namespace: 'AWS/Lambda',
                  MetricName: 'IteratorAge',
                  Dimensions: [{ Name: 'FunctionName', Value: functionName }],
                },
                Period: 60,
                Stat: 'Maximum',
              },
            },
          ],
        }),
        { abortSignal },
      );
      return MetricDataResults[0]?.Values?.[0] ?? 0;
    },
    async putObject(bucket, key, data, abortSignal) {
      await s3().send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: data }), { abortSignal });
    },
    async send(queueUrl, body, abortSignal) {
      await sqs().send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body }), { abortSignal });
    },
    async invoke(functionName, event, abortSignal) {
      const { Payload, FunctionError } = await lambda().send(
        new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(event) }),
        { abortSignal },
      );
      const reply = JSON.parse(Payload?.transformToString() || 'null') as unknown;
      if (FunctionError === undefined) return reply;
      const { errorMessage } = (reply ?? {}) as { readonly errorMessage?: string };
      throw new Error(errorMessage ?? `the function failed: ${FunctionError}`);
    },
    async executeSql({ cluster, secret, database, sql }, abortSignal) {
      await rdsData().send(
        new ExecuteStatementCommand({ resourceArn: cluster, secretArn: secret, database, sql }),
        { abortSignal },
      );
    },
  };
}

function once<Client>(make: () => Client): () => Client {
  let made: Client | undefined;
  return () => (made ??= make());
}
