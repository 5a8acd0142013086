import { Buffer } from 'node:buffer';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decompressed } from '../../../src/application/formats/compression.ts';
import { csvDecoder } from '../../../src/application/formats/csv/decoder.ts';
import { jsonDecoder } from '../../../src/application/formats/json/json-decoder.ts';
import { compressions, memoryObject, readAll, readOptions } from './lake-text.ts';

async function inflate(
  compression: 'gzip' | 'zstd',
  stored: Uint8Array,
  chunks: readonly number[] = [64 * 1024],
) {
  const object = memoryObject(stored, chunks);
  const parts: Uint8Array[] = [];
  let code: unknown = null;
  try {
    for await (const chunk of decompressed(compression, (start) => object.read(start, object.size)))
      parts.push(chunk.slice());
  } catch (thrown) {
    code = (thrown as { code?: unknown }).code ?? thrown;
  }
  expect(object.open).toBe(0);
  return {
    text: Buffer.concat(parts).toString('latin1'),
    code,
    largest: Math.max(0, ...parts.map((part) => part.length)),
  };
}

/** A frame of zstd that decoders pass over. */
function skippable(bytes: number): Buffer {
  const frame = Buffer.alloc(8 + bytes, 0x28);
  frame.writeUInt32LE(0x184d2a53, 0);
  frame.writeUInt32LE(bytes, 4);
  return frame;
}

const text = Array.from({ length: 4_000 }, (_, i) => `${i},${(i * 7919) % 1_009},name-${i % 13}\n`).join('');

