/** Frames to results: unpack, drop duplicates, measure and apply; against making them, and against Powertools on the same messages as JSON. */
import { itemsOf } from '../data/files.ts';
import type { Contender, MakeCase } from '../harness/contender.ts';
import { faster } from '../harness/goals.ts';
import { moduleOf, pipelineOf } from '../harness/places.ts';

const makeCase: MakeCase = async ({ quick, slowRows }) => {
  const rows = quick ? 100_000 : 400_000;
  const csv = await itemsOf(rows, 'csv');
  const jsonl = await itemsOf(slowRows, 'jsonl');
  const pipeline = pipelineOf('items-packed');
  const analyze = (name: string, store: string): Contender => ({
    name,
    module: moduleOf('contenders/sluice-analyze'),
    options: { pipeline, location: csv, store },
    amount: rows,
    expected: { applied: rows },
  });
  return {
    title: 'Frames to results, against transform of the same rows and Powertools on the same messages',
    unit: 'rows',
    contenders: [
      analyze('analyze, in-memory store', 'in-memory'),
      analyze('analyze, SQLite', 'sqlite'),
      {
        name: 'transform, one thread',
        module: moduleOf('contenders/sluice-in-process'),
        options: { pipeline, location: csv },
        amount: rows,
        expected: { rows, messages: rows },
      },
      {
        name: 'Powertools batch + idempotency',
        module: moduleOf('peers/powertools-batch'),
        options: { jsonl },
        amount: slowRows,
        expected: { applied: slowRows },
      },
    ],
    goals: [
      faster('analyze, in-memory store', 'transform, one thread', 1, 'cpu'),
      faster('analyze, SQLite', 'transform, one thread', 1, 'cpu'),
    ],
  };
};

export default makeCase;
