import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvDecoder } from '../../../src/application/formats/csv/decoder.ts';
import type { Decoder, ReadOptions } from '../../../src/application/formats/decoder.ts';
import { jsonDecoder } from '../../../src/application/formats/json/json-decoder.ts';
import { jsonLinesDecoder } from '../../../src/application/formats/json/json-lines-decoder.ts';
import type { CsvOptions } from '../../../src/domain/pipeline.ts';
import { lastTextSection } from '../../../src/domain/section.ts';
import {
  collect,
  compressions,
  drain,
  memoryObject,
  never,
  readAll,
  readOptions,
  type MemoryObject,
  type Reading,
} from './lake-text.ts';

/** Any bytes that matter, valid or not, in any order. */
const csvBytes = fc
  .array(
    fc.constantFrom(
      'a',
      'bc',
      ',',
      ',',
      '"',
      '"',
      '""',
      '\n',
      '\n',
      '\r',
      '\r\n',
      ',"x\ny"',
      '\n1,2\n',
      '€',
      '\xff',
    ),
    { maxLength: 40 },
  )
  .map((parts) =>
    Buffer.concat(parts.map((part) => (part === '\xff' ? Buffer.from([0xff]) : Buffer.from(part)))),
  );

const csvCases = fc.record({
  format: fc.constant<'csv'>('csv'),
  bytes: fc
    .tuple(fc.constantFrom('a,b\n', '\ufeffa,b\r\n', '\n\n"a\nx",b\r'), csvBytes)
    .map(([header, rest]) => Buffer.concat([Buffer.from(header), rest])),
  csv: fc.record<CsvOptions>({
    delimiter: fc.constant(','),
    multiline: fc.boolean(),
    quote: fc.constantFrom<string | false>('"', '"', false),
    ragged: fc.constantFrom('fail', 'pad'),
    header: fc.constantFrom<boolean | string[]>(true, ['p', 'q']),
  }),
});

const jsonLinesCases = fc.record({
  format: fc.constant<'jsonl'>('jsonl'),
  bytes: fc
    .array(
      fc.constantFrom(
        '{"a":1}',
        '{"b":"€\\n"}',
        '{',
        'x',
        '[1]',
        ' ',
        '\n',
        '\n',
        '\r\n',
        '\ufeff',
        '{"__proto__":1}\n',
      ),
      { maxLength: 30 },
    )
    .map((parts) => Buffer.from(parts.join(''))),
  csv: fc.constant(undefined),
});

const jsonCases = fc.record({
  format: fc.constant<'json'>('json'),
  bytes: fc
    .tuple(
      fc.constantFrom('[', ' [\n', '\ufeff[', '', '{"only":'),
      fc.array(
        fc.constantFrom(
          '{"a":[1,{"b":"]"}]}',
          '{"c":"\\"],"}',
          ',',
          ',',
          ' ',
          '\n',
          '1',
          '"x"',
          ']',
          '{',
          '}',
          '"',
          '€',
        ),
        { maxLength: 20 },
      ),
      fc.constantFrom(']', ']\n', '', '}'),
    )
    .map(([open, parts, close]) => Buffer.from(open + parts.join('') + close)),
  csv: fc.constant(undefined),
});

const decoders: Record<'csv' | 'jsonl' | 'json', Decoder> = {
  csv: csvDecoder,
  jsonl: jsonLinesDecoder,
  json: jsonDecoder,
};

const chunking = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 });

/** Rows, faults and sections without what may depend on batches. */
function essence(reading: Reading) {
  return { rows: reading.rows, faults: reading.faults, sections: reading.sections };
}

/** `null`: the object as a whole cannot be read. */
async function sequential(
  decoder: Decoder,
  object: MemoryObject,
  options: ReadOptions,
): Promise<Reading | null> {
  try {
    return await readAll(decoder, object, options);
  } catch (thrown) {
    expect(thrown).toHaveProperty('code');
    return null;
  }
}

