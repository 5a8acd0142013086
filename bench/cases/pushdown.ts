/** What is not needed is not read: 3 of 20 columns of Parquet, and a predicate on the column that the rows are sorted by. */
import { itemsOf } from '../data/files.ts';
import { storedBytes } from '../data/stored-bytes.ts';
import type { Contender, MakeCase } from '../harness/contender.ts';
import { most, faster, share } from '../harness/goals.ts';
import { moduleOf, pipelineOf } from '../harness/places.ts';

const COLUMNS = ['lane', 'quantity', 'delay_minutes'];

const makeCase: MakeCase = async ({ rows }) => {
  const parquet = await itemsOf(rows, 'parquet');
  const from = Math.floor(rows * 0.45);
  const to = from + Math.floor(rows / 10);
  const stored = await storedBytes(parquet, COLUMNS, { column: 'line', from, to });
  const contender = (name: string, pipeline: string, where?: object): Contender => ({
    name,
    module: moduleOf('contenders/sluice-in-process'),
    options: { pipeline: pipelineOf(pipeline), location: parquet, where },
    amount: rows,
    expected: where === undefined ? { rows, messages: rows } : { rows, messages: to - from },
  });
  const sorted = { line: { $gte: from, $lt: to } };
  return {
    title: `3 of 20 columns of ${stored.groups} row groups, and a predicate that ${stored.matchingGroups} of them match`,
    unit: 'rows',
    contenders: [
      contender('3 columns', 'items-3-columns'),
      contender('all columns', 'items-all-columns'),
      contender('a predicate on sorted rows', 'items-all-columns', sorted),
    ],
    goals: [
      faster('3 columns', 'all columns', 4),
      share(
        'bytes read for 3 columns over those of their column chunks',
        '3 columns',
        'bytesRead',
        stored.ofColumns,
        1.2,
      ),
      share(
        'bytes read for the predicate over those of the matching row groups',
        'a predicate on sorted rows',
        'bytesRead',
        stored.ofMatchingGroups,
        1.1,
      ),
      // A column chunk is one request, adjacent ones are one together; dispatch and each task read the footer.
      most(
        'ranged GETs for 3 columns',
        '3 columns',
        'requests',
        COLUMNS.length * stored.groups + 2 * stored.groups,
      ),
      most(
        'ranged GETs for the predicate',
        'a predicate on sorted rows',
        'requests',
        4 * stored.matchingGroups + 4,
      ),
    ],
  };
};

export default makeCase;
