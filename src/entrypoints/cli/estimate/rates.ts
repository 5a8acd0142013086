/** What a piece of work costs in processor time and bytes, where nothing better is known. */
export interface Rates {
  /** Rows of CSV that transform reads, transforms and packs in one second of a whole processor. */
  readonly rowsPerSecond: number;
  /** Seconds of a whole processor that analyze takes for a message, for each group that a frame has messages of, and for an object that dispatch plans. */
  readonly analyzeSecondsPerMessage: number;
  readonly analyzeSecondsPerGroup: number;
  readonly dispatchSecondsPerObject: number;
  /** Bytes of text a second that dispatch looks through for open quotes, by a whole processor. */
  readonly quoteBytesPerSecond: number;
  /** Waiting for AWS: of a task (a listing, two reads, two puts), of another invocation, and of a round trip to the database. */
  readonly taskWaitSeconds: number;
  readonly invocationSeconds: number;
  readonly roundTripSeconds: number;
  readonly roundTripsPerFrame: number;
  /** Starting a function: before its first invocation. */
  readonly coldStartSeconds: number;
  /** Of an encoded message, what compression leaves of it; and what a frame takes beside its messages. */
  readonly packedShare: number;
  readonly frameBytes: number;
  /** Seconds of the database's processor for a transaction, and for each group that it changes. */
  readonly databaseSecondsPerTransaction: number;
  readonly databaseSecondsPerGroup: number;
  /** Processors of one capacity unit of Aurora, and how much of them may be busy before it grows. */
  readonly processorsPerCapacityUnit: number;
  readonly busyShare: number;
  /** Bytes of log of the same. */
  readonly databaseLogBytesPerTransaction: number;
  readonly databaseLogBytesPerGroup: number;
  /** Bytes that a group, an object and a key of a message from elsewhere take in the database. */
  readonly databaseBytesPerGroup: number;
  readonly databaseBytesPerObject: number;
  readonly databaseBytesPerKey: number;
  /** Bytes of a key in Redis, with the index of what expires when; and processing units of a message (its key is claimed and committed). */
  readonly cacheBytesPerKey: number;
  readonly cacheUnitsPerMessage: number;
  /** Bytes of log of an invocation, Lambda's own lines with it. */
  readonly logBytesPerInvocation: number;
  /** Of a day, how long a done key is remembered. */
  readonly cacheDays: number;
}

/**
 * Measured on two cores of the kind that CI uses. A processor of Lambda (Graviton) is taken for one of these cores: `--rows-per-second` says better.
 *
 * - rows, messages, groups, bytes of frames and of the database: `node bench/estimate-rates.ts 600000`
 * - objects: docs/aws.md, "Planning many objects"; keys in Redis: docs/aws.md, "Dedup keys in Redis"
 * - log lines, keys in the database: test/servers/e2e/estimate.test.ts, which compares them
 * - assumed: 30 ms for a call of AWS, 1 ms for a round trip to the database; a quarter of a processor for a capacity unit (2 GiB) of Aurora; 4 processing units of Valkey for a
 *   message (its key is read and written, twice)
 */
export const measuredRates: Rates = {
  rowsPerSecond: 200_000,
  analyzeSecondsPerMessage: 5e-6,
  analyzeSecondsPerGroup: 13e-6,
  dispatchSecondsPerObject: 320e-6,
  quoteBytesPerSecond: 400e6,
  taskWaitSeconds: 0.15,
  invocationSeconds: 0.05,
  roundTripSeconds: 0.001,
  roundTripsPerFrame: 8,
  coldStartSeconds: 0.5,
  packedShare: 0.39,
  frameBytes: 450,
  databaseSecondsPerTransaction: 3.2e-3,
  databaseSecondsPerGroup: 40e-6,
  processorsPerCapacityUnit: 0.25,
  busyShare: 0.7,
  databaseLogBytesPerTransaction: 900,
  databaseLogBytesPerGroup: 540,
  databaseBytesPerGroup: 172,
  databaseBytesPerObject: 590,
  databaseBytesPerKey: 177,
  cacheBytesPerKey: 133,
  cacheUnitsPerMessage: 4,
  logBytesPerInvocation: 950,
  cacheDays: 1,
};

/** Of CSV with 20 columns, and of a message of five fields before compression; in bytes. */
export const TYPICAL_ROW_BYTES = 290;
export const TYPICAL_MESSAGE_BYTES = 56;