describe('decompression', () => {
  it('joins members and frames, however they are chunked', async () => {
    const parts = ['', text.slice(0, 10), text.slice(10, 30_000), '', text.slice(30_000)];
    const gzip = Buffer.concat([...parts.map((part) => gzipSync(part)), Buffer.alloc(1_000)]);
    const zstd = Buffer.concat(
      parts.flatMap((part) => [skippable(part.length % 50), zstdCompressSync(part)]),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 60_000 })), {
          minLength: 1,
          maxLength: 5,
        }),
        async (chunks) => {
          expect(await inflate('gzip', gzip, chunks)).toMatchObject({ text, code: null });
          expect(await inflate('zstd', Buffer.concat([zstd, skippable(3)]), chunks)).toMatchObject({
            text,
            code: null,
          });
        },
      ),
      { numRuns: 25 },
    );
    expect(await inflate('gzip', Buffer.alloc(0))).toMatchObject({ text: '', code: null });
  });

  it('zero bytes between members are padding, other bytes are damage', async () => {
    const padded = Buffer.concat([gzipSync('one'), Buffer.alloc(512), gzipSync('two'), Buffer.alloc(3)]);
    expect(await inflate('gzip', padded)).toMatchObject({ text: 'onetwo', code: null });
    expect(await inflate('gzip', Buffer.concat([gzipSync('one'), Buffer.from('rest')]))).toMatchObject({
      text: 'one',
      code: 'E_COMPRESSED_CORRUPT',
    });
    expect(
      await inflate('zstd', Buffer.concat([zstdCompressSync('one'), Buffer.from('rest')])),
    ).toMatchObject({ text: 'one', code: 'E_COMPRESSED_CORRUPT' });
  });

  it('gives everything before damage, the same however the stored bytes are chunked', async () => {
    for (const compression of ['gzip', 'zstd'] as const) {
      const stored = compressions[compression](Buffer.from(text));
      const cut = stored.subarray(0, stored.length >> 1);
      const wrongEnd = Buffer.from(stored);
      wrongEnd[stored.length - (compression === 'gzip' ? 6 : 1)]! ^= 0x55;
      const wrongMiddle = Buffer.from(stored);
      wrongMiddle.fill(0xff, stored.length >> 1, (stored.length >> 1) + 40);
      for (const damaged of [cut, wrongMiddle, ...(compression === 'gzip' ? [wrongEnd] : [])]) {
        const whole = await inflate(compression, damaged);
        expect(whole.code).toBe('E_COMPRESSED_CORRUPT');
        for (const chunks of [[1_000], [7, 4_000]])
          expect(await inflate(compression, damaged, chunks)).toEqual({
            ...whole,
            largest: expect.any(Number),
          });
        if (damaged !== wrongMiddle) expect(text.startsWith(whole.text)).toBe(true);
      }
      if (compression === 'gzip') {
        expect((await inflate('gzip', cut)).text.length).toBeGreaterThan(text.length / 3);
        // Only the checksum is wrong: all of the text stands before that.
        expect((await inflate('gzip', wrongEnd)).text).toBe(text);
      }
    }
  });

  it('gives a bomb in small pieces', async () => {
    for (const compression of ['gzip', 'zstd'] as const) {
      const { largest, text: zeros } = await inflate(
        compression,
        compressions[compression](Buffer.alloc(8_000_000)),
      );
      expect(zeros.length).toBe(8_000_000);
      expect(largest).toBeLessThanOrEqual(256 * 1024);
    }
  });

  it('a damaged stream is a fault at the row that it cuts, and the rows before it are kept', async () => {
    const stored = gzipSync(`a,b,c\n${text}`);
    const damaged = stored.subarray(0, stored.length - 2_000);
    const { text: good } = await inflate('gzip', damaged);
    const whole = good.slice(0, good.lastIndexOf('\n') + 1);
    for (const sectionBytes of [1_000, 1_000_000]) {
      const reading = await readAll(
        csvDecoder,
        memoryObject(damaged, [3_000]),
        readOptions({ limits: { sectionBytes } }),
      );
      expect(reading.rows).toHaveLength(whole.split('\n').length - 2);
      expect(reading.faults).toMatchObject([
        { code: 'E_COMPRESSED_CORRUPT', coordinate: whole.length, rows: 1 },
      ]);
      expect(Buffer.from(reading.faults[0]?.raw ?? []).toString()).toBe(good.slice(whole.length));
      expect(reading.sections.at(-1)).toMatchObject({
        section: Math.floor(whole.length / sectionBytes),
        last: true,
        next: good.length,
      });
      expect(reading.sections.filter(({ last }) => last)).toHaveLength(1);
    }
    const json = gzipSync(JSON.stringify(Array.from({ length: 1_000 }, (_, i) => ({ i }))));
    const part = await readAll(jsonDecoder, memoryObject(json.subarray(0, json.length - 100)), readOptions());
    expect(part.rows.length).toBeGreaterThan(100);
    expect(part.rows.at(-1)?.row).toEqual(expect.objectContaining({ i: part.rows.length - 1 }));
    expect(part.faults).toMatchObject([{ code: 'E_COMPRESSED_CORRUPT' }]);
  });

  it('damage exactly at a section boundary belongs to the section behind it', async () => {
    const stored = Buffer.concat([gzipSync('a\n1\n'), gzipSync('2\n').subarray(0, 9)]);
    const reading = await readAll(
      csvDecoder,
      memoryObject(stored),
      readOptions({ limits: { sectionBytes: 4 } }),
    );
    expect(reading.sections).toMatchObject([
      { section: 0, rows: [2], faults: [], last: false, next: 4 },
      { section: 1, rows: [], faults: [4], last: true, next: 4 },
    ]);
  });

  it('an object whose beginning is damaged cannot be read at all', async () => {
    const stored = gzipSync('a,b\n1,2\n').subarray(0, 11);
    await expect(readAll(csvDecoder, memoryObject(stored), readOptions())).rejects.toMatchObject({
      code: 'E_COMPRESSED_CORRUPT',
    });
  });

  it.each([
    ['zeros', 256, 0, ['E_ROW_TOO_LARGE']],
    ['rows', 128, 128 * 32_768, []],
  ])('a gzip that inflates 1000:1 (%s) needs little memory', async (content, megabytes, rows, faults) => {
    const script = fileURLToPath(new URL('bomb.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--max-semi-space-size=4',
      script,
      content,
      String(megabytes),
    ]);
    const seen = JSON.parse(stdout) as { growth: number; rows: number; faults: string[]; stored: number };
    expect(seen).toMatchObject({ rows, faults });
    expect((megabytes * 1024 * 1024) / seen.stored).toBeGreaterThan(200);
    expect(seen.growth).toBeLessThan(64 * 1024 * 1024);
  });
});
