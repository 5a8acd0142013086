import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { parquetWriteBuffer, type ColumnSource } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parquetDecoder } from '../../../src/application/formats/parquet/decoder.ts';
import { SectionPlan } from '../../../src/application/formats/parquet/sections.ts';
import { isDomainError } from '../../../src/domain/errors.ts';
import { collect, DuckFiles, gather, MemoryObject, optionsWith, readAll, signal } from './parquet-files.ts';

let duck: DuckFiles;
beforeAll(async () => {
  duck = await DuckFiles.create();
});
afterAll(() => duck[Symbol.asyncDispose]());

function plain(value: unknown): unknown {
  if (value instanceof Date || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

function written(columnData: ColumnSource[], options: Record<string, unknown> = {}): Uint8Array {
  return new Uint8Array(parquetWriteBuffer({ columnData, ...options }));
}

describe('values', () => {
  const query = `
    SELECT i::TINYINT AS tiny, i::BIGINT * 2 AS big, (i::HUGEINT * 4611686018427387904 % 9223372036854775807)::BIGINT AS huge,
      (18446744073709551615 - i)::UBIGINT AS unsigned, i::UINTEGER AS uint, i / 3.0::DOUBLE AS half, i::FLOAT AS float,
      'name ' || i AS text, i % 2 = 0 AS flag, DATE '1969-12-31' + i::INTEGER AS day,
      TIMESTAMP '1969-12-31 23:59:59.999999' + to_microseconds(i * 1500) AS moment,
      make_timestamp_ns(i * 1500000) AS nanos,
      (i * 1.05)::DECIMAL(9, 2) AS price, (i::HUGEINT * 12345678901234567)::DECIMAL(38, 5) AS wide, i::DECIMAL(18, 0) AS whole,
      TIME '13:05:00' + to_microseconds(i) AS clock, ('\\x00\\xFF'::BLOB) AS bytes,
      '5b4fbc4d-7c5c-4dea-8c4a-9bd2bbcb2d6b'::UUID AS id, ['a', NULL, 'b' || i] AS list, {'x': i, 'y': [i, NULL]} AS struct,
      MAP {'k' || i: i, '__proto__': NULL} AS map, to_months(i::INTEGER) AS span,
      CASE WHEN i % 2 = 0 THEN 'even ' || i END AS sometimes, CASE WHEN i = 1 THEN [[1], []] END AS lists,
      '{"a": ' || i || '}' AS json, NULL::INTEGER AS nothing, i AS "__proto__", i AS "a.b"
    FROM range(0, 3) t(i)`;

  test.each(['snappy', 'zstd', 'gzip', 'brotli', 'lz4_raw', 'uncompressed'])(
    'of every type, %s',
    async (codec) => {
      const object = new MemoryObject(await duck.parquet(query, `CODEC '${codec}'`));
      const { rows, faults, coordinates, ends } = await readAll(object, optionsWith());
      expect({ faults, coordinates, ends }).toEqual({
        faults: [],
        coordinates: [0, 1, 2],
        ends: [{ section: 0, last: true, next: 3 }],
      });
      expect(Object.getPrototypeOf(rows[0])).toBeNull();
      expect(plain(rows[1])).toEqual({
        tiny: 1,
        big: 2,
        huge: 4611686018427387904n,
        unsigned: 18446744073709551614n,
        uint: 1,
        half: 1 / 3,
        float: 1,
        text: 'name 1',
        flag: false,
        day: new Date('1970-01-01'),
        moment: new Date('1970-01-01T00:00:00.001Z'),
        nanos: new Date('1970-01-01T00:00:00.001Z'),
        price: 1.05,
        wide: Number('12345678901234567'),
        whole: 1,
        clock: '13:05:00.000001',
        bytes: Uint8Array.of(0, 255),
        id: '5b4fbc4d-7c5c-4dea-8c4a-9bd2bbcb2d6b',
        list: ['a', null, 'b1'],
        struct: { x: 1, y: [1, null] },
        map: Object.fromEntries([
          ['k1', 1],
          ['__proto__', null],
        ]),
        span: { months: 1, days: 0, milliseconds: 0 },
        sometimes: null,
        lists: [[1], []],
        json: '{"a": 1}',
        nothing: null,
        ...Object.fromEntries([['__proto__', 1]]),
        'a.b': 1,
      });
      expect(rows[1]!['__proto__']).toBe(1);
      // Before 1970 parts of milliseconds are cut off towards the past.
      expect(rows[0]!.moment).toEqual(new Date('1969-12-31T23:59:59.999Z'));
      expect(rows[0]!.lists).toBeNull();
    },
  );

  test('a decimal declared as text is exact; bytes with a declared type are text', async () => {
    const object = new MemoryObject(
      await duck.parquet(
        `SELECT 12345678901234567.89::DECIMAL(38, 2) AS wide, -0.05::DECIMAL(4, 2) AS small, 'x'::BLOB AS bytes`,
      ),
    );
    const { rows } = await readAll(
      object,
      optionsWith({ columns: { wide: 'string', small: 'string', bytes: 'string' } }),
    );
    expect(plain(rows[0])).toEqual({ wide: '12345678901234567.89', small: '-0.05', bytes: 'x' });
  });

  test('rows share no value that can be changed', async () => {
    const object = new MemoryObject(
      await duck.parquet(`SELECT DATE '2020-01-01' AS day, 'x'::BLOB AS bytes FROM range(3)`),
    );
    const { rows } = await readAll(object, optionsWith());
    expect(rows[0]!.day).not.toBe(rows[1]!.day);
    expect(rows[0]!.bytes).not.toBe(rows[1]!.bytes);
  });

  test('text that is not UTF-8 and times beyond a Date are faults of their rows alone', async () => {
    const badText = new TextEncoder().encode('MARK');
    const bytes = written(
      [
        { name: 'id', data: [0, 1, 2, 3], type: 'INT32' },
        { name: 'text', data: ['a', 'MARK', '\ufffd', 'd'], type: 'STRING' },
      ],
      { codec: 'UNCOMPRESSED', statistics: false },
    );
    const at = Buffer.from(bytes).lastIndexOf(Buffer.from(badText));
    bytes[at] = 0xff;
    const text = await readAll(new MemoryObject(bytes), optionsWith());
    expect(text.faults).toEqual([
      { coordinate: 1, code: 'E_UTF8', message: 'column "text": text is not UTF-8', rows: 1, raw: null },
    ]);
    expect(text.rows.map((row) => row.text)).toEqual(['a', '\ufffd', 'd']);
    expect((await readAll(new MemoryObject(bytes), optionsWith({ columns: ['id'] }))).faults).toEqual([]);

    const times = new MemoryObject(
      await duck.parquet(`SELECT unnest([TIMESTAMP 'infinity', TIMESTAMP '2020-01-01']) AS t`),
    );
    const { rows, faults } = await readAll(times, optionsWith());
    expect(rows.map((row) => row.t)).toEqual([new Date('2020-01-01')]);
    expect(faults.map(({ coordinate, code }) => ({ coordinate, code }))).toEqual([
      { coordinate: 0, code: 'E_VALUE_TYPE' },
    ]);
  });

  test.each(['DELTA_BINARY_PACKED', 'BYTE_STREAM_SPLIT', 'PLAIN'] as const)(
    'whole numbers by %s',
    async (encoding) => {
      const integers = Array.from({ length: 5000 }, (_, i) => ((i * 7919) % 100_003) - 50_000);
      const bigs = integers.map((value) => BigInt(value) * 90_071_992_547_409n);
      const object = new MemoryObject(
        written(
          [
            { name: 'int', data: integers, type: 'INT32', encoding },
            { name: 'big', data: bigs, type: 'INT64', encoding },
          ],
          { pageSize: 4000 },
        ),
      );
      const { rows, faults } = await readAll(object, optionsWith());
      expect(faults).toEqual([]);
      expect(rows.map((row) => row.int)).toEqual(integers);
      expect(rows.map((row) => BigInt(row.big as number))).toEqual(bigs);
    },
  );

  test.each(['DELTA_LENGTH_BYTE_ARRAY', 'DELTA_BYTE_ARRAY'] as const)('text by %s', async (encoding) => {
    const texts = Array.from({ length: 3000 }, (_, i) => `prefix ${Math.floor(i / 10)} ü ${i}`);
    const object = new MemoryObject(
      written([{ name: 'text', data: texts, type: 'STRING', encoding }], { pageSize: 4000 }),
    );
    const { rows, faults } = await readAll(object, optionsWith());
    expect(faults).toEqual([]);
    expect(rows.map((row) => row.text)).toEqual(texts);
  });

  test('nested columns over several pages agree with what was written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.option(
            fc.array(fc.option(fc.array(fc.option(fc.integer({ min: 0, max: 9 })), { maxLength: 3 })), {
              maxLength: 3,
            }),
          ),
          { minLength: 1, maxLength: 40 },
        ),
        async (lists) => {
          await duck.connection.run(
            'CREATE OR REPLACE TABLE lists (i INTEGER, l INTEGER[][], s STRUCT(a INTEGER[], b VARCHAR))',
          );
          type Lists = number | null | readonly Lists[];
          const literal = (value: Lists): string =>
            value === null
              ? 'NULL'
              : Array.isArray(value)
                ? `[${value.map(literal).join(', ')}]`
                : String(value);
          const values = lists.map((list, i) => {
            const first = list?.[0] ?? null;
            return `(${i}, ${literal(list)}, ${list === null ? 'NULL' : `{'a': ${literal(first)}, 'b': ${i % 3 === 0 ? 'NULL' : `'${i}'`}}`})`;
          });
          await duck.connection.run(`INSERT INTO lists VALUES ${values.join(', ')}`);
          const object = new MemoryObject(await duck.parquet('SELECT l, s FROM lists ORDER BY i'));
          const { rows } = await readAll(object, optionsWith());
          expect(rows.map((row) => row.l)).toEqual(lists);
          expect(rows.map((row) => plain(row.s))).toEqual(
            lists.map((list, i) =>
              list === null ? null : { a: list[0] ?? null, b: i % 3 === 0 ? null : String(i) },
            ),
          );
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('sections', () => {
  test('are runs of small groups and pieces of big ones', () => {
    const groups = (sizes: number[]) => {
      let firstRow = 0;
      return sizes.map((rows) => ({ rows, firstRow: (firstRow += rows) - rows }));
    };
    const rangesOf = (sizes: number[], sectionRows: number) => {
      const plan = new SectionPlan(groups(sizes), sectionRows);
      return Array.from({ length: plan.lastSection + 1 }, (_, section) => plan.rowsOf(section)).map(
        ({ start, end }) => [start, end],
      );
    };
    expect(rangesOf([4, 4, 4, 10, 3, 25, 2], 10)).toEqual([
      [0, 8],
      [8, 12],
      [12, 22],
      [22, 25],
      [25, 35],
      [35, 45],
      [45, 50],
      [50, 52],
    ]);
    expect(rangesOf([], 10)).toEqual([[0, 0]]);
    expect(rangesOf([10], 10)).toEqual([[0, 10]]);
    const plan = new SectionPlan(groups([4, 4, 4, 10, 3, 25, 2]), 10);
    expect(plan.groupStarts).toEqual([0, 1, 2, 3, 4, 7]);
    for (let row = 0; row < 52; row++) {
      const { start, end } = plan.rowsOf(plan.sectionOf(row));
      expect(row >= start && row < end).toBe(true);
    }
  });

  test('in any order, each by itself or together, give exactly the rows', async () => {
    const rows = 3000;
    const ids = Array.from({ length: rows }, (_, i) => i);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 100, max: 1200 }),
        fc.integer({ min: 1, max: 1500 }).map((n) => Math.max(n, 40)),
        fc.constantFrom(500, 4000, 1_000_000),
        fc.integer(),
        async (rowGroupSize, sectionRows, pageSize, seed) => {
          const object = new MemoryObject(
            written(
              [
                { name: 'id', data: ids, type: 'INT32' },
                {
                  name: 'text',
                  data: ids.map((id) => (id % 5 === 0 ? null : `t${id % 300}`)),
                  type: 'STRING',
                },
              ],
              { rowGroupSize, pageSize },
            ),
          );
          const options = optionsWith({ limits: { sectionRows } });
          const { lastSection, splittable } = await parquetDecoder.layout(object, options, signal);
          expect(splittable).toBe(true);
          const whole = await readAll(object, options);
          expect(whole.rows.map((row) => row.id)).toEqual(ids);
          expect(whole.coordinates).toEqual(ids);
          expect(whole.ends.map((end) => end.section)).toEqual(
            Array.from({ length: lastSection! + 1 }, (_, i) => i),
          );
          const order = whole.ends
            .map((end) => end.section)
            .sort((a, b) => ((a * 7919 + seed) % 1009) - ((b * 7919 + seed) % 1009));
          const starts = await collect(
            parquetDecoder.findStarts(
              object,
              [...order].sort((a, b) => a - b),
              options,
              signal,
            ),
          );
          expect(starts).toEqual(
            whole.ends.map(({ section }, i) => ({ section, start: i === 0 ? 0 : whole.ends[i - 1]!.next })),
          );
          const parts = [];
          for (const section of order) parts.push(await readAll(object, options, section, section));
          expect(parts.map((part) => part.ends)).toEqual(order.map((section) => [whole.ends[section]]));
          const together = parts.flatMap((part) =>
            part.coordinates.map((coordinate, i) => [coordinate, part.rows[i]] as const),
          );
          expect(together.sort(([a], [b]) => a - b).map(([, row]) => row)).toEqual(whole.rows);
        },
      ),
      { numRuns: 15 },
    );
  });

  test('a file without rows is one empty section', async () => {
    const object = new MemoryObject(await duck.parquet('SELECT 1 AS a WHERE false'));
    expect(await parquetDecoder.layout(object, optionsWith(), signal)).toEqual({
      lastSection: 0,
      splittable: true,
      groupStarts: [],
    });
    expect(
      gather(await collect(parquetDecoder.read(object, { from: 0, to: 0 }, null, optionsWith(), signal))),
    ).toMatchObject({
      rows: [],
      ends: [{ section: 0, last: true, next: 0 }],
    });
  });

  test('a row group over the bound is read by its pages, or is a fault of its own', async () => {
    const text = Array.from({ length: 20_000 }, (_, i) => `${i} ${'x'.repeat(100)}`);
    const bytes = (offsetIndex: boolean) =>
      written([{ name: 'text', data: text, type: 'STRING', offsetIndex, encoding: 'PLAIN' }], {
        rowGroupSize: [10_000, 10_000],
        pageSize: 10_000,
        codec: 'UNCOMPRESSED',
      });
    const options = optionsWith({ limits: { maxRowGroupBytes: 200_000 } });
    const paged = new MemoryObject(bytes(true));
    const { rows, faults } = await readAll(paged, options);
    expect(faults).toEqual([]);
    expect(rows.map((row) => row.text)).toEqual(text);
    expect(Math.max(...paged.reads.map(([start, end]) => end - start))).toBeLessThan(200_000);

    const whole = await readAll(new MemoryObject(bytes(false)), options);
    expect(whole.rows).toEqual([]);
    expect(whole.faults.map(({ coordinate, code, rows: count }) => ({ coordinate, code, count }))).toEqual([
      { coordinate: 0, code: 'E_ROW_GROUP_TOO_LARGE', count: 10_000 },
      { coordinate: 10_000, code: 'E_ROW_GROUP_TOO_LARGE', count: 10_000 },
    ]);
  });
});

