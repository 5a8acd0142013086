import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { CfnBucket } from 'aws-cdk-lib/aws-s3';
import { describe, expect, it } from 'vitest';
import { functionNames } from '../src/manifest.ts';
import { SluicePipeline } from '../src/sluice-pipeline.ts';
import { BuildFolder } from './build-folder.ts';
import { resource, resources, templates, textOf } from './synthesize.ts';

describe('the functions', () => {
  it('run Node 24 on arm64, are traced, keep their logs for a while, and may call themselves', () => {
    const { pipeline } = templates();
    for (const name of functionNames) {
      expect(resource(pipeline, 'AWS::Logs::LogGroup', `Pipeline${name}`).Properties['RetentionInDays']).toBe(
        30,
      );
      pipeline.hasResourceProperties('AWS::Lambda::Function', {
        FunctionName: `sluice-lanes-v1-${name}`,
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Handler: 'index.handler',
        TracingConfig: { Mode: 'Active' },
        RecursiveLoop: name === 'analyze' ? Match.absent() : 'Allow',
        LoggingConfig: Match.anyValue(),
        DeadLetterConfig: Match.anyValue(),
      });
    }
  });

  it('get the environment that the bundles read, and the database only where it is used', () => {
    const { pipeline } = templates({ failureTopic: 'true', redact: 'name,email' }, { keyed: true });
    const environment = (name: string) =>
      Object.keys(
        (
          resource(pipeline, 'AWS::Lambda::Function', `Pipeline${name}`).Properties['Environment'] as {
            Variables: Record<string, unknown>;
          }
        ).Variables,
      ).sort();
    const common = [
      'NODE_OPTIONS',
      'SLUICE_BUCKET',
      'SLUICE_DISPATCH_QUEUE_URL',
      'SLUICE_FAILURE_QUEUE_URL',
      'SLUICE_FAILURE_TOPIC_ARN',
      'SLUICE_LOG_LEVEL',
      'SLUICE_MESSAGE_QUEUE_URL',
      'SLUICE_METRICS_NAMESPACE',
      'SLUICE_REDACT',
      'SLUICE_STREAM_NAME',
      'SLUICE_STREAM_RECORD_BYTES',
      'SLUICE_TASK_QUEUE_URL',
    ];
    const database = ['NODE_EXTRA_CA_CERTS', 'SLUICE_DATABASE_CONNECTIONS', 'SLUICE_DATABASE_URL'];
    expect(environment('transform')).toEqual([...common, 'SLUICE_REDIS_URL'].sort());
    expect(environment('dispatch')).toEqual([...common, ...database, 'SLUICE_LAKE'].sort());
    expect(environment('analyze')).toEqual([...common, ...database].sort());
    expect(environment('reprocess')).toEqual([...common, ...database, 'SLUICE_UNDELIVERED_QUEUE_URL'].sort());
  });

  it('give a row the time that transform is told, and its own default where nobody says', () => {
    const environment = (context: Record<string, string>, name = 'transform') =>
      resource(templates(context).pipeline, 'AWS::Lambda::Function', `Pipeline${name}`).Properties[
        'Environment'
      ];
    expect(environment({})).not.toHaveProperty('Variables.SLUICE_ROW_TIMEOUT');
    expect(environment({ transformRowTimeout: '90' })).toHaveProperty('Variables.SLUICE_ROW_TIMEOUT', '90');
    expect(environment({ transformRowTimeout: '90' }, 'analyze')).not.toHaveProperty(
      'Variables.SLUICE_ROW_TIMEOUT',
    );
  });

  it('are inside the network where they need it: transform only to claim keys', () => {
    const inside = (keyed: boolean) => {
      const { pipeline } = templates({}, { keyed });
      return functionNames.filter(
        (name) =>
          resource(pipeline, 'AWS::Lambda::Function', `Pipeline${name}`).Properties['VpcConfig'] !==
          undefined,
      );
    };
    expect(inside(false)).toEqual(['dispatch', 'analyze', 'reprocess']);
    expect(inside(true)).toEqual(functionNames);
  });
});

