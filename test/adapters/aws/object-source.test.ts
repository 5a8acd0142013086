import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { httpHandler } from '../../../src/adapters/aws/http-handler.ts';
import { S3ObjectSource, type S3ObjectSourceOptions } from '../../../src/adapters/aws/object-source.ts';
import { createS3Calls, type S3Calls } from '../../../src/adapters/aws/s3-client.ts';
import { InfrastructureError } from '../../../src/domain/errors.ts';
import type { ByteRange, LakeObject } from '../../../src/domain/lake-object.ts';
import { defaultRetry } from '../../../src/domain/retry.ts';
import { startFaultProxy, type WireFault } from '../../../src/testing/lambda/index.ts';
import { objectSourceContract } from '../../../src/testing/index.ts';
import { credentials, region, startS3Twin, type S3Twin } from './s3-twin.ts';
import { never, surroundings } from './surroundings.ts';

let twin: S3Twin;

beforeAll(async () => {
  twin = await startS3Twin();
});

afterAll(() => twin.stop());

const settings = {
  'as it is': {},
  'parts of 100,000 bytes, chunks of 7,000, pages of 3 keys': {
    partBytes: 100_000,
    chunkBytes: 7_000,
    pageKeys: 3,
  },
};

for (const [name, options] of Object.entries(settings)) {
  objectSourceContract(`S3ObjectSource: ${name}`, async () => {
    const calls = twin.calls();
    const bucket = twin.newBucket();
    const client = new S3Client({ endpoint: twin.url, region, credentials, forcePathStyle: true });
    return {
      source: new S3ObjectSource({ ...surroundings(), calls }, options),
      put: (key, content) => calls.put({ bucket, key }, content, { contentType: 'text/csv' }, never),
      remove: async (key) => void (await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))),
      locationOf: (key = '') => `s3://${bucket}/${key}`,
      nameOf: (key) => ({ bucket, key }),
      openReads: async () => {
        await twin.settled();
        return 0;
      },
      dispose: async () => {
        calls.close();
        client.destroy();
      },
    };
  });
}

