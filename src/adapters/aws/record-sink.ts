import { InfrastructureError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type {
  PutOutcome,
  RecordSink,
  RecordSinkCapabilities,
  SinkRecord,
} from '../../domain/ports/record-sink.ts';
import type { ClaimCheck } from './claim-check.ts';
import { inParallel } from './in-parallel.ts';
import type { KinesisCalls, StreamEntry } from './kinesis-client.ts';
import { hashOfPartition } from './kinesis-hash.ts';

const MIB = 1024 * 1024;

/** Records in one PutRecords request. */
const MAX_REQUEST_RECORDS = 500;
/** Data and keys of one PutRecords request, in bytes. */
export const MAX_REQUEST_BYTES = 10 * MIB;

/** What a stream takes as one record unless it is set up otherwise, and at most, key included, in bytes. */
export const DEFAULT_STREAM_RECORD_BYTES = MIB;
export const MAX_STREAM_RECORD_BYTES = 10 * MIB;

/**
 * What goes by claim check at most, in bytes. Whoever reads a record holds all of it in memory, and a batch may be made of
 * such records.
 */
export const MAX_CLAIMED_BYTES = 64 * MIB;

/** Puts that gain by being under way at once: more saturate no further link of a function. */
const PARALLEL_PUTS = 4;
/** Claims stored at once. */
const PARALLEL_CLAIMS = 4;

export interface KinesisRecordSinkPorts {
  readonly calls: Pick<KinesisCalls, 'putRecords'>;
  readonly claims: Pick<ClaimCheck, 'check'>;
}

export interface KinesisRecordSinkOptions {
  readonly streamName: string;
  /** The pipeline's partitions, numbered from 0. */
  readonly partitions: number;
  /** What the stream takes as one record, key included, in bytes: 1 MiB (default) to 10 MiB. */
  readonly streamRecordBytes?: number;
  /** Data and keys of one PutRecords request, in bytes. Default 10 MiB; twins of Kinesis may take less. */
  readonly maxRequestBytes?: number;
  /** What goes by claim check at most, in bytes. Default 64 MiB. */
  readonly maxClaimedBytes?: number;
}

/**
 * Puts frames into a Kinesis stream. It resends nothing: the sender knows the order of each partition and the deadline, and
 * gets an outcome for each record.
 *
 * A record that is too large for the stream is kept by claim check; what travels is the claim to it, which whoever reads
 * the stream redeems.
 */
export class KinesisRecordSink implements RecordSink {
  readonly capabilities: RecordSinkCapabilities;
  readonly #ports: KinesisRecordSinkPorts;
  readonly #streamName: string;
  readonly #partitions: number;
  readonly #streamRecordBytes: number;
  readonly #maxRequestBytes: number;

  constructor(ports: KinesisRecordSinkPorts, options: KinesisRecordSinkOptions) {
    this.#ports = ports;
    this.#streamName = options.streamName;
    this.#partitions = options.partitions;
    this.#streamRecordBytes = Math.min(
      MAX_STREAM_RECORD_BYTES,
      options.streamRecordBytes ?? DEFAULT_STREAM_RECORD_BYTES,
    );
    this.#maxRequestBytes = options.maxRequestBytes ?? MAX_REQUEST_BYTES;
    const maxClaimedBytes = options.maxClaimedBytes ?? MAX_CLAIMED_BYTES;
    this.capabilities = {
      maxRecordBytes: maxClaimedBytes,
      maxBatchRecords: MAX_REQUEST_RECORDS,
      // More than a request takes is several of them.
      maxBatchBytes: Math.max(maxClaimedBytes, MAX_REQUEST_BYTES),
      // Kinesis promises no order within a request.
      ordered: false,
      maxParallelPuts: PARALLEL_PUTS,
    };
  }

  async put(records: readonly SinkRecord[], signal: AbortSignal): Promise<readonly PutOutcome[]> {
    signal.throwIfAborted();
    this.#checkBatch(records);
    const outcomes = new Array<PutOutcome>(records.length);
    const entries = await this.#entriesOf(records, outcomes, signal);
    let answered = entries.length < records.length;
    let lost: unknown;
    for (const request of requestsOf(entries, this.#maxRequestBytes)) {
      try {
        const said = await this.#ports.calls.putRecords(
          this.#streamName,
          request.map(({ entry }) => entry),
          signal,
        );
        answered = true;
        for (const [index, { at }] of request.entries()) outcomes[at] = said[index] ?? unknownOutcome;
      } catch (thrown) {
        signal.throwIfAborted();
        lost ??= thrown;
        for (const { at } of request) outcomes[at] = failedBy(thrown);
      }
    }
    // Nothing at all is known: what was thrown says more than an outcome can.
    if (lost !== undefined && !answered) throw lost;
    return outcomes;
  }

  #checkBatch(records: readonly SinkRecord[]): void {
    const { maxBatchRecords, maxBatchBytes, maxRecordBytes } = this.capabilities;
    let bytes = 0;
    for (const { data } of records) if (data.length <= maxRecordBytes) bytes += data.length;
    if (records.length <= maxBatchRecords && bytes <= maxBatchBytes) return;
    throw new InfrastructureError(
      `a batch of ${records.length} records and ${bytes} bytes is over what the sink takes (${maxBatchRecords} and ${maxBatchBytes})`,
      { code: 'E_INTERNAL', retryable: false },
    );
  }

  /** What can be put, with its place in the batch; the others have their outcome. */
  async #entriesOf(
    records: readonly SinkRecord[],
    outcomes: PutOutcome[],
    signal: AbortSignal,
  ): Promise<PlacedEntry[]> {
    const entries: (PlacedEntry | undefined)[] = records.map((record, at) => {
      const refusal = this.#refusal(record);
      if (refusal === undefined) return { at, entry: this.#entryOf(record) };
      outcomes[at] = refusal;
      return undefined;
    });
    const tooLarge = entries.filter(
      (placed) => placed !== undefined && entryBytes(placed.entry) > this.#streamRecordBytes,
    ) as PlacedEntry[];
    await inParallel(tooLarge, PARALLEL_CLAIMS, signal, async ({ at, entry }, stop) => {
      try {
        entries[at] = { at, entry: { ...entry, data: await this.#ports.claims.check(entry.data, stop) } };
      } catch (thrown) {
        stop.throwIfAborted();
        entries[at] = undefined;
        outcomes[at] = failedBy(thrown);
      }
    });
    return entries.filter((placed) => placed !== undefined);
  }

  #refusal({ partition, data }: SinkRecord): PutOutcome | undefined {
    const { maxRecordBytes } = this.capabilities;
    if (data.length > maxRecordBytes) {
      const message = `a record of ${data.length} bytes is over the sink's ${maxRecordBytes}`;
      return { accepted: false, reason: 'too-large', retryable: false, message };
    }
    if (!Number.isInteger(partition) || partition < 0 || partition >= this.#partitions) {
      const message = `there is no partition ${partition}`;
      return { accepted: false, reason: 'failed', retryable: false, message };
    }
    return undefined;
  }

  #entryOf({ partition, data, round = 0 }: SinkRecord): StreamEntry {
    return {
      key: partitionKeyOf(partition, round),
      hash: hashOfPartition(partition, this.#partitions),
      data,
    };
  }
}

/** Where a record goes its hash says: the key has room for how often it was given up. */
function partitionKeyOf(partition: number, round: number): string {
  return round === 0 ? String(partition) : `${partition}+${round}`;
}

/** How often a record was given up and put again, by its key. */
export function roundOfKey(key: string): number {
  return Number(/\+(\d{1,6})$/.exec(key)?.[1] ?? 0);
}

/** A record on its way, and its index in the batch. */
interface PlacedEntry {
  readonly at: number;
  readonly entry: StreamEntry;
}

const unknownOutcome: PutOutcome = {
  accepted: false,
  reason: 'failed',
  retryable: true,
  message: 'the stream did not say what became of it',
};

function failedBy(thrown: unknown): PutOutcome {
  const throttled = isSluiceError(thrown) && thrown.code === 'E_THROTTLED';
  return {
    accepted: false,
    reason: throttled ? 'throttled' : 'failed',
    retryable: isSluiceError(thrown) && thrown.retryable,
    message: messageOf(thrown),
  };
}

/** As many in each request as both limits allow. */
function requestsOf(entries: readonly PlacedEntry[], maxBytes: number): PlacedEntry[][] {
  const requests: PlacedEntry[][] = [];
  let bytes = 0;
  for (const placed of entries) {
    const open = requests.at(-1);
    const size = entryBytes(placed.entry);
    if (open !== undefined && open.length < MAX_REQUEST_RECORDS && bytes + size <= maxBytes) {
      open.push(placed);
      bytes += size;
    } else {
      requests.push([placed]);
      bytes = size;
    }
  }
  return requests;
}

/** What Kinesis counts. */
function entryBytes({ key, data }: StreamEntry): number {
  // A partition's key is ASCII.
  return key.length + data.length;
}
