/** `npm run test:chaos`: a million rows through the deployed functions, while all that can be killed is. */
import { createWriteStream } from 'node:fs';
import { parseArgs } from 'node:util';
import { runChaos, type ChaosOptions } from './chaos.ts';
import { lineOf } from './report-line.ts';

const HELP = `npm run test:chaos -- [options]

Sends objects and messages through the built functions, under AWS's runtime client and on real Redis and PostgreSQL, while functions
and servers are killed and calls fail. Ends with 1 where a row or a message is lost or counts twice, or less was killed than was
asked for. Needs what npm run test:servers needs.

  --rows N       in all (default 1,000,000)
  --objects N    that they lie in (default 100)
  --messages N   from elsewhere, through the queue (default 4,000)
  --kills N      SIGKILLs of functions at work (default 200)
  --redis N      Redis killed and started again, or flushed (default 50)
  --postgres N   restarts of PostgreSQL in immediate mode (default 20)
  --seed N       of what happens when (default: drawn, and printed)
  --minutes N    gives up after so long (default 60)
  --log FILE     what the functions write
  --help
`;

const sizes = {
  rows: 1_000_000,
  objects: 100,
  messages: 4_000,
  kills: 200,
  redis: 50,
  postgres: 20,
  minutes: 60,
} as const;
type Size = keyof typeof sizes;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

process.exitCode = await main();

async function main(): Promise<number> {
  const number = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      ...(Object.fromEntries(Object.keys(sizes).map((name) => [name, number])) as Record<
        Size,
        typeof number
      >),
      seed: number,
      log: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return (say(HELP), 0);
  const size = (name: Size): number => wholeNumber(name, values[name]) ?? sizes[name];
  const seed = wholeNumber('seed', values.seed) ?? Math.floor(Math.random() * 2 ** 31);
  const begun = performance.now();
  const seconds = () => Math.round((performance.now() - begun) / 1_000);
  const log = values.log === undefined ? undefined : createWriteStream(values.log);
  const options: ChaosOptions = {
    seed,
    rows: size('rows'),
    objects: size('objects'),
    messages: size('messages'),
    kills: size('kills'),
    redis: size('redis'),
    postgres: size('postgres'),
    timeoutMs: size('minutes') * 60_000,
    say: (line) => say(`${`${seconds()} s`.padStart(7)}  ${line}`),
    ...(log === undefined
      ? {}
      : { log: ({ functionName, line }) => void log.write(`${functionName} ${line}\n`) }),
  };
  say(`seed ${seed}`);
  const report = await runChaos(options);
  log?.end();
  for (const objection of report.objections) say(objection);
  say(lineOf(options, report, seconds()));
  const { trouble } = report;
  const kills = Object.values(trouble.kills).reduce((sum, each) => sum + each, 0);
  const enough =
    kills >= options.kills &&
    trouble.redisKills + trouble.redisFlushes >= options.redis &&
    trouble.postgres >= options.postgres;
  if (!enough) say('less was killed than was asked for: there was not enough to do');
  return enough && report.objections.length === 0 ? 0 : 1;
}

function wholeNumber(name: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (!/^\d+$/.test(given)) throw new Error(`--${name} ${given} is no whole number`);
  return Number(given);
}