describe('queues and mappings', () => {
  it('hide messages for six times the timeout, and redrive to dead letters', () => {
    const { pipeline } = templates({ transformTimeout: '240' });
    const tasks = resource(pipeline, 'AWS::SQS::Queue', 'PipelineTasksQueue').Properties;
    expect(tasks['VisibilityTimeout']).toBe(6 * 240);
    expect(tasks['RedrivePolicy']).toMatchObject({ maxReceiveCount: 5 });
    for (const { Properties } of Object.values(resources(pipeline, 'AWS::SQS::Queue')))
      expect(Properties['KmsMasterKeyId']).toBeDefined();
  });

  it('hand back only what failed, everywhere', () => {
    const { pipeline } = templates(
      { foreignStreams: 'arn:aws:kinesis:eu-west-1:111122223333:stream/orders' },
      { keyed: true },
    );
    const mappings = Object.values(resources(pipeline, 'AWS::Lambda::EventSourceMapping'));
    expect(mappings).toHaveLength(7);
    for (const { Properties } of mappings)
      expect(Properties['FunctionResponseTypes']).toEqual(['ReportBatchItemFailures']);
  });

  it('read the stream with an end to retries, in halves, and keep what they give up', () => {
    const { pipeline } = templates({ shards: '4', parallelizationFactor: '3', retryAttempts: '7' });
    const mapping = resource(
      pipeline,
      'AWS::Lambda::EventSourceMapping',
      'PipelineFramesToAnalyze',
    ).Properties;
    expect(mapping).toMatchObject({
      BisectBatchOnFunctionError: true,
      MaximumRetryAttempts: 7,
      MaximumRecordAgeInSeconds: 72_000,
      ParallelizationFactor: 3,
      StartingPosition: 'TRIM_HORIZON',
    });
    expect(
      textOf((mapping['DestinationConfig'] as { OnFailure: { Destination: unknown } }).OnFailure.Destination),
    ).toBe('<PipelineStorageState.Arn>');
    pipeline.hasResourceProperties('AWS::Kinesis::Stream', { ShardCount: 4, MaxRecordSizeInKiB: 1024 });
    // The reserved concurrency caps the connections: 4 shards × 3, and the publishing.
    pipeline.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'sluice-lanes-v1-analyze',
      ReservedConcurrentExecutions: 13,
    });
  });

  it('cap how many run at once: by the mapping, or by its pollers', () => {
    const mapping = (context: Record<string, string>) =>
      resource(templates(context).pipeline, 'AWS::Lambda::EventSourceMapping', 'PipelineTasksToTransform')
        .Properties;
    expect(mapping({ transformConcurrency: '1000' })['ScalingConfig']).toEqual({ MaximumConcurrency: 1000 });
    const polled = mapping({ transformPollers: '10-500' });
    expect(polled['ScalingConfig']).toBeUndefined();
    expect(polled['ProvisionedPollerConfig']).toEqual({ MinimumPollers: 10, MaximumPollers: 500 });
  });

  it('leave failures in their queue until somebody says so', () => {
    const enabled = (context: Record<string, string>) =>
      resource(templates(context).pipeline, 'AWS::Lambda::EventSourceMapping', 'PipelineFailuresToReprocess')
        .Properties['Enabled'];
    expect(enabled({})).toBe(false);
    expect(enabled({ reprocessAutomatic: 'true' })).toBe(true);
  });

  it('are sent again at the rate that reprocess is given', () => {
    const environment = (context: Record<string, string>) =>
      resource(templates(context).pipeline, 'AWS::Lambda::Function', 'Pipelinereprocess').Properties[
        'Environment'
      ];
    expect(environment({})).not.toHaveProperty('Variables.SLUICE_REPROCESS_RATE');
    expect(environment({ reprocessRate: '50' })).toHaveProperty('Variables.SLUICE_REPROCESS_RATE', '50');
  });
});

