import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decompress } from '../../../src/application/formats/parquet/compression.ts';
import {
  readDeltaBytes,
  readDeltas,
  readHybrid,
  readPlainBytes,
  readerOf,
} from '../../../src/application/formats/parquet/encoding.ts';
import { checkThrift } from '../../../src/application/formats/parquet/thrift-check.ts';

const text = (page: Buffer, start: number, end: number) => page.toString('utf8', start, end);

describe('damaged lengths', () => {
  test.each<[string, number[], RegExp]>([
    ['a list of 2^28 numbers', [0x19, 0xf5, 0xff, 0xff, 0xff, 0x7f], /beyond the bytes/],
    ['text longer than what follows', [0x18, 0x05, 0x61], /beyond the bytes/],
    ['a number without an end', [0x15, ...Array<number>(20).fill(0x80)], /without an end/],
    ['no stop', [0x15, 0x02], /without an end/],
    ['structures in structures', Array<number>(1000).fill(0x1c), /too deep/],
    ['lists in lists', Array<number>(1000).fill(0x19), /too deep|beyond the bytes/],
    ['a map', [0x1b, 0x00], /type 11/],
  ])('of metadata: %s', (_, bytes, problem) => {
    expect(() => checkThrift(Uint8Array.from(bytes), 0)).toThrow(problem);
  });

  test('sound metadata is walked over to its end', () => {
    // A number, a text of two bytes, a list of two numbers, a structure with a truth value.
    const bytes = [0x15, 0x02, 0x18, 0x02, 0x61, 0x62, 0x19, 0x25, 0x02, 0x04, 0x1c, 0x11, 0x00, 0x00];
    expect(checkThrift(Uint8Array.from([...bytes, 9, 9]), 0)).toBe(bytes.length);
  });

  test('a run of 2^27 values fills no more than what was asked for; one of none, or a cut one, is refused', () => {
    expect(readHybrid(Uint8Array.from([0xfe, 0xff, 0xff, 0x7f, 1]), 0, 5, 1, 3)).toEqual(
      Int32Array.of(1, 1, 1),
    );
    expect(() => readHybrid(Uint8Array.from([0, 1]), 0, 2, 1, 3)).toThrow('no values');
    expect(() => readHybrid(Uint8Array.from([3]), 0, 1, 1, 3)).toThrow('too early');
    expect(() => readHybrid(Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80]), 0, 6, 1, 3)).toThrow(
      'too early',
    );
  });

  test('values packed by bits, of every width', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 32 }),
        fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 40 }),
        (width, raw) => {
          const values = raw.map((value) => BigInt.asUintN(width, BigInt(value)));
          const groups = Math.ceil(values.length / 8);
          let packed = 0n;
          values.forEach((value, i) => {
            packed |= value << BigInt(i * width);
          });
          const bytes = [
            groups * 2 + 1,
            ...Array.from({ length: groups * width }, (_, i) => Number((packed >> BigInt(8 * i)) & 255n)),
          ];
          const read = readHybrid(Uint8Array.from(bytes), 0, bytes.length, width, values.length);
          expect([...read].map((value) => BigInt.asUintN(width, BigInt(value)))).toEqual(values);
        },
      ),
    );
  });

  test('differences with an impossible header', () => {
    const oneValue = (miniblocks: number, total: number) =>
      Uint8Array.from([0x80, 0x01, miniblocks, total, 0x0a]);
    expect(readDeltas(readerOf(oneValue(4, 1)), new Int32Array(1))).toEqual(Int32Array.of(5));
    expect(() => readDeltas(readerOf(oneValue(0, 1)), new Int32Array(1))).toThrow('damaged header');
    expect(() => readDeltas(readerOf(oneValue(4, 1)), new Int32Array(2))).toThrow('damaged header');
  });

  test('a shared beginning longer than the value before it, or values that inflate without end', () => {
    const deltas = (value: number) => [0x80, 0x01, 0x04, 0x01, value * 2];
    expect(readDeltaBytes(Buffer.from([...deltas(0), ...deltas(1), 0x61]), 0, 1, text, 100)).toEqual(['a']);
    expect(() => readDeltaBytes(Buffer.from([...deltas(5), ...deltas(1), 0x61]), 0, 1, text, 100)).toThrow(
      'longer than its page',
    );
    expect(() => readDeltaBytes(Buffer.from([...deltas(0), ...deltas(1), 0x61]), 0, 1, text, 0)).toThrow(
      'beyond the bound',
    );
  });

  test('a value longer than its page, and more values than bytes', () => {
    expect(() => readPlainBytes(Buffer.from([9, 0, 0, 0, 0x61]), 0, 1, text)).toThrow('longer than its page');
    expect(() => readPlainBytes(Buffer.from([1, 0, 0, 0, 0x61]), 0, 2 ** 30, text)).toThrow('fewer values');
  });

  test('pages that decompress to more or less than they say', () => {
    const bytes = Buffer.from('abc'.repeat(20));
    for (const [codec, packed] of [
      ['GZIP', gzipSync(bytes)],
      ['ZSTD', zstdCompressSync(bytes)],
      // Its length, then all of it as one literal.
      ['SNAPPY', Buffer.concat([Buffer.from([bytes.length, (bytes.length - 1) << 2]), bytes])],
    ] as const) {
      expect(decompress(packed, bytes.length, codec).equals(bytes)).toBe(true);
      expect(() => decompress(packed, bytes.length - 1, codec)).toThrow(/Cannot create a Buffer|snappy/);
      expect(() => decompress(packed, bytes.length + 1, codec)).toThrow(/its header says|snappy/);
    }
    expect(() => decompress(bytes, 5, 'LZO')).toThrow('LZO is not read');
  });
});
