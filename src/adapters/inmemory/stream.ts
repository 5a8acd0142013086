import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock, Random } from '../../domain/ports/ambient.ts';
import type {
  PutOutcome,
  RecordSink,
  RecordSinkCapabilities,
  SinkRecord,
} from '../../domain/ports/record-sink.ts';
import { unlessAborted, Waiters } from './waiters.ts';

const MIB = 1024 * 1024;

/** Above 2^53, and soon one digit longer: whoever compares numbers as doubles or as text gets it wrong. */
const FIRST_SEQUENCE_NUMBER = 10n ** 20n - 50n;

/** What a record takes beside its data, in bytes, so that a flood of empty ones is bounded too. */
const RECORD_OVERHEAD_BYTES = 256;

export interface StreamRecord {
  readonly partition: number;
  /** A whole number in decimal digits, to be compared as BigInt. Ascending within a shard. */
  readonly sequenceNumber: string;
  readonly data: Uint8Array;
  /** Milliseconds since 1970. */
  readonly arrivedAt: number;
  /** How often it was given up and put again; only where it was. */
  readonly round?: number;
}

export interface InMemoryStreamOptions {
  /** The pipeline's partitions, numbered from 0. */
  readonly partitions: number;
  /** Partitions are spread over them evenly, whole. Default: one for each partition. */
  readonly shards?: number;
  /**
   * What the stream holds at once, in bytes: data, and 256 for each record. An empty stream takes any record. Default
   * 64 MiB.
   */
  readonly capacityBytes?: number;
  /**
   * What `put` does where there is no room: waits until there is, first come, first served (default: nobody has to
   * sleep and ask again, but whoever processes records must not itself wait for a `put` into the same stream), or
   * answers `throttled` for what does not fit, as a cloud does.
   */
  readonly whenFull?: 'wait' | 'throttle';
  /** Default: 1 MiB a record, 500 records and 10 MiB a batch, ordered. Not ordered: a batch is taken in random order. */
  readonly capabilities?: Partial<RecordSinkCapabilities>;
  /** Whether records are dropped as soon as a checkpoint has passed them. Default `true`; else only `trim` drops them. */
  readonly trimAtCheckpoint?: boolean;
}

interface Shard {
  /** Ascending by index. */
  records: { readonly index: number; readonly record: StreamRecord }[];
  /** Index of the last record that ever came, and of the last that is processed; −1 before the first. */
  lastIndex: number;
  checkpoint: number;
  readonly arrivals: Waiters;
}

/**
 * A stream in memory, as Kinesis has it: partitions spread over shards, order within a shard, limits by
 * record and batch, an outcome per record, sequence numbers, and records that stay until they are trimmed: whoever reads
 * again from an older place gets them again.
 *
 * ```ts
 * const stream = new InMemoryStream({ clock, random }, { partitions: 32 });
 * await stream.put([{ partition: 3, data }], signal);
 * const records = stream.read(stream.shardOf(3), null, 100, 6_000_000);    // from the oldest on
 * stream.setCheckpoint(stream.shardOf(3), records.at(-1).sequenceNumber);  // processed up to here: makes room
 * ```
 */