describe('what a mapping gave up', () => {
  const isRule = (context: Record<string, string>) =>
    Object.keys(resources(templates(context).pipeline, 'AWS::Events::Rule')).some((id) =>
      id.startsWith('PipelineRecordsGivenUp'),
    );

  it('is told of by the state bucket, to a queue of reprocess’s own, unless it is not to come back by itself', () => {
    const { pipeline } = templates();
    const { Properties: rule } = resource(pipeline, 'AWS::Events::Rule', 'PipelineRecordsGivenUp');
    const { detail } = rule['EventPattern'] as {
      detail: { bucket: { name: unknown[] }; object: unknown };
    };
    expect(detail.bucket.name.map(textOf)).toEqual(['<PipelineStorageState>']);
    expect(detail.object).toEqual({ key: [{ prefix: 'aws/lambda/' }] });
    const [target] = rule['Targets'] as { Arn: unknown; DeadLetterConfig: { Arn: unknown } }[];
    expect(textOf(target?.Arn)).toBe('<PipelineUndeliveredQueue.Arn>');
    expect(textOf(target?.DeadLetterConfig.Arn)).toBe('<PipelineLostCalls.Arn>');
    expect(resource(pipeline, 'AWS::S3::Bucket', 'PipelineStorageState').Properties).toMatchObject({
      NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
    });
    expect(isRule({})).toBe(true);
    expect(isRule({ reprocessUndelivered: 'false' })).toBe(false);
  });

  it('is put again by few at once, and its word waits for hours: longer than an outage of the database', () => {
    const { pipeline } = templates({ reprocessUndelivered: 'false' });
    // The queue is there all the same: a direct call goes on by it.
    expect(
      resource(pipeline, 'AWS::Lambda::EventSourceMapping', 'PipelineUndeliveredToReprocess').Properties,
    ).toMatchObject({ BatchSize: 1, ScalingConfig: { MaximumConcurrency: 2 }, Enabled: true });
    const { VisibilityTimeout, RedrivePolicy } = resource(
      pipeline,
      'AWS::SQS::Queue',
      'PipelineUndeliveredQueue',
    ).Properties as { VisibilityTimeout: number; RedrivePolicy: { maxReceiveCount: number } };
    expect(VisibilityTimeout * RedrivePolicy.maxReceiveCount).toBe(20 * 30 * 60);
  });

  it('may be put into the queue by that rule alone', () => {
    const { pipeline } = templates();
    const policies = Object.values(resources(pipeline, 'AWS::SQS::QueuePolicy')).filter(({ Properties }) =>
      (Properties['Queues'] as unknown[]).map(textOf).includes('<PipelineUndeliveredQueue>'),
    );
    const allowed = policies.flatMap(
      ({ Properties }) =>
        (
          Properties['PolicyDocument'] as {
            Statement: { Effect: string; Principal: unknown; Condition: unknown }[];
          }
        ).Statement,
    );
    expect(allowed.filter(({ Effect }) => Effect === 'Allow')).toMatchObject([
      { Action: 'sqs:SendMessage', Principal: { Service: 'events.amazonaws.com' } },
    ]);
  });
});

