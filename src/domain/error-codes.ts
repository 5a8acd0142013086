interface ErrorCodeEntry {
  readonly kind: 'domain' | 'infrastructure';
  readonly retryable: boolean;
  readonly meaning: string;
  readonly remedy: string;
}

function domain(meaning: string, remedy: string): ErrorCodeEntry {
  return { kind: 'domain', retryable: false, meaning, remedy };
}

function infrastructure(meaning: string, remedy: string, retryable = true): ErrorCodeEntry {
  return { kind: 'infrastructure', retryable, meaning, remedy };
}

/** Every code that Sluice itself raises. Codes are part of the API; the texts are not. */
export const errorCatalogue = {
  // The pipeline and how it is run
  E_PIPELINE_INVALID: domain(
    'The pipeline file or its declaration is wrong.',
    'Fix the pipeline file; docs/pipelines.md has every field.',
  ),
  E_PIPELINE_CHANGED: domain(
    'Declared data (source, predicate, partitions, limits, measures) changed under the same version.',
    'Raise `version` to keep both results side by side, or run with --fresh to drop the old ones.',
  ),
  E_OTHER_BUILD: domain(
    'The object was begun by another build of this pipeline and is not finished.',
    'Finish it with the old code, raise `version`, or run with --fresh.',
  ),
  E_OBJECT_CHANGED: domain(
    'The object has another content than the one that was begun: measures cannot take its rows back.',
    'Restore it, give the new content a key of its own, raise `version`, or run with --fresh.',
  ),
  E_WHERE_INVALID: domain(
    'The predicate is not of the form that Sluice reads.',
    'See "Predicates" in docs/pipelines.md.',
  ),
  E_USAGE: domain('The command line is wrong.', 'Run the command with --help.'),
  E_PRICES: domain(
    'There are no prices for an estimate, or they cannot be read.',
    'Name a region that has prices, or give a file in the form of `sluice estimate --print-prices`.',
  ),
  E_LOCATION: domain(
    'The place of the lake is not of the form that this provider reads.',
    'On AWS: s3://bucket, s3://bucket/prefix/, s3://bucket/key, or with wildcards.',
  ),
  E_NOT_FOUND: domain(
    'No such run, failure, pipeline or result in this output folder or database.',
    'Check the id, --out and --database.',
  ),
  E_NOT_INSTALLED: domain(
    'A package is missing that only some commands need.',
    'The message names it, and the command that installs it.',
  ),
  E_NOT_DETERMINISTIC: domain(
    'A section read again by the same build gave other messages.',
    'Make `transform` depend on its row alone, also in what it takes of time and memory: no clock, no randomness, no network, no state kept between rows. Then run with --fresh.',
  ),
  E_FINDING: domain(
    "The pipeline's `findings` threw for this group.",
    'Fix `findings`; the measures of the group are kept.',
  ),

  // Rows and messages
  E_TRANSFORM: domain(
    "The pipeline's `transform` threw for this row.",
    'Fix `transform`, then `sluice failures redrive`.',
  ),
  E_SCHEMA: domain('The row was refused by `source.schema`.', 'The message names path and reason.'),
  E_NOT_AWAITED: domain(
    "The pipeline's code rejected a promise, or threw, after it had returned.",
    'Make its functions synchronous, without timers; what was applied is kept.',
  ),
  E_KILLED: domain(
    'Transforming this row took too long or ended the process, so it is not transformed any more by this build.',
    'Fix `transform`, then `sluice failures redrive`.',
  ),
  E_PARTITION: domain(
    "The pipeline's `partitionBy` threw or gave no string, number or bigint.",
    'Fix `partitionBy`.',
  ),
  E_MESSAGE_UNSUPPORTED: domain(
    'A message holds what cannot be sent: a function, a symbol, an instance of a class, a cycle.',
    'Return plain data: null, booleans, numbers, strings, bigints, dates, bytes, arrays, objects.',
  ),
  E_MESSAGE_TOO_LARGE: domain(
    'A message is over `limits.maxMessageBytes`.',
    'Split it in `transform`, or raise the limit under a new version.',
  ),
  E_ANALYZE: domain(
    "The pipeline's `groupBy`, a measure or `flag` threw for this message.",
    'Fix it, then `sluice failures redrive`.',
  ),
  E_ANALYZE_KILLED: domain(
    "The pipeline's `groupBy`, a measure or `flag` ended its thread for the messages of one frame, several times: it took all memory, or ended the process.",
    'Fix it, or give a thread more memory (`--worker-heap`); then start it again: it continues.',
  ),
  E_MEASURE_VALUE: domain(
    'A measure was given a value of a type that it cannot take.',
    'Return a number, bigint, or null to leave the message out.',
  ),
  E_KEY: domain(
    'A message from elsewhere has no usable id.',
    'Let `source.id` return a non-empty string or number, or give --source NAME.',
  ),
  E_BEYOND_HORIZON: domain(
    'A message from elsewhere is older than keys are kept: whether it was applied before cannot be told any more.',
    'Send such messages sooner, or raise `limits.keyHorizonMs` (a new version of the pipeline).',
  ),
  E_NOT_REDRIVABLE: domain(
    'This failure cannot be processed again by itself.',
    'The message says why and what to do instead.',
  ),

  // Objects and their content
  E_OBJECT_NOT_FOUND: domain(
    'There is no such object.',
    'Check the path; a run that is started again takes it up once it is there.',
  ),
  E_OBJECT_EMPTY: domain(
    'The object has no bytes at all: a writer may have died.',
    'Write it again, or remove it; a run that is started again takes it up once it has content.',
  ),
  E_OBJECT_ARCHIVED: domain(
    'The object lies in an archive and cannot be read as it is.',
    'Restore it first; a run that is started again takes it up.',
  ),
  E_OBJECT_KEY: domain(
    'An event names an object by a key that cannot be decoded.',
    'Look at who made the event: keys of S3 notifications are percent-encoded UTF-8.',
  ),
  E_FORMAT_UNKNOWN: domain(
    'The format could not be told from name and content.',
    'Set `source.format`; where something was applied already, under a new version.',
  ),
  E_COMPRESSION_UNSUPPORTED: domain(
    'The object is compressed in a way that Sluice does not read.',
    'Use gzip, zstd, or none.',
  ),
  E_COMPRESSED_CORRUPT: domain(
    'The compressed stream is damaged or cut off here; what stood before is kept.',
    'Replace the object under another key, or run with --fresh.',
  ),
  E_COLUMN_MISSING: domain(
    'A declared column is not in the object.',
    'Check `source.columns`; where something was applied already, a change needs a new version.',
  ),
  E_VALUE_TYPE: domain(
    'A value cannot be read as the declared type of its column.',
    'Write the fixed rows to a new object and run that, then `sluice failures dismiss` these; or change the type in `source.columns` under a new version.',
  ),
  E_UTF8: domain(
    'Bytes are not UTF-8; they are never replaced silently.',
    'Write the fixed rows to a new object and run that, then `sluice failures dismiss` these.',
  ),
  E_CSV_FIELDS: domain(
    'A row has more or fewer fields than the header.',
    'Write the fixed rows to a new object and run that, then `sluice failures dismiss` these; or set `source.csv.ragged` under a new version.',
  ),
  E_CSV_QUOTE: domain(
    'A quote stands where none may, or is never closed.',
    'Write the fixed rows to a new object and run that, then `sluice failures dismiss` these; or set `source.csv.quote` under a new version.',
  ),
  E_JSON: domain(
    'A line or element is not JSON, or not an object.',
    'Write the fixed rows to a new object and run that, then `sluice failures dismiss` these.',
  ),
  E_ROW_TOO_LARGE: domain(
    'A row is over `limits.maxRowBytes`.',
    'Raise the limit under a new version, or split the row.',
  ),
  E_ROW_GROUP_TOO_LARGE: domain(
    'A row group is over `limits.maxRowGroupBytes`, uncompressed.',
    'Read fewer columns, raise the limit, or write smaller row groups.',
  ),
  E_PARQUET: domain(
    'The Parquet file, row group or page is damaged or uses a feature that is not read.',
    'Replace the object under another key, or run with --fresh.',
  ),

  // What Sluice runs on
  E_INFRASTRUCTURE: infrastructure(
    'Something underneath failed.',
    'The cause tells; it is retried with backoff.',
  ),
  E_THROTTLED: infrastructure(
    'A service takes no more just now.',
    'It is retried with backoff; raise its limits, or lower the concurrency, if it stays.',
  ),
  E_ACCESS_DENIED: infrastructure(
    'A service refuses the credentials, or they have no right to do this.',
    'The message names the call; compare with the permissions of the role.',
    false,
  ),
  E_RESOURCE_MISSING: infrastructure(
    'A bucket, queue, topic or stream does not exist.',
    'Check its name, account and region.',
    false,
  ),
  E_DEPLOY: infrastructure(
    'A deployment did not get through.',
    'The message names the step, and the lines before it tell whether dispatch goes on. Start it again when that is mended.',
    false,
  ),
  E_OUTPUT: infrastructure(
    'The output folder or the results file cannot be read or written.',
    'Check rights and free space; a run that is started again continues.',
    false,
  ),
  E_STORE_BUSY: infrastructure(
    'The result store is locked by another process.',
    'It is retried; stop the other process if it stays.',
  ),
  E_STORE_SCHEMA: infrastructure(
    'The database has no tables of Sluice, or those of another version.',
    'Run `sluice migrate --database URL` (of a stack: `sluice deploy`), or use the Sluice that they were made for.',
    false,
  ),
  E_SINK_REJECTED: infrastructure(
    'The sink refused frames until the deadline.',
    'It is retried; see the reason in the message.',
  ),
  E_SINK_RECORD_TOO_LARGE: infrastructure(
    'A frame is over what the sink takes.',
    'Lower `limits.maxFrameBytes` under a new version.',
    false,
  ),
  E_DEADLINE: infrastructure(
    'The time that there was to put frames ran out; those that are left were not put.',
    'The section is read again; raise the timeout, or the capacity of the stream, if it stays.',
  ),
  E_QUEUE_REJECTED: infrastructure(
    'A queue refused messages, again and again or for good.',
    'See the reason in the message; what can be is tried again.',
  ),
  E_TASK_INVALID: domain(
    'A message in the task queue is no task.',
    'Something else sends to this queue; the message ends in its dead-letter queue.',
  ),
  E_CONFIGURATION: infrastructure(
    'Variables of the environment that a function needs are missing or make no sense.',
    'The message names all of them; docs/functions.md has their meaning.',
    false,
  ),
  E_EVENT: domain(
    'A function was called with an event that it does not know, or with an order that makes no sense.',
    'The message names the field; docs/functions.md has every event of every function.',
  ),
  E_TRIMMED: infrastructure(
    'Records are no longer in the stream: they are older than it keeps them.',
    'Run the objects again that they belong to; lengthen the retention of the stream.',
    false,
  ),
  E_DEDUP_UNAVAILABLE: infrastructure(
    'The store of keys (Redis) cannot be reached, did not answer in time, or refused.',
    'Messages go on without it: the result store drops duplicates. Check address, network, password and memory of Redis.',
  ),
  E_FRAME_CORRUPT: infrastructure(
    'A record is not a frame, or its digest does not match.',
    'Something else writes to this stream, or the record was damaged.',
    false,
  ),
  E_CLAIM_MISSING: infrastructure(
    'What was too large to travel, and was kept in the bucket instead, is not there any more.',
    'Keep `claims/` longer than queues and streams keep what refers to it; dispatch the object again.',
    false,
  ),
  E_CLAIM_CORRUPT: infrastructure(
    'What was kept in the bucket because it was too large to travel has another digest now.',
    'Something else writes under `claims/`; dispatch the object again.',
    false,
  ),
  E_FLOATING_WORK: infrastructure(
    'A use case returned while a write that it started was in flight: a defect of the code.',
    'Report it.',
    false,
  ),
  E_ABORTED: infrastructure('The work was stopped from outside.', 'Start it again: it continues.', false),
  E_INTERNAL: infrastructure('A defect of Sluice.', 'Report it, with the message.', false),
} as const satisfies Record<string, ErrorCodeEntry>;

export type ErrorCode = keyof typeof errorCatalogue;
