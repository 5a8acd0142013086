import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { startFauxqs } from 'fauxqs';
import { createS3Calls, type S3Calls } from '../../../src/adapters/aws/s3-client.ts';
import { compareUtf8 } from '../../../src/domain/text-order.ts';

export const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
export const region = 'us-east-1';

export interface S3Twin {
  /** Endpoint of the twin, with listings as S3 documents them. */
  readonly url: string;
  readonly server: Awaited<ReturnType<typeof startFauxqs>>;
  /** A bucket, listed as S3 documents it. Default: one of its own. */
  newBucket(name?: string): string;
  /** Calls that go to this endpoint. Default: the twin's. */
  calls(endpoint?: string): S3Calls;
  /** Resolves when no answer is under way. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

interface Listed {
  readonly key: string;
  readonly etag: string;
  readonly size: number;
}

/**
 * fauxqs as S3, with a front of ours for listings: its own are in the order of a human language, cut across it, and break
 * XML where a key has control characters. The front lists what was put through it: by UTF-8 bytes, keys encoded as in a form.
 */
export async function startS3Twin(): Promise<S3Twin> {
  const server = await startFauxqs({ port: 0, logger: false });
  const buckets = new Map<string, Map<string, Listed>>();
  const answers = new Set<ServerResponse>();
  const opened: S3Calls[] = [];
  let made = 0;

  const front = createServer((request, response) => {
    answers.add(response);
    response.on('close', () => answers.delete(response));
    const url = new URL(request.url ?? '/', 'http://twin');
    if (request.method === 'GET' && url.searchParams.get('list-type') === '2') {
      const bucket = url.pathname.replaceAll('/', '');
      const objects = buckets.get(bucket);
      if (objects !== undefined) {
        response.writeHead(200, { 'content-type': 'application/xml' });
        response.end(listing(bucket, [...objects.values()], url.searchParams));
        return;
      }
    }
    forward(request, response, server.port, (status, headers) => {
      const [, bucket = '', rawKey = ''] = /^\/([^/?]+)\/([^?]*)/.exec(request.url ?? '') ?? [];
      const objects = buckets.get(bucket);
      if (objects === undefined || status >= 300) return;
      const key = decodeURIComponent(rawKey);
      if (request.method === 'PUT') {
        const size = Number(
          request.headers['x-amz-decoded-content-length'] ?? request.headers['content-length'] ?? 0,
        );
        objects.set(key, { key, etag: String(headers['etag']), size });
      } else if (request.method === 'DELETE') objects.delete(key);
    });
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  const url = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;

  return {
    url,
    server,
    newBucket: (bucket = `lake-${++made}`) => {
      server.createBucket(bucket);
      buckets.set(bucket, new Map());
      return bucket;
    },
    calls: (endpoint = url) => {
      const calls = createS3Calls({ pathStyle: true, config: { endpoint, region, credentials } });
      opened.push(calls);
      return calls;
    },
    settled: async () => {
      while (answers.size > 0) await once([...answers][0] as ServerResponse, 'close');
    },
    stop: async () => {
      for (const calls of opened) calls.close();
      front.close();
      front.closeAllConnections();
      await server.stop();
    },
  };
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
  onAnswer: (status: number, headers: OutgoingHttpHeaders) => void,
): void {
  const to = httpRequest(
    { host: '127.0.0.1', port, method: request.method, path: request.url, headers: request.headers },
    (answer) => {
      onAnswer(answer.statusCode ?? 500, answer.headers);
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
      response.on('close', () => answer.destroy());
    },
  );
  to.on('error', () => response.destroy());
  request.pipe(to);
}

function listing(bucket: string, all: readonly Listed[], query: URLSearchParams): string {
  const token = query.get('continuation-token');
  const after = token === null ? (query.get('start-after') ?? '') : decodeURIComponent(token);
  const maxKeys = Number(query.get('max-keys') ?? 1_000);
  const prefix = query.get('prefix') ?? '';
  const found = all
    .filter(({ key }) => key.startsWith(prefix) && compareUtf8(key, after) > 0)
    .sort((a, b) => compareUtf8(a.key, b.key));
  const page = found.slice(0, maxKeys);
  const next = found.length > page.length ? page.at(-1)?.key : undefined;
  const encode = query.get('encoding-type') === 'url' ? formEncoded : xmlEscaped;
  const contents = page.map(
    ({ key, etag, size }) =>
      `<Contents><Key>${encode(key)}</Key><ETag>${etag.replaceAll('"', '&quot;')}</ETag><Size>${size}</Size></Contents>`,
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
    `<Name>${bucket}</Name>${encode === formEncoded ? '<EncodingType>url</EncodingType>' : ''}<KeyCount>${page.length}</KeyCount>`,
    `<IsTruncated>${next !== undefined}</IsTruncated>`,
    ...(next === undefined
      ? []
      : [`<NextContinuationToken>${encodeURIComponent(next)}</NextContinuationToken>`]),
    ...contents,
    '</ListBucketResult>',
  ].join('');
}

function xmlEscaped(key: string): string {
  return key.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

/** As S3 encodes keys in listings: percent-encoded but for `/`, and `+` for a space. */
function formEncoded(key: string): string {
  return encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+');
}