describe('what starts work', () => {
  it('are objects that arrive, by EventBridge, as messages for dispatch', () => {
    const { pipeline } = templates({ lake: 's3://flights/2024/' });
    const { Properties: rule } = resource(pipeline, 'AWS::Events::Rule', 'PipelineObjectCreated0');
    expect(rule['EventPattern']).toEqual({
      source: ['aws.s3'],
      'detail-type': ['Object Created'],
      detail: { bucket: { name: ['flights'] }, object: { key: [{ prefix: '2024/' }] } },
    });
    expect(textOf((rule['Targets'] as { Arn: unknown }[])[0]?.Arn)).toBe('<PipelineOrdersQueue.Arn>');
  });

  it('are objects of which the bucket tells by itself: it may put that into the queue of orders, and nobody else’s bucket may', () => {
    const { pipeline } = templates({ lake: 's3://flights/2024/,weather', lakeEvents: 's3' });
    expect(Object.keys(resources(pipeline, 'AWS::Events::Rule')).join()).not.toContain('ObjectCreated');
    const [toQueue, ...more] = allowedToS3(pipeline, 'AWS::SQS::QueuePolicy', 'PolicyDocument');
    expect(more).toEqual([]);
    expect(toQueue).toMatchObject({ Action: 'sqs:SendMessage' });
    expect(textOf(toQueue?.Resource)).toBe('<PipelineOrdersQueue.Arn>');
    expect(toQueue?.Condition.ArnEquals['aws:SourceArn']?.map(textOf)).toEqual([
      'arn:<Partition>:s3:::flights',
      'arn:<Partition>:s3:::weather',
    ]);
    const [withKey] = allowedToS3(pipeline, 'AWS::KMS::Key', 'KeyPolicy');
    expect(withKey).toMatchObject({ Action: ['kms:Decrypt', 'kms:GenerateDataKey'] });
    for (const statement of [toQueue, withKey])
      expect(statement?.Condition.StringEquals).toEqual({ 'aws:SourceAccount': { Ref: 'AWS::AccountId' } });
    // For whoever sets the notifications up.
    expect(textOf(pipeline.findOutputs('SluiceDispatchQueueArn')['SluiceDispatchQueueArn']?.['Value'])).toBe(
      '<PipelineOrdersQueue.Arn>',
    );
    const byEventBridge = templates({ lake: 'flights' }).pipeline;
    expect(byEventBridge.findOutputs('SluiceDispatchQueueArn')).toEqual({});
    expect(allowedToS3(byEventBridge, 'AWS::SQS::QueuePolicy', 'PolicyDocument')).toEqual([]);
    expect(allowedToS3(byEventBridge, 'AWS::KMS::Key', 'KeyPolicy')).toEqual([]);
  });

  it('may be a bucket of one’s own stack, without a custom resource', () => {
    using folder = new BuildFolder();
    const stack = new Stack(new App(), 'Mine');
    const { orders } = new SluicePipeline(stack, 'Lanes', {
      build: folder.path,
      foundation: null,
      lakes: [{ bucketName: 'flights', events: 's3' }],
    });
    const lake = new CfnBucket(stack, 'Lake', {
      bucketName: 'flights',
      notificationConfiguration: {
        queueConfigurations: [{ event: 's3:ObjectCreated:*', queue: orders.queue.queueArn }],
      },
    });
    // S3 tries whether it may send.
    lake.node.addDependency(orders);
    const template = Template.fromStack(stack);
    const policyOfOrders = Object.keys(resources(template, 'AWS::SQS::QueuePolicy')).find((id) =>
      id.includes('OrdersQueue'),
    );
    expect(template.findResources('AWS::S3::Bucket')['Lake']?.['DependsOn']).toContain(policyOfOrders);
    expect(JSON.stringify(template.toJSON())).not.toContain('Custom::');
  });

  it('is a schedule, too; and results are published by another', () => {
    const { pipeline } = templates({
      lakeEvents: 'false',
      schedule: 'cron(15 3 * * ? *)',
      scheduleLocations: 's3://flights/2024/',
      publishMinutes: '1',
    });
    const { Properties: schedule } = resource(pipeline, 'AWS::Events::Rule', 'PipelineSchedule');
    expect((schedule['Targets'] as { Input: string }[])[0]?.Input).toBe(
      '{"pipeline":"lanes","objects":["s3://flights/2024/"]}',
    );
    const { Properties: publishing } = resource(pipeline, 'AWS::Events::Rule', 'PipelinePublishing');
    expect(publishing['ScheduleExpression']).toBe('rate(1 minute)');
    expect((publishing['Targets'] as { Input: string }[])[0]?.Input).toBe('{"publish":true}');
    expect(Object.keys(resources(pipeline, 'AWS::Events::Rule'))).toHaveLength(3);
  });
});

describe('the state bucket', () => {
  it('is encrypted, refuses what is not TLS, and forgets claims and what was undelivered', () => {
    const { pipeline } = templates();
    const bucket = resource(pipeline, 'AWS::S3::Bucket', 'PipelineStorageState').Properties;
    expect(JSON.stringify(bucket['BucketEncryption'])).toContain('aws:kms');
    expect(bucket['LifecycleConfiguration']).toMatchObject({
      Rules: expect.arrayContaining([
        expect.objectContaining({ Prefix: 'claims/', ExpirationInDays: 30 }),
        expect.objectContaining({ Prefix: 'aws/lambda/', ExpirationInDays: 90 }),
      ]) as unknown,
    });
    pipeline.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        ]),
      },
    });
    for (const { DeletionPolicy } of Object.values(pipeline.findResources('AWS::S3::Bucket')))
      expect(DeletionPolicy).toBe('Retain');
  });
});

