import { CfnOutput, Duration, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Peer, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
  DatabaseProxy,
  DefaultAuthScheme,
  ParameterGroup,
  ProxyTarget,
} from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import { auroraConnections } from './budget.ts';
import type { Network } from './network.ts';

export type DatabaseSettings =
  | {
      readonly kind: 'aurora';
      /** Aurora capacity units (2 GiB each), 0 to 256; 0 pauses when nothing is connected. Default 0.5. */
      readonly minimumCapacity?: number;
      /** 1 to 256; decides how many connections there may be. Default 8. */
      readonly maximumCapacity?: number;
      /** A reader in another zone, which takes over. Default true. */
      readonly standby?: boolean;
      /** A proxy that shares connections between containers; billed by capacity. Default false: concurrency is capped instead. */
      readonly proxy?: boolean;
    }
  | {
      /** One that is there. Its security group has to let the foundation's clients in. */
      readonly kind: 'existing';
      readonly host: string;
      /** Default 5432. */
      readonly port?: number;
      /** Default `sluice`. */
      readonly name?: string;
      /** A user that IAM may log in as (`GRANT rds_iam TO sluice`). Default `sluice`. */
      readonly user?: string;
      /** `cluster-…` or `db-…`, of a proxy `prx-…`: what the permission to connect names. */
      readonly resourceId: string;
      /** Connections that it takes in all. */
      readonly maxConnections: number;
    };

/** Where results are: PostgreSQL, logged into with a token of IAM, so that no password is kept anywhere. */
export interface Database {
  /** Without a password. */
  readonly url: string;
  /** What `rds-db:connect` is allowed on. */
  readonly connectArn: string;
  /** Connections that it takes in all; `null` where a proxy shares them. */
  readonly maxConnections: number | null;
  /** What of it another stack refers to. */
  readonly shared: readonly string[];
}

const USER = 'sluice';
const NAME = 'sluice';
/** Another than PostgreSQL's own, as cdk-nag wants it. */
const PORT = 5433;

export function databaseOf(
  scope: Construct,
  settings: DatabaseSettings,
  network: Network,
  key: IKey,
): Database {
  return settings.kind === 'aurora'
    ? new AuroraDatabase(scope, 'Database', settings, network, key)
    : existingDatabase(scope, settings, network);
}

/** What a role is allowed that has `rds-db:connect` on it: one user of one database. */
function connectArn(scope: Construct, resourceId: string, user: string): string {
  const { partition, region, account } = Stack.of(scope);
  return `arn:${partition}:rds-db:${region}:${account}:dbuser:${resourceId}/${user}`;
}

function urlOf(user: string, host: string, port: string, name: string): string {
  // A token is sent as a password would be: never without knowing whose the other end is.
  return `postgres://${user}@${host}:${port}/${name}?sslmode=verify-full`;
}

function existingDatabase(
  scope: Construct,
  {
    host,
    port = 5432,
    name = NAME,
    user = USER,
    resourceId,
    maxConnections,
  }: Extract<DatabaseSettings, { kind: 'existing' }>,
  network: Network,
): Database {
  network.clients.addEgressRule(Peer.anyIpv4(), Port.tcp(port), 'database that was there before');
  return {
    url: urlOf(user, host, String(port), name),
    connectArn: connectArn(scope, resourceId, user),
    maxConnections: resourceId.startsWith('prx-') ? null : maxConnections,
    shared: [],
  };
}

class AuroraDatabase extends Construct implements Database {
  readonly url: string;
  readonly connectArn: string;
  readonly maxConnections: number | null;
  readonly shared: readonly string[];

