/** CSV to packed frames in the in-memory stream: ours against the talk's way and others. */
import { statSync } from 'node:fs';
import { itemsOf } from '../data/files.ts';
import { itemColumns } from '../data/item.ts';
import type { Contender, MakeCase } from '../harness/contender.ts';

const makeCase: MakeCase = async ({ rows, slowRows }) => {
  const all = await itemsOf(rows);
  const few = await itemsOf(slowRows);
  const megabytes = (file: string) => statSync(file).size / 1e6;
  const ours = (name: string, frames: 'packed' | 'json', workers: number): Contender => ({
    name,
    module: new URL('../contenders/sluice-transform.ts', import.meta.url),
    options: { pipeline: pipelineFile(`items-${frames}`), location: all.csv, workers },
    amount: megabytes(all.csv),
    expected: { rows, messages: rows, failed: 0 },
  });
  const peer = (name: string, module: string, { csv, rows: messages } = all, more = {}): Contender => ({
    name,
    module: new URL(`../peers/${module}.ts`, import.meta.url),
    options: { csv, ...more },
    amount: megabytes(csv),
    expected: { messages },
  });
  const columns = Object.keys(itemColumns);
  return {
    name: 'csv-to-frames',
    title: 'CSV to frames in the in-memory stream',
    unit: 'MB of CSV',
    contenders: [
      ours('sluice, 2 workers', 'packed', 2),
      peer("the talk's way", 'talk', few),
      ours('sluice, 1 worker', 'packed', 1),
      peer('aws-lambda-stream', 'aws-lambda-stream', few),
      ours('sluice, json frames, 2 workers', 'json', 2),
      peer('uDSV + JSON + gzip', 'udsv', few),
      peer('DuckDB COPY to gzipped JSON', 'duckdb-copy', few, { columns, format: 'json' }),
      peer('DuckDB COPY to Parquet', 'duckdb-copy', all, { columns, format: 'parquet' }),
    ],
    goals: [
      goal("10 × the talk's way", 'sluice, 2 workers', "the talk's way", 10),
      goal("with json frames 4 × the talk's way", 'sluice, json frames, 2 workers', "the talk's way", 4),
    ],
  };
};

function goal(says: string, of: string, over: string, atLeast: number) {
  return { says, of, over, atLeast, by: 'wall' } as const;
}

function pipelineFile(name: string): string {
  return new URL(`../pipelines/${name}.ts`, import.meta.url).pathname;
}

export default makeCase;
