import { decode, encode, ExtensionCodec } from '@msgpack/msgpack';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeValue, ValueReader } from '../../src/application/values/value-reader.ts';
import {
  encodeValue,
  EXT_BIGINT,
  EXT_DATE,
  EXT_UNDEFINED,
  EXT_UTF16,
  MAX_DEPTH,
  ValueWriter,
} from '../../src/application/values/value-writer.ts';
import { arrivedAs, plainData } from './plain-data.ts';
import { codeOf, nested } from './damage.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Builds the same data anew with the lists, objects, dates and bytes of another realm. */
const rebuildElsewhere = runInNewContext(`
  (function rebuild(value, kindOf) {
    const kind = kindOf(value);
    if (kind === 'list') { const list = []; list.length = value.length; for (const i of Object.keys(value)) list[i] = rebuild(value[i], kindOf); return list; }
    if (kind === 'date') return new Date(value.getTime());
    if (kind === 'bytes') return Uint8Array.from(value);
    if (kind !== 'object') return value;
    const object = {};
    for (const name of Object.keys(value))
      Object.defineProperty(object, name, { value: rebuild(value[name], kindOf), enumerable: true, configurable: true, writable: true });
    return object;
  })`) as (value: unknown, kindOf: (value: unknown) => string) => unknown;

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'list';
  if (value instanceof Date) return 'date';
  if (value instanceof Uint8Array) return 'bytes';
  return typeof value === 'object' && value !== null ? 'object' : 'plain';
}

describe('values', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(plainData, (data) => {
        expect(arrivedAs(data, decodeValue(encodeValue(data)))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('have the same bytes where they are equal, in another realm too', () => {
    fc.assert(
      fc.property(plainData, (data) => {
        const bytes = hex(encodeValue(data));
        expect(hex(encodeValue(rebuildElsewhere(data, kindOf)))).toBe(bytes);
        expect(hex(encodeValue(decodeValue(encodeValue(data))))).toBe(bytes);
      }),
      { numRuns: 300 },
    );
  });

  it('have one NaN and one zero', () => {
    const odd = new Float64Array(new BigUint64Array([0x7ff8_0000_dead_beefn]).buffer)[0];
    expect(hex(encodeValue(odd))).toBe(hex(encodeValue(Number.NaN)));
    expect(hex(encodeValue(-0))).toBe(hex(encodeValue(0)));
    expect(hex(encodeValue({ a: undefined, b: 1 }))).toBe(hex(encodeValue({ b: 1 })));
  });

  it('leave a writer as it was where they are cut off after a refusal', () => {
    const writer = new ValueWriter();
    writer.write('kept');
    const { length } = writer;
    expect(() => writer.write([1, 'x'.repeat(10_000), () => 0])).toThrow('a function');
    writer.truncate(length);
    writer.write(2);
    const reader = new ValueReader(writer.take());
    expect([reader.read(), reader.read(), reader.done]).toEqual(['kept', 2, true]);
    expect(writer.length).toBe(0);
  });

  it('write and read whole numbers of up to 53 bits in groups of 7', () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), (numbers) => {
        const writer = new ValueWriter();
        for (const number of numbers) writer.writeVarint(number);
        const reader = new ValueReader(writer.take());
        expect(numbers.map(() => reader.readVarint())).toEqual(numbers);
        expect(reader.done).toBe(true);
      }),
    );
  });

  it('take any list by its indexes, whatever iterates it', () => {
    class Backwards extends Array<number> {
      override *[Symbol.iterator](): ArrayIterator<number> {
        yield 9;
      }
    }
    expect(decodeValue(encodeValue(Backwards.of(1, 2, 3)))).toEqual([1, 2, 3]);
  });
});

describe('values that are refused', () => {
  class Point {
    readonly x = 1;
  }
  const cycle: Record<string, unknown> = {};
  cycle['self'] = { cycle };

  it.each([
    ['a function', () => 1],
    ['a method in an object', { method: () => 1 }],
    ['a symbol', Symbol('s')],
    ['an instance of a class', new Point()],
    ['an instance in a list', [new Point()]],
    ['a Map', new Map([[1, 2]])],
    ['a Set', new Set([1])],
    ['an Error', new Error('e')],
    ['a regular expression', /x/],
    ['a boxed number', Object(1)],
    ['a promise', Promise.resolve(1)],
    ['other typed arrays', new Float64Array(2)],
    ['an ArrayBuffer', new ArrayBuffer(2)],
    ['an object with an object as prototype', Object.create({ a: 1 })],
    ['a cycle', cycle],
    ['deep nesting', nested(MAX_DEPTH + 1)],
    ['very deep nesting', nested(50_000)],
  ])('%s', (_what, value) => {
    expect(codeOf(() => encodeValue(value))).toBe('E_MESSAGE_UNSUPPORTED');
  });

  it('are not those of the greatest depth', () => {
    expect(arrivedAs(nested(MAX_DEPTH), decodeValue(encodeValue(nested(MAX_DEPTH))))).toBe(true);
  });
});

