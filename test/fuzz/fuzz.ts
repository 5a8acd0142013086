/** `npm run fuzz`: tries mutated inputs on everything that reads what somebody else has made. */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';
import type { Totals } from './reports.ts';
import { targets } from './targets.ts';

const HELP = `npm run fuzz -- [options]

Mutates a corpus and gives the inputs to every decoder and parser: none may crash, hang, leave a rejection behind or
fill the memory, and what is accepted must be what a second reader accepts. Prints a line for each target.

  --inputs N       inputs in all (default 20,000)
  --minutes N      time in all, instead
  --seed N         of the inputs; the same seed gives the same inputs (default: drawn, and printed)
  --target NAME    this target only; again for more of them
  --replay FILE    gives one input to the --target and shows what it says
  --help

Targets: ${targets.map(({ name }) => name).join(', ')}
`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string' },
      minutes: { type: 'string' },
      seed: { type: 'string' },
      target: { type: 'string', multiple: true },
      replay: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return (say(HELP), 0);
  const chosen =
    values.target === undefined ? targets : targets.filter(({ name }) => values.target?.includes(name));
  if (chosen.length < (values.target?.length ?? 1))
    return (say(`there is no such target; there are: ${targets.map(({ name }) => name).join(', ')}`), 1);
  if (values.replay !== undefined) return replay(chosen, values.replay);
  const minutes = numberOf('minutes', values.minutes);
  const inputs =
    numberOf('inputs', values.inputs) ?? (minutes === undefined ? 20_000 : Number.MAX_SAFE_INTEGER);
  const seed = numberOf('seed', values.seed) ?? Math.floor(Math.random() * 2 ** 31);
  say(`seed ${seed}`);
  say(
    [
      'target'.padEnd(16),
      ...['inputs', 'accepted', 'refused', 'seconds', 'peak MB'].map((head) => head.padStart(10)),
    ].join(''),
  );
  const { totals, findings } = await runCampaign({
    targets: chosen,
    inputs,
    ms: minutes === undefined ? null : minutes * 60_000,
    seed,
    onDone: (target, found) => say(lineOf(target, found)),
    onFinding: ({ target, problem, stack, file }) =>
      say(
        `FINDING in ${target}, seed ${seed}: ${problem}\n  ${placesIn(stack)}\n  npm run fuzz -- --target ${target} --replay ${file}`,
      ),
  });
  const all = [...totals.values()];
  say(
    lineOf('all', {
      inputs: sum(all.map((each) => each.inputs)),
      accepted: sum(all.map((each) => each.accepted)),
      refused: sum(all.map((each) => each.refused)),
      ms: sum(all.map((each) => each.ms)),
      peakHeap: Math.max(0, ...all.map((each) => each.peakHeap)),
    }),
  );
  say(`${findings.length} findings`);
  return findings.length === 0 ? 0 : 1;
}

async function replay([target]: typeof targets, file: string): Promise<number> {
  const open = await target?.open();
  try {
    say(`${target?.name}: ${await open?.check(new Uint8Array(await readFile(file)))}`);
    return 0;
  } catch (thrown) {
    say(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
    return 1;
  }
}

function lineOf(target: string, { inputs, accepted, refused, ms, peakHeap }: Totals): string {
  const numbers = [inputs, accepted, refused, (ms / 1000).toFixed(1), Math.round(peakHeap / 1e6)];
  return [target.padEnd(16), ...numbers.map((number) => String(number).padStart(10))].join('');
}

function placesIn(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => line.includes('/src/') || line.includes('/test/'))
    .slice(0, 4)
    .map((line) => line.trim())
    .join('\n  ');
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${name} must be a number greater than 0`);
  return number;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
