import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  CreateStreamCommand,
  DescribeStreamCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  type Shard,
} from '@aws-sdk/client-kinesis';
import kinesalite from 'kinesalite';
import { httpHandler } from '../../../src/adapters/aws/http-handler.ts';
import { clientConfig } from './client-config.ts';

/** Data of one PutRecords request that the twin takes: it bounds bodies, which are base64, by 7 MiB. */
export const TWIN_REQUEST_BYTES = 5 * 1024 * 1024;

export interface TwinRecord {
  readonly shardId: string;
  readonly sequenceNumber: string;
  readonly key: string;
  readonly data: Uint8Array;
}

/** A Kinesis of its own on loopback. */
export class KinesisTwin {
  readonly url: string;
  readonly #stop: () => Promise<void>;
  readonly #client: KinesisClient;

  private constructor(url: string, stop: () => Promise<void>) {
    this.url = url;
    this.#stop = stop;
    this.#client = new KinesisClient({ ...clientConfig(url), requestHandler: httpHandler() });
  }

  static async start(): Promise<KinesisTwin> {
    const server = kinesalite({ createStreamMs: 0, deleteStreamMs: 0, updateStreamMs: 0, shardLimit: 100 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new KinesisTwin(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    });
  }

  async createStream(name: string, shards: number): Promise<void> {
    await this.#client.send(new CreateStreamCommand({ StreamName: name, ShardCount: shards }));
    while ((await this.#describe(name)).StreamStatus !== 'ACTIVE');
  }

  async shards(name: string): Promise<readonly Shard[]> {
    return (await this.#describe(name)).Shards ?? [];
  }

  /** A reader that gives what has come since it was asked last, shard by shard. */
  async reader(name: string): Promise<() => Promise<readonly TwinRecord[]>> {
    const iterators = new Map<string, string>();
    for (const { ShardId = '' } of await this.shards(name)) {
      const place = { StreamName: name, ShardId, ShardIteratorType: 'TRIM_HORIZON' } as const;
      iterators.set(
        ShardId,
        (await this.#client.send(new GetShardIteratorCommand(place))).ShardIterator ?? '',
      );
    }
    return async () => {
      const records: TwinRecord[] = [];
      for (const shardId of iterators.keys()) {
        for (;;) {
          const page = await this.#client.send(
            new GetRecordsCommand({ ShardIterator: iterators.get(shardId) }),
          );
          iterators.set(shardId, page.NextShardIterator ?? '');
          if (page.Records === undefined || page.Records.length === 0) break;
          for (const { SequenceNumber = '', PartitionKey = '', Data = new Uint8Array(0) } of page.Records)
            records.push({ shardId, sequenceNumber: SequenceNumber, key: PartitionKey, data: Data });
        }
      }
      return records;
    };
  }

  async stop(): Promise<void> {
    this.#client.destroy();
    await this.#stop();
  }

  async #describe(name: string) {
    const { StreamDescription } = await this.#client.send(new DescribeStreamCommand({ StreamName: name }));
    if (StreamDescription === undefined) throw new Error(`There is no stream ${name}`);
    return StreamDescription;
  }
}
