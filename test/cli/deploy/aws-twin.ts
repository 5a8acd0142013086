import type {
  DeploymentCalls,
  MappingState,
  QueueDepth,
  SqlStatement,
} from '../../../src/entrypoints/cli/deploy/calls.ts';

export const FOUNDATION = 'sluice-lanes';
export const nothing: QueueDepth = { visible: 0, inFlight: 0, delayed: 0 };

/** What a deployment sees of AWS, and everything that it did, in order. */
export class AwsTwin implements DeploymentCalls {
  readonly done: string[] = [];
  /** `null`: not deployed yet. */
  build: string | null;
  mapping: MappingState = 'enabled';
  /** By what is left of the URL of a queue. */
  depths: (queueUrl: string) => QueueDepth = () => nothing;
  age: () => number = () => 0;
  /** What a migration replies. */
  tables: () => unknown = () => ({ schema: 'sluice', from: 1, to: 1, steps: [] });
  /** Outputs of the foundation. */
  database: Readonly<Record<string, string>> = {};

  constructor(build: string | null) {
    this.build = build;
  }

  async outputs(stack: string): Promise<Readonly<Record<string, string>> | null> {
    if (stack === FOUNDATION) return this.database;
    if (this.build === null) return null;
    return {
      SluiceBucket: 'state',
      SluiceTaskQueueUrl: 'https://sqs/tasks',
      SluiceDispatchQueueUrl: 'https://sqs/orders',
      SluiceDispatchMapping: 'uuid',
      SluiceAnalyzeFunction: 'analyze',
      SluiceBuild: this.build,
    };
  }

  async setMapping(mapping: string, enabled: boolean) {
    if (this.mapping === 'changing') throw new Error('ResourceInUseException');
    this.done.push(`${enabled ? 'enable' : 'disable'} ${mapping}`);
    this.mapping = 'changing';
    this.#then = enabled ? 'enabled' : 'disabled';
    this.#looks = 2;
  }

  #then: MappingState = 'enabled';
  #looks = 0;

  async mappingState() {
    if (this.mapping === 'changing' && --this.#looks <= 0) this.mapping = this.#then;
    return this.mapping;
  }

  async queueDepth(queueUrl: string) {
    return this.depths(queueUrl);
  }

  async iteratorAge() {
    return this.age();
  }

  async putObject(bucket: string, key: string) {
    this.done.push(`put ${bucket}/${key}`);
  }

  async send(queueUrl: string, body: string) {
    this.done.push(`send ${queueUrl} ${body}`);
  }

  async invoke(functionName: string, event: unknown): Promise<unknown> {
    this.done.push(`invoke ${functionName} ${JSON.stringify(event)}`);
    return this.tables();
  }

  async executeSql({ cluster, secret, database, sql }: SqlStatement) {
    this.done.push(`sql ${cluster} ${secret} ${database}: ${sql}`);
  }
}
