import { Peer, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { CfnReplicationGroup, CfnServerlessCache, CfnSubnetGroup } from 'aws-cdk-lib/aws-elasticache';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Names } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { Network } from './network.ts';
import type { CacheSettings } from './props.ts';

/** Another than Redis' own, as cdk-nag wants it; of a serverless one it is fixed. */
const NODES_PORT = 6380;
const SERVERLESS_PORT = 6379;

/** Where claims of messages from elsewhere are kept. Losing it costs time, never a message: no snapshots of it. */
export class Cache extends Construct {
  /** `rediss://host:port` */
  readonly url: string;
  /** What its users wear besides the foundation's group: rules between the two belong to this stack. */
  readonly clients: SecurityGroup;

  constructor(scope: Construct, id: string, settings: CacheSettings, network: Network, key: IKey) {
    super(scope, id);
    this.clients = new SecurityGroup(this, 'Clients', {
      vpc: network.vpc,
      description: 'Who claims keys of messages',
      allowAllOutbound: false,
    });
    if (settings.kind === 'existing') {
      const { port } = new URL(settings.url);
      this.clients.addEgressRule(
        Peer.anyIpv4(),
        Port.tcp(Number(port || SERVERLESS_PORT)),
        'cache that was there before',
      );
      this.url = settings.url;
      return;
    }
    const port = settings.kind === 'serverless' ? SERVERLESS_PORT : NODES_PORT;
    const group = new SecurityGroup(this, 'Group', {
      vpc: network.vpc,
      description: 'Claims of messages: the functions of this pipeline only',
      allowAllOutbound: false,
    });
    group.addIngressRule(this.clients, Port.tcp(port), 'functions of this pipeline');
    this.clients.addEgressRule(group, Port.tcp(port), 'cache');
    const subnetIds = network.subnets.map(({ subnetId }) => subnetId);
    // Up to 40 letters, digits and hyphens, the same in every synthesis.
    const name = Names.uniqueResourceName(this, { maxLength: 40, separator: '-' }).toLowerCase();
    if (settings.kind === 'serverless') {
      const cache = new CfnServerlessCache(this, 'Serverless', {
        serverlessCacheName: name,
        engine: 'valkey',
        majorEngineVersion: '8',
        description: 'Sluice: claims of messages',
        securityGroupIds: [group.securityGroupId],
        subnetIds,
        kmsKeyId: key.keyArn,
        cacheUsageLimits: { dataStorage: { maximum: settings.maximumGiB ?? 5, unit: 'GB' } },
      });
      this.url = `rediss://${cache.attrEndpointAddress}:${cache.attrEndpointPort}`;
      return;
    }
    const subnets = new CfnSubnetGroup(this, 'Subnets', {
      description: 'Sluice: claims of messages',
      subnetIds,
      cacheSubnetGroupName: name,
    });
    const cache = new CfnReplicationGroup(this, 'Nodes', {
      replicationGroupDescription: 'Sluice: claims of messages',
      engine: 'valkey',
      engineVersion: '8.0',
      cacheNodeType: settings.nodeType ?? 'cache.t4g.small',
      numNodeGroups: 1,
      replicasPerNodeGroup: 1,
      automaticFailoverEnabled: true,
      multiAzEnabled: true,
      atRestEncryptionEnabled: true,
      transitEncryptionEnabled: true,
      kmsKeyId: key.keyId,
      port,
      cacheSubnetGroupName: subnets.ref,
      securityGroupIds: [group.securityGroupId],
    });
    acknowledge(
      cache,
      ['AwsSolutions-AEC6'],
      'only the functions of this pipeline reach it, by TLS; a password would have to be kept somewhere',
    );
    this.url = `rediss://${cache.attrPrimaryEndPointAddress}:${cache.attrPrimaryEndPointPort}`;
  }
}