/** Bytes of which no two stretches are easily the same. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (Math.imul(at, 2_654_435_761) >>> 24) ^ (at >>> 8));
}

async function put(bucket: string, key: string, content: Uint8Array | string): Promise<void> {
  await twin.calls().put({ bucket, key }, Buffer.from(content), { contentType: 'text/csv' }, never);
}

async function readAll(source: S3ObjectSource, object: LakeObject, signal = never): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source.read(object, { start: 0, end: object.size }, signal)));
}

async function keysAt(source: S3ObjectSource, location: string, after?: string): Promise<string[]> {
  return (await Array.fromAsync(source.list(location, never, after))).map(({ key }) => key);
}

describe('S3ObjectSource lists', () => {
  const keys = [
    'entity/yyyy=2019/mm=05/a.csv',
    'entity/yyyy=2019/mm=05/_SUCCESS',
    'entity/yyyy=2019/mm=05/.a.csv.crc',
    'entity/yyyy=2019/mm=06/b.csv',
    'entity/yyyy=2019/mm=06/b.json',
    'entity/yyyy=2020/mm=01/c.csv',
    'entity/_temporary/0/d.csv',
    'entity/yyyy=2020/',
    'entity_$folder$',
    'entity-2/e.csv',
    'what[1]?.csv',
  ];
  let bucket = '';
  let source: S3ObjectSource;

  beforeAll(async () => {
    bucket = twin.newBucket();
    source = new S3ObjectSource({ ...surroundings(), calls: twin.calls() }, { pageKeys: 3 });
    for (const key of keys) await put(bucket, key, key);
  });

  const may = 'entity/yyyy=2019/mm=05/a.csv';
  const june = ['entity/yyyy=2019/mm=06/b.csv', 'entity/yyyy=2019/mm=06/b.json'];
  const january = 'entity/yyyy=2020/mm=01/c.csv';

  it.each([
    ['', ['entity-2/e.csv', may, ...june, january, 'what[1]?.csv']],
    ['/entity/', [may, ...june, january]],
    ['/entity', [may, ...june, january]],
    ['/entity*', ['entity-2/e.csv', may, ...june, january]],
    ['/entity/yyyy=2019/*', [may, ...june]],
    ['/entity/*/*/*.csv', [may, june[0], january]],
    ['/entity/**/*.csv', [may, june[0], january]],
    ['/entity/yyyy=20{19,21}/mm=0[6-9]/?.csv', [june[0]]],
    ['/entity/yyyy=2019/mm=0[!6]/*', [may]],
    ['/entity/*.csv', []],
    ['/entity/yyyy=*/mm=05/', [may]],
    ['/entity/_temporary/', ['entity/_temporary/0/d.csv']],
    ['/what[1]?.csv', ['what[1]?.csv']],
    ['/nothing/', []],
    ['/nothing*', []],
    [`/${may}`, [may]],
  ])('s3://lake%s', async (location, expected) => {
    expect(await keysAt(source, `s3://${bucket}${location}`)).toEqual(expected);
  });

  it('nothing where the folder has only what is hidden, and misses one that is not there', async () => {
    await put(bucket, 'quiet/_SUCCESS', '');
    expect(await keysAt(source, `s3://${bucket}/quiet`)).toEqual([]);
    await expect(keysAt(source, `s3://${bucket}/quie`)).rejects.toMatchObject({ code: 'E_OBJECT_NOT_FOUND' });
    expect(await keysAt(source, `s3://${bucket}/entity`, '\u{10FFFF}')).toEqual([]);
  });

  it.each(['lake/a.csv', 's3://', 's3:///a', 'S3://lake', 's3://la*ke/a', 's3://lake/[z-a].csv'])(
    'not %s, which is no location',
    async (location) => {
      await expect(keysAt(source, location)).rejects.toMatchObject({ kind: 'domain', code: 'E_LOCATION' });
    },
  );

  it('not a bucket that does not exist', async () => {
    await expect(keysAt(source, 's3://nobodys-bucket/')).rejects.toMatchObject({
      kind: 'infrastructure',
      code: 'E_RESOURCE_MISSING',
      retryable: false,
    });
  });

  it("pages of fauxqs's own", async () => {
    const direct = new S3ObjectSource(
      { ...surroundings(), calls: twin.calls(twin.server.address) },
      { pageKeys: 2 },
    );
    expect(await keysAt(direct, `s3://${bucket}/entity/`)).toEqual([may, ...june, january]);
    expect(await keysAt(direct, `s3://${bucket}/entity/`, may)).toEqual([...june, january]);
  });
});