describe('reading what was asked for', () => {
  test('a part of a group reads only the pages that it needs', async () => {
    const noise = Array.from({ length: 100_000 }, (_, i) => `${(i * 7919) % 100_003} ${i}`);
    const object = new MemoryObject(
      written([{ name: 'text', data: noise, type: 'STRING' }], { rowGroupSize: 100_000, pageSize: 20_000 }),
    );
    const batches = await collect(
      parquetDecoder.readAt(object, [5, 60_000, 60_001, 99_999], optionsWith(), signal),
    );
    const { rows, coordinates, faults } = gather(batches);
    expect(faults).toEqual([]);
    expect(coordinates).toEqual([5, 60_000, 60_001, 99_999]);
    expect(rows.map((row) => row.text)).toEqual(coordinates.map((row) => noise[row]));
    expect(object.bytesRead).toBeLessThan(object.size / 3);
  });

  test('single rows come without `where`, with the section that they are in; others are faults', async () => {
    const object = new MemoryObject(
      await duck.parquet('SELECT i, [i] AS l FROM range(10000) t(i)', 'ROW_GROUP_SIZE 2048'),
    );
    const options = optionsWith({ columns: ['l'], where: { i: -1 }, limits: { sectionRows: 5000 } });
    const batches = await collect(
      parquetDecoder.readAt(object, [0, 2047, 2048, 4500, 9999, 10_000], options, signal),
    );
    const { rows, coordinates, faults } = gather(batches);
    expect(rows.map(plain)).toEqual([0, 2047, 2048, 4500, 9999].map((i) => ({ l: [i] })));
    expect(coordinates).toEqual([0, 2047, 2048, 4500, 9999]);
    expect(faults.map(({ coordinate, code }) => ({ coordinate, code }))).toEqual([
      { coordinate: 10_000, code: 'E_PARQUET' },
    ]);
    const { lastSection } = await parquetDecoder.layout(object, options, signal);
    expect(batches.map((batch) => batch.section).filter((section) => section > lastSection!)).toEqual([]);
  });

  test('declared columns, columns of the path, and columns that only `where` needs', async () => {
    const object = new MemoryObject(
      await duck.parquet('SELECT i AS a, i * 2 AS b, i * 3 AS c, 1999 AS yyyy FROM range(10) t(i)'),
    );
    const options = optionsWith({
      columns: ['a', 'yyyy'],
      where: { b: { $gte: 16 } },
      pathColumns: { yyyy: 2019 },
    });
    const { rows, filtered } = await readAll(object, options);
    expect(rows.map(plain)).toEqual([
      { a: 8, yyyy: 2019 },
      { a: 9, yyyy: 2019 },
    ]);
    expect(filtered).toBe(8);
    await expect(readAll(object, optionsWith({ columns: ['a', 'zzz'] }))).rejects.toSatisfy(
      (error) => isDomainError(error) && error.code === 'E_COLUMN_MISSING',
    );
    expect((await readAll(object, optionsWith({ where: { zzz: null } }))).rows).toHaveLength(10);
    expect((await readAll(object, optionsWith({ where: { zzz: 5 } }))).pruned).toBe(10);
    expect(
      (await readAll(object, optionsWith({ columns: ['yyyy'], pathColumns: { yyyy: 2019 } }))).rows,
    ).toHaveLength(10);
  });

  test('a value that cannot be cast is a fault of its row', async () => {
    const object = new MemoryObject(await duck.parquet(`SELECT unnest(['1', 'x', '3']) AS a`));
    const { rows, faults } = await readAll(object, optionsWith({ columns: { a: 'number' } }));
    expect(rows.map(plain)).toEqual([{ a: 1 }, { a: 3 }]);
    expect(faults.map(({ coordinate, code, rows: count }) => ({ coordinate, code, count }))).toEqual([
      { coordinate: 1, code: 'E_VALUE_TYPE', count: 1 },
    ]);
  });

  test('abort stops between reads, and errors of the bytes are not made faults', async () => {
    const object = new MemoryObject(
      await duck.parquet('SELECT i FROM range(10000) t(i)', 'ROW_GROUP_SIZE 2048'),
    );
    const controller = new AbortController();
    const batches = parquetDecoder.read(
      object,
      { from: 0, to: null },
      null,
      optionsWith(),
      controller.signal,
    );
    let seen = 0;
    await expect(async () => {
      for await (const batch of batches) {
        seen += batch.rows.length;
        controller.abort(new Error('stopped'));
      }
    }).rejects.toThrow('stopped');
    expect(seen).toBe(1000);

    const broken = {
      key: object.key,
      size: object.size,
      async *read(start: number, end: number) {
        if (end < object.size) throw new Error('disk');
        yield* object.read(start, end);
      },
    };
    const whole = { ...broken, size: object.size };
    await expect(readAll(whole, optionsWith())).rejects.toThrow('disk');
  });

  test('a value over `maxRowBytes` is a fault of its row', async () => {
    const object = new MemoryObject(
      await duck.parquet(`SELECT unnest(['a', repeat('x', 1001), 'c']) AS t, [repeat('y', 1000)] AS l`),
    );
    const { rows, faults } = await readAll(object, optionsWith({ limits: { maxRowBytes: 1000 } }));
    expect(rows.map((row) => row.t)).toEqual(['a', 'c']);
    expect(faults.map(({ coordinate, code, rows: count }) => ({ coordinate, code, count }))).toEqual([
      { coordinate: 1, code: 'E_ROW_TOO_LARGE', count: 1 },
    ]);
  });

  test('describes a file', async () => {
    const object = new MemoryObject(
      await duck.parquet(
        `SELECT i, 'x' AS t, [i] AS l, {'a': 1.5::DECIMAL(9,2)} AS s, MAP {'k': DATE '2020-01-01'} AS m FROM range(5000) t(i)`,
        `CODEC 'zstd', ROW_GROUP_SIZE 2048`,
      ),
    );
    expect(await parquetDecoder.describe(object, optionsWith(), signal)).toMatchObject({
      format: 'parquet',
      compression: 'none',
      rows: 5000,
      columns: [
        { name: 'i', type: 'int64' },
        { name: 't', type: 'string' },
        { name: 'l', type: 'list<int64>' },
        { name: 's', type: 'struct<a: decimal(9,2)>' },
        { name: 'm', type: 'map<string, date>' },
      ],
      facts: { 'row groups': 3, codecs: 'zstd' },
    });
  });

  test('zstd pages of other writers', async () => {
    const ids = Array.from({ length: 1000 }, (_, i) => i);
    const bytes = written([{ name: 'id', data: ids, type: 'INT32' }], {
      codec: 'ZSTD',
      compressors: { ZSTD: (input: Uint8Array) => zstdCompressSync(input) },
    });
    expect((await readAll(new MemoryObject(bytes), optionsWith())).rows.map((row) => row.id)).toEqual(ids);
  });
});
