import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ColumnValue } from '../../src/application/frames/packed-column.ts';
import { readColumn } from '../../src/application/frames/packed-column-reader.ts';
import { ColumnWriter } from '../../src/application/frames/packed-column-writer.ts';
import { ValueReader } from '../../src/application/values/value-reader.ts';
import { ValueWriter } from '../../src/application/values/value-writer.ts';

/** Columns that begin as one kind and may go on as another. */
const columns = fc
  .array(
    fc.oneof(
      fc.array(fc.constantFrom('EUR', 'USD', '', 'a longer text than V8 copies', null), { maxLength: 300 }),
      fc.array(fc.string({ unit: 'binary', maxLength: 3 }), { maxLength: 300 }),
      fc.array(fc.oneof(fc.double(), fc.integer(), fc.constant(-0)), { maxLength: 50 }),
      fc.array(fc.oneof(fc.boolean(), fc.bigInt(), fc.constant('\ud83d')), { maxLength: 2 }),
    ),
    { maxLength: 4 },
  )
  .map((parts) => parts.flat() as ColumnValue[]);

function write(column: ColumnWriter, values: readonly ColumnValue[], runs: readonly number[]): Uint8Array {
  const rows = values.map((value) => [null, value]);
  let at = 0;
  for (const run of [...runs, Infinity]) {
    column.add(rows.slice(at, at + run), 1);
    at += run;
  }
  const body = new ValueWriter();
  column.writeTo(body);
  return body.take();
}

describe('a column', () => {
  it('has the same bytes whatever runs its values come in, and whatever it held before', () => {
    const used = new ColumnWriter();
    fc.assert(
      fc.property(columns, fc.array(fc.nat(400)), (values, runs) => {
        const bytes = write(new ColumnWriter(), values, []);
        expect(write(used, values, runs)).toEqual(bytes);
        const reader = new ValueReader(bytes);
        const read = readColumn(reader, values.length, 0);
        expect(reader.done).toBe(true);
        // Frames know no -0.
        expect(read).toEqual(values.map((value) => (Object.is(value, -0) ? 0 : value)));
      }),
      { numRuns: 500 },
    );
  });

  it('says how many bytes its texts take beside their UTF-16 units', () => {
    fc.assert(
      fc.property(columns, fc.array(fc.nat(400)), (values, runs) => {
        const column = new ColumnWriter();
        const rows = values.map((value) => [value]);
        let surplus = 0;
        let at = 0;
        for (const run of [...runs, Infinity]) {
          surplus += column.add(rows.slice(at, at + run), 0);
          at += run;
        }
        const others = values.filter((value) => typeof value !== 'string' && value !== null);
        const units = values.reduce<number>(
          (sum, value) => sum + (typeof value === 'string' ? value.length : 0),
          0,
        );
        const body = new ValueWriter();
        column.writeTo(body);
        // What is no text takes what it takes; lengths and indexes are a few bytes each.
        const sizeOfOthers = others.reduce<number>(
          (sum, value) => sum + 12 + `${value as number | bigint | boolean}`.length,
          0,
        );
        expect(body.length).toBeLessThanOrEqual(units + surplus + 4 * values.length + sizeOfOthers + 16);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a damaged column', () => {
  it('has no dictionary of more texts than a byte tells apart', () => {
    const body = new ValueWriter();
    body.writeVarint(6);
    body.writeVarint(257);
    for (let at = 0; at < 257; at++) body.writeVarint(1);
    body.writeVarint(0);
    body.writeVarint(0);
    expect(() => readColumn(new ValueReader(body.take()), 1, 0)).toThrow('more texts than a byte');
  });
});
