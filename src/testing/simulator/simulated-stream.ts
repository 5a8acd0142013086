import { InMemoryStream } from '../../adapters/inmemory/stream.ts';
import { readFrameHeader } from '../../application/frames/frame-codec.ts';
import type { Clock, Random } from '../../domain/ports/ambient.ts';
import type { PutOutcome, RecordSink, SinkRecord } from '../../domain/ports/record-sink.ts';

/**
 * A stream that can be resharded, and that watches the order of what is put: within section and partition, a frame may
 * only come after the one before it.
 */
export class SimulatedStream implements RecordSink {
  readonly capabilities;
  readonly partitions: number;
  /** Frames that came before the one that they follow. */
  readonly disorder: string[] = [];
  /** Of each section and partition, by build and epoch: the highest number that came. */
  readonly #highest = new Map<string, number>();
  readonly #ports: { readonly clock: Clock; readonly random: Random };
  #shards: InMemoryStream;

  constructor(ports: { readonly clock: Clock; readonly random: Random }, partitions: number, shards: number) {
    this.#ports = ports;
    this.partitions = partitions;
    this.#shards = this.#open(shards);
    this.capabilities = this.#shards.capabilities;
  }

  /** What is put from now on goes there. */
  get current(): InMemoryStream {
    return this.#shards;
  }

  /** What is in the old shards stays there until it is read. */
  reshard(shards: number): InMemoryStream {
    this.#shards = this.#open(shards);
    return this.#shards;
  }

  async put(records: readonly SinkRecord[], signal: AbortSignal): Promise<readonly PutOutcome[]> {
    const outcomes = await this.#shards.put(records, signal);
    for (const [at, record] of records.entries())
      if (outcomes[at]?.accepted === true) await this.#watch(record);
    return outcomes;
  }

  /** A record gets in that no function put. */
  async append(partition: number, data: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#shards.put([{ partition, data }], signal);
  }

  #open(shards: number): InMemoryStream {
    // Kinesis promises no order within a batch.
    return new InMemoryStream(this.#ports, {
      partitions: this.partitions,
      shards,
      whenFull: 'throttle',
      capabilities: { ordered: false, maxParallelPuts: 3 },
    });
  }

  async #watch({ data, partition }: SinkRecord): Promise<void> {
    const { generation, build, origin } = await readFrameHeader(data);
    if (origin.kind !== 'section') return;
    const { object, epoch, section, number } = origin;
    const of = JSON.stringify([generation, build, epoch, object.key, object.version, section, partition]);
    const highest = this.#highest.get(of) ?? -1;
    if (number > highest + 1) this.disorder.push(`frame ${number} after ${highest} of ${of}`);
    this.#highest.set(of, Math.max(highest, number));
  }
}
