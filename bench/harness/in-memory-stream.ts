import { SystemClock } from '../../src/adapters/inmemory/clock.ts';
import { SystemRandom } from '../../src/adapters/inmemory/random.ts';
import { InMemoryStream } from '../../src/adapters/inmemory/stream.ts';

const PARTITIONS = 32;

/** The stream that ours puts its frames into, for peers. What arrives is let go at once, as a consumer that keeps up would. */
export class PeersStream {
  readonly #stream: InMemoryStream;
  readonly #signal = new AbortController().signal;
  #next = 0;
  records = 0;
  bytes = 0;

  constructor() {
    const clock = new SystemClock();
    this.#stream = new InMemoryStream(
      { clock, random: new SystemRandom({ clock }) },
      { partitions: PARTITIONS },
    );
  }

  async putBatch(records: readonly Uint8Array[]): Promise<void> {
    const outcomes = await this.#stream.put(
      records.map((data) => ({ partition: this.#next++ % PARTITIONS, data })),
      this.#signal,
    );
    if (!outcomes.every(({ accepted }) => accepted)) throw new Error('the stream refused a record');
    for (const data of records) this.bytes += data.length;
    this.records += records.length;
    for (let shard = 0; shard < this.#stream.shards; shard++) {
      const last = this.#stream.read(shard, this.#stream.checkpoint(shard), records.length, Infinity).at(-1);
      if (last !== undefined) this.#stream.setCheckpoint(shard, last.sequenceNumber);
    }
  }
}
