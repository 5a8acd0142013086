import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { ISecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Architecture, Code, Function, RecursiveLoop, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { createHash } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import type { BuildManifest, FunctionName } from './manifest.ts';
import type { Network } from './network.ts';
import { roleOf, type Reach } from './permissions.ts';
import type { Settings } from './settings.ts';

/** The longest name of a function. */
const LONGEST_NAME = 64;

export interface FunctionContext {
  readonly manifest: BuildManifest;
  /** The build folder. */
  readonly folder: string;
  readonly settings: Settings;
  readonly reach: Reach;
  readonly environment: Readonly<Record<string, string>>;
  /** `null`: outside of every network, where nothing inside is called. */
  readonly network: { readonly network: Network; readonly groups: readonly ISecurityGroup[] } | null;
  /** Containers at once at most; `undefined`: what the mappings allow. */
  readonly reserved: number | undefined;
}

export function sluiceFunction(scope: Construct, name: FunctionName, context: FunctionContext): Function {
  const { manifest, folder, settings, reach, network } = context;
  const { file, handler } = manifest.functions[name];
  const { memoryMiB, timeout } = settings.functions[name];
  const functionName = functionNameOf(scope, name);
  const logs = new LogGroup(scope, `${name}-logs`, {
    logGroupName: `/aws/lambda/${functionName}`,
    retention: settings.logRetentionDays as RetentionDays,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  // Written out, since the role comes before the function.
  const { partition, region, account } = Stack.of(scope);
  const functionArn = `arn:${partition}:lambda:${region}:${account}:function:${functionName}`;
  const role = roleOf(scope, name, reach, { functionArn, logs, inNetwork: network !== null });
  return new Function(scope, name, {
    functionName,
    description: `Sluice ${manifest.sluice}: ${name} of ${manifest.pipeline}@${manifest.version}, build ${manifest.build.slice(0, 12)}`,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    // The folder with the bundle and its source map, as it is: nothing is bundled here.
    code: Code.fromAsset(join(resolve(folder), dirname(file))),
    handler,
    memorySize: memoryMiB,
    timeout,
    role: role.withoutPolicyUpdates(),
    logGroup: logs,
    tracing: Tracing.ACTIVE,
    deadLetterQueue: reach.lostCalls,
    environment: {
      ...context.environment,
      NODE_OPTIONS: '--enable-source-maps',
      // The certificates of RDS come with the runtime but are not trusted by themselves.
      ...(context.environment['SLUICE_DATABASE_URL'] === undefined
        ? {}
        : { NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' }),
    },
    ...(context.reserved === undefined ? {} : { reservedConcurrentExecutions: context.reserved }),
    ...(network === null
      ? {}
      : {
          vpc: network.network.vpc,
          vpcSubnets: { subnets: [...network.network.subnets] },
          securityGroups: [...network.groups],
        }),
    // Dispatch and reprocess go on with a long listing, and transform hands sections on, by messages to themselves. Lambda would take that for a loop
    // after 16 rounds and stop it; it is none, since what is left strictly shrinks from message to message.
    ...(name === 'analyze' ? {} : { recursiveLoop: RecursiveLoop.ALLOW }),
  });
}

/** `<stack>-<function>`; where that is too long, the start of it and a digest. */
function functionNameOf(scope: Construct, name: FunctionName): string {
  const { stackName } = Stack.of(scope);
  const full = `${stackName}-${name}`;
  if (full.length <= LONGEST_NAME) return full;
  const digest = createHash('sha256').update(stackName).digest('hex').slice(0, 8);
  return `${stackName.slice(0, LONGEST_NAME - name.length - digest.length - 2)}-${digest}-${name}`;
}
