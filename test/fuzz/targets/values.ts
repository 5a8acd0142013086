import { decode, ExtensionCodec } from '@msgpack/msgpack';
import { decodeValue } from '../../../src/application/values/value-reader.ts';
import { encodeValue } from '../../../src/application/values/value-writer.ts';
import { fromTaggedJson, toTaggedJson } from '../../../src/application/values/tagged-json.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target } from '../target.ts';

const SAMPLES: readonly unknown[] = [
  null,
  [1, -1, 127, 128, 255, 256, 65_536, -129, -32_769, 2 ** 31, 2 ** 40, 1.5, -0.1, Number.NaN, Infinity],
  { a: 'x', b: ['é€𝄞', 'y'.repeat(40), 'z'.repeat(300)], c: { d: { e: {} } }, f: true, g: false, h: null },
  {
    when: new Date(1_558_776_000_000),
    bytes: Uint8Array.of(0, 255, 1),
    big: 123_456_789_012_345_678_901n,
    lone: '\ud800x',
  },
  { $x: 1, $object: { $bigint: '1' }, list: [undefined, { $y: [] }], constructor: 1, toJSON: 'x', '': 0 },
  Array.from({ length: 40 }, (_, i) => ({ lane: `L${i}`, delay: i })),
];

/**
 * Packed values against @msgpack/msgpack, with our extensions. Stricter on purpose: what our writer never writes (numbers as
 * float 32 or of 64 bits, other extensions, keys that are no text, text that is not UTF-8, more than 100 levels). The key
 * `__proto__` is a field to us, and refused by the other.
 */
export const valuesTarget: Target = {
  name: 'values',
  share: 20,
  isJson: false,
  tokens: [
    '\xc0',
    '\xc1',
    '\xd4\x01',
    '\xd7\x02',
    '\xc7\x00\x01',
    '\xdd\xff\xff\xff\xff',
    '\xdf\x00\x00\x00\x01',
    '\xdb\x7f\xff\xff\xff',
    '\x91',
    '\x81\xa1a',
    '\xa9__proto__',
    '\xcb\x7f\xf8\0\0\0\0\0\0',
  ],
  open: () => ({
    corpus: SAMPLES.map((value) => encodeValue(value)),
    async check(input) {
      const ours = await outcomeOf(['E_FRAME_CORRUPT'], () => decodeValue(input));
      if (ours.code !== undefined) return 'refused';
      // What is read can be written, and is the same then.
      agree('values after another way', decodeValue(encodeValue(ours.value)), normal(ours.value));
      let theirs: unknown;
      try {
        theirs = decode(input, { extensionCodec });
      } catch (thrown) {
        must(/__proto__/.test(String(thrown)), `msgpack refuses what we read: ${String(thrown)}`);
        return 'accepted';
      }
      agree('values', ours.value, withPlainBytes(theirs));
      return 'accepted';
    },
  }),
};

/** Given a Buffer, it gives parts of it. */
function withPlainBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(withPlainBytes);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withPlainBytes(inner)]));
}

const extensionCodec = new ExtensionCodec();
const bufferOf = (bytes: Uint8Array) => Buffer.from(bytes);
const asIs = { encode: () => null };
extensionCodec.register({ ...asIs, type: 1, decode: (bytes) => BigInt(bufferOf(bytes).toString('latin1')) });
extensionCodec.register({ ...asIs, type: 2, decode: (bytes) => new Date(bufferOf(bytes).readDoubleBE()) });
extensionCodec.register({ ...asIs, type: 3, decode: (bytes) => bufferOf(bytes).toString('utf16le') });
extensionCodec.register({ ...asIs, type: 4, decode: () => undefined });

/**
 * Tagged JSON against `JSON.parse`: without a tag both give the same; with tags, what is read is written as a text that is read as
 * the same. Stricter on purpose: tags that are not known, more than 210 levels.
 */
export const taggedJsonTarget: Target = {
  name: 'tagged-json',
  share: 20,
  isJson: true,
  tokens: [
    '{"$bigint":"1"}',
    '{"$date":null}',
    '{"$bytes":"AA=="}',
    '{"$number":"NaN"}',
    '{"$undefined":true}',
    '{"$object":{}}',
    '{"$x":1}',
    '"__proto__":',
    '[',
    ']',
    '{',
    '}',
    '\\ud800',
    '1e999',
    ',',
  ],
  open: () => ({
    corpus: SAMPLES.map((value) => new Uint8Array(Buffer.from(toTaggedJson(value)))),
    async check(input) {
      const text = Buffer.from(input).toString('utf8');
      const ours = await outcomeOf(['E_FRAME_CORRUPT'], () => fromTaggedJson(text));
      if (ours.code !== undefined) return 'refused';
      // Each level of data may take two of JSON: what is read may be too deep for the writer.
      const written = await outcomeOf(['E_MESSAGE_UNSUPPORTED'], () => toTaggedJson(ours.value));
      if (written.value !== undefined)
        agree('values after another way', fromTaggedJson(written.value), normal(ours.value));
      const theirs: unknown = JSON.parse(text);
      if (!text.includes('$') && !text.includes('\\u')) agree('values', ours.value, theirs);
      return 'accepted';
    },
  }),
};

/** As it arrives: a plain `undefined` field is left out, `-0` is `0` in JSON. */
function normal(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Uint8Array)
    return value;
  const fields = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const copy: Record<string, unknown> = {};
  for (const [name, inner] of fields)
    Object.defineProperty(copy, name, {
      value: normal(inner),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  return copy;
}