export class InMemoryStream implements RecordSink {
  readonly capabilities: RecordSinkCapabilities;
  readonly partitions: number;
  /** Number of shards, numbered from 0. */
  readonly shards: number;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #capacityBytes: number;
  readonly #whenFull: 'wait' | 'throttle';
  readonly #trimAtCheckpoint: boolean;
  readonly #shards: readonly Shard[];
  readonly #roomMade = new Waiters();
  readonly #checkpoints = new Waiters();
  /** Ends when the puts that are waiting for room have had theirs: first come, first served. */
  #turn: Promise<void> = Promise.resolve();
  #nextIndex = 0;
  #bytes = 0;

  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: Random },
    options: InMemoryStreamOptions,
  ) {
    this.capabilities = {
      maxRecordBytes: MIB,
      maxBatchRecords: 500,
      maxBatchBytes: 10 * MIB,
      ordered: true,
      ...options.capabilities,
    };
    this.partitions = options.partitions;
    this.shards = options.shards ?? options.partitions;
    this.#clock = clock;
    this.#random = random;
    this.#capacityBytes = options.capacityBytes ?? 64 * MIB;
    this.#whenFull = options.whenFull ?? 'wait';
    this.#trimAtCheckpoint = options.trimAtCheckpoint ?? true;
    this.#shards = Array.from({ length: this.shards }, () => ({
      records: [],
      lastIndex: -1,
      checkpoint: -1,
      arrivals: new Waiters(),
    }));
  }

  /** What is held just now, in bytes: data, and 256 for each record. */
  get bytes(): number {
    return this.#bytes;
  }

  shardOf(partition: number): number {
    return partition % this.shards;
  }

  // Writing

  async put(records: readonly SinkRecord[], signal: AbortSignal): Promise<readonly PutOutcome[]> {
    signal.throwIfAborted();
    this.#checkBatch(records);
    const outcomes = new Array<PutOutcome>(records.length);
    const fitting: number[] = [];
    records.forEach((record, at) => {
      const refusal = this.#refusal(record);
      if (refusal === undefined) fitting.push(at);
      else outcomes[at] = refusal;
    });
    if (!this.capabilities.ordered) this.#shuffle(fitting);
    if (this.#whenFull === 'wait') {
      await this.#inTurn(async () => {
        for (const at of fitting) {
          await this.#whenFits((records[at] as SinkRecord).data, signal);
          outcomes[at] = this.#append(records[at] as SinkRecord);
        }
      }, signal);
    } else {
      const full = new Set<number>();
      for (const at of fitting) outcomes[at] = this.#appendOrThrottle(records[at] as SinkRecord, full);
    }
    return outcomes;
  }

  /** Resolves when the stream has room for records of so many bytes in all, or is empty: for a sender that was throttled. */
  async whenRoom(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#bytes > 0 && this.#bytes + bytes > this.#capacityBytes) await this.#roomMade.wait(signal);
  }

  // Reading

  /**
   * The records after a sequence number, in order; from the oldest that there is where it is `null` or was trimmed. At
   * least one where there is one, else as many as are within both limits.
   */
  read(shard: number, after: string | null, maxRecords: number, maxBytes: number): readonly StreamRecord[] {
    const { records } = this.#shard(shard);
    const afterIndex = after === null ? -1 : indexOf(after);
    const batch: StreamRecord[] = [];
    let bytes = 0;
    for (let at = firstAfter(records, afterIndex); at < records.length && batch.length < maxRecords; at++) {
      const { record } = records[at] as (typeof records)[number];
      bytes += record.data.length;
      if (batch.length > 0 && bytes > maxBytes) break;
      batch.push(record);
    }
    return batch;
  }

  /** Resolves when the shard has a record after the sequence number. */
  async whenRecords(shard: number, after: string | null, signal: AbortSignal): Promise<void> {
    const state = this.#shard(shard);
    const afterIndex = after === null ? -1 : indexOf(after);
    signal.throwIfAborted();
    while (firstAfter(state.records, afterIndex) === state.records.length) {
      await state.arrivals.wait(signal);
    }
  }

  /** Up to which record the shard is processed; `null` before the first. */
  checkpoint(shard: number): string | null {
    const { checkpoint } = this.#shard(shard);
    return checkpoint < 0 ? null : sequenceNumberOf(checkpoint);
  }

  /** The shard is processed up to this record, included. A checkpoint never goes back. */
  setCheckpoint(shard: number, sequenceNumber: string): void {
    const state = this.#shard(shard);
    state.checkpoint = Math.max(state.checkpoint, indexOf(sequenceNumber));
    if (this.#trimAtCheckpoint) this.trim(shard, sequenceNumber);
    this.#checkpoints.wake();
  }

  /** Drops the records up to this one, included. */
  trim(shard: number, sequenceNumber: string): void {
    const state = this.#shard(shard);
    const trimmed = state.records.splice(0, firstAfter(state.records, indexOf(sequenceNumber)));
    if (trimmed.length === 0) return;
    for (const { record } of trimmed) this.#bytes -= cost(record.data);
    this.#roomMade.wake();
  }

  /** Resolves when everything that was accepted so far is behind its shard's checkpoint. */
  async whenProcessed(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const targets = this.#shards.map(({ lastIndex }) => lastIndex);
    while (this.#shards.some(({ checkpoint }, shard) => checkpoint < (targets[shard] as number))) {
      await this.#checkpoints.wait(signal);
    }
  }

  #shard(shard: number): Shard {
    const state = this.#shards[shard];
    if (state === undefined) throw new RangeError(`There is no shard ${shard}`);
    return state;
  }

  #checkBatch(records: readonly SinkRecord[]): void {
    const { maxBatchRecords, maxBatchBytes, maxRecordBytes } = this.capabilities;
    let bytes = 0;
    for (const { data } of records) if (data.length <= maxRecordBytes) bytes += data.length;
    if (records.length <= maxBatchRecords && bytes <= maxBatchBytes) return;
    throw new InfrastructureError(
      `A batch of ${records.length} records and ${bytes} bytes is over what the stream takes (${maxBatchRecords} and ${maxBatchBytes})`,
      { code: 'E_INTERNAL', retryable: false },
    );
  }

  #refusal({ partition, data }: SinkRecord): PutOutcome | undefined {
    const { maxRecordBytes } = this.capabilities;
    if (data.length > maxRecordBytes) {
      const message = `A record of ${data.length} bytes is over the stream's ${maxRecordBytes}`;
      return { accepted: false, reason: 'too-large', retryable: false, message };
    }
    if (!Number.isInteger(partition) || partition < 0 || partition >= this.partitions) {
      return {
        accepted: false,
        reason: 'failed',
        retryable: false,
        message: `There is no partition ${partition}`,
      };
    }
    return undefined;
  }

  #appendOrThrottle(record: SinkRecord, full: Set<number>): PutOutcome {
    const { ordered } = this.capabilities;
    const fits = this.#fits(record.data);
    // A later record of the same partition may be smaller and fit, and would overtake this one.
    if (fits && !(ordered && full.has(record.partition))) return this.#append(record);
    full.add(record.partition);
    return { accepted: false, reason: 'throttled', retryable: true, message: 'The stream is full' };
  }

  #fits(data: Uint8Array): boolean {
    return this.#bytes === 0 || this.#bytes + cost(data) <= this.#capacityBytes;
  }

  async #whenFits(data: Uint8Array, signal: AbortSignal): Promise<void> {
    while (!this.#fits(data)) await this.#roomMade.wait(signal);
  }

  #append({ partition, data, round = 0 }: SinkRecord): PutOutcome {
    const shard = this.#shard(this.shardOf(partition));
    const index = this.#nextIndex++;
    // A copy: the sender may use its buffer again.
    const record = {
      partition,
      sequenceNumber: sequenceNumberOf(index),
      data: new Uint8Array(data),
      arrivedAt: this.#clock.now(),
      ...(round === 0 ? {} : { round }),
    };
    shard.records.push({ index, record });
    shard.lastIndex = index;
    this.#bytes += cost(data);
    shard.arrivals.wake();
    return { accepted: true };
  }

  async #inTurn(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const before = this.#turn;
    const turn = Promise.withResolvers<void>();
    this.#turn = before.then(() => turn.promise);
    try {
      await unlessAborted(before, signal);
      await work();
    } finally {
      turn.resolve();
    }
  }

  #shuffle(items: number[]): void {
    for (let last = items.length - 1; last > 0; last--) {
      const other = Math.floor(this.#random.next() * (last + 1));
      [items[last], items[other]] = [items[other] as number, items[last] as number];
    }
  }
}

function cost(data: Uint8Array): number {
  return data.length + RECORD_OVERHEAD_BYTES;
}

function sequenceNumberOf(index: number): string {
  return (FIRST_SEQUENCE_NUMBER + BigInt(index)).toString();
}

function indexOf(sequenceNumber: string): number {
  return Number(BigInt(sequenceNumber) - FIRST_SEQUENCE_NUMBER);
}

/** Position of the first record with a higher index; binary search. */
function firstAfter(records: readonly { readonly index: number }[], index: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((records[middle] as { readonly index: number }).index <= index) low = middle + 1;
    else high = middle;
  }
  return low;
}
