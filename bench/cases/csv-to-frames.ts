/** CSV to packed frames in the in-memory stream: ours against the talk's way and others. */
import { itemsOf } from '../data/files.ts';
import { itemColumns } from '../data/item.ts';
import type { Contender, MakeCase } from '../harness/contender.ts';
import { faster, memory, speed } from '../harness/goals.ts';
import { megabytesOf, moduleOf, pipelineOf } from '../harness/places.ts';

const makeCase: MakeCase = async ({ rows, slowRows }) => {
  const all = { rows, csv: await itemsOf(rows, 'csv') };
  const few = { rows: slowRows, csv: await itemsOf(slowRows, 'csv') };
  const ours = (
    name: string,
    frames: 'packed' | 'json',
    workers: number,
    { csv, rows: read } = all,
  ): Contender => ({
    name,
    module: moduleOf('contenders/sluice-transform'),
    options: {
      pipeline: pipelineOf(`items-${frames}`),
      location: csv,
      workers,
    },
    amount: megabytesOf(csv),
    expected: { rows: read, messages: read, failed: 0 },
  });
  const peer = (name: string, module: string, { csv, rows: messages } = few, more = {}): Contender => ({
    name,
    module: moduleOf(`peers/${module}`),
    options: { csv, ...more },
    amount: megabytesOf(csv),
    expected: { messages },
  });
  const columns = Object.keys(itemColumns);
  return {
    title: 'CSV to frames in the in-memory stream',
    unit: 'MB of CSV',
    contenders: [
      ours('sluice, 2 workers', 'packed', 2),
      peer("the talk's way", 'talk'),
      ours('sluice, 1 worker', 'packed', 1),
      peer('aws-lambda-stream', 'aws-lambda-stream'),
      ours('sluice, json frames, 2 workers', 'json', 2),
      peer('uDSV + JSON + gzip', 'udsv'),
      peer('the least: uDSV + columns + zstd', 'least', all),
      ours('sluice, 2 workers, a part of the rows', 'packed', 2, few),
      peer('DuckDB COPY to gzipped JSON', 'duckdb-copy', few, { columns, format: 'json' }),
      peer('DuckDB COPY to Parquet', 'duckdb-copy', all, { columns, format: 'parquet' }),
    ],
    goals: [
      faster('sluice, 2 workers', "the talk's way", 10),
      faster('sluice, json frames, 2 workers', "the talk's way", 4),
      speed('sluice, 2 workers', 'MB', 100),
      memory('sluice, 2 workers', 512),
    ],
  };
};

export default makeCase;
