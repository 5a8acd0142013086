import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { formatCount } from '../src/entrypoints/cli/terminal/format.ts';
import type { Scenario } from '../src/testing/simulator/scenario.ts';
import type { Played, Share } from '../test/simulator/seed-worker.ts';

const HELP = `npm run simulate -- [options]

The whole of Sluice on a virtual clock, with everything going wrong that does in a cloud, history by history.
Each follows from its seed. Prints one line; where something was lost, counted twice or left undone, the history too.

  --seeds N      histories to try (default 1000)
  --minutes N    as many as there is time for, instead
  --seed N       the first of them (default 1)
  --rows N       rows of a lake, about (default 1500)
  --workers N    threads (default: one for each core)
  --help

Exit codes: 0 nothing was lost and nothing counted twice; 1 something was, or the options are wrong; 130 stopped by Ctrl-C.
`;

/** How long a smaller history that fails, too, is looked for, in milliseconds. */
const SHRINK_MS = 60_000;

const begun = performance.now();
process.exitCode = await main();

async function main(): Promise<number> {
  let options;
  try {
    options = readOptions();
  } catch (thrown) {
    process.stderr.write(`${(thrown as Error).message}\nRun it with --help.\n`);
    return 1;
  }
  if (options === null) {
    process.stdout.write(HELP);
    return 0;
  }
  const { rows } = options;
  const total = { seeds: 0, rows: 0, faults: 0, lost: 0, duplicated: 0 };
  const failed: number[] = [];
  const interrupted = await playAll(options, (played) => {
    total.seeds++;
    total.rows += played.rows;
    total.faults += played.faults;
    total.lost += played.lost;
    total.duplicated += played.duplicated;
    if (played.failed) failed.push(played.seed);
    if (process.stderr.isTTY) process.stderr.write(`\r${lineOf(total)}   `);
    return failed.length === 0;
  });
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K');
  process.stdout.write(`${lineOf(total)}\n`);
  const [seed] = failed.sort((a, b) => a - b);
  if (seed !== undefined) await explain(seed, rows);
  if (interrupted) return 130;
  return seed === undefined ? 0 : 1;
}

interface Options {
  readonly seeds: number | null;
  readonly minutes: number | null;
  readonly seed: number;
  readonly rows: number;
  readonly workers: number;
}

/** `null`: help is wanted. @throws Error */
function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      rows: { type: 'string' },
      workers: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return null;
  const number = (name: 'seeds' | 'minutes' | 'seed' | 'rows' | 'workers', otherwise: number): number => {
    const text = values[name];
    if (text === undefined) return otherwise;
    const value = Number(text);
    const isWhole = name === 'minutes' || Number.isSafeInteger(value);
    if (text.trim() === '' || !isWhole || !(value > 0))
      throw new Error(`--${name} wants a number above 0, not "${text}"`);
    return value;
  };
  const minutes = values.minutes === undefined ? null : number('minutes', 1);
  return {
    seeds: minutes === null ? number('seeds', 1_000) : null,
    minutes,
    seed: number('seed', 1),
    rows: number('rows', 1_500),
    workers: number('workers', availableParallelism()),
  };
}

/** @param take told of each history; `false`: it is enough. @returns whether it was stopped by Ctrl-C */
async function playAll(options: Options, take: (played: Played) => boolean): Promise<boolean> {
  const { seeds, minutes, seed, rows, workers: count } = options;
  const until = minutes === null ? null : Date.now() + minutes * 60_000;
  const taken = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const share: Share = { first: seed, taken, seeds, until, rows };
  const file = new URL('../test/simulator/seed-worker.ts', import.meta.url);
  const workers = Array.from({ length: count }, () => new Worker(file, { workerData: share }));
  let interrupted = false;
  const stop = () => void Promise.all(workers.map((worker) => worker.terminate()));
  process.once('SIGINT', () => {
    interrupted = true;
    stop();
  });
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise<void>((resolve, reject) => {
          worker.on('message', (played: Played) => {
            if (!take(played)) stop();
          });
          worker.once('error', reject);
          worker.once('exit', () => resolve());
        }),
    ),
  );
  return interrupted;
}

function lineOf(total: {
  readonly seeds: number;
  readonly rows: number;
  readonly faults: number;
  readonly lost: number;
  readonly duplicated: number;
}): string {
  const counts = Object.entries(total).map(([name, count]) => `${name} ${formatCount(count)}`);
  return `${counts.join('  ')}  seconds ${((performance.now() - begun) / 1000).toFixed(1)}`;
}

async function explain(seed: number, rows: number): Promise<void> {
  process.stdout.write(`seed ${seed} failed; looking for a smaller history that does, too\n`);
  // Only now: the workers that play have loaded all of it already.
  const { describeOutcome, scenarioOf, shrink } = await import('../src/testing/simulator/index.ts');
  const { play } = await import('../test/simulator/history-of-seed.ts');
  const fails = async (scenario: Scenario) => (await play(scenario)).wrong.length > 0;
  const smallest = await shrink(scenarioOf(seed, rows), fails, SHRINK_MS);
  process.stdout.write(`${describeOutcome(smallest, await play(smallest))}\n`);
  process.stdout.write(`again: npm run simulate -- --seed ${seed} --seeds 1 --rows ${rows}\n`);
}
