/** `npm start`, 3,000,000 flights from Parquet to results, against the same question to DuckDB: whole processes. */
import type { MakeCase } from '../harness/contender.ts';
import { within } from '../harness/goals.ts';
import { moduleOf, repositoryFile } from '../harness/places.ts';

const GROUPS = 3_399;
const APPLIED = 2_999_858;
/** DuckDB's time times so much is what `npm start` may take. */
const FACTOR = 6;

const makeCase: MakeCase = () => {
  const flights = repositoryFile('node_modules/vega-datasets/data/flights-3m.parquet');
  const pipeline = repositoryFile('examples/lane-performance.ts');
  return Promise.resolve({
    title: 'Flights to results: `npm start`, whole processes',
    unit: 'rows',
    whole: true,
    contenders: [
      {
        name: 'npm start',
        module: moduleOf('contenders/sluice-run'),
        options: { args: [pipeline, flights] },
        amount: 3_000_000,
        expected: { groups: GROUPS, applied: APPLIED, complete: 1 },
      },
      {
        name: 'DuckDB',
        module: moduleOf('peers/duckdb-lanes'),
        options: { flights },
        amount: 3_000_000,
        expected: { groups: GROUPS, applied: APPLIED },
      },
    ],
    goals: [within(FACTOR, 'npm start', 'DuckDB')],
  });
};

export default makeCase;
