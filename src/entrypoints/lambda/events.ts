import { DomainError } from '../../domain/errors.ts';

// What Lambda hands to a function, as far as it is read here. The published package needs no types of somebody else's for it.

/** What a function is told of its invocation. */
export interface LambdaContext {
  readonly awsRequestId: string;
  readonly functionName?: string;
  getRemainingTimeInMillis(): number;
}

export type LambdaHandler = (event: unknown, context: LambdaContext) => Promise<unknown>;

export interface SqsRecord {
  readonly messageId: string;
  readonly body: string;
  readonly eventSource: 'aws:sqs';
  readonly eventSourceARN: string;
  readonly attributes?: { readonly ApproximateReceiveCount?: string; readonly SentTimestamp?: string };
}

export interface KinesisRecord {
  readonly kinesis: {
    readonly partitionKey: string;
    readonly sequenceNumber: string;
    /** Base64. */
    readonly data: string;
    /** Seconds since 1970, with a fraction. */
    readonly approximateArrivalTimestamp: number;
  };
  /** `shardId-000000000006:495903…`: shard and sequence number. */
  readonly eventID: string;
  readonly eventSource: 'aws:kinesis';
  readonly eventSourceARN: string;
}

/** What an event source mapping reads as the outcome of a batch. Empty, it says that all of it is done. */
export interface PartialResponse {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

/** The records of an event of a queue's mapping; `null`: the event is another one. */
export function sqsRecordsOf(event: unknown): readonly SqsRecord[] | null {
  const records = recordsFrom<SqsRecord>(event, 'aws:sqs');
  const usable = records?.every(
    ({ messageId, body, eventSourceARN }) =>
      isText(messageId) && typeof body === 'string' && isText(eventSourceARN),
  );
  return usable === true ? (records as readonly SqsRecord[]) : null;
}

/** The records of an event of a stream's mapping: of one shard, in its order; `null`: the event is another one. */
export function kinesisRecordsOf(event: unknown): readonly KinesisRecord[] | null {
  const records = recordsFrom<KinesisRecord>(event, 'aws:kinesis');
  const usable = records?.every(
    ({ kinesis, eventID, eventSourceARN }) =>
      isKinesisData(kinesis) && typeof eventID === 'string' && isText(eventSourceARN),
  );
  return usable === true ? (records as readonly KinesisRecord[]) : null;
}

/** A record may be empty: that is its own fault, and not its batch's. */
function isKinesisData(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { partitionKey, sequenceNumber, data, approximateArrivalTimestamp: arrived } = value;
  return (
    typeof data === 'string' &&
    typeof partitionKey === 'string' &&
    typeof sequenceNumber === 'string' &&
    /^\d+$/.test(sequenceNumber) &&
    typeof arrived === 'number' &&
    !Number.isNaN(new Date(arrived * 1000).getTime())
  );
}

/** `a:b:queue-name`, `https://host/account/queue-name`, `a:stream/name`, `a:stream/name/consumer/…`: the name. */
export function resourceName(arnOrUrl: string): string {
  const stream = /:stream\/([^/]+)/.exec(arnOrUrl);
  return stream?.[1] ?? arnOrUrl.split(/[:/]/).at(-1) ?? '';
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What a body or a payload says.
 *
 * @throws DomainError `E_EVENT`, without what the parser says: that quotes the data, and payloads never go into logs
 */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DomainError(`${what} is no JSON`, { code: 'E_EVENT' });
  }
}

function recordsFrom<R>(event: unknown, source: string): readonly Partial<R>[] | null {
  if (!isObject(event) || !Array.isArray(event['Records']) || event['Records'].length === 0) return null;
  const records = event['Records'] as readonly unknown[];
  return records.every((record) => isObject(record) && record['eventSource'] === source)
    ? (records as readonly Partial<R>[])
    : null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
