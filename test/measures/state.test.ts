import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSluiceError } from '../../src/domain/errors.ts';
import { count, max, mean, min, quantiles, sum } from '../../src/domain/measure.ts';
import { hashValue } from '../../src/application/measures/hash.ts';
import { kinds } from '../../src/application/measures/kinds.ts';
import { mergeStates, readMeasures } from '../../src/application/measures/state.ts';
import { inSmallestUnits, nearest } from './rational.ts';
import { measures, mergeInTree, message, stateOf, valuesOf, type Message } from './values.ts';

const messages = fc.array(message, { minLength: 1, maxLength: 30 });
const choices = fc.infiniteStream(fc.nat());

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** What a damaged state may do: be read as something, or be refused by its code. */
function expectReadOrRefused(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    expect(isSluiceError(error) ? error.code : error).toBe('E_FRAME_CORRUPT');
  }
}

describe('canonical', () => {
  test('any split, any order and any tree of merges give the same bytes', () => {
    fc.assert(
      fc.property(messages, choices, (all, choice) => {
        const choose = (below: number): number => choice.next().value! % below;
        const parts: Message[][] = [];
        for (const each of all) {
          const part = choose(parts.length + 1);
          // Some go to the front: order within a part must not matter either.
          if (part === parts.length) parts.push([each]);
          else if (choose(2) === 0) parts[part]!.push(each);
          else parts[part]!.unshift(each);
        }
        const states = parts.map((part) => stateOf(part));
        const whole = stateOf(all);
        expect(hex(mergeInTree(states, choose))).toBe(hex(whole));
        expect(hex(mergeInTree(states, choose))).toBe(hex(whole));
      }),
      { numRuns: 300 },
    );
  });

  test('also where a distinct count grows from entries to registers', () => {
    const values = Array.from({ length: 4000 }, (_, i) => ({
      any: `value ${i % 2500}`,
      number: i,
      flag: true,
      text: null,
    }));
    const whole = hex(stateOf(values));
    fc.assert(
      fc.property(fc.array(fc.nat(4000), { maxLength: 12 }), choices, (cuts, choice) => {
        const ends = [...cuts, 4000].sort((a, b) => a - b);
        const parts = ends
          .map((end, i) => values.slice(ends[i - 1] ?? 0, end))
          .filter((part) => part.length > 0);
        expect(
          hex(
            mergeInTree(
              parts.map((part) => stateOf(part)),
              (below) => choice.next().value! % below,
            ),
          ),
        ).toBe(whole);
      }),
      { numRuns: 30 },
    );
  });

  test.each([1023, 1024, 1025])(
    'a distinct count of %d is the same merged from halves as counted at once',
    (different) => {
      const values = Array.from({ length: different }, (_, i) => ({ any: i }));
      const of = { d: measures.distinct };
      const halves = mergeStates(
        stateOf(values.slice(0, different >> 1), of),
        stateOf(values.slice(different >> 1), of),
      );
      expect(hex(halves)).toBe(hex(stateOf(values, of)));
      // Format, number of measures, tag and precision come before the form.
      expect(halves[4]).toBe(different > 1024 ? 1 : 0);
    },
  );

  test('the registers are those of the plain definition over the hash', () => {
    const of = { d: measures.distinct };
    const registers = new Uint8Array(4096);
    const values = Array.from({ length: 60_000 }, (_, i) => ({ any: i }));
    for (const { any } of values) {
      const hash = { high: 0, low: 0 };
      hashValue(any, hash);
      const rest = ((BigInt(hash.high) << 32n) | BigInt(hash.low)) & ((1n << 52n) - 1n);
      const register = hash.high >>> 20;
      registers[register] = Math.max(registers[register]!, rest === 0n ? 53 : 53 - rest.toString(2).length);
    }
    expect(hex(stateOf(values, of).subarray(5))).toBe(hex(registers));
    const thousands = Array.from({ length: 60 }, (_, i) =>
      stateOf(values.slice(i * 1000, (i + 1) * 1000), of),
    );
    expect(hex(thousands.reduce(mergeStates).subarray(5))).toBe(hex(registers));
  });

  test('an entry is 26 bits of the hash and the rank of the rest', () => {
    for (let value = 0; value < 2000; value++) {
      const hash = { high: 0, low: 0 };
      hashValue(value, hash);
      const all = (BigInt(hash.high) << 32n) | BigInt(hash.low);
      const rest = all & ((1n << 38n) - 1n);
      const rank = rest === 0n ? 39 : 39 - rest.toString(2).length;
      const entry = (all >> 38n) * 64n + BigInt(rank);
      expect(hex(stateOf([{ any: value }], { d: measures.distinct }))).toBe(
        `0101070c0001${entry.toString(16).padStart(8, '0')}`,
      );
    }
  });

  test('of two entries that differ in nothing but the rank the larger stays', () => {
    const low = Uint8Array.of(1, 1, 7, 12, 0, 1, 0x12, 0x34, 0x56, 0x41);
    const high = Uint8Array.of(1, 1, 7, 12, 0, 1, 0x12, 0x34, 0x56, 0x42);
    expect(hex(mergeStates(low, high))).toBe(hex(high));
    expect(hex(mergeStates(high, low))).toBe(hex(high));
    expect(readMeasures(high, { d: measures.distinct })).toEqual({ d: 1 });
  });

  test('the two zeros are one', () => {
    const [plus, minus] = [0, -0].map(
      (zero) => ({ number: zero, addend: zero, text: null, any: zero }) as unknown as Message,
    );
    for (const zeros of [
      [minus!, plus!],
      [plus!, minus!],
      [minus!, minus!],
    ]) {
      expect(hex(stateOf(zeros))).toBe(hex(stateOf([plus!, plus!])));
      expect(Object.values(valuesOf(zeros)).filter((value) => Object.is(value, -0))).toEqual([]);
    }
  });

  test('extremes of other types in other frames merge by the order of types', () => {
    const of = { min: min((m) => m), max: max((m) => m) };
    const states = [5, -3, 'b', 'a', new Date(0), null, undefined].map((value) => stateOf([value], of));
    fc.assert(
      fc.property(choices, (choice) => {
        const merged = mergeInTree(states, (below) => choice.next().value! % below);
        expect(readMeasures(merged, of)).toEqual({ min: -3, max: 'b' });
      }),
    );
  });
});

