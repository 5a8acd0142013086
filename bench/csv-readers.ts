/**
 * How fast CSV readers make row objects with text for all columns out of a file: ours, uDSV and csv-parse.
 *
 *   node bench/csv-readers.ts [pairs, default 21] [part of a file's title]
 *
 * Each reader gets the same file through the same kind of stream, in chunks of the size that it is fastest with, decodes UTF-8 (ours refuses what is none), and hands its rows on in
 * arrays of equal size, whose fields are then looked at. For each file a fresh process reads it with ours and uDSV in turn, so that
 * a noisy machine disturbs both alike; told are the medians in MB of the file per second of CPU time, of all threads, and their ratio.
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
import { randomFrom } from './data/random.ts';

const FILE_BYTES = 32_000_000;
/** As ours hands rows on. */
const BATCH_ROWS = 1_000;
const BATCH_BYTES = 256 * 1024;
/** As `LocalObjectSource` reads. uDSV is slower with chunks of this size, and gets the stream's own 64 KiB. */
const OUR_CHUNK_BYTES = 512 * 1024;
/** Readings before the engine has compiled what is hot. */
const WARM_UP = 4;

/** What the rows of a reading add up to: the same for every reader. */
interface Sum {
  rows: number;
  characters: number;
}

type Values = Readonly<Record<string, unknown>>;

/** Looks at rows, by the name of the second column and of the last but one. */
function look(rows: readonly Values[], sum: Sum, [second, lastButOne]: readonly [string, string]): void {
  sum.rows += rows.length;
  for (const row of rows) {
    sum.characters += (row[second] as string).length;
    sum.characters += (row[lastButOne] as string).length;
  }
}

/** What is read: a file of so many columns. */
interface Source {
  readonly file: string;
  readonly columns: number;
  readonly batchRows: number;
}

function looked({ columns }: Source): readonly [string, string] {
  return ['column_1', `column_${columns - 2}`];
}

type See = (rows: readonly Values[]) => void;

async function sluice(
  source: Source,
  sum: Sum,
  columns?: Columns,
  see: See = (rows) => look(rows, sum, looked(source)),
): Promise<void> {
  const { file } = source;
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
    see(rows);
  }
}

/**
 * As in uDSV's README, but that the stream decodes: `chunk.toString()` breaks characters at the edges of chunks, and of the
 * ways that do not this is the fastest.
 */
async function udsv(source: Source, sum: Sum): Promise<void> {
  const { file, batchRows } = source;
  const names = looked(source);
  let parser: Parser | undefined;
  let batch: Values[] = [];
  const add = (row: Values): void => {
    batch.push(row);
    if (batch.length < batchRows) return;
    look(batch, sum, names);
    batch = [];
  };
  for await (const chunk of createReadStream(file, 'utf8')) {
    const text = chunk as string;
    parser ??= initParser(inferSchema(text));
    parser.chunk(text, parser.stringObjs<Record<string, string>>, add);
  }
  parser?.end();
  look(batch, sum, names);
}

async function csvParse(source: Source, sum: Sum): Promise<void> {
  const { file, batchRows } = source;
  const names = looked(source);
  let batch: Values[] = [];
  for await (const row of createReadStream(file).pipe(parse({ columns: true }))) {
    batch.push(row as Values);
    if (batch.length < batchRows) continue;
    look(batch, sum, names);
    batch = [];
  }
  look(batch, sum, names);
}

const TYPES: readonly ColumnType[] = ['integer', 'number', 'timestamp', 'string', 'string'];

const readers: Readonly<Record<string, (source: Source, sum: Sum) => Promise<void>>> = {
  sluice,
  uDSV: udsv,
  'csv-parse': csvParse,
  'sluice, 3 columns': (source, sum) =>
    sluice(source, sum, ['column_1', 'column_10', `column_${source.columns - 2}`]),
  'sluice, typed': (source, sum) =>
    sluice(
      source,
      sum,
      Object.fromEntries(
        columnNames(source.columns).map((name, i) => [name, TYPES[i % TYPES.length] as ColumnType]),
      ),
      (rows) => {
        for (const row of rows) if (typeof row['column_1'] === 'number') sum.rows++;
      },
    ),
};

function columnNames(columns: number): string[] {
  return Array.from({ length: columns }, (_, i) => `column_${i}`);
}

type Text = (below: (limit: number) => number, column: number) => string;

const plain: Text = (below) => `carrier-${below(1_000)}-name`;

