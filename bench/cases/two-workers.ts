/** Two workers against one, on every format: one object each, divided into sections, and CSV in several objects. */
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
  const formats = Object.entries(places);
  return {
    title: 'Two workers against one',
    unit: 'rows',
    contenders: formats.flatMap(([format, location]) =>
      [2, 1].map((many) => contender(format, location, many)),
    ),
    goals: formats.map(([format]) => faster(named(format, 2), named(format, 1), 1.8)),
  };
};

export default makeCase;
