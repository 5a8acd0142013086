import { InfrastructureError, messageOf } from '../../../domain/errors.ts';

/**
 * What a deployment asks of AWS, in our words. `sluice-infra/deployment` carries it out with the clients of AWS, which only deployment needs: Sluice itself does
 * not bring them.
 */
export interface DeploymentCalls {
  /** Outputs of a stack by their keys; `null`: there is no such stack. */
  outputs(stack: string, signal: AbortSignal): Promise<Readonly<Record<string, string>> | null>;
  /** Begins to switch a mapping on or off; `mappingState` tells when it is. */
  setMapping(mapping: string, enabled: boolean, signal: AbortSignal): Promise<void>;
  mappingState(mapping: string, signal: AbortSignal): Promise<MappingState>;
  queueDepth(queueUrl: string, signal: AbortSignal): Promise<QueueDepth>;
  /** How old the records are that a function reads from its stream, in milliseconds; 0 where it reads none. */
  iteratorAge(functionName: string, signal: AbortSignal): Promise<number>;
  putObject(bucket: string, key: string, data: Uint8Array, signal: AbortSignal): Promise<void>;
  send(queueUrl: string, body: string, signal: AbortSignal): Promise<void>;
  /** Calls a function and waits for its reply; what the function throws is thrown, with its message. */
  invoke(functionName: string, event: unknown, signal: AbortSignal): Promise<unknown>;
  /** Runs one statement as the first user of a database, which nothing outside its network reaches, by the Data API. */
  executeSql(statement: SqlStatement, signal: AbortSignal): Promise<void>;
}

export interface SqlStatement {
  /** ARN of the cluster. */
  readonly cluster: string;
  /** ARN of the secret with the first user's password. */
  readonly secret: string;
  readonly database: string;
  readonly sql: string;
}

/** `changing`: on its way to one of the others. */
export type MappingState = 'enabled' | 'disabled' | 'changing';

/** Messages of a queue, about. */
export interface QueueDepth {
  readonly visible: number;
  readonly inFlight: number;
  readonly delayed: number;
}

/** The outputs of the stack of a pipeline: `outputKeys` of sluice-infra. */
export const outputKeys = {
  bucket: 'SluiceBucket',
  taskQueue: 'SluiceTaskQueueUrl',
  dispatchQueue: 'SluiceDispatchQueueUrl',
  dispatchMapping: 'SluiceDispatchMapping',
  analyzeFunction: 'SluiceAnalyzeFunction',
  build: 'SluiceBuild',
} as const;

/** A stack that is there. */
export type Deployed = Readonly<Record<keyof typeof outputKeys, string>>;

/** @returns `null` where an output is missing: the stack is none of a pipeline */
export function deployedOf(outputs: Readonly<Record<string, string>>): Deployed | null {
  const found = Object.entries(outputKeys).map(([name, key]) => [name, outputs[key]] as const);
  return found.some(([, value]) => value === undefined) ? null : (Object.fromEntries(found) as Deployed);
}

/** The same calls; what they throw says what to do, and which call it was. */
export function explained(calls: DeploymentCalls): DeploymentCalls {
  return {
    outputs: (stack, signal) => explain(`what ${stack} has`, signal, () => calls.outputs(stack, signal)),
    setMapping: (mapping, enabled, signal) =>
      explain(`switching the mapping ${mapping}`, signal, () => calls.setMapping(mapping, enabled, signal)),
    mappingState: (mapping, signal) =>
      explain(`the state of the mapping ${mapping}`, signal, () => calls.mappingState(mapping, signal)),
    queueDepth: (queueUrl, signal) =>
      explain(`the depth of ${queueUrl}`, signal, () => calls.queueDepth(queueUrl, signal)),
    iteratorAge: (functionName, signal) =>
      explain(`the iterator age of ${functionName}`, signal, () => calls.iteratorAge(functionName, signal)),
    putObject: (bucket, key, data, signal) =>
      explain(`storing s3://${bucket}/${key}`, signal, () => calls.putObject(bucket, key, data, signal)),
    send: (queueUrl, body, signal) =>
      explain(`sending to ${queueUrl}`, signal, () => calls.send(queueUrl, body, signal)),
    invoke: (functionName, event, signal) =>
      explain(`calling ${functionName}`, signal, () => calls.invoke(functionName, event, signal)),
    executeSql: (statement, signal) =>
      explain(`a statement on ${statement.cluster}`, signal, () => calls.executeSql(statement, signal)),
  };
}

async function explain<Result>(
  what: string,
  signal: AbortSignal,
  call: () => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  try {
    return await call();
  } catch (cause) {
    signal.throwIfAborted();
    const { name, message } = cause instanceof Error ? cause : { name: '', message: messageOf(cause) };
    if (name === 'CredentialsProviderError')
      throw new InfrastructureError(
        'there are no credentials of AWS: set AWS_PROFILE, or log in (aws sso login)',
        {
          code: 'E_DEPLOY',
          cause,
        },
      );
    if (/region is missing/i.test(message))
      throw new InfrastructureError('there is no region: set AWS_REGION', { code: 'E_DEPLOY', cause });
    const code = /AccessDenied|UnauthorizedOperation|AuthFailure|ExpiredToken/.test(name)
      ? 'E_ACCESS_DENIED'
      : 'E_DEPLOY';
    throw new InfrastructureError(`${what}: ${message}`, { code, cause, retryable: false });
  }
}
