import { InfrastructureError } from '../../domain/errors.ts';

export type EnvironmentValues = Readonly<Record<string, string | undefined>>;

/** Reads variables of the environment, and collects what is wrong with them: whoever sets them up is told everything at once. */
export class Variables {
  readonly #values: EnvironmentValues;
  readonly #problems: string[] = [];

  constructor(values: EnvironmentValues) {
    this.#values = values;
  }

  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Says that something is wrong, of several variables together. */
  refuse(problem: string): void {
    this.#problems.push(problem);
  }

  /** An empty variable is as good as none. */
  optional(name: string): string | undefined {
    return this.#values[name] || undefined;
  }

  text(name: string): string {
    const value = this.optional(name);
    if (value === undefined) this.#problems.push(`${name} is not set`);
    return value ?? '';
  }

  /** What is wrong is told without the value: it may hold a password. */
  optionalUrl(name: string, schemes: readonly string[]): string | undefined {
    const value = this.optional(name);
    if (value === undefined) return undefined;
    const isUrl = URL.canParse(value) && schemes.includes(new URL(value).protocol);
    if (!isUrl) this.#problems.push(`${name} is no URL that starts with ${schemes.join(' or ')}//`);
    return value;
  }

  url(name: string, schemes: readonly string[]): string {
    const value = this.optionalUrl(name, schemes);
    if (value === undefined) this.#problems.push(`${name} is not set`);
    return value ?? '';
  }

  wholeNumber(
    name: string,
    { byDefault, from, to }: { byDefault: number; from: number; to: number },
  ): number {
    const value = this.optional(name);
    if (value === undefined) return byDefault;
    const number = Number(value);
    if (Number.isInteger(number) && number >= from && number <= to) return number;
    this.#problems.push(
      `${name} is ${JSON.stringify(value)}, and must be a whole number from ${from} to ${to}`,
    );
    return byDefault;
  }

  oneOf<const Choice extends string>(name: string, choices: readonly Choice[], byDefault: Choice): Choice {
    const value = this.optional(name);
    if (value === undefined) return byDefault;
    if ((choices as readonly string[]).includes(value)) return value as Choice;
    this.#problems.push(`${name} is ${JSON.stringify(value)}, and must be one of ${choices.join(', ')}`);
    return byDefault;
  }

  flag(name: string): boolean {
    return this.oneOf(name, ['true', 'false'], 'false') === 'true';
  }

  /** Comma separated. */
  list(name: string): readonly string[] {
    return (this.optional(name) ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }
}

