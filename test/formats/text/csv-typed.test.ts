import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvDecoder } from '../../../src/application/formats/csv/decoder.ts';
import { castTo } from '../../../src/domain/cast.ts';
import type { ColumnType } from '../../../src/domain/columns.ts';
import { memoryObject, readAll, readOptions } from './lake-text.ts';

/** What columns hold, and what nearly looks like it. */
const values = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '-',
    '.',
    '0',
    '-0',
    '007',
    '+7',
    '1e3',
    '0x10',
    'NaN',
    '-inf',
    '9007199254740993',
    '１２',
  ),
  fc.integer().map(String),
  fc.double({ noDefaultInfinity: true }).map(String),
  fc.stringMatching(/^-?\d{0,17}\.?\d{0,9}$/),
  fc
    .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') })
    .map((date) => date.toISOString()),
  fc.stringMatching(/^(19|20)\d\d-[01]\d-[0-3]\d([T ][0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,4})?Z?)?$/),
  fc.constantFrom('true', 'false', 'ü', '2019-02-29', '2019-05-25T24:00:00Z', 'a\nb', 'a""b'),
);

const typed: readonly ColumnType[] = ['number', 'integer', 'timestamp', 'string', 'boolean', 'bigint'];

function expectedOf(type: ColumnType, text: string): unknown {
  try {
    return castTo(type, 'c')(text);
  } catch {
    return 'refused';
  }
}

async function readTyped(text: string, columns: Readonly<Record<string, ColumnType>>, csv = {}) {
  return readAll(csvDecoder, memoryObject(text), readOptions({ columns, csv }));
}

describe('CSV with declared types', () => {
  // Up to 32 columns and above them the code differs.
  it.each([1, 2, 12, 40])('gives what casting each text gives, with %d columns', async (count) => {
    const names = Array.from({ length: count }, (_, at) => `c${at}`);
    const types = Object.fromEntries(names.map((name, at) => [name, typed[at % typed.length] as ColumnType]));
    const quoted = fc.tuple(values, fc.boolean()).map(([text, isQuoted]) => ({
      text,
      field: isQuoted || /["\n,]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text,
    }));
    const fieldsOfRow = fc.array(quoted, { minLength: count, maxLength: count });
    await fc.assert(
      fc.asyncProperty(fc.array(fieldsOfRow, { minLength: 1, maxLength: 20 }), async (rows) => {
        const lines = rows.map((fields) => fields.map(({ field }) => field).join(','));
        const { rows: got, faults } = await readTyped(`${[names.join(','), ...lines].join('\n')}\n`, types);
        const expected = rows.map((fields) =>
          fields.map(({ text }, at) => expectedOf(types[names[at] as string] as ColumnType, text)),
        );
        const fitting = expected.filter((fields) => !fields.includes('refused'));
        expect(got.map(({ row }) => names.map((name) => row[name]))).toEqual(fitting);
        expect(faults).toHaveLength(rows.length - fitting.length);
      }),
      { numRuns: 200 },
    );
  });

  it.each([2, 40])('takes quotes that are digits for quotes, with %d columns', async (count) => {
    const names = Array.from({ length: count }, (_, at) => 'abcdefgh'[at & 7] + 'x'.repeat(at >> 3));
    const columns = Object.fromEntries(names.map((name) => [name, 'integer' as const]));
    const text = `${names.join(',')}\n${names.map((_, at) => (at === 0 ? '010050' : '7')).join(',')}\n`;
    const { rows } = await readTyped(text, columns, { quote: '0' });
    expect(rows.map(({ row }) => row['a'])).toEqual([105]);
  });
});
