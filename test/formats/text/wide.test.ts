import { Buffer } from 'node:buffer';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvDecoder } from '../../../src/application/formats/csv/decoder.ts';
import { memoryObject, pairs, readAll, readOptions } from './lake-text.ts';

/** Pieces of text that a reader of four bytes at once could trip over, in lengths of any remainder. */
const pieces = [
  '',
  'a',
  '0',
  'ab',
  'abc',
  '0123',
  'é',
  '€',
  '𝄞',
  '\u007f',
  ' ',
  '!',
  '+',
  '-',
  '/',
  '\t',
  "'",
];
const inQuotes = [...pieces, '""', '\n', '\r\n', ',', ';', '|', '\n\n', '""""'];

const textOf = (from: readonly string[]): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...from), { maxLength: 6 }).map((parts) => parts.join(''));

const wideCsv = fc
  .record({
    columns: fc.constantFrom(2, 31, 32, 33, 40, 80, 252, 253, 300),
    delimiter: fc.constantFrom(',', ';', '|', '~'),
    isAscii: fc.boolean(),
  })
  .chain(({ columns, delimiter, isAscii }) => {
    const allowed = (piece: string): boolean => !isAscii || Buffer.byteLength(piece) === piece.length;
    const plain = textOf(pieces.filter(allowed));
    const quoted = textOf([...inQuotes.filter(allowed), delimiter]).map((text) => `"${text}"`);
    // Few fields are drawn and used round, so that texts of many columns are made quickly.
    const fields = fc.array(fc.oneof(plain, quoted), { minLength: 3, maxLength: 11 });
    const rows = fc.array(fields, { minLength: 1, maxLength: 6 });
    return fc.tuple(rows, fc.constantFrom('\n', '\r\n', '\r')).map(([drawn, newline]) => {
      const names = Array.from({ length: columns }, (_, i) => (i === 1 ? '__proto__' : `c${i}`));
      const lines = drawn.map((row) => names.map((_, i) => row[(i * 7) % row.length]).join(delimiter));
      return { names, delimiter, text: `${[names.join(delimiter), ...lines].join(newline)}${newline}` };
    });
  });

describe('CSV of any width against csv-parse', () => {
  it('gives the same rows, all columns or some in another order', async () => {
    await fc.assert(
      fc.asyncProperty(
        wideCsv,
        fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 3 }),
        async ({ names, delimiter, text }, chunks) => {
          const expected = parse(Buffer.from(text), {
            delimiter,
            record_delimiter: ['\r\n', '\n', '\r'],
            skip_empty_lines: true,
          }).slice(1);
          const csv = { delimiter };
          const all = await readAll(csvDecoder, memoryObject(text, chunks), readOptions({ csv }));
          expect(all.faults).toEqual([]);
          expect(pairs(all)).toEqual(
            expected.map((values) => names.map((name, i) => [name, values[i] as string])),
          );
          expect(all.rows.every(({ row }) => Object.getPrototypeOf(row) === null)).toBe(true);
          const columns = names.filter((_, i) => i % 3 !== 1).toReversed();
          const some = await readAll(csvDecoder, memoryObject(text, chunks), readOptions({ csv, columns }));
          expect(some.faults).toEqual([]);
          expect(pairs(some)).toEqual(
            expected.map((values) => columns.map((name) => [name, values[names.indexOf(name)] as string])),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it('finds faults in rows of any width', async () => {
    for (const count of [2, 32, 33, 80, 300]) {
      const names = Array.from({ length: count }, (_, i) => `c${i}`);
      const good = names.map((_, i) => (i === 1 ? '"x\ny"' : `${i}`)).join();
      const lines = [good, `${good},1`, names.slice(1).join(), `a"b${good}`, good, `"a"b,${good}`, good];
      const text = `${names.join()}\n${lines.join('\n')}\n`;
      const bad = Buffer.concat([Buffer.from(text), Buffer.from([0xff]), Buffer.from(`${good}\n${good}`)]);
      const { rows, faults } = await readAll(csvDecoder, memoryObject(bad), readOptions());
      expect(faults.map(({ code }) => code)).toEqual([
        'E_CSV_FIELDS',
        'E_CSV_FIELDS',
        'E_CSV_QUOTE',
        // The newline in quotes ends the row once its quotes cannot be trusted.
        'E_CSV_QUOTE',
        'E_CSV_QUOTE',
        'E_CSV_QUOTE',
        'E_UTF8',
      ]);
      expect(rows.map(({ row }) => Object.values(row).join())).toEqual(
        Array.from({ length: 4 }, () => good.replaceAll('"', '')),
      );
    }
  });
});