/** What every function says of itself, in its log and its counters. Nothing here can fail: `readSettings` tells what is wrong. */
export function surroundingSettings(variables: Variables) {
  return {
    logLevel: variables.oneOf('SLUICE_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], 'info'),
    redact: variables.list('SLUICE_REDACT'),
    metricsNamespace: variables.optional('SLUICE_METRICS_NAMESPACE') ?? 'Sluice',
  };
}

export function lakeSettings(variables: Variables) {
  return { bucket: variables.text('SLUICE_BUCKET'), pathStyle: variables.flag('SLUICE_S3_PATH_STYLE') };
}

/** A record of a stream that is set up for it; its default is Kinesis's own. */
const KIB = 1024;
const MIB = 1024 * KIB;

export function streamSettings(variables: Variables) {
  return {
    streamName: variables.text('SLUICE_STREAM_NAME'),
    streamRecordBytes: variables.wholeNumber('SLUICE_STREAM_RECORD_BYTES', {
      byDefault: MIB,
      from: KIB,
      to: 10 * MIB,
    }),
  };
}

export function databaseSettings(variables: Variables) {
  return {
    url: variables.url('SLUICE_DATABASE_URL', ['postgres:', 'postgresql:']),
    connections: variables.wholeNumber('SLUICE_DATABASE_CONNECTIONS', { byDefault: 2, from: 1, to: 100 }),
  };
}

/** Frames that one container writes to S3 at once, where results are kept there: each waits for some requests, one after the other. */
const FRAMES_AT_ONCE = 8;

/** Where results are kept: in a database, or, without one, in S3. One of both. */
export function resultsSettings(variables: Variables) {
  const location = variables.optional('SLUICE_RESULTS');
  const hasDatabase = variables.optional('SLUICE_DATABASE_URL') !== undefined;
  if (location === undefined) {
    if (hasDatabase) return { kind: 'database', ...databaseSettings(variables) } as const;
    variables.refuse('neither SLUICE_DATABASE_URL nor SLUICE_RESULTS is set: there is no place for results');
  } else if (hasDatabase) {
    variables.refuse('SLUICE_DATABASE_URL and SLUICE_RESULTS are both set: results are kept in one place');
  }
  const [, bucket = '', folder = ''] = /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(location ?? '') ?? [];
  if (location !== undefined && bucket === '')
    variables.refuse('SLUICE_RESULTS is no place on S3: s3://bucket/prefix/ is one');
  const prefix = folder === '' || folder.endsWith('/') ? folder : `${folder}/`;
  return { kind: 'lake', bucket, prefix, connections: FRAMES_AT_ONCE } as const;
}

export function failureSettings(variables: Variables) {
  const failureTopicArn = variables.optional('SLUICE_FAILURE_TOPIC_ARN');
  return {
    failureQueueUrl: variables.url('SLUICE_FAILURE_QUEUE_URL', ['https:', 'http:']),
    ...(failureTopicArn === undefined ? {} : { failureTopicArn }),
  };
}

/** Failures and undelivered records that one container sends again a second, where nobody but an event asked for it. */
export function reprocessRate(variables: Variables): number {
  return variables.wholeNumber('SLUICE_REPROCESS_RATE', {
    byDefault: Number.POSITIVE_INFINITY,
    from: 1,
    to: 1_000_000,
  });
}

export function taskQueueUrl(variables: Variables): string {
  return variables.url('SLUICE_TASK_QUEUE_URL', ['https:', 'http:']);
}

/** Where `reprocess` goes on with a long listing of undelivered records; without it, whoever called goes on. */
export function undeliveredQueueUrl(variables: Variables): string | undefined {
  return variables.optionalUrl('SLUICE_UNDELIVERED_QUEUE_URL', ['https:', 'http:']);
}

export function dispatchQueueUrl(variables: Variables): string {
  return variables.url('SLUICE_DISPATCH_QUEUE_URL', ['https:', 'http:']);
}

/** Where the lake is whose new objects are told of: `s3://bucket/prefix` each, with a `/` behind the bucket. */
export function lakePlaces(variables: Variables): readonly string[] {
  const places = variables.list('SLUICE_LAKE');
  if (!places.every((place) => /^s3:\/\/[^/]+\//.test(place)))
    variables.refuse('SLUICE_LAKE is no list of places on S3: s3://bucket/prefix/,s3://bucket/ is one');
  return places;
}

/** A row may take so long in a probe, in seconds; as `sluice run` has it. */
const ROW_TIMEOUT_S = 30;

/** Of probes of tasks that come again. */
export function probeSettings(variables: Variables) {
  const rowTimeout = { byDefault: ROW_TIMEOUT_S, from: 1, to: 900 };
  // Lambda's own: it is always there.
  const memory = { byDefault: 1024, from: 128, to: 32_768 };
  return {
    rowTimeoutMs: variables.wholeNumber('SLUICE_ROW_TIMEOUT', rowTimeout) * 1000,
    memoryBytes: variables.wholeNumber('AWS_LAMBDA_FUNCTION_MEMORY_SIZE', memory) * MIB,
  };
}

/** Of messages from elsewhere, where a pipeline takes any. */
export function messageSettings(variables: Variables) {
  return {
    messageQueueUrl: variables.optionalUrl('SLUICE_MESSAGE_QUEUE_URL', ['https:', 'http:']),
    redisUrl: variables.optionalUrl('SLUICE_REDIS_URL', ['rediss:', 'redis:']),
  };
}

/**
 * The settings that a function needs, and no others.
 *
 * @throws InfrastructureError `E_CONFIGURATION`, naming every variable that is missing or makes no sense
 */
export function readSettings<Settings>(
  environment: EnvironmentValues,
  read: (variables: Variables) => Settings,
): Settings {
  const variables = new Variables(environment);
  surroundingSettings(variables);
  const settings = read(variables);
  if (variables.problems.length === 0) return settings;
  throw new InfrastructureError(variables.problems.join('; '), { code: 'E_CONFIGURATION' });
}