/** Files by title: how many columns, and the fourth kind of text in them. */
const files: Readonly<Record<string, readonly [columns: number, text: Text]>> = {
  'no quotes': [20, plain],
  'one quoted column': [
    20,
    (below, column) => (column === 3 ? `"carrier, ${below(1_000)} name"` : plain(below, column)),
  ],
  'all text quoted': [20, (below) => `"carrier ""${below(1_000)}"" name"`],
  'one column not ASCII': [
    20,
    (below, column) => (column === 3 ? `Fluglinie Zürich ${below(1_000)}` : plain(below, column)),
  ],
  'newlines in every row': [20, (below) => `"carrier ${below(1_000)}\nits name"`],
  '40 columns': [40, plain],
  '80 columns': [80, plain],
  '80 columns, all text quoted': [80, (below) => `"carrier ""${below(1_000)}"" name"`],
  '200 columns': [200, plain],
};

function write(file: string, columns: number, text: Text): Source {
  const random = randomFrom(1);
  const below = (limit: number): number => Math.floor(random() * limit);
  const kinds = [
    () => String(below(1e9)),
    () => (random() * 1e6).toFixed(4),
    () => `2019-05-25T10:20:${String(below(60)).padStart(2, '0')}`,
    (column: number) => text(below, column),
    () => `X${below(100)}`,
  ];
  const header = columnNames(columns);
  const lines = [header.join(',')];
  let bytes = 0;
  for (; bytes < FILE_BYTES; bytes += (lines.at(-1) as string).length + 1) {
    lines.push(header.map((_, i) => (kinds[i % kinds.length] as (column: number) => string)(i)).join(','));
  }
  writeFileSync(file, `${lines.join('\n')}\n`);
  return { file, columns, batchRows: Math.min(BATCH_ROWS, Math.ceil(BATCH_BYTES / (bytes / lines.length))) };
}

interface Measured {
  /** MB per CPU second, reading by reading. */
  readonly speeds: number[];
  sum: Sum;
}

/** The readers take turns. */
async function measure(taking: readonly string[], readings: number, source: Source): Promise<Measured[]> {
  const { size } = statSync(source.file);
  const measured = taking.map((): Measured => ({ speeds: [], sum: { rows: 0, characters: 0 } }));
  for (let i = 0; i < readings; i++) {
    for (const [turn, name] of taking.entries()) {
      const read = readers[name] as (source: Source, sum: Sum) => Promise<void>;
      const one = measured[turn] as Measured;
      one.sum = { rows: 0, characters: 0 };
      const begun = process.cpuUsage();
      await read(source, one.sum);
      const { user, system } = process.cpuUsage(begun);
      if (i >= WARM_UP || readings === 1) one.speeds.push(size / (user + system));
    }
  }
  return measured;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

function inChild(taking: readonly string[], readings: number, source: Source): Measured[] {
  const task = JSON.stringify({ taking, readings, source });
  return JSON.parse(
    execFileSync(process.execPath, [import.meta.filename, '--measure', task], { encoding: 'utf8' }),
  ) as Measured[];
}

function compare(pairs: number, part: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  try {
    console.log(
      `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${pairs} pairs, MB per CPU second`,
    );
    for (const [title, [columns, text]] of Object.entries(files)) {
      if (!title.includes(part)) continue;
      const source = write(join(folder, 'rows.csv'), columns, text);
      const [ours, theirs] = inChild(['sluice', 'uDSV'], WARM_UP + pairs, source) as [Measured, Measured];
      // It takes seconds for each reading, and is warm within its first.
      const [slow] = inChild(['csv-parse'], 1, source) as [Measured];
      for (const { sum } of [theirs, slow]) {
        if (JSON.stringify(sum) !== JSON.stringify(ours.sum)) throw new Error(`${title}: read differently`);
      }
      const ratio = median(ours.speeds) / median(theirs.speeds);
      const best = Math.max(...ours.speeds) / Math.max(...theirs.speeds);
      console.log(
        `\n${title}: sluice is ${ratio.toFixed(2)} times as fast as uDSV, ${best.toFixed(2)} at best`,
      );
      const others = ['sluice, 3 columns', 'sluice, typed'];
      tell('sluice', ours);
      tell('uDSV', theirs);
      tell('csv-parse', slow);
      for (const name of others) tell(name, inChild([name], WARM_UP + 5, source)[0] as Measured);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function tell(name: string, { speeds }: Measured): void {
  const [middle, least, most] = [median(speeds), Math.min(...speeds), Math.max(...speeds)].map((speed) =>
    speed.toFixed(0),
  ) as [string, string, string];
  console.log(`  ${name.padEnd(18)} ${middle.padStart(5)}  (${least} to ${most})`);
}

const [mode = '21', detail = ''] = process.argv.slice(2);
if (mode === '--measure') {
  const task = JSON.parse(detail) as { taking: string[]; readings: number; source: Source };
  console.log(JSON.stringify(await measure(task.taking, task.readings, task.source)));
} else compare(Number(mode), detail);