describe('sections of text', () => {
  it('ranges read in any order, from starts that were found or handed on, give what one reading gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(csvCases, csvCases, jsonLinesCases, jsonCases),
        fc.integer({ min: 1, max: 30 }),
        fc.constantFrom(3, 8, 1_000),
        chunking,
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        async ({ format, bytes, csv }, sectionBytes, maxRowBytes, chunks, lengths, backwards) => {
          const decoder = decoders[format];
          const options = readOptions({ csv, limits: { sectionBytes, maxRowBytes } });
          const whole = await sequential(decoder, memoryObject(bytes, [1_000]), options);
          if (whole === null) return;
          expect(whole.sections.map(({ section }) => section)).toEqual([...whole.sections.keys()]);
          expect(whole.sections.map(({ last }) => last)).toEqual(
            whole.sections.map((_, i) => i === whole.sections.length - 1),
          );
          const known = new Map(whole.sections.map(({ section, next }) => [section + 1, next]));

          const object = memoryObject(bytes, chunks);
          const layout = await decoder.layout(object, options, never);
          if (layout.splittable) {
            expect(layout.lastSection).toBe(lastTextSection(bytes.length, sectionBytes));
            expect(whole.sections.at(-1)?.section).toBe(layout.lastSection);
            // Every row belongs to the section in which it starts.
            for (const { section, rows, faults } of whole.sections) {
              for (const coordinate of [...rows, ...faults])
                expect(Math.floor(coordinate / sectionBytes)).toBe(section);
            }
            const wanted = whole.sections.map(({ section }) => section).filter((section) => section > 0);
            const starts = await drain(decoder.findStarts(object, wanted, options, never));
            expect(starts).toEqual(wanted.map((section) => ({ section, start: known.get(section) })));
          }

          const ranges: { from: number; to: number }[] = [];
          for (let from = 0, turn = 0; from < whole.sections.length; turn++) {
            const to = Math.min(
              whole.sections.length - 1,
              from + (lengths[turn % lengths.length] as number) - 1,
            );
            ranges.push({ from, to });
            from = to + 1;
          }
          const parts: Reading[] = [];
          for (const range of backwards ? ranges.toReversed() : ranges) {
            const start = range.from === 0 ? null : (known.get(range.from) as number);
            parts.push(await collect(decoder.read(object, range, start, options, never)));
          }
          if (backwards) parts.reverse();
          expect({
            rows: parts.flatMap((part) => part.rows),
            faults: parts.flatMap((part) => part.faults),
            sections: parts.flatMap((part) => part.sections),
          }).toEqual(essence(whole));
          expect(object.open).toBe(0);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('rows that lie across the edge of what is held at once are read as any other', async () => {
    // A reading that starts behind the long first row holds all of the rest at once; one from the beginning does not.
    const longRow = {
      csv: (length: number) => `${'x'.repeat(length)},y\n`,
      jsonl: (length: number) => `{"x":"${'x'.repeat(length)}"}\n`,
    };
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(csvCases, csvCases, jsonLinesCases),
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom(64 * 1024, 128 * 1024),
        async ({ format, bytes, csv }, before, edge) => {
          const header = format === 'csv' ? 'a,b\n' : '';
          const row = longRow[format](edge - before - header.length - 3);
          const text = Buffer.concat([Buffer.from(header + row), bytes]);
          const start = header.length + row.length;
          const options = readOptions({
            csv: csv === undefined ? csv : { ...csv, header: true },
            limits: { maxRowBytes: 200_000 },
          });
          const decoder = decoders[format];
          const whole = await readAll(decoder, memoryObject(text), options);
          const rest = await collect(
            decoder.read(memoryObject(text), { from: 0, to: null }, start, options, never),
          );
          expect(whole.rows.slice(1)).toEqual(rest.rows);
          expect(whole.faults).toEqual(rest.faults);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('elements of an array that lie across the edge of what is held at once are read as any other', async () => {
    const values = [{ a: '\\"]' }, { b: ['\\\\', { c: '}' }] }, { 'é"': '€,' }];
    const elements = values.map((value) => JSON.stringify(value)).join(' , ');
    for (let before = 0; before < elements.length + 4; before++) {
      const text = `[${JSON.stringify({ long: 'x'.repeat(64 * 1024 - before - 12) })},${elements}]`;
      const reading = await readAll(jsonDecoder, memoryObject(text), readOptions());
      expect(reading.faults).toEqual([]);
      expect(reading.rows.slice(1).map(({ row }) => JSON.stringify(row))).toEqual(
        values.map((value) => JSON.stringify(value)),
      );
    }
  });

  it('compressed objects give what plain ones give, and need no layout', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(csvCases, jsonLinesCases, jsonCases),
        fc.constantFrom<'gzip' | 'zstd'>('gzip', 'zstd'),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 0, max: 100 }),
        chunking,
        async ({ format, bytes, csv }, compression, sectionBytes, cut, chunks) => {
          fc.pre(bytes.length > 0);
          const decoder = decoders[format];
          const options = readOptions({ csv, limits: { sectionBytes } });
          const compress = compressions[compression];
          const middle = Math.floor((bytes.length * cut) / 100);
          const stored = Buffer.concat([
            compress(bytes.subarray(0, middle)),
            compress(bytes.subarray(middle)),
          ]);
          const object = memoryObject(stored, chunks);
          const plain = await sequential(decoder, memoryObject(bytes), options);
          const packed = await sequential(decoder, object, options);
          expect(packed === null ? null : essence(packed)).toEqual(plain === null ? null : essence(plain));
          expect(await decoder.layout(object, options, never)).toEqual({
            lastSection: null,
            splittable: false,
            groupStarts: null,
          });
          // What is handed on can be gone on with, also behind a finished section.
          const second = plain?.sections[1];
          if (plain !== null && second !== undefined) {
            const start = plain.sections[0]?.next as number;
            const rest = await collect(decoder.read(object, { from: 1, to: 1 }, start, options, never));
            expect(rest.sections).toEqual([second]);
          }
          expect(object.open).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('rows are found again by their coordinates', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(csvCases, jsonLinesCases, jsonCases),
        fc.integer({ min: 5, max: 30 }),
        fc.boolean(),
        chunking,
        async ({ format, bytes, csv }, sectionBytes, packed, chunks) => {
          fc.pre(bytes.length > 0);
          const decoder = decoders[format];
          const options = readOptions({ csv, limits: { sectionBytes, maxRowBytes: 20 } });
          const whole = await sequential(decoder, memoryObject(bytes), options);
          if (whole === null || whole.rows.length === 0) return;
          const object = memoryObject(packed ? compressions.gzip(bytes) : bytes, chunks);
          const some = whole.rows.filter((_, i) => i % 2 === 0 || i % 3 === 0);
          const again = await collect(
            decoder.readAt(
              object,
              some.map(({ coordinate }) => coordinate),
              options,
              never,
            ),
          );
          expect(again.rows).toEqual(some);
          expect(again.faults).toEqual([]);
          expect(object.open).toBe(0);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('says where no row starts', async () => {
    const cases: [Decoder, string, number[], number[]][] = [
      [csvDecoder, 'a,b\n1,2\n\n3,4\n', [0, 4, 5, 8, 9, 11, 13, 99], [4, 9]],
      [jsonLinesDecoder, '{"a":1}\n{"a":2}\n', [0, 1, 8, 16, 50], [0, 8]],
      [jsonDecoder, '[{"a":1}, {"a":2}]', [0, 1, 9, 10, 17], [1, 10]],
    ];
    for (const [decoder, text, coordinates, rows] of cases) {
      for (const stored of [Buffer.from(text), compressions.zstd(Buffer.from(text))]) {
        const reading = await collect(
          decoder.readAt(memoryObject(stored, [3]), coordinates, readOptions(), never),
        );
        expect(reading.rows.map(({ coordinate }) => coordinate)).toEqual(rows);
        expect(reading.faults.map(({ coordinate, code }) => [coordinate, code])).toEqual(
          coordinates
            .filter((coordinate) => !rows.includes(coordinate))
            .map((coordinate) => [coordinate, 'E_NOT_REDRIVABLE']),
        );
      }
    }
  });

  it('reading again takes no part of the predicate, and reads only around the rows', async () => {
    const text = 'a,b\n' + Array.from({ length: 200_000 }, (_, i) => `${i},x\n`).join('');
    const object = memoryObject(text);
    const options = readOptions({ columns: { a: 'integer' }, where: { a: { $lt: 10 } } });
    const all = await readAll(csvDecoder, object, options);
    expect([all.rows.length, all.filtered]).toEqual([10, 199_990]);
    object.bytesRead = 0;
    const last = text.lastIndexOf('199999');
    const again = await collect(csvDecoder.readAt(object, [4, last], options, never));
    expect(again.rows).toEqual([
      { coordinate: 4, row: expect.objectContaining({ a: 0 }) },
      { coordinate: last, row: expect.objectContaining({ a: 199_999 }) },
    ]);
    expect(object.bytesRead).toBeLessThan(300_000);
  });

  it('comes in batches, and releases the object when nobody wants more', async () => {
    const text = 'a,b\n' + 'x,y\n'.repeat(50_000);
    for (const stored of [
      Buffer.from(text),
      compressions.gzip(Buffer.from(text)),
      compressions.zstd(Buffer.from(text)),
    ]) {
      const object = memoryObject(stored);
      const sizes: number[] = [];
      for await (const { rows } of csvDecoder.read(
        object,
        { from: 0, to: null },
        null,
        readOptions(),
        never,
      )) {
        sizes.push(rows.length);
        if (sizes.length === 3) break;
      }
      expect(sizes).toEqual([1_000, 1_000, 1_000]);
      expect(object.open).toBe(0);
    }
    const wide = `a\n${`${'x'.repeat(300_000)}\n`.repeat(9)}`;
    const batches = await drain(
      csvDecoder.read(memoryObject(wide), { from: 0, to: null }, null, readOptions(), never),
    );
    expect(batches.map(({ rows }) => rows.length)).toEqual([4, 4, 1]);
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    const reading = csvDecoder.read(
      memoryObject('a\n' + 'x\n'.repeat(100_000)),
      { from: 0, to: null },
      null,
      readOptions(),
      stop.signal,
    );
    const reason = new Error('deadline');
    await expect(
      (async () => {
        for await (const _ of reading) stop.abort(reason);
      })(),
    ).rejects.toBe(reason);
  });

  it('what the lake throws goes through as it is', async () => {
    const failure = new Error('disk');
    const object = {
      ...memoryObject('a\n1\n2'),
      // oxlint-disable-next-line require-yield
      async *read(): AsyncGenerator<Uint8Array> {
        throw failure;
      },
    };
    await expect(readAll(csvDecoder, object, readOptions({ compression: 'none' }))).rejects.toBe(failure);
    await expect(readAll(jsonLinesDecoder, object, readOptions({ compression: 'gzip' }))).rejects.toBe(
      failure,
    );
  });
});
