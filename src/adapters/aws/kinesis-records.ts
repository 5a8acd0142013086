import { InfrastructureError } from '../../domain/errors.ts';
import type { RetryPolicy } from '../../domain/retry.ts';
import { nameOf } from './errors.ts';
import type { KinesisCalls, ShardPage, ShardPlace, ShardRecord } from './kinesis-client.ts';
import { retrying, type RetryPorts } from './retrying.ts';

/** A shard is read at most five times a second by all its readers together: the first waits are longer than usual. */
const READ_RETRY: RetryPolicy = { attempts: 10, baseMs: 200, maxMs: 5_000 };

/** Some consecutive records of a shard; what an on-failure destination names. */
export interface ShardRange {
  readonly streamName: string;
  readonly shardId: string;
  /** Sequence numbers of its first and its last record. */
  readonly from: string;
  readonly to: string;
}

export interface ShardRangePorts extends RetryPorts {
  readonly calls: Pick<KinesisCalls, 'shardIterator' | 'getRecords'>;
}

/**
 * Reads records of a shard again, in order, page by page. Where the stream has dropped the first of them, those that are left
 * come all the same, and then the error.
 *
 * @throws InfrastructureError `E_TRIMMED` where not all of them are there any more
 */
export async function* readShardRange(
  range: ShardRange,
  ports: ShardRangePorts,
  signal: AbortSignal,
): AsyncGenerator<readonly ShardRecord[]> {
  signal.throwIfAborted();
  const from = BigInt(range.from);
  const to = BigInt(range.to);
  const reader = new ShardReader(range, ports, signal);
  let first: bigint | undefined;
  let last: bigint | undefined;
  while (last === undefined || last < to) {
    const page = await reader.next();
    const records: ShardRecord[] = [];
    for (const record of page.records) {
      const number = BigInt(record.sequenceNumber);
      first ??= number;
      last = number;
      if (number >= from && number <= to) records.push(record);
    }
    if (records.length > 0) yield records;
    // The range is of records that were there: what ends before its last one has lost it.
    if (page.next === null || (page.records.length === 0 && page.latest)) break;
  }
  if (first !== from || last === undefined || last < to) throw trimmed(range);
}

/** Goes through a shard from the range's start on. */
class ShardReader {
  readonly #range: ShardRange;
  readonly #ports: ShardRangePorts;
  readonly #signal: AbortSignal;
  #iterator: string | undefined;
  #place: ShardPlace;

  constructor(range: ShardRange, ports: ShardRangePorts, signal: AbortSignal) {
    this.#range = range;
    this.#ports = ports;
    this.#signal = signal;
    this.#place = { position: 'at', sequenceNumber: range.from };
  }

  async next(): Promise<ShardPage> {
    const page = await retrying(this.#ports, READ_RETRY, this.#signal, () => this.#page());
    const last = page.records.at(-1);
    if (last !== undefined) this.#place = { position: 'after', sequenceNumber: last.sequenceNumber };
    this.#iterator = page.next ?? undefined;
    return page;
  }

  async #page(): Promise<ShardPage> {
    this.#iterator ??= await this.#open();
    try {
      return await this.#ports.calls.getRecords(this.#iterator, this.#signal);
    } catch (thrown) {
      if (serviceNameOf(thrown) !== 'ExpiredIteratorException') throw thrown;
      // An iterator lives for five minutes; whoever processes the pages may take longer.
      this.#iterator = await this.#open();
      return this.#ports.calls.getRecords(this.#iterator, this.#signal);
    }
  }

  async #open(): Promise<string> {
    const { streamName, shardId } = this.#range;
    try {
      return await this.#ports.calls.shardIterator(streamName, shardId, this.#place, this.#signal);
    } catch (thrown) {
      const name = serviceNameOf(thrown);
      // The number is of another life of the stream; or the shard was closed so long ago that it is gone. Kinesis says the
      // same of a stream that is gone, and so are its records.
      const gone = name === 'InvalidArgumentException' || name === 'ResourceNotFoundException';
      throw gone ? trimmed(this.#range, thrown) : thrown;
    }
  }
}

/** What the service called the error under ours. */
function serviceNameOf(thrown: unknown): string | undefined {
  return thrown instanceof Error ? nameOf(thrown.cause) : undefined;
}

function trimmed({ streamName, shardId, from, to }: ShardRange, cause?: unknown): InfrastructureError {
  return new InfrastructureError(
    `records ${from} to ${to} of ${shardId} are no longer in ${streamName}, or not all of them`,
    { code: 'E_TRIMMED', cause },
  );
}
