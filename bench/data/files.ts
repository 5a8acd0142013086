import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { writeItems } from './write-items.ts';

const SEED = 20190525;
/** As many as are usual, and as row groups of other writers have. */
const ROW_GROUP_ROWS = 131_072;
/** Raised when other data is written from the same seed. */
const LAYOUT = 2;
const OBJECTS = 8;

const DATA = path.join(import.meta.dirname, '..', '.data');

/** Items of the supply chain, the same rows whatever the format: a file, or a folder of several. */
export type ItemsFormat = 'csv' | 'jsonl' | 'parquet' | 'csv-objects';

/** Where so many rows of items are; they are made where they are not there yet, and kept. */
export async function itemsOf(rows: number, format: ItemsFormat): Promise<string> {
  const place = path.join(DATA, `items-${LAYOUT}-${SEED}-${rows}`, `items.${format}`);
  if (existsSync(place)) return place;
  await mkdir(path.dirname(place), { recursive: true });
  // Made beside its place: what was stopped half-way is never taken for data.
  const making = await mkdtemp(path.join(DATA, 'making-'));
  try {
    const made = path.join(making, path.basename(place));
    await make(made, rows, format);
    await rename(made, place);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return place;
}

async function make(place: string, rows: number, format: ItemsFormat): Promise<void> {
  switch (format) {
    case 'csv':
    case 'jsonl':
      return writeItems(place, { seed: SEED, from: 0, rows, format });
    case 'parquet':
      return writeParquet(await itemsOf(rows, 'jsonl'), place);
    case 'csv-objects':
      await mkdir(place);
      for (let object = 0; object < OBJECTS; object++) {
        const from = Math.floor((rows * object) / OBJECTS);
        const to = Math.floor((rows * (object + 1)) / OBJECTS);
        const file = path.join(place, `items-${object}.csv`);
        await writeItems(file, { seed: SEED, from, rows: to - from, format: 'csv' });
      }
  }
}

/** DuckDB writes it: a Parquet of somebody else's, with statistics. */
async function writeParquet(jsonl: string, parquet: string): Promise<void> {
  const duck = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  try {
    await duck.run(
      `COPY (SELECT * REPLACE (ordered_at::TIMESTAMP AS ordered_at, due_at::TIMESTAMP AS due_at) FROM read_json('${jsonl}', format = 'newline_delimited'))
       TO '${parquet}' (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    );
  } finally {
    duck.closeSync();
  }
}
