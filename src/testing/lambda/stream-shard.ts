import { createHash } from 'node:crypto';

/** A record as it stands in an event, and what the mapping wants to know of it. */
export interface ShardRecord {
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  /** Milliseconds since 1970. */
  readonly arrival: number;
  /** The event's record. */
  readonly event: object;
  /** Of the event's record as JSON, base64 included. */
  readonly bytes: number;
}

/**
 * How far a shard is read and processed. With several lanes records end out of order: the checkpoint is the last one before
 * which everything has ended.
 */
export class ShardProgress {
  readonly #outstanding: string[] = [];
  readonly #ended = new Set<string>();
  /** Sequence number up to which everything has ended; `null`: nothing yet. */
  checkpoint: string | null = null;

  began(sequenceNumber: string): void {
    this.#outstanding.push(sequenceNumber);
  }

  ended(records: readonly ShardRecord[]): void {
    for (const { sequenceNumber } of records) this.#ended.add(sequenceNumber);
    while (this.#outstanding.length > 0 && this.#ended.delete(this.#outstanding[0] as string))
      this.checkpoint = this.#outstanding.shift() as string;
  }

  get outstanding(): number {
    return this.#outstanding.length;
  }

  /** What is not ended is read again. */
  rewind(): void {
    this.#outstanding.length = 0;
    this.#ended.clear();
  }
}

/** One of a shard's parallel ways: all records of a partition key take the same, in order. */
export class Lane {
  readonly #waiting: ShardRecord[] = [];
  #bytes = 0;
  #changed = Promise.withResolvers<void>();

  push(record: ShardRecord): void {
    this.#waiting.push(record);
    this.#bytes += record.bytes;
    this.wake();
  }

  get count(): number {
    return this.#waiting.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when records have come or gone since the last call of this. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** The next batch, at least one record: no more than so many, and no more bytes than that unless the first has more. */
  take(maxRecords: number, maxBytes: number): readonly ShardRecord[] {
    let bytes = 0;
    let count = 0;
    for (const record of this.#waiting) {
      if (count === maxRecords || (count > 0 && bytes + record.bytes > maxBytes)) break;
      bytes += record.bytes;
      count += 1;
    }
    this.#bytes -= bytes;
    const batch = this.#waiting.splice(0, count);
    this.wake();
    return batch;
  }
}

/** Which lane takes a key. AWS does not say how it chooses. */
export function laneOf(partitionKey: string, lanes: number): number {
  return createHash('md5').update(partitionKey).digest().readUInt32BE(0) % lanes;
}
