import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../src/application/frames/frame-codec.ts';
import { createMessageEncoding } from '../../src/application/frames/encodings.ts';
import type { MessageEncoding } from '../../src/application/frames/message-encoding.ts';
import type { FrameCodec } from '../../src/domain/pipeline.ts';
import { codeOf } from '../values/damage.ts';
import { anyMessage, arrivedAs, objectOf, plainData } from '../values/plain-data.ts';

interface Placed {
  readonly message: unknown;
  readonly coordinate: number;
  readonly output: number;
}

/** Messages at ascending coordinates, some of them of the same row. */
const placedMessages: fc.Arbitrary<readonly Placed[]> = fc
  .array(fc.tuple(anyMessage, fc.oneof(fc.constant(0), fc.nat(1000), fc.nat(2 ** 40))), { maxLength: 12 })
  .map((steps) => {
    let coordinate = 0;
    let output = 0;
    return steps.map(([message, step]) => {
      output = step === 0 ? output + 1 : 0;
      coordinate += step;
      return { message, coordinate, output };
    });
  });

/** Names of fields, and the values that each has in turn. */
type FieldPools = readonly (readonly [string, readonly unknown[]])[];

const fieldPools: fc.Arbitrary<FieldPools> = fc.uniqueArray(
  fc.tuple(
    fc.oneof(fc.constantFrom('__proto__', 'a', 'toString', '1', 'ö'), fc.string()),
    fc.oneof(
      fc.array(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 200 }),
          fc.constant('\ud83d'),
          fc.constant('\ude00x'),
        ),
        { minLength: 1 },
      ),
      fc.array(fc.oneof(fc.string(), fc.constant(null), fc.double(), fc.constant(undefined)), {
        minLength: 1,
      }),
      fc.array(plainData, { minLength: 1, maxLength: 4 }),
    ),
  ),
  { selector: ([name]) => name, maxLength: 6 },
);

/** Text waits, up to 20,480 UTF-16 units of it, before it is known how many bytes it has: up to two more for each. */
const MAX_UNCOUNTED = 2 * 20 * 1024;

function messageOf(pools: FieldPools, index: number): unknown {
  return objectOf(pools.map(([name, values]) => [name, values[index % values.length]]));
}

function write(encoding: MessageEncoding, placed: readonly Placed[]): Uint8Array {
  const body = encoding.startBody();
  for (const { message, coordinate, output } of placed)
    body.add(encoding.encode(message), coordinate, output);
  expect(body.count).toBe(placed.length);
  return body.finish();
}

/** Whole numbers at the ends of what 8, 16 and 32 bits hold, and beside them. */
const ends = [7, 15, 31].flatMap((bits) => [2 ** bits - 1, 2 ** bits, -(2 ** bits), -(2 ** bits) - 1]);

