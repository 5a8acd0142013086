import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { GENERATED_PREFIX, md5, type GeneratedLake } from './generated-lake.ts';

/** The most that S3 gives. */
const PAGE_KEYS = 1_000;

export const TASK_QUEUE = 'tasks';
export const DISPATCH_QUEUE = 'dispatch';

/** As much of S3 and SQS as `dispatch` asks for: pages of keys, ranges of objects, and batches of messages, which are counted. */
export class AwsServer {
  /** Requests by what they asked for. */
  readonly requests = new Map<string, number>();
  /** Messages that were sent to the task queue. */
  tasks = 0;
  /** Messages that were sent to the dispatch queue and not taken yet. */
  readonly orders: string[] = [];
  readonly #server: Server;
  readonly #lake: GeneratedLake;
  readonly #latencyMs: number;

  private constructor(lake: GeneratedLake, latencyMs: number) {
    this.#lake = lake;
    this.#latencyMs = latencyMs;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** @param latencyMs before each answer, as a network and a service take their time */
  static async start(lake: GeneratedLake, latencyMs: number): Promise<AwsServer> {
    const server = new AwsServer(lake, latencyMs);
    server.#server.keepAliveTimeout = 60_000;
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request);
    if (this.#latencyMs > 0) await sleep(this.#latencyMs);
    const url = new URL(request.url ?? '/', this.url);
    const target = request.headers['x-amz-target'];
    if (target !== undefined) this.#send(String(target), body, response);
    else if (url.searchParams.get('list-type') === '2') this.#list(url.searchParams, response);
    else this.#read(request, decodeURIComponent(url.pathname).split('/').slice(2).join('/'), response);
  }

  #count(name: string): void {
    this.requests.set(name, (this.requests.get(name) ?? 0) + 1);
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    this.#count('ListObjectsV2');
    const token = query.get('continuation-token');
    const after = query.get('start-after');
    const behind = after === null ? 0 : (this.#lake.indexOf(after) ?? -1) + 1;
    const from = token === null ? behind : Number(token);
    const prefix = query.get('prefix') ?? '';
    const isAll = GENERATED_PREFIX.startsWith(prefix) && from < this.#lake.objects;
    const to = isAll ? Math.min(this.#lake.objects, from + Number(query.get('max-keys') ?? PAGE_KEYS)) : from;
    const contents: string[] = [];
    for (let index = from; index < to; index++) {
      const { key, etag, size } = this.#lake.object(index);
      contents.push(
        `<Contents><Key>${encodeURIComponent(key)}</Key><LastModified>2019-01-01T00:00:00.000Z</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${size}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
      );
    }
    const isCut = isAll && to < this.#lake.objects;
    response.setHeader('content-type', 'application/xml');
    response.end(
      `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><KeyCount>${to - from}</KeyCount><IsTruncated>${isCut}</IsTruncated>${isCut ? `<NextContinuationToken>${to}</NextContinuationToken>` : ''}${contents.join('')}</ListBucketResult>`,
    );
  }

  #read(request: IncomingMessage, key: string, response: ServerResponse): void {
    const method = request.method === 'HEAD' ? 'HeadObject' : 'GetObject';
    this.#count(method);
    const index = this.#lake.indexOf(key);
    if (index === undefined) {
      response.statusCode = 404;
      response.end(method === 'HeadObject' ? '' : '<Error><Code>NoSuchKey</Code></Error>');
      return;
    }
    const { etag, size } = this.#lake.object(index);
    response.setHeader('etag', `"${etag}"`);
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const [start, end] =
      range === null ? [0, size] : [Number(range[1]), Math.min(size, Number(range[2]) + 1)];
    response.setHeader('content-length', end - start);
    if (range !== null) {
      response.statusCode = 206;
      response.setHeader('content-range', `bytes ${start}-${end - 1}/${size}`);
    }
    response.end(method === 'HeadObject' ? undefined : this.#lake.content(index).subarray(start, end));
  }

  #send(target: string, body: string, response: ServerResponse): void {
    const { QueueUrl, Entries } = JSON.parse(body) as {
      QueueUrl: string;
      Entries: readonly { Id: string; MessageBody: string }[];
    };
    this.#count(`${target.split('.').at(-1) ?? target}, ${QueueUrl.split('/').at(-1) ?? ''}`);
    if (QueueUrl.endsWith(DISPATCH_QUEUE)) this.orders.push(...Entries.map(({ MessageBody }) => MessageBody));
    else this.tasks += Entries.length;
    response.setHeader('content-type', 'application/x-amz-json-1.0');
    const Successful = Entries.map(({ Id, MessageBody }) => ({
      Id,
      MessageId: Id,
      MD5OfMessageBody: md5(MessageBody),
    }));
    response.end(JSON.stringify({ Successful, Failed: [] }));
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