describe('encryption at rest', () => {
  it('is by the key of the pipeline wherever rows and messages lie: bucket (with a bucket key), queues, stream, topic, cache', () => {
    for (const cache of ['serverless', 'nodes']) {
      const { pipeline } = templates({ failureTopic: 'true', cache }, { keyed: true });
      const key = (value: unknown) => expect(textOf(value)).toMatch(/^<PipelineKey(\.Arn)?>$/);
      const { ServerSideEncryptionConfiguration: rules } = resource(
        pipeline,
        'AWS::S3::Bucket',
        'PipelineStorageState',
      ).Properties['BucketEncryption'] as {
        ServerSideEncryptionConfiguration: {
          BucketKeyEnabled?: boolean;
          ServerSideEncryptionByDefault: { SSEAlgorithm: string; KMSMasterKeyID: unknown };
        }[];
      };
      expect(rules).toHaveLength(1);
      expect(rules[0]?.BucketKeyEnabled).toBe(true);
      expect(rules[0]?.ServerSideEncryptionByDefault.SSEAlgorithm).toBe('aws:kms');
      key(rules[0]?.ServerSideEncryptionByDefault.KMSMasterKeyID);
      const queues = Object.values(resources(pipeline, 'AWS::SQS::Queue'));
      // Tasks, orders, failures, undelivered, messages, each with its dead letters; and lost calls.
      expect(queues).toHaveLength(11);
      for (const { Properties } of queues) key(Properties['KmsMasterKeyId']);
      const streams = Object.values(resources(pipeline, 'AWS::Kinesis::Stream'));
      expect(streams).toHaveLength(1);
      for (const { Properties } of streams) {
        const { EncryptionType, KeyId } = Properties['StreamEncryption'] as Record<string, unknown>;
        expect(EncryptionType).toBe('KMS');
        key(KeyId);
      }
      const topics = Object.values(resources(pipeline, 'AWS::SNS::Topic'));
      expect(topics).toHaveLength(1);
      for (const { Properties } of topics) key(Properties['KmsMasterKeyId']);
      const caches = [
        ...Object.values(resources(pipeline, 'AWS::ElastiCache::ServerlessCache')),
        ...Object.values(resources(pipeline, 'AWS::ElastiCache::ReplicationGroup')),
      ];
      expect(caches).toHaveLength(1);
      for (const { Type, Properties } of caches) {
        key(Properties['KmsKeyId']);
        if (Type === 'AWS::ElastiCache::ReplicationGroup')
          expect(Properties).toMatchObject({ AtRestEncryptionEnabled: true, TransitEncryptionEnabled: true });
      }
    }
  });

  it('is by the key of the foundation in the database, its snapshots included', () => {
    const { Properties } = resource(templates().foundation, 'AWS::RDS::DBCluster', 'Foundation');
    expect(Properties['StorageEncrypted']).toBe(true);
    expect(textOf(Properties['KmsKeyId'])).toBe('<FoundationKey.Arn>');
  });

  it('needs of each function’s role the key of the pipeline, to read and to write with, and no other use of it', () => {
    const { pipeline } = templates();
    for (const name of functionNames) {
      const statements = (
        resource(pipeline, 'AWS::IAM::Role', `Pipeline${name}role`).Properties['Policies'] as {
          PolicyDocument: { Statement: { Action: string | string[]; Resource: unknown }[] };
        }[]
      ).flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
      const uses = statements.filter(({ Action }) =>
        [Action].flat().some((action) => action.startsWith('kms:')),
      );
      expect(uses.map(({ Action, Resource }) => [Action, textOf(Resource)])).toEqual([
        [['kms:Decrypt', 'kms:GenerateDataKey'], '<PipelineKey.Arn>'],
      ]);
    }
  });
});

