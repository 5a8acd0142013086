import { describe, expect, it } from 'vitest';
import { deployedByDefault } from '../../src/entrypoints/cli/estimate/deployment.ts';
import { settingsOf } from '../src/settings.ts';
import { BuildFolder } from './build-folder.ts';
import { resources, templates } from './synthesize.ts';

describe('what `sluice estimate` counts with is what is deployed', () => {
  it('of functions, the stream and its mapping', () => {
    using folder = new BuildFolder();
    const settings = settingsOf(
      { build: folder.path, foundation: null, lakes: [{ bucketName: 'flights' }] },
      { ...folder.manifest, without: ['redis', 'postgres'] },
    );
    const memoryMiB = Object.fromEntries(
      (['dispatch', 'transform', 'analyze'] as const).map((name) => [
        name,
        settings.functions[name].memoryMiB,
      ]),
    );
    expect(deployedByDefault).toMatchObject({
      memoryMiB,
      transformTimeoutSeconds: settings.functions.transform.timeout.toSeconds(),
      transformConcurrency: settings.transformConcurrency,
      transformPollers: settings.transformPollers,
      shards: settings.shards,
      parallelizationFactor: settings.parallelizationFactor,
      batchSize: settings.batchSize,
      batchingWindowSeconds: settings.batchingWindow.toSeconds(),
      databaseConnections: settings.databaseConnections,
      publishEverySeconds: settings.publishEvery.toSeconds(),
    });
  });

  it('of queues, network, database, alarms and keys', () => {
    const { foundation, pipeline } = templates({}, { keyed: true });
    const all = (type: string) => [
      ...Object.entries(resources(foundation, type)),
      ...Object.entries(resources(pipeline, type)),
    ];
    const mappings = Object.entries(resources(pipeline, 'AWS::Lambda::EventSourceMapping'));
    const mapping = (part: string) => mappings.find(([id]) => id.includes(part))?.[1].Properties;
    const {
      ordersBatchSize,
      ordersBatchingWindowSeconds,
      messagesBatchSize,
      messagesBatchingWindowSeconds,
      polledQueues,
      endpoints,
      zones,
      database,
      cacheBytes,
      alarms,
      dashboards,
      keys,
    } = deployedByDefault;
    expect(mapping('OrdersToDispatch')).toMatchObject({
      BatchSize: ordersBatchSize,
      MaximumBatchingWindowInSeconds: ordersBatchingWindowSeconds,
    });
    expect(mapping('MessagesToTransform')).toMatchObject({
      BatchSize: messagesBatchSize,
      MaximumBatchingWindowInSeconds: messagesBatchingWindowSeconds,
    });
    // Tasks are one to a function: so transform is estimated.
    expect(mapping('TasksToTransform')).toMatchObject({ BatchSize: 1 });
    const polled = mappings.filter(
      ([id, { Properties }]) =>
        Properties['Enabled'] === true &&
        Properties['StartingPosition'] === undefined &&
        !id.includes('Messages'),
    );
    expect(polled).toHaveLength(polledQueues);
    const interfaces = all('AWS::EC2::VPCEndpoint').filter(
      ([, { Properties }]) => Properties['VpcEndpointType'] === 'Interface',
    );
    expect(interfaces).toHaveLength(endpoints);
    for (const [, { Properties }] of interfaces) expect(Properties['SubnetIds']).toHaveLength(zones);
    expect(all('AWS::RDS::DBInstance')).toHaveLength(database.instances);
    expect(all('AWS::RDS::DBCluster')[0]?.[1].Properties['ServerlessV2ScalingConfiguration']).toEqual({
      MinCapacity: database.minimumCapacity,
      MaxCapacity: database.maximumCapacity,
    });
    expect(all('AWS::ElastiCache::ServerlessCache')[0]?.[1].Properties['CacheUsageLimits']).toEqual({
      DataStorage: { Maximum: cacheBytes / 1e9, Unit: 'GB' },
    });
    expect(Object.keys(resources(templates().pipeline, 'AWS::CloudWatch::Alarm'))).toHaveLength(alarms);
    expect(all('AWS::CloudWatch::Dashboard')).toHaveLength(dashboards);
    expect(all('AWS::KMS::Key')).toHaveLength(keys);
  });
});