describe('S3ObjectSource and keys', () => {
  const nasty = [
    ' leading and trailing ',
    'a+b.csv',
    'a%2Fb.csv',
    '50%.csv',
    'bad%ZZ.csv',
    'a&b<c>"d"\'e\'.csv',
    'line\nbreak\r\n.csv',
    'tab\t.csv',
    '\u0001\u001f\u007f.csv',
    '../up.csv',
    './here.csv',
    'a//b.csv',
    '/rooted.csv',
    'what?x=1&y=2#z.csv',
    'é.csv',
    'e\u0301.csv',
    '\u{1F600}.csv',
    '\uFFFD.csv',
    '\uE000.csv',
    'a;b=c,d@e:f!g$h(i)j*k.csv',
    "back\\slash'`^|.csv",
    'x'.repeat(1_020),
  ];

  it.each(nasty)('round-trips %j through list, stat and read', async (key) => {
    const bucket = twin.newBucket();
    const source = new S3ObjectSource({ ...surroundings(), calls: twin.calls() });
    await put(bucket, key, key);
    const [listed, ...others] = await Array.fromAsync(source.list(`s3://${bucket}/*`, never));
    // Hidden names are listed where they are named.
    const object = await source.stat({ bucket, key }, never);
    if (/^\.\.?\//.test(key)) expect(listed).toBeUndefined();
    else expect(listed).toEqual(object);
    expect(others).toEqual([]);
    expect((await readAll(source, object)).toString()).toBe(key);
    if (!key.startsWith('/')) expect(await keysAt(source, `s3://${bucket}/${key}`)).toEqual([key]);
  });
});

describe('S3ObjectSource under faults', () => {
  const content = pattern(400_000);
  const small = { partBytes: 64_000, chunkBytes: 10_000 } satisfies S3ObjectSourceOptions;

  async function withFaults(
    faults: readonly WireFault[],
    test: (lake: {
      source: S3ObjectSource;
      bucket: string;
      object: LakeObject;
      around: ReturnType<typeof surroundings>;
      proxy: Awaited<ReturnType<typeof startFaultProxy>>;
    }) => Promise<void>,
    { seed = 1, attempts = defaultRetry.attempts }: { seed?: number; attempts?: number } = {},
  ): Promise<void> {
    const bucket = twin.newBucket();
    await put(bucket, 'big.bin', content);
    const { version } = await twin.calls().head({ bucket, key: 'big.bin' }, never);
    const proxy = await startFaultProxy({ upstream: twin.url, faults, seed });
    const around = surroundings();
    const calls = twin.calls(proxy.url);
    try {
      const source = new S3ObjectSource(
        { ...around, calls },
        { ...small, retry: { ...defaultRetry, attempts } },
      );
      const object = { bucket, key: 'big.bin', version, size: content.length };
      await test({ source, bucket, object, around, proxy });
    } finally {
      calls.close();
      await proxy.stop();
    }
  }

  it('resumes a body that breaks off, at the byte where it did', () =>
    withFaults(
      [{ kind: 'truncate', on: 'GetObject', call: 0, after: 1_000 }],
      async ({ source, object, proxy, around }) => {
        const range = { start: 100, end: 5_100 };
        const read = Buffer.concat(await Array.fromAsync(source.read(object, range, never)));
        expect(read.equals(content.subarray(100, 5_100))).toBe(true);
        expect(proxy.count('truncate')).toBe(1);
        expect(proxy.calls('GetObject')).toBe(2);
        expect(around.metrics.total('retries')).toBe(1);
      },
    ));

  it('reads the same bytes whatever breaks on the way', () =>
    fc.assert(
      fc.asyncProperty(fc.integer(), (seed) =>
        withFaults(
          [
            { kind: 'truncate', on: 'GetObject', rate: 0.3 },
            { kind: 'truncate', on: 'GetObject', rate: 0.1, after: 0 },
            { kind: 'throttle', on: '*', rate: 0.1 },
            { kind: 'error', on: '*', rate: 0.1, status: 500 },
            { kind: 'reset', on: '*', rate: 0.1 },
            { kind: 'lost-answer', on: '*', rate: 0.1 },
          ],
          async ({ source, bucket, object, proxy }) => {
            const [listed] = await Array.fromAsync(source.list(`s3://${bucket}/`, never));
            expect(listed).toEqual(object);
            expect((await readAll(source, object)).equals(content)).toBe(true);
            expect(proxy.struck.length).toBeGreaterThan(0);
          },
          // Enough that no run of bad luck ends it.
          { seed, attempts: 100 },
        ),
      ),
      { numRuns: 10 },
    ));

  it.each([
    ['throttle', { kind: 'throttle' }, 'E_THROTTLED'],
    ['503', { kind: 'error', status: 503 }, 'E_INFRASTRUCTURE'],
    ['reset', { kind: 'reset' }, 'E_INFRASTRUCTURE'],
    ['nothing but heads', { kind: 'truncate', after: 0 }, 'E_INFRASTRUCTURE'],
  ] as const)('gives up after 8 tries with more and more time between them: %s', (_name, fault, code) =>
    withFaults([{ ...fault, on: 'GetObject', rate: 1 }], async ({ source, object, around, proxy }) => {
      const read = Array.fromAsync(source.read(object, { start: 0, end: 10 }, never));
      await expect(read).rejects.toMatchObject({ kind: 'infrastructure', code, retryable: true });
      expect(proxy.calls('GetObject')).toBe(8);
      expect(around.clock.waits).toEqual([49, 99, 199, 399, 799, 1_599, 3_199]);
    }),
  );

  it('tries listings and looks at objects again, too', () =>
    withFaults(
      [
        { kind: 'throttle', on: 'ListObjectsV2', call: 0 },
        { kind: 'truncate', on: 'ListObjectsV2', call: 1 },
        { kind: 'error', on: 'HeadObject', call: 0, status: 503 },
        { kind: 'reset', on: 'HeadObject', call: 1 },
      ],
      async ({ source, bucket, object, proxy }) => {
        expect(await Array.fromAsync(source.list(`s3://${bucket}/`, never))).toEqual([object]);
        expect(await source.stat(object, never)).toEqual(object);
        expect(proxy.struck.length).toBe(4);
      },
    ));

  it('does not go on with another version of the object where a body broke off', () =>
    withFaults(
      [{ kind: 'truncate', on: 'GetObject', call: 0, after: 30_000 }],
      async ({ source, bucket, object, around }) => {
        const seen: Uint8Array[] = [];
        const replacing = { ...around.clock, sleep: () => put(bucket, 'big.bin', content.toReversed()) };
        Object.assign(around.clock, replacing);
        const read = async () => {
          for await (const chunk of source.read(object, { start: 0, end: 60_000 }, never)) seen.push(chunk);
        };
        await expect(read()).rejects.toMatchObject({ kind: 'domain', code: 'E_OBJECT_CHANGED' });
        const bytes = Buffer.concat(seen);
        expect(bytes.length).toBeGreaterThan(0);
        expect(bytes.equals(content.subarray(0, bytes.length))).toBe(true);
      },
    ));

  it('stops waiting for another try when it is stopped', () =>
    withFaults([{ kind: 'throttle', on: '*', rate: 1 }], async ({ source, object, around }) => {
      const stop = new AbortController();
      const reason = new Error('enough');
      Object.assign(around.clock, {
        sleep: (_ms: number, signal: AbortSignal) => {
          stop.abort(reason);
          return Promise.reject(signal.reason as Error);
        },
      });
      await expect(source.stat(object, stop.signal)).rejects.toBe(reason);
    }));
});

describe('S3ObjectSource and services that are not S3', () => {
  const object: LakeObject = { bucket: 'lake', key: 'a.csv', version: 'v1', size: 10 };

  async function withService(
    answer: RequestListener,
    test: (source: S3ObjectSource) => Promise<void>,
    idleTimeoutMs = 5_000,
  ): Promise<void> {
    const server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const requestHandler = httpHandler({ idleTimeoutMs });
    const calls = createS3Calls({
      pathStyle: true,
      config: { endpoint, region, credentials, requestHandler },
    });
    try {
      await test(new S3ObjectSource({ ...surroundings(), calls }));
    } finally {
      calls.close();
      server.close();
      server.closeAllConnections();
    }
  }

  it('notices a change where nobody looks at If-Match', () =>
    withService(
      (_request, response) => {
        response.writeHead(206, { etag: '"v2"', 'content-range': 'bytes 0-9/10', 'content-length': 10 });
        response.end('0123456789');
      },
      async (source) => {
        await expect(readAll(source, object)).rejects.toMatchObject({ code: 'E_OBJECT_CHANGED' });
      },
    ));

  it('asks for the version with the quotes that it has on the wire', async () => {
    const asked: unknown[] = [];
    await withService(
      (request, response) => {
        asked.push(request.headers['if-match']);
        response.writeHead(206, { etag: '"v1"', 'content-range': 'bytes 0-9/10', 'content-length': 10 });
        response.end('0123456789');
      },
      async (source) => expect((await readAll(source, object)).toString()).toBe('0123456789'),
    );
    expect(asked).toEqual(['"v1"']);
  });

  it('refuses one that sends everything instead of a stretch', () =>
    withService(
      (_request, response) => {
        response.writeHead(200, { etag: '"v1"', 'content-length': 10 });
        response.end('0123456789');
      },
      async (source) => {
        const read = Array.fromAsync(source.read(object, { start: 2, end: 4 }, never));
        await expect(read).rejects.toMatchObject({ kind: 'infrastructure', retryable: false });
      },
    ));

  it('refuses tags that do not stand for bytes', () =>
    withService(
      (_request, response) => void response.writeHead(200, { etag: 'W/"v1"', 'content-length': 10 }).end(),
      async (source) => {
        await expect(source.stat(object, never)).rejects.toMatchObject({
          kind: 'infrastructure',
          retryable: false,
        });
      },
    ));

  it.each([
    [403, 'E_ACCESS_DENIED'],
    [401, 'E_ACCESS_DENIED'],
    [400, 'E_INFRASTRUCTURE'],
  ])('does not try status %i again', async (status, code) => {
    let asked = 0;
    await withService(
      (_request, response) => {
        asked++;
        response.writeHead(status).end();
      },
      async (source) => {
        await expect(source.stat(object, never)).rejects.toMatchObject({ code, retryable: false });
      },
    );
    expect(asked).toBe(1);
  });

  it('says of an archived object that it is one', () =>
    withService(
      (_request, response) =>
        void response
          .writeHead(403, { 'content-type': 'application/xml' })
          .end('<Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>'),
      async (source) => {
        await expect(readAll(source, object)).rejects.toMatchObject({ code: 'E_OBJECT_ARCHIVED' });
      },
    ));

  it('gives up a body of which nothing comes any more, and goes on from there', async () => {
    let asked = 0;
    await withService(
      (_request, response) => {
        asked++;
        const start = asked === 1 ? 0 : 4;
        response.writeHead(206, {
          etag: '"v1"',
          'content-range': `bytes ${start}-9/10`,
          'content-length': 10 - start,
        });
        if (asked === 1) response.write('0123');
        else response.end('456789');
      },
      async (source) => expect((await readAll(source, object)).toString()).toBe('0123456789'),
      150,
    );
    expect(asked).toBe(2);
  });

  it('lets go of a body that is under way when it is stopped', async () => {
    const open = new Set<unknown>();
    await withService(
      (_request, response) => {
        open.add(response);
        response.on('close', () => open.delete(response));
        response.writeHead(206, { etag: '"v1"', 'content-range': 'bytes 0-9/10', 'content-length': 10 });
        response.write('0123');
      },
      async (source) => {
        const stop = new AbortController();
        const reason = new Error('enough');
        const stopped = readAll(source, object, stop.signal);
        await vi.waitUntil(() => open.size === 1);
        // By then the reader waits for bytes that do not come.
        setTimeout(() => stop.abort(reason), 20);
        await expect(stopped).rejects.toBe(reason);
        await vi.waitUntil(() => open.size === 0);
      },
    );
  });

  it('goes on behind a key where the service does not know how', async () => {
    const source = new S3ObjectSource({ ...surroundings(), calls: pagesOf([['a', 'b'], ['c']]) });
    expect(await keysAt(source, 's3://lake/', 'a')).toEqual(['b', 'c']);
  });

  it('refuses a listing whose pages are in no order: what goes on behind a key would miss others', async () => {
    const pages = [['b', 'a'], ['c', 'd'], ['bb']];
    const source = new S3ObjectSource({ ...surroundings(), calls: pagesOf(pages) });
    const seen: string[] = [];
    const list = async () => {
      for await (const { key } of source.list('s3://lake/', never)) seen.push(key);
    };
    await expect(list()).rejects.toMatchObject({ kind: 'infrastructure', retryable: false });
    expect(seen).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('S3ObjectSource holds', () => {
  it('one page more than it gives away, however many there are', async () => {
    let asked = 0;
    const calls = pagesOf(
      Array.from({ length: 500 }, (_, page) => [String(page).padStart(4, '0')]),
      () => asked++,
    );
    const source = new S3ObjectSource({ ...surroundings(), calls });
    let seen = 0;
    for await (const _object of source.list('s3://lake/', never)) {
      seen++;
      expect(asked).toBeLessThanOrEqual(seen + 1);
    }
    expect(seen).toBe(500);
  });

  it('one part where only a beginning is looked at, and ends its request', async () => {
    const signals: AbortSignal[] = [];
    const source = bodies(async function* ({ start, end }, signal) {
      signals.push(signal);
      for (let at = start; at < end; at += 1_000) yield new Uint8Array(1_000);
    });
    const left = source.read(large, { start: 0, end: large.size }, never);
    for await (const chunk of left) {
      expect(chunk.length).toBe(10_000);
      expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
      break;
    }
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it('on as long as there is progress, however little', async () => {
    const source = bodies(async function* ({ start }) {
      yield Uint8Array.of(start);
      throw new InfrastructureError('broken');
    });
    const read = await Array.fromAsync(source.read(large, { start: 5, end: 45 }, never));
    expect(Buffer.concat(read).equals(Buffer.from(Array.from({ length: 40 }, (_, at) => at + 5)))).toBe(true);
  });

  it('on for 8 tries where bodies end before their time', async () => {
    let begun = 0;
    const source = bodies(async function* () {
      begun++;
      yield new Uint8Array(0);
    });
    const read = Array.fromAsync(source.read(large, { start: 0, end: 10 }, never));
    await expect(read).rejects.toMatchObject({ kind: 'infrastructure', retryable: true });
    expect(begun).toBe(8);
  });

  it('nothing that it did not ask for', async () => {
    const source = bodies(async function* ({ start, end }) {
      yield new Uint8Array(end - start + 1);
    });
    const read = Array.fromAsync(source.read(large, { start: 0, end: 10 }, never));
    await expect(read).rejects.toMatchObject({ kind: 'infrastructure', retryable: false });
  });

  it('as many parts as it may, each begun only when there is room', async () => {
    let open = 0;
    let most = 0;
    let begun = 0;
    const piece = new Uint8Array(1_000);
    const source = bodies(
      async function* ({ start, end }) {
        begun++;
        most = Math.max(most, ++open);
        for (let at = start; at < end; at += piece.length) yield piece;
        open--;
      },
      { parallelParts: 3 },
    );
    let read = 0;
    for await (const chunk of source.read(large, { start: 0, end: large.size }, never)) {
      read += chunk.length;
      expect(begun).toBeLessThanOrEqual(Math.ceil(read / 100_000) + 2);
    }
    expect(read).toBe(large.size);
    expect(most).toBe(3);
  });
});

const large: LakeObject = { bucket: 'lake', key: 'a', version: 'v', size: 1_000_000 };

/** A source whose requests are answered with these bodies; parts of 100,000 bytes, chunks of 10,000. */
function bodies(
  body: (range: ByteRange, signal: AbortSignal) => AsyncIterable<Uint8Array>,
  options: S3ObjectSourceOptions = {},
): S3ObjectSource {
  const get: S3Calls['get'] = async (_object, range, signal) => body(range, signal);
  return new S3ObjectSource(
    { ...surroundings(), calls: { ...pagesOf([]), get } },
    { partBytes: 100_000, chunkBytes: 10_000, ...options },
  );
}

/** A service that lists these pages, and holds no single object. */
function pagesOf(
  pages: readonly (readonly string[])[],
  onPage: () => void = () => undefined,
): Pick<S3Calls, 'get' | 'head' | 'list'> {
  const gone = () => Promise.reject(new Error('there is no object'));
  return {
    head: gone,
    get: gone,
    list: async ({ bucket, token = '0' }) => {
      onPage();
      const page = Number(token);
      return {
        objects: (pages[page] ?? []).map((key) => ({ bucket, key, version: 'v', size: 1 })),
        next: page + 1 < pages.length ? String(page + 1) : undefined,
      };
    },
  };
}
