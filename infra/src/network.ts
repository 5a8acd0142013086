import {
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type ISubnet,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

/** What functions call from inside the network. S3 has a gateway of its own, which costs nothing, and is always there. */
export type EndpointName = 'sqs' | 'kinesis' | 'sns';

export type NetworkSettings =
  | {
      readonly kind: 'new';
      /** Default `10.64.0.0/20`. */
      readonly cidr?: string;
      /** Availability zones, 2 or 3: an interface endpoint is billed in each. Default 2. */
      readonly zones?: number;
      /** Default `sqs`, `kinesis`. */
      readonly endpoints?: readonly EndpointName[];
    }
  | {
      /** Given with all its attributes, so that nothing has to be looked up. It has the endpoints, or a way out. */
      readonly kind: 'existing';
      readonly vpcId: string;
      readonly availabilityZones: readonly string[];
      /** One for each zone, in the same order. */
      readonly subnetIds: readonly string[];
      /** Of `subnetIds`, one each. Default: none, no routes are added. */
      readonly routeTableIds?: readonly string[];
    };

/** The network that dispatch, analyze and reprocess run in, and transform where it claims keys in Redis. */
export class Network extends Construct {
  readonly vpc: IVpc;
  readonly subnets: readonly ISubnet[];
  /** What functions wear; database and cache let it in. Pipelines only refer to it, so that they come and go alone. */
  readonly clients: SecurityGroup;
  /** `null`: unknown, somebody else's network. */
  readonly endpoints: readonly EndpointName[] | null;

  constructor(scope: Construct, id: string, settings: NetworkSettings) {
    super(scope, id);
    if (settings.kind === 'existing') {
      this.vpc = Vpc.fromVpcAttributes(this, 'Vpc', {
        vpcId: settings.vpcId,
        availabilityZones: [...settings.availabilityZones],
        isolatedSubnetIds: [...settings.subnetIds],
        ...(settings.routeTableIds === undefined
          ? {}
          : { isolatedSubnetRouteTableIds: [...settings.routeTableIds] }),
      });
      this.endpoints = null;
    } else {
      // The two types differ in what may be `undefined`, and only in that.
      this.vpc = this.#newVpc(settings) as IVpc;
      this.endpoints = settings.endpoints ?? ['sqs', 'kinesis'];
    }
    this.subnets = this.vpc.isolatedSubnets;
    this.clients = new SecurityGroup(this, 'Clients', {
      vpc: this.vpc,
      description: 'Functions of Sluice: they may reach what this network has, and nobody reaches them',
      allowAllOutbound: false,
    });
    // S3 answers from public addresses, reached through its gateway; the subnets have no other way out.
    this.clients.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'AWS endpoints, S3 through its gateway');
    this.#addEndpoints();
  }

  #newVpc({ cidr = '10.64.0.0/20', zones = 2 }: Extract<NetworkSettings, { kind: 'new' }>): Vpc {
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr(cidr),
      maxAzs: zones,
      natGateways: 0,
      // Clearing the rules of the default group needs a custom resource with a wide role; nothing wears that group.
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [{ name: 'functions', subnetType: SubnetType.PRIVATE_ISOLATED }],
    });
    const logs = new LogGroup(this, 'FlowLogs', {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const writer = new Role(this, 'FlowLogWriter', {
      assumedBy: new ServicePrincipal('vpc-flow-logs.amazonaws.com'),
    });
    writer.addToPolicy(
      new PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
        resources: [logs.logGroupArn],
      }),
    );
    vpc.addFlowLog('Rejected', {
      destination: FlowLogDestination.toCloudWatchLogs(logs, writer.withoutPolicyUpdates()),
      trafficType: FlowLogTrafficType.REJECT,
    });
    return vpc;
  }

  #addEndpoints(): void {
    if (this.endpoints === null) return;
    this.vpc.addGatewayEndpoint('S3', { service: GatewayVpcEndpointAwsService.S3 });
    const services = {
      sqs: InterfaceVpcEndpointAwsService.SQS,
      kinesis: InterfaceVpcEndpointAwsService.KINESIS_STREAMS,
      sns: InterfaceVpcEndpointAwsService.SNS,
    };
    for (const name of this.endpoints) {
      const group = new SecurityGroup(this, `${name}EndpointGroup`, {
        vpc: this.vpc,
        description: `Endpoint of ${name}: functions of Sluice only`,
        allowAllOutbound: false,
      });
      group.addIngressRule(this.clients, Port.tcp(443), 'functions of Sluice');
      this.vpc.addInterfaceEndpoint(name, {
        service: services[name],
        securityGroups: [group],
        subnets: { subnets: [...this.subnets] },
        open: false,
      });
    }
  }
}
