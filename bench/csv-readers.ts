/**
 * How fast CSV readers make row objects with text for all columns out of a file: ours, uDSV and csv-parse.
 *
 *   node bench/csv-readers.ts [rounds, default 5]
 *
 * Each reader gets the same file through the same kind of stream, in chunks of the size that it is fastest with, decodes UTF-8 (ours refuses what is none), and hands its rows on in
 * arrays of 1,000, whose fields are then looked at. Each measurement is a fresh process that reads the file several times; the
 * processes take turns, so that a noisy machine disturbs all alike. Told is MB of the file per second of CPU time, of all threads:
 * `steady` is the median of a process's later readings, `best` its fastest.
 */
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse';
import { inferSchema, initParser, type Parser } from 'udsv';
import { decoderFor } from '../src/application/formats/index.ts';
import type { Columns, ColumnType } from '../src/domain/columns.ts';
import { defaultLimits } from '../src/domain/limits.ts';

const COLUMNS = Array.from({ length: 20 }, (_, i) => `column_${i}`);
const FILE_BYTES = 32_000_000;
const BATCH_ROWS = 1_000;
/** As `LocalObjectSource` reads. uDSV is slower with chunks of this size, and gets the stream's own 64 KiB. */
const OUR_CHUNK_BYTES = 512 * 1024;
/** Readings before the engine has compiled what is hot. */
const WARM_UP = 4;
const READINGS = 12;

/** What the rows of a reading add up to: the same for every reader. */
interface Sum {
  rows: number;
  characters: number;
}

type Values = Readonly<Record<string, unknown>>;

function look(rows: readonly Values[], sum: Sum): void {
  sum.rows += rows.length;
  for (const row of rows) {
    sum.characters += (row['column_1'] as string).length;
    sum.characters += (row['column_18'] as string).length;
  }
}

async function sluice(file: string, sum: Sum, columns?: Columns, see = look): Promise<void> {
  const decoder = await decoderFor('csv');
  const object = {
    key: file,
    size: statSync(file).size,
    read: (start: number, end: number) =>
      createReadStream(file, { start, end: end - 1, highWaterMark: OUR_CHUNK_BYTES }),
  };
  const options = {
    csv: undefined,
    columns,
    where: undefined,
    limits: defaultLimits,
    compression: 'none' as const,
    pathColumns: {},
  };
  const { signal } = new AbortController();
  for await (const { rows } of decoder.read(object, { from: 0, to: null }, null, options, signal)) {
    see(rows, sum);
  }
}

/**
 * As in uDSV's README, but that the stream decodes: `chunk.toString()` breaks characters at the edges of chunks, and of the
 * ways that do not this is the fastest.
 */
async function udsv(file: string, sum: Sum): Promise<void> {
  let parser: Parser | undefined;
  let batch: Values[] = [];
  const add = (row: Values): void => {
    batch.push(row);
    if (batch.length < BATCH_ROWS) return;
    look(batch, sum);
    batch = [];
  };
  for await (const chunk of createReadStream(file, 'utf8')) {
    const text = chunk as string;
    parser ??= initParser(inferSchema(text));
    parser.chunk(text, parser.stringObjs<Record<string, string>>, add);
  }
  parser?.end();
  look(batch, sum);
}

async function csvParse(file: string, sum: Sum): Promise<void> {
  let batch: Values[] = [];
  for await (const row of createReadStream(file).pipe(parse({ columns: true }))) {
    batch.push(row as Values);
    if (batch.length < BATCH_ROWS) continue;
    look(batch, sum);
    batch = [];
  }
  look(batch, sum);
}

const TYPES: readonly ColumnType[] = ['integer', 'number', 'timestamp', 'string', 'string'];
const typed = Object.fromEntries(COLUMNS.map((name, i) => [name, TYPES[i % TYPES.length] as ColumnType]));

const readers: Readonly<Record<string, (file: string, sum: Sum) => Promise<void>>> = {
  sluice,
  uDSV: udsv,
  'csv-parse': csvParse,
  'sluice, 3 columns': (file, sum) => sluice(file, sum, ['column_1', 'column_10', 'column_18']),
  'sluice, typed': (file, sum) =>
    sluice(file, sum, typed, (rows) => {
      for (const row of rows) if (typeof row['column_1'] === 'number') sum.rows++;
    }),
};

