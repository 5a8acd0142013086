/** `npm run test:kill`: kills `sluice run` at random moments, at full size. */
import { parseArgs } from 'node:util';
import { repository, Scratch } from '../cli/harness.ts';
import { writeBigCsv } from './big-csv.ts';
import { killAndRestart, killsOf } from './campaign.ts';
import { shipmentsPipeline } from './shipments-pipeline.ts';

const HELP = `npm run test:kill -- [options]

Runs a pipeline over the flights (3,000,000 rows of Parquet) and one over a large CSV file with newlines in quotes, kills the process with SIGKILL
at random moments, starts it again until it is complete, and compares what it leaves with that of a clean run, to the byte.

  --kills N     in all (default 200)
  --seed N      of the moments (default: drawn, and printed)
  --csv-mb N    size of the CSV file (default 300)
  --help
`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    'csv-mb': { type: 'string', default: '300' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) say(HELP);
else process.exitCode = await main(Number(values.kills), Number(values.seed), Number(values['csv-mb']) * 1e6);

async function main(kills: number, seed: number, csvBytes: number): Promise<number> {
  const startedAt = performance.now();
  await using scratch = await Scratch.make();
  await scratch.write('shipments.ts', shipmentsPipeline());
  const csvRows = await writeBigCsv(scratch.path('big.csv'), csvBytes);
  say(`seed ${seed}; ${csvRows} rows of CSV`);
  const flights = {
    name: 'flights',
    pipeline: `${repository}examples/lane-performance.ts`,
    objects: [`${repository}node_modules/vega-datasets/data/flights-3m.parquet`],
  };
  const csv = { name: 'csv', pipeline: 'shipments.ts', objects: ['big.csv'] };
  const totals = await killAndRestart(scratch, { subjects: [flights, csv], kills, seed, reach: 0.15, say });
  totals.problems.forEach(say);
  const { starting, working, ending } = totals.kills;
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  say(
    `seed ${seed}: ${killsOf(totals)} kills (${starting} while it started, ${working} at work, ${totals.midway} of them with a section half applied, ` +
      `${ending} while it published) in ${totals.folders} folders, ${totals.problems.length} problems, ${seconds} s`,
  );
  return totals.problems.length === 0 ? 0 : 1;
}
