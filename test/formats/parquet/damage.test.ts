import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { parquetMetadata } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parquetDecoder } from '../../../src/application/formats/parquet/decoder.ts';
import { isDomainError } from '../../../src/domain/errors.ts';
import { collect, DuckFiles, MemoryObject, optionsWith, readAll, signal } from './parquet-files.ts';

let duck: DuckFiles;
let files: Uint8Array[];
beforeAll(async () => {
  duck = await DuckFiles.create();
  const query = `SELECT i, i % 10 AS few, 'text ' || (i % 50) AS text, CASE WHEN i % 3 = 0 THEN i / 7.0 END AS ratio,
    [i, NULL, 3] AS list, {'a': i, 'b': [{'c': 'x' || i}]} AS deep, MAP {'k': i} AS map, i::DECIMAL(30, 3) AS d FROM range(4096) t(i)`;
  const ids = Array.from({ length: 3000 }, (_, i) => i);
  files = [
    await duck.parquet(query, `ROW_GROUP_SIZE 2048, CODEC 'uncompressed'`),
    await duck.parquet(query, `ROW_GROUP_SIZE 2048, CODEC 'snappy'`),
    await duck.parquet(query, `ROW_GROUP_SIZE 2048, CODEC 'zstd', PARQUET_VERSION v2`),
    new Uint8Array(
      parquetWriteBuffer({
        codec: 'UNCOMPRESSED',
        pageSize: 1000,
        rowGroupSize: 1000,
        columnData: [
          {
            name: 'i',
            type: 'INT32',
            data: ids,
            encoding: 'DELTA_BINARY_PACKED',
            columnIndex: true,
            bloomFilter: true,
          },
          { name: 'big', type: 'INT64', data: ids.map(BigInt), encoding: 'DELTA_BINARY_PACKED' },
          { name: 'text', type: 'STRING', data: ids.map((i) => `text ${i % 40}`), bloomFilter: true },
          { name: 'delta', type: 'STRING', data: ids.map((i) => `text ${i}`), encoding: 'DELTA_BYTE_ARRAY' },
          {
            name: 'lengths',
            type: 'STRING',
            data: ids.map((i) => `text ${i}`),
            encoding: 'DELTA_LENGTH_BYTE_ARRAY',
          },
          { name: 'flag', type: 'BOOLEAN', data: ids.map((i) => i % 3 === 0), encoding: 'RLE' },
          { name: 'split', type: 'DOUBLE', data: ids.map((i) => i / 3), encoding: 'BYTE_STREAM_SPLIT' },
        ],
      }),
    ),
  ];
});
afterAll(() => duck[Symbol.asyncDispose]());

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
beforeEach(() => {
  unhandled.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

function withBytes(
  bytes: Uint8Array,
  changes: readonly (readonly [at: number, value: number])[],
): Uint8Array {
  const changed = Uint8Array.from(bytes);
  for (const [at, value] of changes) changed[at] = value;
  return changed;
}

const code = async (bytes: Uint8Array) =>
  readAll(new MemoryObject(bytes), optionsWith()).then(
    () => 'read',
    (error: unknown) => (isDomainError(error) ? error.code : error),
  );

describe('an object that is no Parquet file', () => {
  test.each<[string, () => Uint8Array]>([
    ['empty', () => new Uint8Array(0)],
    ['too short', () => new TextEncoder().encode('PAR1PAR1')],
    ['text', () => new TextEncoder().encode('a,b\n1,2\n'.repeat(100))],
    ['cut off', () => files[0]!.subarray(0, files[0]!.length - 100)],
    ['a footer longer than the file', () => withBytes(files[0]!, [[files[0]!.length - 5, 0x7f]])],
    [
      'a footer of nothing',
      () =>
        withBytes(
          files[0]!,
          [8, 7, 6, 5].map((back) => [files[0]!.length - back, 0] as const),
        ),
    ],
    ['encrypted', () => withBytes(files[0]!, [[files[0]!.length - 1, 'E'.charCodeAt(0)]])],
  ])('%s', async (_, bytes) => {
    expect(await code(bytes())).toBe('E_PARQUET');
    const object = new MemoryObject(bytes());
    await expect(parquetDecoder.layout(object, optionsWith(), signal)).rejects.toThrow(object.key);
    await expect(parquetDecoder.describe(object, optionsWith(), signal)).rejects.toThrow(object.key);
    await expect(collect(parquetDecoder.readAt(object, [0], optionsWith(), signal))).rejects.toThrow(
      object.key,
    );
  });
});

describe('damage within', () => {
  /** Where a column of a group lies. */
  function chunkOf(bytes: Uint8Array, group: number, column: string): { start: number; end: number } {
    const metadata = parquetMetadata(bytes).row_groups[group]!.columns.find(
      (each) => each.meta_data!.path_in_schema[0] === column,
    )!.meta_data!;
    const start = Number(metadata.dictionary_page_offset ?? metadata.data_page_offset);
    return { start, end: start + Number(metadata.total_compressed_size) };
  }

  test('a page header fails its row group and column alone', async () => {
    for (const bytes of files) {
      const sound = await readAll(new MemoryObject(bytes), optionsWith());
      const groups = parquetMetadata(bytes).row_groups.map((group) => Number(group.num_rows));
      const { start } = chunkOf(bytes, 1, 'i');
      const damaged = new MemoryObject(
        withBytes(
          bytes,
          Array.from({ length: 12 }, (_, i) => [start + i, 0xff] as const),
        ),
      );
      const { rows, coordinates, faults } = await readAll(damaged, optionsWith());
      expect(faults).toMatchObject([
        { coordinate: groups[0], code: 'E_PARQUET', rows: groups[1], raw: null },
      ]);
      expect(faults[0]!.message).toContain('column "i"');
      const kept = sound.coordinates.filter((row) => row < groups[0]! || row >= groups[0]! + groups[1]!);
      expect(coordinates).toEqual(kept);
      expect(rows).toEqual(kept.map((row) => sound.rows[row]));
      expect((await readAll(damaged, optionsWith({ columns: ['text'] }))).faults).toEqual([]);
    }
  });

  test('each section has the fault of its own rows', async () => {
    const bytes = files[1]!;
    const { start } = chunkOf(bytes, 1, 'i');
    const damaged = new MemoryObject(
      withBytes(bytes, [
        [start, 0xff],
        [start + 1, 0xff],
      ]),
    );
    const options = optionsWith({ columns: ['i'], limits: { sectionRows: 1000 } });
    const { faults, ends, accounted } = await readAll(damaged, options);
    expect(faults.map(({ coordinate, rows }) => [coordinate, rows])).toEqual([
      [2048, 1000],
      [3048, 1000],
      [4048, 48],
    ]);
    expect(accounted).toBe(4096);
    expect(ends.at(-1)).toEqual({ section: 5, last: true, next: 4096 });
    const again = await collect(parquetDecoder.readAt(damaged, [0, 3000], options, signal));
    expect(again.flatMap((batch) => batch.faults.map((fault) => fault.coordinate))).toEqual([3000]);
    expect(again.flatMap((batch) => batch.rows.map((row) => row.i))).toEqual([0]);
  });

  test('lengths that would fill the memory are refused before anything is allocated', async () => {
    // One value, a run of 2^31 of them, in a page that says so, in a chunk that says so.
    const bytes = files[3]!;
    const { start } = chunkOf(bytes, 0, 'i');
    for (let at = 0; at < 40; at++) {
      const huge = withBytes(
        bytes,
        Array.from({ length: 4 }, (_, i) => [start + at + i, 0xfe] as const),
      );
      const before = process.memoryUsage().arrayBuffers;
      const { accounted } = await readAll(new MemoryObject(huge), optionsWith({ columns: ['i'] }));
      expect(accounted).toBe(3000);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100_000_000);
    }
  });

  test('at random places never crashes, hangs or leaves a rejection, and every row comes to one end', async () => {
    const sound = await Promise.all(files.map((bytes) => readAll(new MemoryObject(bytes), optionsWith())));
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 3 }),
        fc.array(
          fc.tuple(
            fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
            fc.integer({ min: 0, max: 255 }),
          ),
          { minLength: 1, maxLength: 6 },
        ),
        async (file, places) => {
          const bytes = files[file]!;
          const footer = bytes.length - 8 - parquetMetadata(bytes).metadata_length;
          const damaged = new MemoryObject(
            withBytes(
              bytes,
              places.map(([place, value]) => [Math.floor(place * footer), value] as const),
            ),
          );
          const read = await readAll(damaged, optionsWith());
          expect(read.accounted).toBe(sound[file]!.accounted);
          expect(read.ends).toEqual(sound[file]!.ends);
          // Groups in which no byte was changed are as they were.
          let firstRow = 0;
          for (const group of parquetMetadata(bytes).row_groups) {
            const rows = Number(group.num_rows);
            const metadata = group.columns.map((column) => column.meta_data!);
            const start = Math.min(
              ...metadata.map((each) => Number(each.dictionary_page_offset ?? each.data_page_offset)),
            );
            const size = metadata.reduce((sum, each) => sum + Number(each.total_compressed_size), 0);
            if (
              places.every(
                ([place]) => Math.floor(place * footer) < start || Math.floor(place * footer) >= start + size,
              )
            ) {
              const at = read.coordinates.indexOf(firstRow);
              // Ten times as fast as toEqual, which counts here.
              expect(
                isDeepStrictEqual(
                  read.rows.slice(at, at + rows),
                  sound[file]!.rows.slice(firstRow, firstRow + rows),
                ),
              ).toBe(true);
            }
            firstRow += rows;
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('in the footer is E_PARQUET, or faults, or still read', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 3 }),
        fc.array(fc.tuple(fc.nat({ max: 4000 }), fc.integer({ min: 0, max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        async (file, places) => {
          const bytes = files[file]!;
          const damaged = withBytes(
            bytes,
            places.map(
              ([back, value]) =>
                [bytes.length - 1 - (back % (parquetMetadata(bytes).metadata_length + 8)), value] as const,
            ),
          );
          try {
            // A footer may come to say more rows than anybody can wait for: some sections tell enough.
            const object = new MemoryObject(damaged);
            await parquetDecoder.describe(object, optionsWith(), signal);
            await readAll(object, optionsWith({ where: { i: { $gt: 10 } } }), 0, 2);
          } catch (error) {
            expect(isDomainError(error) && error.code).toBe('E_PARQUET');
          }
        },
      ),
      { numRuns: 250 },
    );
  });
});