describe('the foundation', () => {
  it('has no way out but the endpoints, and a database that only its clients reach', () => {
    const { foundation } = templates();
    expect(resources(foundation, 'AWS::EC2::NatGateway')).toEqual({});
    expect(resources(foundation, 'AWS::EC2::InternetGateway')).toEqual({});
    const services = Object.values(resources(foundation, 'AWS::EC2::VPCEndpoint')).map(({ Properties }) =>
      textOf(Properties['ServiceName']),
    );
    expect(new Set(services.map((name) => name.split('.').at(-1)))).toEqual(
      new Set(['kinesis-streams', 's3', 'sqs']),
    );
    foundation.hasResourceProperties('AWS::RDS::DBCluster', {
      Engine: 'aurora-postgresql',
      EnableIAMDatabaseAuthentication: true,
      ManageMasterUserPassword: true,
      StorageEncrypted: true,
      DeletionProtection: true,
      ServerlessV2ScalingConfiguration: { MinCapacity: 0.5, MaxCapacity: 8 },
    });
  });

  it('is the same for every version and every pipeline that shares it, so that none takes away what another has', () => {
    const first = templates({ foundation: 'shared' }, { pipeline: 'lanes', version: 1 });
    const second = templates({ foundation: 'shared' }, { pipeline: 'hubs', version: 2, keyed: true });
    const without = (template: typeof first.foundation) => {
      // What is exported follows from who imports; CloudFormation keeps exports that others use.
      const { Outputs: _, ...rest } = template.toJSON() as Record<string, unknown>;
      return rest;
    };
    expect(without(second.foundation)).toEqual(without(first.foundation));
    expect(second.foundation.toJSON()['Outputs']).toEqual(first.foundation.toJSON()['Outputs']);
  });

  it('stands beside a new version: the pipelines’ stacks share no name', () => {
    const names = [1, 2].map((version) =>
      Object.values(resources(templates({}, { version }).pipeline, 'AWS::Lambda::Function')).map(
        ({ Properties }) => Properties['FunctionName'] as string,
      ),
    );
    expect(new Set(names.flat()).size).toBe(8);
  });

  it('shortens names that Lambda would refuse, and keeps them apart', () => {
    const long = (letter: string) =>
      Object.values(
        resources(
          templates({}, { pipeline: `${'x'.repeat(63)}${letter}` }).pipeline,
          'AWS::Lambda::Function',
        ),
      ).map(({ Properties }) => Properties['FunctionName'] as string);
    const names = [...long('a'), ...long('b')];
    expect(new Set(names).size).toBe(8);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(64);
  });
});

describe('results in S3', () => {
  it('need no database, no network and no foundation: one stack, with the bucket as the place', () => {
    const { pipeline, foundation } = templates({ results: 's3' });
    expect(foundation.toJSON()).toEqual({ Resources: {} });
    for (const name of functionNames) {
      const { VpcConfig, Environment } = resource(pipeline, 'AWS::Lambda::Function', `Pipeline${name}`)
        .Properties as { VpcConfig?: object; Environment: { Variables: Record<string, unknown> } };
      expect(VpcConfig).toBeUndefined();
      expect(Environment.Variables).not.toHaveProperty('SLUICE_DATABASE_URL');
      expect(Environment.Variables['SLUICE_RESULTS'] === undefined).toBe(name === 'transform');
    }
    expect(JSON.stringify(pipeline.toJSON())).not.toMatch(/rds-db|ec2:/);
  });
});

