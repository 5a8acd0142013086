import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { objectSourceContract, recordSinkContract } from 'sluice/testing';
import { FolderRecordSink } from '../../examples/provider-http/folder-record-sink.ts';
import { HttpObjectSource } from '../../examples/provider-http/http-object-source.ts';
import { removeFolder, scratchFolder } from './local/scratch.ts';

interface WebServerOptions {
  /** Answers with the whole object, whatever range was asked for. */
  readonly ranges?: boolean;
  readonly ifMatch?: boolean;
  readonly weakTags?: boolean;
  /** Sends the first 64 KiB of each object, and then nothing any more. */
  readonly stalls?: boolean;
  /** Answers everything with this status. */
  readonly status?: number;
}

/** As much of a web server for files as a lake needs: GET, HEAD, ranges, entity tags. */
async function webServer({
  ranges = true,
  ifMatch = true,
  weakTags = false,
  stalls = false,
  status,
}: WebServerOptions = {}) {
  const files = new Map<string, Uint8Array>();
  const answers = new Set<ServerResponse>();
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    answers.add(response);
    response.on('close', () => answers.delete(response));
    const content =
      request.url === '/manifest.txt'
        ? Buffer.from([...files.keys()].join('\n'))
        : files.get(request.url?.slice(1) ?? '');
    if (status !== undefined) return void response.writeHead(status).end();
    if (content === undefined) return void response.writeHead(404).end('no such file');
    const tag = `${weakTags ? 'W/' : ''}"${createHash('md5').update(content).digest('hex')}"`;
    if (ifMatch && (request.headers['if-match'] ?? tag) !== tag) return void response.writeHead(412).end();
    const range = ranges ? /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') : null;
    const body = range === null ? content : content.subarray(Number(range[1]), Number(range[2]) + 1);
    response.writeHead(range === null ? 200 : 206, { etag: tag, 'content-length': body.length });
    if (request.method === 'HEAD') response.end();
    else if (stalls) response.write(body.subarray(0, 65_536));
    else response.end(body);
  };
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    files,
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Resolves when no answer is under way; a client that never lets go of one makes the test fail by its time limit. */
    settled: async () => {
      while (answers.size > 0) await once([...answers][0] as ServerResponse, 'close');
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const encoded = (key: string) => key.split('/').map(encodeURIComponent).join('/');

objectSourceContract('HttpObjectSource', async () => {
  const server = await webServer();
  return {
    source: new HttpObjectSource(),
    put: async (key, content) => void server.files.set(encoded(key), content.slice()),
    remove: async (key) => void server.files.delete(encoded(key)),
    locationOf: (key = '') => `${server.origin}/${encoded(key)}`,
    nameOf: (key) => ({ bucket: server.origin, key }),
    openReads: async () => {
      await server.settled();
      return 0;
    },
    dispose: () => server.close(),
  };
});

describe('HttpObjectSource', () => {
  const never = new AbortController().signal;
  const source = new HttpObjectSource();

  async function withServer(
    options: WebServerOptions,
    test: (origin: string, server: Awaited<ReturnType<typeof webServer>>) => Promise<void>,
  ) {
    const server = await webServer(options);
    try {
      server.files.set('a.csv', Buffer.from('0123456789'));
      await test(server.origin, server);
    } finally {
      await server.close();
    }
  }

  async function readAll(origin: string, version: string): Promise<string> {
    const chunks: Uint8Array[] = [];
    const object = { bucket: origin, key: 'a.csv', version, size: 10 };
    for await (const chunk of source.read(object, { start: 0, end: 10 }, never)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  it('notices a change also where the server does not look at If-Match', () =>
    withServer({ ifMatch: false }, async (origin, { files }) => {
      const { version } = await source.stat({ bucket: origin, key: 'a.csv' }, never);
      expect(await readAll(origin, version)).toBe('0123456789');
      files.set('a.csv', Buffer.from('9876543210'));
      await expect(readAll(origin, version)).rejects.toMatchObject({ code: 'E_OBJECT_CHANGED' });
    }));

  it('lets go of an answer that is under way when its consumer stops early, or is stopped', () =>
    withServer({ stalls: true }, async (origin, { files, settled }) => {
      files.set('big.csv', new Uint8Array(1_000_000));
      const object = await source.stat({ bucket: origin, key: 'big.csv' }, never);
      const whole = { start: 0, end: object.size };
      for await (const chunk of source.read(object, whole, never)) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      await settled();

      const stop = new AbortController();
      const read = async () => {
        for await (const chunk of source.read(object, whole, stop.signal)) {
          expect(chunk.length).toBeGreaterThan(0);
          // By then the reader waits for bytes that do not come.
          setImmediate(() => stop.abort(new Error('enough')));
        }
      };
      await expect(read()).rejects.toThrow('enough');
      await settled();
    }));

  it('refuses a server whose tags do not stand for bytes', () =>
    withServer({ weakTags: true }, async (origin) => {
      await expect(source.stat({ bucket: origin, key: 'a.csv' }, never)).rejects.toMatchObject({
        retryable: false,
      });
    }));

  it('refuses a server that sends everything instead of a stretch', () =>
    withServer({ ranges: false }, async (origin) => {
      const { version } = await source.stat({ bucket: origin, key: 'a.csv' }, never);
      await expect(readAll(origin, version)).rejects.toMatchObject({
        kind: 'infrastructure',
        retryable: false,
      });
    }));

  it.each([
    [503, true],
    [429, true],
    [403, false],
  ])('takes status %i as a failure of what it runs on; retryable: %s', (status, retryable) =>
    withServer({ status }, async (origin) => {
      await expect(source.stat({ bucket: origin, key: 'a.csv' }, never)).rejects.toMatchObject({
        kind: 'infrastructure',
        retryable,
      });
    }),
  );

  it('takes a server that is not there as worth another try', async () => {
    let gone = '';
    await withServer({}, async (origin) => void (gone = origin));
    await expect(source.stat({ bucket: gone, key: 'a.csv' }, never)).rejects.toMatchObject({
      kind: 'infrastructure',
      retryable: true,
    });
  });
});

recordSinkContract('FolderRecordSink', async () => {
  const folder = await scratchFolder();
  return {
    sink: new FolderRecordSink(folder),
    takeAccepted: async () => {
      const records = await framesIn(folder);
      for (const { file } of records) await rm(file);
      return records.map(({ partition, data }) => ({ partition, data }));
    },
    dispose: () => removeFolder(folder),
  };
});

describe('FolderRecordSink', () => {
  it('goes on behind what is in the folder already', async () => {
    const folder = await scratchFolder();
    try {
      for (const value of [1, 2, 3]) {
        await new FolderRecordSink(folder).put(
          [{ partition: 5, data: Uint8Array.of(value) }],
          new AbortController().signal,
        );
      }
      expect((await framesIn(folder)).map(({ partition, data }) => [partition, ...data])).toEqual([
        [5, 1],
        [5, 2],
        [5, 3],
      ]);
    } finally {
      await removeFolder(folder);
    }
  });
});

/** In the order of each partition. */
async function framesIn(folder: string) {
  const entries = await readdir(folder, { recursive: true });
  const files = entries.filter((entry) => entry.endsWith('.frame')).sort();
  return Promise.all(
    files.map(async (file) => ({
      file: path.join(folder, file),
      partition: Number(/partition=(\d+)/.exec(file)?.[1]),
      data: new Uint8Array(await readFile(path.join(folder, file))),
    })),
  );
}