  constructor(
    scope: Construct,
    id: string,
    settings: Extract<DatabaseSettings, { kind: 'aurora' }>,
    network: Network,
    key: IKey,
  ) {
    super(scope, id);
    const { minimumCapacity = 0.5, maximumCapacity = 8, standby = true, proxy = false } = settings;
    const group = this.#group('Database', 'Database of Sluice: its functions only', network);
    const engine = DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_17_7 });
    const cluster = new DatabaseCluster(this, 'Cluster', {
      engine,
      // The first user, which makes the one that functions log in as. RDS keeps and turns its password.
      credentials: Credentials.fromUsername('postgres'),
      manageMasterUserPassword: true,
      defaultDatabaseName: NAME,
      iamAuthentication: true,
      // `sluice deploy` makes the functions' user in a database that nothing outside its network can reach.
      enableDataApi: true,
      serverlessV2MinCapacity: minimumCapacity,
      serverlessV2MaxCapacity: maximumCapacity,
      writer: ClusterInstance.serverlessV2('Writer'),
      readers: standby ? [ClusterInstance.serverlessV2('Standby', { scaleWithWriter: true })] : [],
      vpc: network.vpc,
      vpcSubnets: { subnets: [...network.subnets] },
      securityGroups: [group],
      port: PORT,
      parameterGroup: new ParameterGroup(this, 'Parameters', {
        engine,
        parameters: {
          'rds.force_ssl': '1',
          // A container that Lambda froze and forgot keeps its connections: they end here.
          idle_session_timeout: String(Duration.minutes(15).toMilliseconds()),
        },
      }),
      storageEncrypted: true,
      storageEncryptionKey: key,
      backup: { retention: Duration.days(7) },
      cloudwatchLogsExports: ['postgresql'],
      deletionProtection: true,
      removalPolicy: RemovalPolicy.SNAPSHOT,
      copyTagsToSnapshot: true,
    });
    group.addIngressRule(network.clients, Port.tcp(PORT), 'functions of Sluice');
    // `sluice deploy` makes the functions' user with the first two; with the host a person gets a token.
    for (const [outputKey, value] of Object.entries({
      SluiceDatabaseCluster: cluster.clusterArn,
      SluiceDatabaseSecret: cluster.secret?.secretArn,
      SluiceDatabaseHost: cluster.clusterEndpoint.hostname,
    }))
      if (value !== undefined)
        new CfnOutput(this, `${outputKey}Output`, { value }).overrideLogicalId(outputKey);
    if (!proxy) {
      network.clients.addEgressRule(group, Port.tcp(PORT), 'database');
      this.url = urlOf(USER, cluster.clusterEndpoint.hostname, String(PORT), NAME);
      this.connectArn = connectArn(this, cluster.clusterResourceIdentifier, USER);
      this.maxConnections = auroraConnections(minimumCapacity, maximumCapacity);
      this.shared = [cluster.clusterEndpoint.hostname, cluster.clusterResourceIdentifier];
      return;
    }
    const shared = this.#proxy(cluster, group, network);
    this.url = urlOf(USER, shared.endpoint, '5432', NAME);
    // The last part of a proxy's ARN is its resource id, `prx-…`.
    this.connectArn = connectArn(this, Fn.select(6, Fn.split(':', shared.dbProxyArn)), USER);
    this.maxConnections = null;
    this.shared = [shared.endpoint, shared.dbProxyArn];
  }

  #proxy(cluster: DatabaseCluster, database: SecurityGroup, network: Network): DatabaseProxy {
    const group = this.#group('Proxy', 'Proxy of the database of Sluice: its functions only', network);
    group.addIngressRule(network.clients, Port.tcp(5432), 'functions of Sluice');
    group.addEgressRule(database, Port.tcp(PORT), 'database');
    database.addIngressRule(group, Port.tcp(PORT), 'proxy');
    network.clients.addEgressRule(group, Port.tcp(5432), 'proxy of the database');
    const role = new Role(this, 'ProxyRole', { assumedBy: new ServicePrincipal('rds.amazonaws.com') });
    role.addToPolicy(
      new PolicyStatement({
        actions: ['rds-db:connect'],
        resources: [connectArn(this, cluster.clusterResourceIdentifier, USER)],
      }),
    );
    return new DatabaseProxy(this, 'Proxy', {
      proxyTarget: ProxyTarget.fromCluster(cluster),
      vpc: network.vpc,
      vpcSubnets: { subnets: [...network.subnets] },
      securityGroups: [group],
      role,
      iamAuth: true,
      defaultAuthScheme: DefaultAuthScheme.IAM_AUTH,
      requireTLS: true,
    });
  }

  #group(id: string, description: string, network: Network): SecurityGroup {
    return new SecurityGroup(this, `${id}Group`, { vpc: network.vpc, description, allowAllOutbound: false });
  }
}
