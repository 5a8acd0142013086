import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Where } from '../../src/domain/where.ts';
import { itemsOf, type ItemsFormat } from '../data/files.ts';
import type { InProcessOptions } from '../contenders/sluice-in-process.ts';
import type { Counts } from '../harness/contender.ts';
import { pipelineOf } from '../harness/places.ts';
import { transformFile } from './transform-file.ts';

/** What is counted, by the name of the work: the same on every machine, however busy it is. */
export type CountedWork = Readonly<Record<string, Counts>>;

/** Two sections of text, and a row group. */
const ROWS = 60_000;

const works: Readonly<Record<string, readonly [ItemsFormat, string, Where?]>> = {
  CSV: ['csv', 'items-packed'],
  'CSV, json frames': ['csv', 'items-json'],
  'CSV, partitioned': ['csv', 'items-partitioned'],
  'JSON Lines': ['jsonl', 'items-packed'],
  Parquet: ['parquet', 'items-packed'],
  'Parquet, 3 columns': ['parquet', 'items-3-columns'],
  'Parquet, a predicate that no row group matches': [
    'parquet',
    'items-all-columns',
    { line: { $gte: ROWS } },
  ],
};

export async function countWork(): Promise<CountedWork> {
  const counted: Record<string, Counts> = {};
  for (const [name, [format, pipeline, where]] of Object.entries(works)) {
    const location = await itemsOf(ROWS, format);
    const options = { pipeline: pipelineOf(pipeline), location, ...(where === undefined ? {} : { where }) };
    counted[name] = {
      ...(await transformFile(options)),
      allocatedBytes: await allocatedBytes(options),
    };
  }
  return counted;
}

/** Compiling in the background would end the slow beginnings of functions now earlier, now later. */
const V8_FLAGS = ['--single-threaded'];
const NODE_FLAGS = ['--conditions=sluice-source', '--disable-warning=ExperimentalWarning'];

/** Bytes of objects that V8 allocates, by sampling: within a hundredth from run to run. Buffers are not in it. */
async function allocatedBytes(options: InProcessOptions): Promise<number> {
  const script = fileURLToPath(new URL('./allocations.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...V8_FLAGS,
    ...NODE_FLAGS,
    script,
    JSON.stringify(options),
  ]);
  return Number(stdout);
}
