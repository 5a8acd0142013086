import { RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { databaseOf, type Database, type DatabaseSettings } from './database.ts';
import { Network, type EndpointName, type NetworkSettings } from './network.ts';

export interface SluiceFoundationProps {
  /** Default: a new one, without a way out but to AWS. */
  readonly network?: NetworkSettings;
  /** Default: Aurora PostgreSQL, serverless, 0.5 to 8 capacity units. */
  readonly database?: DatabaseSettings;
}

/**
 * What outlives a pipeline's version: the network, and the database with everybody's results. Pipelines refer to it and it to none
 * of them, so that each is deployed and removed alone.
 */
export class SluiceFoundation extends Construct {
  readonly network: Network;
  readonly database: Database;

  constructor(scope: Construct, id: string, props: SluiceFoundationProps = {}) {
    super(scope, id);
    const key = new Key(this, 'Key', {
      description: 'Sluice: results',
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.network = new Network(this, 'Network', props.network ?? { kind: 'new' });
    this.database = databaseOf(this, props.database ?? { kind: 'aurora' }, this.network, key);
  }

  /**
   * Exports all that pipelines in other stacks may refer to, whether one does or not: an export that comes and goes with the pipeline that
   * is deployed last could be taken from one that is there.
   */
  exportAll(): void {
    const { vpc, subnets, clients } = this.network;
    const values = [
      vpc.vpcId,
      ...subnets.map(({ subnetId }) => subnetId),
      clients.securityGroupId,
      ...this.database.shared,
    ];
    for (const value of values) if (Token.isUnresolved(value)) Stack.of(this).exportValue(value);
  }

  /** Whether functions inside the network can call a service. Of somebody else's network nothing is known: it is believed. */
  reaches(endpoint: EndpointName): boolean {
    return this.network.endpoints === null || this.network.endpoints.includes(endpoint);
  }
}
