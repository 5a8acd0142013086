import { Effect, PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { describe, expect, it } from 'vitest';
import { findings } from './synthesize.ts';

describe('cdk-nag (AwsSolutions, Serverless) and the checks of CDK itself', () => {
  it.each<[what: string, context: Record<string, string>, keyed: boolean]>([
    ['a pipeline over a lake', {}, false],
    ['results in S3', { results: 's3' }, false],
    ['a lake that tells of its objects by itself', { lakeEvents: 's3' }, false],
    [
      'messages from elsewhere, with everything switched on',
      {
        lake: 'flights,s3://weather/daily/',
        lakeKey: 'arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d-0000-1111-2222-333344445555',
        cache: 'nodes',
        databaseProxy: 'true',
        failureTopic: 'true',
        alarmTopic: 'arn:aws:sns:eu-west-1:111122223333:alarms',
        foreignStreams: 'arn:aws:kinesis:eu-west-1:111122223333:stream/orders',
        shards: '8',
        recordBytes: '4194304',
        transformPollers: '10-200',
        schedule: 'rate(1 hour)',
        scheduleLocations: 's3://flights/2024/',
        zones: '3',
      },
      true,
    ],
    [
      'network, database and cache that were there before',
      {
        vpc: 'vpc-0123456789abcdef0',
        vpcZones: 'eu-west-1a,eu-west-1b',
        vpcSubnets: 'subnet-0123456789abcdef0,subnet-0123456789abcdef1',
        databaseHost: 'results.example.com',
        databaseResource: 'cluster-ABCDEFGHIJKLMNOP',
        databaseMaxConnections: '400',
        cache: 'rediss://cache.example.com:6380',
      },
      true,
    ],
  ])('find nothing in %s', (_, context, keyed) => {
    expect(findings(context, { keyed })).toEqual([]);
  });

  it('find what is planted: a queue of its own, and one more wildcard in a role that has some', () => {
    const found = findings({}, {}, ({ pipeline }) => {
      void new Queue(pipeline, 'Planted');
      const role = pipeline.node.findChild('Pipeline').node.findChild('analyze-role') as Role;
      role.addToPolicy(
        new PolicyStatement({
          effect: Effect.ALLOW,
          actions: ['s3:GetObject'],
          resources: ['arn:aws:s3:::other/*'],
        }),
      );
    });
    expect(found).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^AwsSolutions-SQS4: .*Planted/),
        expect.stringMatching(/^Serverless-SQSRedrivePolicy: .*Planted/),
        expect.stringMatching(/^AwsSolutions-IAM5\[Resource::arn:aws:s3:::other\/\*\]: .*analyze-role/),
      ]),
    );
  });
});
