import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { parquetWriteBuffer, type ColumnSource } from 'hyparquet-writer';
import { parquetDecoder } from '../../../src/application/formats/parquet/decoder.ts';
import {
  DuckFiles,
  MemoryObject,
  optionsWith,
  readAll,
  signal,
} from '../../formats/parquet/parquet-files.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target } from '../target.ts';

/** Small enough for a bomb to reach. */
const options = optionsWith({
  limits: { sectionRows: 50, maxRowGroupBytes: 4 * 1024 * 1024, maxRowBytes: 64 * 1024 },
});
/** A footer may say more rows than anybody waits for: so many sections tell enough. */
const SECTIONS = 12;
const FAULTS = new Set(['E_PARQUET', 'E_UTF8', 'E_VALUE_TYPE', 'E_ROW_TOO_LARGE', 'E_ROW_GROUP_TOO_LARGE']);

/**
 * Parquet files, their footers and their pages in every encoding and compression that is read, against hyparquet. Stricter on purpose:
 * lengths and counts that do not fit each other, text that is not UTF-8, what is over a bound. Both read the footer by the same
 * parser, after a check of our own; pages and encodings are decoded by two programs.
 */
export const parquetTarget: Target = {
  name: 'parquet',
  share: 2.5,
  isJson: false,
  tokens: [
    'PAR1',
    '\x15\x00',
    '\x15\x02',
    '\x15\x80\x80\x80\x80\x10',
    '\x19',
    '\x19\xf5\xff\xff\xff\x7f',
    '\x1c',
    '\x00',
    '\xff\xff\xff\xff',
    '\x2c\x15',
    '\x28\xb5\x2f\xfd',
  ],
  async open() {
    return {
      corpus: await files(),
      async check(input) {
        const object = new MemoryObject(input);
        const description = await outcomeOf(['E_PARQUET'], () =>
          parquetDecoder.describe(object, options, signal),
        );
        const reading = await outcomeOf(['E_PARQUET'], () => readAll(object, options, 0, SECTIONS));
        for (const { code } of reading.value?.faults ?? []) must(FAULTS.has(code), `a fault of code ${code}`);
        if (reading.value === undefined || reading.value.faults.length > 0) return 'refused';
        must(description.code === undefined, 'what is read cannot be described');
        if (reading.value.ends.at(-1)?.last !== true) return 'accepted';
        const theirs = await secondReading(input);
        if (theirs !== null) agree('rows', reading.value.rows.map(plain), theirs.map(plain));
        return 'accepted';
      },
    };
  },
};

/**
 * `null` where hyparquet does not read all of it: it takes the lengths within a damaged page for what they are, runs over its end, or leaves
 * values `undefined`. Then there is nothing to compare with.
 */
async function secondReading(input: Uint8Array): Promise<readonly object[] | null> {
  const file = Uint8Array.from(input).buffer;
  try {
    const rows = (await parquetReadObjects({ file, compressors })) as readonly object[];
    return rows.some((row) => Object.values(row).includes(undefined)) ? null : rows;
  } catch {
    return null;
  }
}

/** Without what the two show in different ways: whole numbers as bigints, times, rows without a prototype. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint' || typeof value === 'number')
    return Object.is(value, -0) ? '0' : String(Number(value));
  if (value instanceof Date) return String(value.getTime());
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value ?? null;
  return Object.entries(value).map(([name, inner]) => [name, plain(inner)]);
}

const ROWS = 60;
const each = <T>(value: (i: number) => T): T[] => Array.from({ length: ROWS }, (_, i) => value(i));

async function files(): Promise<readonly Uint8Array[]> {
  await using duck = await DuckFiles.create();
  const query = `SELECT i, i % 4 AS few, 'text ' || (i % 9) AS text, CASE WHEN i % 3 = 0 THEN i / 7.0 END AS ratio, i % 2 = 0 AS flag,
    [i, NULL, 3] AS list, {'a': i, 'b': [{'c': 'x' || i}]} AS deep FROM range(${ROWS}) t(i)`;
  const codecs = ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw'];
  const written: Uint8Array[] = [];
  for (const codec of codecs)
    written.push(new Uint8Array(await duck.parquet(query, `CODEC '${codec}', ROW_GROUP_SIZE 2048`)));
  written.push(new Uint8Array(await duck.parquet(query, `CODEC 'zstd', PARQUET_VERSION v2`)));
  const columns: ColumnSource[] = [
    { name: 'i', type: 'INT32', data: each((i) => i), encoding: 'DELTA_BINARY_PACKED' },
    { name: 'big', type: 'INT64', data: each(BigInt), encoding: 'DELTA_BINARY_PACKED' },
    { name: 'delta', type: 'STRING', data: each((i) => `text ${i}`), encoding: 'DELTA_BYTE_ARRAY' },
    { name: 'lengths', type: 'STRING', data: each((i) => `text ${i}`), encoding: 'DELTA_LENGTH_BYTE_ARRAY' },
    { name: 'flag', type: 'BOOLEAN', data: each((i) => i % 3 === 0), encoding: 'RLE' },
    { name: 'split', type: 'DOUBLE', data: each((i) => i / 3), encoding: 'BYTE_STREAM_SPLIT' },
    { name: 'few', type: 'STRING', data: each((i) => `v${i % 3}`) },
  ];
  for (const column of columns)
    written.push(
      new Uint8Array(
        parquetWriteBuffer({ codec: 'UNCOMPRESSED', pageSize: 200, rowGroupSize: 30, columnData: [column] }),
      ),
    );
  written.push(new Uint8Array(parquetWriteBuffer({ codec: 'SNAPPY', columnData: columns })));
  return written;
}