describe('alarms', () => {
  it('tell of failures within five minutes, of whoever opens them, and where nothing else is counted', () => {
    const { pipeline } = templates({}, { version: 3 });
    const { Properties: alarm } = resource(pipeline, 'AWS::CloudWatch::Alarm', 'PipelineAlarmsFailureRate');
    // A run of a minute and a half is over before a second period has begun.
    expect(alarm).toMatchObject({
      Threshold: 1,
      ComparisonOperator: 'GreaterThanThreshold',
      EvaluationPeriods: 1,
      TreatMissingData: 'notBreaching',
    });
    const metrics = alarm['Metrics'] as {
      Id: string;
      Expression?: string;
      MetricStat?: {
        Metric: { MetricName: string; Dimensions: { Name: string; Value: string }[] };
        Period: number;
        Stat: string;
      };
    }[];
    const whole = metrics.find(({ Expression }) => Expression !== undefined);
    expect(whole?.Expression).toBe(
      '100 * (FILL(failuresOpenedOfanalyze, 0) + FILL(failuresOpenedOfdispatch, 0)) / MAX([FILL(rows, 0), FILL(failuresOpenedOfanalyze, 0), FILL(failuresOpenedOfdispatch, 0), 1])',
    );
    const read = metrics.flatMap(({ Id, MetricStat }) =>
      MetricStat === undefined ? [] : [{ Id, ...MetricStat }],
    );
    expect(read.map(({ Period, Stat }) => [Period, Stat])).toEqual(read.map(() => [300, 'Sum']));
    expect(
      Object.fromEntries(
        read.map(({ Id, Metric }) => [
          Id,
          [Metric.MetricName, ...Metric.Dimensions.map(({ Name, Value }) => `${Name}=${Value}`).sort()],
        ]),
      ),
    ).toEqual({
      rows: ['rowsRead', 'function=transform', 'pipeline=lanes', 'version=3'],
      failuresOpenedOfanalyze: ['failuresOpened', 'function=analyze', 'pipeline=lanes', 'version=3'],
      failuresOpenedOfdispatch: ['failuresOpened', 'function=dispatch', 'pipeline=lanes', 'version=3'],
    });
  });

  it('tell of records of somebody else’s stream that wait or are given up, mapping by mapping', () => {
    const { pipeline } = templates(
      { foreignStreams: 'arn:aws:kinesis:eu-west-1:111122223333:stream/orders' },
      { keyed: true },
    );
    const givenUp = ['Frames', 'ForeignStream0'].map((what) => {
      const { Properties } = resource(pipeline, 'AWS::CloudWatch::Alarm', `PipelineAlarms${what}GivenUp`);
      expect(Properties).toMatchObject({
        MetricName: 'OnFailureDestinationDeliveredEventCount',
        Threshold: 0,
        EvaluationPeriods: 1,
        Period: 300,
      });
      return (Properties['Dimensions'] as { Value: unknown }[]).map(({ Value }) => textOf(Value));
    });
    expect(givenUp).toEqual([['<PipelineFramesToAnalyze>'], ['<PipelineForeignStream0ToTransform>']]);
    const late = resource(pipeline, 'AWS::CloudWatch::Alarm', 'PipelineAlarmsForeignStream0Late').Properties;
    expect(late).toMatchObject({ MetricName: 'IteratorAge', Threshold: 18_000_000, EvaluationPeriods: 5 });
    expect((late['Dimensions'] as { Value: unknown }[]).map(({ Value }) => textOf(Value))).toEqual([
      '<Pipelinetransform>',
    ]);
  });

  it('tell of records that nobody can put again: reprocess counts them', () => {
    const { Properties } = resource(
      templates().pipeline,
      'AWS::CloudWatch::Alarm',
      'PipelineAlarmsRecordsLost',
    );
    expect(Properties).toMatchObject({
      Threshold: 0,
      Metrics: [{ MetricStat: { Stat: 'Sum', Metric: { MetricName: 'recordsLost' } } }],
    });
    const [{ MetricStat }] = Properties['Metrics'] as [{ MetricStat: { Metric: { Dimensions: unknown[] } } }];
    expect(MetricStat.Metric.Dimensions).toContainEqual({ Name: 'function', Value: 'reprocess' });
  });

  it('tell of late frames, frames given up, dead letters, failures, errors and throttles', () => {
    const { pipeline } = templates({ alarmTopic: 'arn:aws:sns:eu-west-1:111122223333:alarms' });
    const alarms = Object.entries(resources(pipeline, 'AWS::CloudWatch::Alarm'));
    const names = alarms.map(([id]) => id.replace(/^PipelineAlarms|[0-9A-F]{8}$/g, '')).sort();
    expect(names).toEqual(
      [
        'FramesLate',
        'FramesGivenUp',
        'FailureRate',
        'RecordsLost',
        ...['Tasks', 'Orders', 'Failures', 'Undelivered', 'LostCalls'].map(
          (queue) => `DeadLettersOf${queue}`,
        ),
        ...functionNames.flatMap((name) => [`ErrorsOf${name}`, `ThrottlesOf${name}`]),
      ].sort(),
    );
    for (const [, { Properties }] of alarms)
      expect(Properties['AlarmActions']).toEqual(['arn:aws:sns:eu-west-1:111122223333:alarms']);
    pipeline.resourceCountIs('AWS::CloudWatch::Dashboard', 1);
  });
});

interface AllowedStatement {
  readonly Principal: unknown;
  readonly Action: unknown;
  readonly Resource: unknown;
  readonly Condition: {
    readonly ArnEquals: Readonly<Record<string, readonly unknown[]>>;
    readonly StringEquals: unknown;
  };
}

/** What policies of resources of a type let S3 itself do. */
function allowedToS3(template: Template, type: string, policy: string): readonly AllowedStatement[] {
  return Object.values(resources(template, type)).flatMap(({ Properties }) =>
    (Properties[policy] as { Statement: readonly AllowedStatement[] }).Statement.filter(
      ({ Principal }) => (Principal as { Service?: unknown }).Service === 's3.amazonaws.com',
    ),
  );
}