describe('values', () => {
  test('are those of the plain definitions', () => {
    fc.assert(
      fc.property(messages, (all) => {
        const read = valuesOf(all) as Record<string, never>;
        const addends = all.map((m) => m.addend).filter((value) => value !== undefined);
        const finite = addends.filter((value) => typeof value === 'bigint' || Number.isFinite(value));
        const exact = finite.reduce((total: bigint, value) => total + inSmallestUnits(value), 0n);
        const special = addends
          .filter((value) => !finite.includes(value))
          .reduce((a: number, b) => a + Number(b), 0);
        const isSpecial = finite.length < addends.length;
        expect(read['count']).toBe(all.length);
        expect(read['countIf']).toBe(all.filter((m) => m.flag).length);
        expect(read['sum']).toBe(isSpecial ? special : nearest(exact));
        if (addends.length === 0) expect(read['mean']).toBe(null);
        else expect(read['mean']).toBe(isSpecial ? special : nearest(exact, BigInt(addends.length)));

        const numbers = all.flatMap((m) =>
          m.number === null || Number.isNaN(m.number) ? [] : [m.number + 0],
        );
        expect(read['minNumber']).toBe(numbers.length === 0 ? null : Math.min(...numbers));
        expect(read['maxNumber']).toBe(numbers.length === 0 ? null : Math.max(...numbers));
        const texts = all.flatMap((m) => (m.text === null ? [] : [m.text])).sort();
        expect(read['minText']).toBe(texts[0] ?? null);
        expect(read['maxText']).toBe(texts.at(-1) ?? null);
        const dates = all.flatMap((m) =>
          m.date === undefined || Number.isNaN(m.date.getTime()) ? [] : [m.date.getTime()],
        );
        expect(read['minDate']).toEqual(dates.length === 0 ? null : new Date(Math.min(...dates)));
        expect(read['maxDate']).toEqual(dates.length === 0 ? null : new Date(Math.max(...dates)));
        const different = new Set(
          all.flatMap(({ any }) => (any === null || any === undefined ? [] : [identity(any)])),
        );
        expect(read['distinct']).toBe(different.size);
      }),
      { numRuns: 300 },
    );
  });

  test('quantiles are within 1 % of the exact ones', () => {
    const values = fc.array(
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: -50, max: 500 })),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(values, (numbers) => {
        const of = { q: quantiles((m: { v: number }) => m.v) };
        const sorted = numbers.map((v) => v + 0).sort((a, b) => a - b);
        const state = stateOf([{ v: NaN }, { v: Infinity }, ...numbers.map((v) => ({ v }))], of);
        const read = readMeasures(state, of)['q'] as Record<string, number | null>;
        expect(read['count']).toBe(numbers.length);
        expect([read['min'], read['max']]).toEqual([sorted[0] ?? null, sorted.at(-1) ?? null]);
        for (const percent of [50, 90, 95, 99]) {
          const exact = sorted[Math.floor((percent * (sorted.length - 1)) / 100)];
          const about = read[`p${percent}`];
          if (exact === undefined) expect(about).toBe(null);
          else expect(Math.abs(about! - exact)).toBeLessThanOrEqual(0.01 * Math.abs(exact) + 5e-324);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a distinct count is exact to 1,024 and has a standard error of 1.6 % beyond', () => {
    const of = { d: measures.distinct };
    let squares = 0;
    let rounds = 0;
    for (const different of [1, 10, 1000, 1024]) {
      expect(
        valuesOf(
          Array.from({ length: 2 * different }, (_, i) => ({ any: `exact ${i % different}` })),
          of,
        ),
      ).toEqual({ d: different });
    }
    for (const different of [1100, 2000, 5000, 12_000, 30_000]) {
      for (let salt = 0; salt < 8; salt++, rounds++) {
        const read = valuesOf(
          Array.from({ length: different }, (_, i) => ({ any: `${salt}/${i}` })),
          of,
        )['d'] as number;
        expect(Math.abs(read / different - 1)).toBeLessThan(0.065);
        squares += (read / different - 1) ** 2;
      }
    }
    expect(Math.sqrt(squares / rounds)).toBeLessThan(0.02);
  });

  test('nothing measured reads as nothing', () => {
    const nothing = { number: null, addend: undefined, text: null, date: undefined, flag: null, any: null };
    const none = {
      minNumber: null,
      maxNumber: null,
      minText: null,
      maxText: null,
      minDate: null,
      maxDate: null,
    };
    expect(valuesOf([nothing])).toEqual({
      ...none,
      count: 1,
      countIf: 0,
      sum: 0,
      mean: null,
      distinct: 0,
      quantiles: { count: 0, min: null, p50: null, p90: null, p95: null, p99: null, max: null },
    });
  });

  test('a measure may have any name', () => {
    const read = valuesOf([1], Object.fromEntries([['__proto__', count()]]));
    expect(Object.entries(read)).toEqual([['__proto__', 1]]);
  });
});

describe('bytes', () => {
  test('stay as they are, version by version', () => {
    const some: Message[] = [
      { number: 12.5, addend: 12.34, text: 'LAX', date: new Date(1e12), flag: true, any: 'LAX' },
      { number: -3, addend: -(2n ** 64n), text: '東京', date: undefined, flag: false, any: 7 },
      { number: 0, addend: Infinity, text: null, date: new Date(0), flag: true, any: null },
    ];
    expect(hex(stateOf(some))).toMatchInlineSnapshot(
      `"010c0103020203050b0e295c8fc2f5a8f3ffffffffffffff0001000403050b0e295c8fc2f5a8f3ffffffffffffff0001000521c008062140290503034c41580613047167ac4e05020652426d1a94a2070c0002184d0dc2a48209c2080122c008402983dd0401c2ae02018caf020100"`,
    );
  });

  test('are few for the common group of a frame', () => {
    const of = {
      flights: count(),
      distance: sum((m: { distance: number }) => m.distance),
      delay: mean((m: { delay: number }) => m.delay),
      longest: max((m: { distance: number }) => m.distance),
      q: quantiles((m: { delay: number }) => m.delay),
    };
    expect(stateOf([{ distance: 2475, delay: 15 }], of).length).toBeLessThan(40);
  });
});

describe('damage', () => {
  const one = stateOf([
    { number: 12.5, addend: 12.34, text: 'LAX', date: new Date(1e12), flag: true, any: 'LAX' },
    { number: -3, addend: NaN, text: '東京', date: undefined, flag: false, any: 7 },
  ]);
  const other = stateOf([
    { number: 1e300, addend: 2n ** 70n, text: 'x', date: new Date(5), flag: true, any: 1 },
  ]);
  const dense = stateOf(
    Array.from({ length: 1200 }, (_, i) => ({ number: i, any: i, text: null, flag: null })),
  );

  test.each([
    ['a small state', one],
    ['another one', other],
  ])('every flipped bit of %s is refused or read', (_, state) => {
    for (let bit = 0; bit < 8 * state.length; bit++) {
      const damaged = state.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      expectReadOrRefused(() => readMeasures(damaged, measures));
      expectReadOrRefused(() => readMeasures(mergeStates(damaged, other), measures));
      expectReadOrRefused(() => mergeStates(one, damaged));
    }
  });

  test('every cut and every addition is refused', () => {
    for (const state of [one, other]) {
      for (let length = 0; length < state.length; length++) {
        expect(() => readMeasures(state.subarray(0, length), measures)).toThrow(
          expect.objectContaining({ code: 'E_FRAME_CORRUPT' }),
        );
        expect(() => mergeStates(other, state.subarray(0, length))).toThrow(
          expect.objectContaining({ code: 'E_FRAME_CORRUPT' }),
        );
      }
      expect(() => mergeStates(Buffer.concat([state, Buffer.of(0)]), other)).toThrow(
        expect.objectContaining({ code: 'E_FRAME_CORRUPT' }),
      );
    }
  });

  test('bytes overwritten at random are refused or read', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(one, other, dense),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1 }),
        (state, changes) => {
          const damaged = state.slice();
          for (const [at, byte] of changes) damaged[at % damaged.length] = byte;
          expectReadOrRefused(() => readMeasures(damaged, measures));
          expectReadOrRefused(() => mergeStates(damaged, dense));
        },
      ),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) =>
        expectReadOrRefused(() => mergeStates(bytes, bytes)),
      ),
      { numRuns: 500 },
    );
  });

  // After format 1 and one measure.
  test.each([
    ['a count in more bytes than it needs', [1, 0x80, 0x00]],
    ['a count over 2^53', [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ['an unknown kind', [99, 0]],
    ['a sum of both signs', [3, 3]],
    ['a sum with a zero byte at its end', [3, 2, 0, 2, 1, 0]],
    ['a sum with a zero byte at its start', [3, 2, 0, 2, 0, 1]],
    ['a sum without a byte', [3, 2, 0, 0]],
    ['a sum over the largest summand', [3, 2, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 1]],
    ['a sum under the smallest double', [3, 2, 0x9f, 0x02, 1, 1]],
    ['an extreme that is NaN', [5, 0x21, 0x7f, 0xf8]],
    ['a date out of range', [5, 0x22, 0x7f, 0xe0]],
    ['a number of nine bytes', [5, 0x91, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['a number with a zero byte at its end', [5, 0x21, 0x40, 0]],
    ['half a code unit', [5, 0x13, 1, 65]],
    ['an extreme of an unknown type', [5, 4]],
    ['another precision', [7, 13, 0, 0]],
    ['entries out of order', [7, 12, 0, 2, 2, 0, 0, 1, 1, 0, 0, 1]],
    ['an entry without a rank', [7, 12, 0, 1, 1, 0, 0, 0]],
    ['more entries than there may be', [7, 12, 0, 0x81, 0x08]],
    ['a register out of range', [7, 12, 1, 54, ...Array.from({ length: 4095 }, () => 0)]],
    ['another accuracy', [8, 2, 0xff]],
    ['an empty bin', [8, 1, 0xf0, 0, 0]],
    ['a bin beyond the largest double', [8, 1, 0xf0, 0xc0, 0x9a, 0x0c, 1, 0]],
    [
      'more values than can be counted',
      [8, 1, 0xf0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 0],
    ],
    ['a smallest value over the largest', [8, 1, 0x12, 0x40, 0x45, 0x40, 0, 1, 0]],
  ])('%s is refused', (_, body) => {
    const state = Uint8Array.of(1, 1, ...body);
    const measure = Object.values(measures).find(({ kind }) => kinds[kind].tag === body[0]) ?? measures.count;
    const of = { m: measure };
    expect(() => readMeasures(state, of)).toThrow(expect.objectContaining({ code: 'E_FRAME_CORRUPT' }));
    expect(() => mergeStates(state, state)).toThrow(expect.objectContaining({ code: 'E_FRAME_CORRUPT' }));
  });

  test('states of other measures do not merge or read', () => {
    const corrupt = expect.objectContaining({ code: 'E_FRAME_CORRUPT', retryable: false });
    const of = { s: sum((m: Message) => m.number), n: count() };
    const state = stateOf([{ number: 1 }], of);
    expect(() => mergeStates(state, stateOf([{ number: 1 }], { n: count(), s: of.s }))).toThrow(corrupt);
    expect(() => mergeStates(state, stateOf([{ number: 1 }], { n: count() }))).toThrow(corrupt);
    expect(() => readMeasures(state, { n: count(), s: of.s })).toThrow(corrupt);
    expect(() => readMeasures(state, { n: count() })).toThrow(corrupt);
  });

  test('two counts that together are over 2^53 are refused, not rounded', () => {
    const of = { n: count() };
    const large = new Uint8Array([1, 1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    expect(readMeasures(large, of)).toEqual({ n: Number.MAX_SAFE_INTEGER });
    expect(() => mergeStates(large, stateOf([1], of))).toThrow(
      expect.objectContaining({ code: 'E_FRAME_CORRUPT' }),
    );
  });
});

test('mean and sum of what overflows on the way are right', () => {
  const of = { mean: mean((m: number) => m), sum: sum((m: number) => m) };
  expect(valuesOf([1e308, 1e308, 1e308, -1e308], of)).toEqual({ mean: 5e307, sum: Infinity });
  expect(valuesOf([Infinity, -Infinity], of)).toEqual({ mean: NaN, sum: NaN });
});

/** Tells values of `distinct` apart as docs/measures.md does. */
function identity(value: string | number | bigint | boolean | Date): string {
  if (value instanceof Date) return `date ${value.getTime()}`;
  return `${typeof value} ${typeof value === 'number' ? value + 0 : value}`;
}