describe.each<FrameCodec>(['packed', 'json'])('messages in %s frames', (codec) => {
  it('come back as they were, each at its position', () => {
    fc.assert(
      fc.property(placedMessages, (placed) => {
        const body = createMessageEncoding(codec).read(write(createMessageEncoding(codec), placed));
        expect(body.coordinates).toEqual(placed.map(({ coordinate }) => coordinate));
        expect(body.outputs).toEqual(placed.map(({ output }) => output));
        expect(body.messages).toHaveLength(placed.length);
        placed.forEach(({ message }, index) => expect(arrivedAs(message, body.messages[index])).toBe(true));
      }),
      { numRuns: 300 },
    );
  });

  it('come back where many look alike, whatever their fields hold', () => {
    fc.assert(
      fc.property(fc.array(fieldPools, { minLength: 1, maxLength: 3 }), (shapes) => {
        const placed = Array.from({ length: 600 }, (_, index) => ({
          message: messageOf(shapes[index % shapes.length] as FieldPools, index),
          coordinate: index,
          output: 0,
        }));
        const bytes = write(createMessageEncoding(codec), placed);
        const body = createMessageEncoding(codec).read(bytes);
        placed.forEach(({ message }, index) => expect(arrivedAs(message, body.messages[index])).toBe(true));
        expect(
          digestOf(
            write(
              createMessageEncoding(codec),
              body.messages.map((message, index) => ({ message, coordinate: index, output: 0 })),
            ),
          ),
        ).toBe(digestOf(bytes));
      }),
      { numRuns: 40 },
    );
  });

  it.each(ends)('come back where the widest of their numbers is %d', (end) => {
    const placed = [0, end, -1, 1].map((number, index) => ({
      message: { number },
      coordinate: index,
      output: 0,
    }));
    const body = createMessageEncoding(codec).read(write(createMessageEncoding(codec), placed));
    expect(body.messages).toEqual(placed.map(({ message }) => message));
  });

  it('have the same bytes whatever the encoding encoded before', () => {
    fc.assert(
      fc.property(placedMessages, fc.array(anyMessage, { maxLength: 5 }), (placed, before) => {
        const used = createMessageEncoding(codec);
        for (const message of before) used.encode(message);
        expect(digestOf(write(used, placed))).toBe(digestOf(write(createMessageEncoding(codec), placed)));
      }),
    );
  });

  it('have other bytes at other positions', () => {
    const place = (coordinate: number, output: number) =>
      digestOf(write(createMessageEncoding(codec), [{ message: { a: 1 }, coordinate, output }]));
    expect(new Set([place(1, 0), place(2, 0), place(1, 1)]).size).toBe(3);
  });

  it('know their size before they are compressed: it grows with each, by what it has', () => {
    fc.assert(
      fc.property(placedMessages, (placed) => {
        const encoding = createMessageEncoding(codec);
        const body = encoding.startBody();
        let size = 0;
        for (const { message, coordinate, output } of placed) {
          const encoded = encoding.encode(message);
          body.add(encoded, coordinate, output);
          expect(body.size).toBeGreaterThanOrEqual(size + encoded.size);
          size = body.size;
        }
        expect(body.finish().length).toBeLessThanOrEqual(size + 32 + 16 * placed.length + MAX_UNCOUNTED);
      }),
    );
  });

  it.each([
    ['two bytes a character', 'ö'],
    ['three', '語'],
    ['six: half of a pair', '\ud83d'],
  ])('know it where their text has %s', (_, character) => {
    // What the limit of a frame is about: the estimate must not fall further and further behind what is written.
    const encoding = createMessageEncoding(codec);
    const body = encoding.startBody();
    for (let at = 0; at < 2_000; at++)
      body.add(encoding.encode({ short: character.repeat(20), long: character.repeat(200) }), at, 0);
    expect(body.finish().length).toBeLessThanOrEqual(body.size + MAX_UNCOUNTED);
  });

  it('can be measured, whatever text they hold', () => {
    const encoding = createMessageEncoding(codec);
    for (const text of ['x'.repeat(400), '語'.repeat(400), 'ö'.repeat(5_000), '語'.repeat(5_000)]) {
      const encoded = encoding.encode({ text });
      const bytes = Buffer.byteLength(text, 'utf8');
      expect(encoding.measure(encoded)).toBeGreaterThanOrEqual(bytes);
      expect(encoding.measure(encoded)).toBeLessThan(bytes + 32);
      expect(3 * encoded.size).toBeGreaterThanOrEqual(bytes);
    }
  });

  it('tell damage as damage', () => {
    const encoding = createMessageEncoding(codec);
    fc.assert(
      fc.property(placedMessages, fc.nat(), fc.nat(7), (placed, at, bit) => {
        const bytes = Uint8Array.from(write(encoding, placed));
        bytes[at % bytes.length]! ^= 1 << bit;
        try {
          expect(codeOf(() => encoding.read(bytes))).toBeOneOf(['E_FRAME_CORRUPT', undefined]);
        } catch (thrown) {
          // Data of another shape: whoever unpacks the frame tells it as damage.
          expect(thrown).toBeInstanceOf(TypeError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('packed frames', () => {
  it('hold the names of fields once', () => {
    const message = (index: number) => ({ aRatherLongNameOfAField: index, another_one: 'x' });
    const write100 = write(
      createMessageEncoding('packed'),
      Array.from({ length: 100 }, (_, index) => ({
        message: message(index),
        coordinate: index * 10,
        output: 0,
      })),
    );
    expect(Buffer.from(write100).toString('latin1').split('aRatherLongNameOfAField')).toHaveLength(2);
    expect(write100.length).toBeLessThan(100 * 10);
  });

  it('do not show how many shapes the encoding has met: a section read alone gives the same bytes', () => {
    const shaped = (index: number) => objectOf([[`id-${index}`, index]]);
    const used = createMessageEncoding('packed');
    // Up to the bound at which the encoding forgets its shapes, in the middle of the frame below.
    for (let index = 0; index < 9_998; index++) used.encode(shaped(-index - 1));
    const placed = [0, 1, 2, 3, 0, 1, 2, 3].map((shape, index) => ({
      message: shaped(shape),
      coordinate: index,
      output: 0,
    }));
    expect(digestOf(write(used, placed))).toBe(digestOf(write(createMessageEncoding('packed'), placed)));
  });

  describe('with texts that repeat', () => {
    /** One field, a message for each value. */
    const column = (values: readonly unknown[]): readonly Placed[] =>
      values.map((value, index) => ({ message: { value }, coordinate: index, output: 0 }));
    const cycle = (count: number, differ: number, length = 20): unknown[] =>
      Array.from({ length: count }, (_, index) => String(index % differ).padStart(length, 'x'));
    const bytesOf = (values: readonly unknown[]): number =>
      write(createMessageEncoding('packed'), column(values)).length;

    it('hold each text once, and a byte a message', () => {
      // Three bytes of a message are its position.
      expect(bytesOf(cycle(2_000, 10))).toBeLessThan(2_000 * 4 + 500);
      expect(bytesOf(cycle(2_000, 10))).toBeGreaterThan(2_000 * 4);
    });

    it('hold all texts one after the other where too many differ', () => {
      const separate = 2_000 * (3 + 1 + 20);
      expect(bytesOf(cycle(2_000, 2_000))).toBeGreaterThan(separate);
      expect(bytesOf(cycle(2_000, 257))).toBeGreaterThan(separate);
    });

    it('hold no byte a message where that takes more than it spares', () => {
      expect(bytesOf(['a', 'b', 'c', 'd', 'e', 'f', 'a'])).toBeLessThanOrEqual(
        bytesOf(['a', 'b', 'c', 'd', 'e', 'f', 'g']),
      );
      expect(bytesOf([null, null, null])).toBe(bytesOf(['', '', '']));
    });

    it.each<[string, readonly unknown[]]>([
      ['nothing but the same', cycle(500, 1)],
      ['as many as a byte tells apart', [...cycle(1_000, 100), ...cycle(1_000, 256), ...cycle(1_000, 256)]],
      ['one more, late', [...cycle(1_000, 100), ...cycle(1_000, 256), ...cycle(1_000, 257)]],
      ['null among them', [...cycle(300, 7), null, ...cycle(300, 7), null]],
      ['a number at last', [...cycle(300, 7), 1]],
      ['half of a pair at last', [...cycle(300, 7), '\ud83d']],
      ['half of a pair again and again', [...cycle(300, 7), '\ud83d', 'x', '\ud83d', null, 'x']],
      ['halves that are a pair together', [...cycle(300, 7), '\ud83d', '\ude00']],
      ['other characters', Array.from({ length: 700 }, (_, index) => ['é', '語', '😀', null][index % 4])],
      ['an object at last', [...cycle(300, 7), { a: 1 }]],
    ])('arrive: %s', (_, values) => {
      const encoding = createMessageEncoding('packed');
      const bytes = write(encoding, column(values));
      expect(encoding.read(bytes).messages.map((message) => (message as { value: unknown }).value)).toEqual(
        values,
      );
      // Canonical: columns that were used for something else give the same bytes.
      expect(digestOf(write(encoding, column(values)))).toBe(digestOf(bytes));
    });

    it.each<[string, unknown]>([
      ['a number', 1],
      ['half of a pair', '\ud83d'],
      ['an object', { a: 1 }],
    ])('know their size, also where %s comes at last and all are written one by one', (_, last) => {
      for (const character of ['x', 'ö', '語']) {
        const encoding = createMessageEncoding('packed');
        const body = encoding.startBody();
        const values = Array.from({ length: 5_000 }, (__, index) => `${index % 4}${character.repeat(300)}`);
        for (const { message, coordinate, output } of column([...values, last]))
          body.add(encoding.encode(message), coordinate, output);
        expect(body.finish().length).toBeLessThanOrEqual(body.size + MAX_UNCOUNTED + 5_000 * 5);
      }
    });

    it('tell an index that is in no dictionary as damage', () => {
      const encoding = createMessageEncoding('packed');
      const bytes = Uint8Array.from(write(encoding, column(cycle(200, 4))));
      bytes[bytes.length - 1] = 4;
      expect(codeOf(() => encoding.read(bytes))).toBe('E_FRAME_CORRUPT');
    });

    it('tell a field that is something else each time it is asked for: as it came the first time, or as undefined', () => {
      const encoding = createMessageEncoding('packed');
      let asked = 0;
      const message = {
        get once() {
          return asked++ === 1 ? 'there' : undefined;
        },
      };
      const bytes = write(encoding, [{ message, coordinate: 0, output: 0 }]);
      expect(encoding.read(bytes).messages).toHaveLength(1);
    });
  });
});
