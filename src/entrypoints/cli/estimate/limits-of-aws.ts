/**
 * Limits and habits of AWS that bound a run, as its documentation had them in November 2026. Sources:
 *
 * - SQS mappings: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html and
 *   https://aws.amazon.com/blogs/aws/aws-lambda-enhances-sqs-processing-with-new-provisioned-mode-3x-faster-scaling-16x-higher-capacity
 * - functions: https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html
 * - streams: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
 * - what one request or record is billed as: the pages of prices in price-list.ts
 */

/** Pollers of a standard queue that Lambda scales by itself, counted in invocations at once. */
export const queuePollers = { start: 5, perMinute: 300, most: 1_250 } as const;

/** Dedicated pollers: each for ten invocations at once. */
export const provisionedPollers = { invocationsEach: 10, perMinute: 1_000, most: 2_000 } as const;

/** `MaximumConcurrency` of a mapping of SQS. */
export const MOST_MAXIMUM_CONCURRENCY = 1_000;

/** New execution environments of one function a second: 1,000 each ten seconds. */
export const NEW_ENVIRONMENTS_PER_SECOND = 100;

/** Invocations at once in an account and region, until AWS raises it on request. */
export const DEFAULT_ACCOUNT_CONCURRENCY = 1_000;

/** Memory at which a function has one whole processor; below it has its share of one. */
export const MIB_OF_ONE_PROCESSOR = 1_769;

/** A shard takes 1 MiB and 1,000 records a second. */
export const shard = { bytesPerSecond: 1024 * 1024, recordsPerSecond: 1_000 } as const;

/** What a new stream on demand takes: it doubles within 15 minutes or so of a new peak, and no faster. */
export const ON_DEMAND_START_SHARDS = 4;

/** A put is billed by units of 25 KiB of each record where shards are provisioned, by whole KiB on demand. */
export const PAYLOAD_UNIT_BYTES = 25 * 1024;
export const ON_DEMAND_ROUNDING_BYTES = 1024;

/** An event of a stream's mapping holds 6 MB, its records in base64. */
export const EVENT_BYTES = 6_000_000;

/** A queue that is empty is asked by long polls of 20 seconds, each of them a request. */
export const LONG_POLL_SECONDS = 20;

/** Messages in one request to a queue, and keys in one page of a listing. */
export const MESSAGES_PER_REQUEST = 10;
export const KEYS_PER_PAGE = 1_000;

/** Aurora counts written log in units of 4 KiB. */
export const DATABASE_WRITE_BYTES = 4 * 1024;

export const HOURS_PER_MONTH = 730;
export const SECONDS_PER_DAY = 24 * 60 * 60;
export const DAYS_PER_MONTH = HOURS_PER_MONTH / 24;