/** Mulberry32: the same file from the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A column's third kind of text, by file. */
const files: Readonly<Record<string, (below: (limit: number) => number, column: number) => string>> = {
  'no quotes': (below) => `carrier-${below(1_000)}-name`,
  'one quoted column': (below, column) =>
    column === 3 ? `"carrier, ${below(1_000)} name"` : `carrier-${below(1_000)}-name`,
  'all text quoted': (below) => `"carrier ""${below(1_000)}"" name"`,
  'one column not ASCII': (below, column) =>
    column === 3 ? `Fluglinie Zürich ${below(1_000)}` : `carrier-${below(1_000)}-name`,
};

function write(file: string, text: (below: (limit: number) => number, column: number) => string): void {
  const random = randomFrom(1);
  const below = (limit: number): number => Math.floor(random() * limit);
  const kinds = [
    () => String(below(1e9)),
    () => (random() * 1e6).toFixed(4),
    () => `2019-05-25T10:20:${String(below(60)).padStart(2, '0')}`,
    (column: number) => text(below, column),
    () => `X${below(100)}`,
  ];
  const lines = [COLUMNS.join(',')];
  for (let bytes = 0; bytes < FILE_BYTES; bytes += (lines.at(-1) as string).length + 1) {
    lines.push(COLUMNS.map((_, i) => (kinds[i % kinds.length] as (column: number) => string)(i)).join(','));
  }
  writeFileSync(file, `${lines.join('\n')}\n`);
}

interface Measured {
  readonly steady: number;
  readonly best: number;
  readonly sum: Sum;
}

async function measure(name: string, file: string): Promise<Measured> {
  const read = readers[name] as (file: string, sum: Sum) => Promise<void>;
  const { size } = statSync(file);
  const speeds: number[] = [];
  let sum: Sum = { rows: 0, characters: 0 };
  // csv-parse takes seconds for each reading, and is warm within its first.
  const readings = name === 'csv-parse' ? 1 : READINGS;
  for (let i = 0; i < readings; i++) {
    sum = { rows: 0, characters: 0 };
    const begun = process.cpuUsage();
    await read(file, sum);
    const { user, system } = process.cpuUsage(begun);
    speeds.push(size / (user + system));
  }
  return {
    steady: median(speeds.slice(readings > WARM_UP ? WARM_UP : 0)),
    best: Math.max(...speeds),
    sum,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

function inChild(name: string, file: string): Measured {
  return JSON.parse(
    execFileSync(process.execPath, [import.meta.filename, '--measure', name, file], { encoding: 'utf8' }),
  ) as Measured;
}

function compare(rounds: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  try {
    console.log(
      `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, MB per CPU second`,
    );
    for (const [title, text] of Object.entries(files)) {
      const file = join(folder, 'rows.csv');
      write(file, text);
      const measured = new Map<string, Measured[]>();
      for (let round = 0; round < rounds; round++) {
        for (const name of Object.keys(readers)) {
          if (name === 'csv-parse' && round > 0) continue;
          measured.set(name, [...(measured.get(name) ?? []), inChild(name, file)]);
        }
      }
      report(title, measured);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function report(title: string, measured: ReadonlyMap<string, readonly Measured[]>): void {
  const reference = measured.get('sluice') as readonly Measured[];
  const expected = JSON.stringify(reference[0]?.sum);
  const ownSteady = median(reference.map(({ steady }) => steady));
  const ownBest = median(reference.map(({ best }) => best));
  console.log(`\n${title}`);
  for (const [name, all] of measured) {
    if (!name.startsWith('sluice,') && all.some(({ sum }) => JSON.stringify(sum) !== expected)) {
      throw new Error(`${name} read something else than sluice`);
    }
    const steady = all.map((one) => one.steady);
    const best = median(all.map((one) => one.best));
    console.log(
      `  ${name.padEnd(18)} steady ${median(steady).toFixed(0).padStart(4)}` +
        ` (${Math.min(...steady).toFixed(0)} to ${Math.max(...steady).toFixed(0)})`.padEnd(14) +
        ` best ${best.toFixed(0).padStart(4)}` +
        (name.startsWith('sluice')
          ? ''
          : `   sluice is ${(ownSteady / median(steady)).toFixed(2)} times as fast, ${(ownBest / best).toFixed(2)} at best`),
    );
  }
}

const [mode = '5', name = '', file = ''] = process.argv.slice(2);
if (mode === '--measure') console.log(JSON.stringify(await measure(name, file)));
else compare(Number(mode));
