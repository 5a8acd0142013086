import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { writeItems } from './write-items.ts';

const SEED = 20190525;
/** As many as are usual, and as row groups of other writers have. */
const ROW_GROUP_ROWS = 131_072;
/** Raised when other data is written from the same seed. */
const LAYOUT = 1;

const DATA = path.join(import.meta.dirname, '..', '.data');

/** Items of the supply chain in every format, `rows` of them; the same files for the same number. */
export interface Items {
  readonly rows: number;
  readonly csv: string;
  readonly jsonl: string;
  readonly parquet: string;
  /** A folder with the same rows in `OBJECTS` files of CSV. */
  readonly csvObjects: string;
}

export const OBJECTS = 8;

/** Makes the data where it is not there yet. */
export async function itemsOf(rows: number): Promise<Items> {
  const folder = path.join(DATA, `items-${LAYOUT}-${SEED}-${rows}`);
  const at = (name: string, inside = folder) => path.join(inside, name);
  const filesIn = (inside: string) => ({
    rows,
    csv: at('items.csv', inside),
    jsonl: at('items.jsonl', inside),
    parquet: at('items.parquet', inside),
    csvObjects: at('objects', inside),
  });
  if (existsSync(folder)) return filesIn(folder);
  await mkdir(DATA, { recursive: true });
  // Made beside its place: what was stopped half-way is never taken for data.
  const making = await mkdtemp(path.join(DATA, 'making-'));
  try {
    const files = filesIn(making);
    await writeItems(files, { seed: SEED, from: 0, rows });
    await writeParquet(files);
    await mkdir(files.csvObjects);
    for (let object = 0; object < OBJECTS; object++) {
      const from = Math.floor((rows * object) / OBJECTS);
      const to = Math.floor((rows * (object + 1)) / OBJECTS);
      const csv = at(`items-${object}.csv`, files.csvObjects);
      await writeItems({ csv, jsonl: null }, { seed: SEED, from, rows: to - from });
    }
    await rename(making, folder);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return filesIn(folder);
}

/** DuckDB writes it: a Parquet of somebody else's, with statistics. */
async function writeParquet({ jsonl, parquet }: Pick<Items, 'jsonl' | 'parquet'>): Promise<void> {
  const duck = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
  try {
    await duck.run(
      `COPY (SELECT * REPLACE (ordered_at::TIMESTAMP AS ordered_at, due_at::TIMESTAMP AS due_at) FROM read_json('${jsonl}', format = 'newline_delimited'))
       TO '${parquet}' (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    );
  } finally {
    duck.closeSync();
  }
}
