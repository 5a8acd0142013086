/** What it costs the result store that everything counts once, in bits a message: with 32 partitions, at its worst and when the object is complete. */
import { itemsOf } from '../data/files.ts';
import type { Contender, MakeCase } from '../harness/contender.ts';
import { most } from '../harness/goals.ts';
import { moduleOf, pipelineOf } from '../harness/places.ts';

const makeCase: MakeCase = async ({ quick }) => {
  const sizes = quick ? [10_000, 100_000] : [10_000, 1_000_000];
  const named = (messages: number) => `${messages.toLocaleString('en')} messages`;
  const contenders: Contender[] = [];
  for (const messages of sizes) {
    contenders.push({
      name: named(messages),
      module: moduleOf('contenders/exactly-once-state'),
      options: { pipeline: pipelineOf('items-partitioned'), location: await itemsOf(messages, 'csv') },
      amount: messages,
      expected: { messages, applied: messages },
    });
  }
  // Of the small one it is told, and no limit set: one row is one row.
  return {
    title: 'State for exactly once, in SQLite',
    unit: 'messages',
    contenders,
    goals: sizes.flatMap((messages) => {
      const limits = messages < 100_000 ? [Infinity, Infinity] : [0.1, 2];
      return [
        most(
          `${named(messages)}: bits a message when the object is complete`,
          named(messages),
          'doneBitsPerMessage',
          limits[0] as number,
        ),
        most(
          `${named(messages)}: bits a message at any moment`,
          named(messages),
          'peakBitsPerMessage',
          limits[1] as number,
        ),
      ];
    }),
  };
};

export default makeCase;
