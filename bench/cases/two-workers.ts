/**
 * Two workers against one, on every format: one object each, divided into sections, and CSV in several objects; and beside them two threads that share
 * nothing against one: more than the machine gives those, it gives nobody.
 */
import { itemsOf } from '../data/files.ts';
import type { Contender, MakeCase } from '../harness/contender.ts';
import { faster } from '../harness/goals.ts';
import { moduleOf, pipelineOf } from '../harness/places.ts';

const makeCase: MakeCase = async ({ rows }) => {
  const places = {
    CSV: await itemsOf(rows, 'csv'),
    'CSV in 8 objects': await itemsOf(rows, 'csv-objects'),
    'JSON Lines': await itemsOf(rows, 'jsonl'),
    Parquet: await itemsOf(rows, 'parquet'),
  };
  const named = (format: string, workers: number) =>
    `${format}, ${workers} worker${workers === 1 ? '' : 's'}`;
  const contender = (format: string, location: string, workers: number): Contender => ({
    name: named(format, workers),
    module: moduleOf('contenders/sluice-transform'),
    options: {
      pipeline: pipelineOf('items-packed'),
      location,
      workers,
    },
    amount: rows,
    expected: { rows, messages: rows, failed: 0 },
  });
  const texts = 4 * rows;
  const machine = (threads: number): Contender => ({
    name: named('the machine', threads),
    module: moduleOf('contenders/independent-threads'),
    options: { threads, texts },
    amount: rows,
    expected: { texts },
  });
  const formats = Object.entries(places);
  return {
    title: 'Two workers against one',
    unit: 'rows',
    contenders: [
      ...[2, 1].map(machine),
      ...formats.flatMap(([format, location]) => [2, 1].map((many) => contender(format, location, many))),
    ],
    goals: ['the machine', ...Object.keys(places)].map((what) => faster(named(what, 2), named(what, 1), 1.8)),
  };
};

export default makeCase;