describe('damaged bytes', () => {
  it('are an E_FRAME_CORRUPT or another value, never anything else', () => {
    fc.assert(
      fc.property(
        plainData,
        fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 4 }),
        (data, flips) => {
          const bytes = encodeValue(data);
          for (const [at, bit] of flips) bytes[at % bytes.length]! ^= 1 << bit;
          expect(codeOf(() => decodeValue(bytes))).toBeOneOf(['E_FRAME_CORRUPT', undefined]);
        },
      ),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(codeOf(() => decodeValue(bytes))).toBeOneOf(['E_FRAME_CORRUPT', undefined]);
      }),
      { numRuns: 1000 },
    );
  });

  it('are found wherever they are cut off, and where something follows', () => {
    fc.assert(
      fc.property(plainData, fc.nat(), (data, at) => {
        const bytes = encodeValue(data);
        expect(codeOf(() => decodeValue(bytes.subarray(0, at % bytes.length)))).toBe('E_FRAME_CORRUPT');
        expect(codeOf(() => decodeValue(Uint8Array.of(...bytes, 0)))).toBe('E_FRAME_CORRUPT');
      }),
    );
  });

  it.each([
    ['a list of 4,294,967,295', Uint8Array.of(0xdd, 255, 255, 255, 255, 0xc0)],
    ['an object of 4,294,967,295 fields', Uint8Array.of(0xdf, 255, 255, 255, 255, 0xa1, 97, 0xc0)],
    ['a text of 4 GiB', Uint8Array.of(0xdb, 255, 255, 255, 255, 97)],
    ['bytes of 4 GiB', Uint8Array.of(0xc6, 255, 255, 255, 255, 97)],
    ['an extension of 4 GiB', Uint8Array.of(0xc9, 255, 255, 255, 255, EXT_BIGINT, 97)],
    ['a million lists in each other', new Uint8Array(1_000_000).fill(0x91)],
    [
      'a million objects in each other',
      Uint8Array.from({ length: 3_000_000 }, (_, at) => [0x81, 0xa1, 97][at % 3]!),
    ],
    ['a field whose name is a number', Uint8Array.of(0x81, 1, 1)],
    ['a date of 4 bytes', Uint8Array.of(0xd6, EXT_DATE, 1, 2, 3, 4)],
    ['a bigint that is none', Uint8Array.of(0xd5, EXT_BIGINT, 0x31, 0x2e)],
    ['an empty bigint', Uint8Array.of(0xc7, 0, EXT_BIGINT)],
    ['another extension', Uint8Array.of(0xd4, 77, 0)],
    ['a type that is none', Uint8Array.of(0xc1)],
    ['nothing', new Uint8Array()],
  ])('%s: refused at once', (_what, bytes) => {
    const before = process.memoryUsage().arrayBuffers;
    expect(codeOf(() => decodeValue(bytes))).toBe('E_FRAME_CORRUPT');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('text that is not UTF-8 is never replaced, and the character that would replace it is text', () => {
    for (const text of [[0xff], [0x61, 0xc3], [0xed, 0xa0, 0x80], new Array<number>(30).fill(0xe2)])
      expect(codeOf(() => decodeValue(Uint8Array.from([0xa0 | text.length, ...text])))).toBe(
        'E_FRAME_CORRUPT',
      );
    for (const text of ['\ufffd', `${'x'.repeat(40)}\ufffd`])
      expect(decodeValue(encodeValue(text))).toBe(text);
  });

  it('a number in groups of 7 bits that never ends', () => {
    expect(codeOf(() => new ValueReader(new Uint8Array(20).fill(0xff)).readVarint())).toBe('E_FRAME_CORRUPT');
  });
});

describe('MessagePack, as another library has it', () => {
  const extensions = new ExtensionCodec();
  const register = (type: number, read: (bytes: Uint8Array) => unknown) =>
    extensions.register({ type, encode: () => null, decode: read });
  register(EXT_BIGINT, (bytes) => BigInt(Buffer.from(bytes).toString('latin1')));
  register(EXT_DATE, (bytes) => new Date(Buffer.from(bytes).readDoubleBE()));
  register(EXT_UTF16, (bytes) => Buffer.from(bytes).toString('utf16le'));
  register(EXT_UNDEFINED, () => undefined);

  it('reads what is written', () => {
    fc.assert(
      // That library refuses the name `__proto__`.
      fc.property(
        plainData.filter((data) => !Buffer.from(encodeValue(data)).includes('__proto__')),
        (data) => {
          expect(arrivedAs(data, decode(encodeValue(data), { extensionCodec: extensions }))).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('writes the same bytes for what both have', () => {
    const both = fc.letrec<{ data: unknown }>((tie) => ({
      data: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        fc.integer(),
        fc.double({ noInteger: true, noDefaultInfinity: true, noNaN: true }),
        fc.string({ unit: 'grapheme' }),
        fc.integer({ max: 70_000 }).map((length) => 'y'.repeat(Math.abs(length) % 70_000)),
        fc.uint8Array({ maxLength: 300 }),
        fc.array(tie('data'), { maxLength: 20 }),
        fc.dictionary(
          fc.string({ minLength: 1 }).filter((name) => name !== '__proto__'),
          tie('data'),
          { maxKeys: 20 },
        ),
      ),
    })).data;
    fc.assert(
      fc.property(both, (data) => {
        expect(hex(encodeValue(data))).toBe(hex(encode(data)));
      }),
      { numRuns: 300 },
    );
  });
});
