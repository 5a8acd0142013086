import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DomainError, InfrastructureError, messageOf } from '../../../domain/errors.ts';
import { defaultLimits } from '../../../domain/limits.ts';
import type { AnyPipeline } from '../../../domain/pipeline.ts';
import { drawBreakEven } from '../estimate/break-even-chart.ts';
import { deployedByDefault, type Deployment } from '../estimate/deployment.ts';
import { estimate, type EstimateRequest } from '../estimate/estimate.ts';
import {
  DEFAULT_ACCOUNT_CONCURRENCY,
  MOST_MAXIMUM_CONCURRENCY,
  provisionedPollers,
} from '../estimate/limits-of-aws.ts';
import { builtInPrices } from '../estimate/price-list.ts';
import { parsePriceList, pricesOf, type PriceList } from '../estimate/prices.ts';
import { measuredRates, TYPICAL_MESSAGE_BYTES, TYPICAL_ROW_BYTES } from '../estimate/rates.ts';
import { renderEstimate } from '../estimate/render-estimate.ts';
import type { Workload } from '../estimate/workload.ts';
import { exitCodes } from '../exit-codes.ts';
import { loadPipeline } from '../load-pipeline.ts';
import { jsonOption, wholeNumber } from '../options.ts';
import { terminalOf } from '../terminal/terminal.ts';

interface Flags {
  readonly objects: number;
  readonly rows: number;
  readonly rowBytes: number;
  readonly bytes?: number;
  readonly messages: number;
  readonly per: 'day' | 'once';
  readonly hours: number;
  readonly peak: number;
  readonly arrival?: 'events' | 'order';
  readonly pipeline?: string;
  readonly format: 'csv' | 'jsonl';
  readonly messagesPerRow: number;
  readonly messageBytes: number;
  readonly groups: number;
  readonly region?: string;
  readonly prices?: string;
  readonly printPrices?: true;
  readonly memory: number;
  readonly functions?: number;
  readonly pollers?: NonNullable<Deployment['transformPollers']>;
  readonly shards: number | null;
  readonly databaseCapacity?: Pick<Deployment['database'], 'minimumCapacity' | 'maximumCapacity'>;
  readonly accountConcurrency: number;
  readonly rowsPerSecond: number;
  readonly chart?: string;
  readonly json?: true;
}

const DEFAULT_PARTITIONS = 32;

export function estimateCommand(exitWith: (code: number) => void): Command {
  return new Command('estimate')
    .description(
      'what a workload asks of AWS and costs there, how fast a burst is done, and from when on servers are cheaper',
    )
    .option('--objects <n>', 'objects of the lake, all of one size', wholeNumber(0), 0)
    .option('--rows <n>', 'rows of all objects together', wholeNumber(0), 0)
    .option('--row-bytes <n>', 'bytes of one row as it is stored', positive, TYPICAL_ROW_BYTES)
    .option('--bytes <n>', 'bytes of all objects together; default: rows × row-bytes', wholeNumber(1))
    .option('--messages <n>', 'messages from elsewhere, by the message queue', wholeNumber(0), 0)
    .addOption(
      new Option('--per <period>', 'whether all of this comes every day, or once')
        .choices(['day', 'once'])
        .default('day'),
    )
    .option('--hours <n>', 'hours in which it comes, evenly', hoursArgument, 24)
    .option('--peak <n>', 'the busiest moment, over the average', factorArgument, 3)
    .addOption(
      new Option(
        '--arrival <way>',
        'objects are told of by events, or listed by an order; default: events of every day’s, an order once',
      ).choices(['events', 'order']),
    )
    .option('--pipeline <file>', 'its partitions, limits and format')
    .addOption(
      new Option('--format <format>', 'of text that is not compressed')
        .choices(['csv', 'jsonl'])
        .default('csv'),
    )
    .option('--messages-per-row <n>', 'what transform makes of a row', positive, 1)
    .option(
      '--message-bytes <n>',
      'one message in a frame, before compression',
      positive,
      TYPICAL_MESSAGE_BYTES,
    )
    .option('--groups <n>', 'groups of analyze', wholeNumber(1), 10_000)
    .option('--region <region>', 'whose prices')
    .option('--prices <file>', 'prices of your own, in the form of --print-prices')
    .option('--print-prices', 'print the prices as JSON, and nothing else')
    .option('--memory <MiB>', 'of transform', memoryArgument, deployedByDefault.memoryMiB.transform)
    .option(
      '--functions <n>',
      `tasks at once; above ${MOST_MAXIMUM_CONCURRENCY.toLocaleString('en-US')} by dedicated pollers. Default ${deployedByDefault.transformConcurrency}`,
      wholeNumber(2),
    )
    .option('--pollers <min-max>', 'dedicated pollers, each for ten tasks at once', pollersArgument)
    .option('--shards <n>', 'provisioned shards, or on-demand (default)', shardsArgument, null)
    .option(
      '--database-capacity <min-max>',
      `capacity units of Aurora. Default ${deployedByDefault.database.minimumCapacity}-${deployedByDefault.database.maximumCapacity}`,
      capacityArgument,
    )
    .option(
      '--account-concurrency <n>',
      'functions that the account may run at once',
      wholeNumber(1),
      DEFAULT_ACCOUNT_CONCURRENCY,
    )
    .option(
      '--rows-per-second <n>',
      'rows that one processor transforms in a second',
      positive,
      measuredRates.rowsPerSecond,
    )
    .option('--chart <file>', 'write the break-even as an SVG')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
What is not said is as sluice deploy makes it. docs/scale.md has the formulae, what they leave out, and how they were checked.

Examples:
  sluice estimate --objects 2000 --rows 60000000 --groups 8000000 --region us-east-1
  sluice estimate --objects 20000 --rows 2000000000 --per once --functions 10000 --account-concurrency 12000 --region us-east-1

Exit codes: 0 estimated; 1 the command itself failed.`,
    )
    .action(async (flags: Flags) => {
      exitWith(await run(flags));
    });
}

async function run(flags: Flags): Promise<number> {
  const from = flags.prices ?? 'built in';
  const list = flags.prices === undefined ? builtInPrices : readPrices(flags.prices);
  if (flags.printPrices === true) {
    process.stdout.write(`${JSON.stringify(list, null, 2)}\n`);
    return exitCodes.ok;
  }
  const { region, chart } = flags;
  if (region === undefined)
    throw usage(`name the --region: there are prices of ${Object.keys(list.regions).join(', ')}`);
  const prices = pricesOf(list, region, flags.prices ?? `the price list of ${list.asOf}`);
  const pipeline = flags.pipeline === undefined ? undefined : (await loadPipeline(flags.pipeline)).pipeline;
  const functions = flags.functions ?? functionsOf(flags.pollers) ?? deployedByDefault.transformConcurrency;
  const request: EstimateRequest = {
    workload: workloadOf(flags, pipeline),
    deployment: deploymentOf(flags, functions),
    rates: { ...measuredRates, rowsPerSecond: flags.rowsPerSecond },
    prices,
    peak: flags.peak,
    functions,
    accountConcurrency: flags.accountConcurrency,
  };
  const made = estimate(request);
  if (chart !== undefined)
    await writeChart(chart, drawBreakEven(made.breakEven, { region, asOf: list.asOf }));
  if (flags.json === true) {
    const { workload, deployment, rates } = request;
    process.stdout.write(
      `${JSON.stringify({ region, prices: { asOf: list.asOf, from }, workload, deployment, rates, ...made })}\n`,
    );
  } else {
    process.stdout.write(
      renderEstimate(request, made, { region, asOf: list.asOf, from }, terminalOf(process.stdout)),
    );
  }
  return exitCodes.ok;
}

function workloadOf(flags: Flags, pipeline: AnyPipeline | undefined): Workload {
  const { objects, rows, messages, per } = flags;
  if (objects === 0 && messages === 0) throw usage('name --objects and --rows, or --messages');
  if ((objects === 0) !== (rows === 0 && flags.bytes === undefined))
    throw usage('--objects goes with --rows, and --rows with --objects');
  const { format } = pipeline?.source ?? {};
  if (format !== undefined && format !== 'csv' && format !== 'jsonl')
    throw usage(
      `${flags.pipeline} reads ${format}: only csv and jsonl are estimated. Leave --pipeline out, and take the estimate as an upper bound`,
    );
  const limits = pipeline?.limits ?? defaultLimits;
  const { quote, multiline } = pipeline?.source.csv ?? {};
  return {
    per,
    objects,
    rows,
    bytes: flags.bytes ?? rows * flags.rowBytes,
    format: format ?? flags.format,
    arrival: flags.arrival ?? (per === 'day' ? 'events' : 'order'),
    keyedMessages: messages,
    hours: flags.hours,
    messagesPerRow: flags.messagesPerRow,
    messageBytes: flags.messageBytes,
    groups: flags.groups,
    partitions: pipeline?.partitions ?? DEFAULT_PARTITIONS,
    partitioned: pipeline === undefined || pipeline.partitionBy !== undefined,
    sectionBytes: limits.sectionBytes,
    maxFrameBytes: limits.maxFrameBytes,
    maxFrameMessages: limits.maxFrameMessages,
    multiline: quote !== false && multiline !== false,
  };
}

function deploymentOf(flags: Flags, functions: number): Deployment {
  const pollers =
    flags.pollers ??
    (functions > MOST_MAXIMUM_CONCURRENCY
      ? {
          minimum: 2,
          maximum: Math.min(
            provisionedPollers.most,
            Math.ceil(functions / provisionedPollers.invocationsEach),
          ),
        }
      : null);
  return {
    ...deployedByDefault,
    memoryMiB: { ...deployedByDefault.memoryMiB, transform: flags.memory },
    transformConcurrency: Math.min(functions, MOST_MAXIMUM_CONCURRENCY),
    transformPollers: pollers,
    shards: flags.shards,
    database: { ...deployedByDefault.database, ...flags.databaseCapacity },
  };
}

function functionsOf(pollers: Deployment['transformPollers'] | undefined): number | undefined {
  return pollers === undefined || pollers === null
    ? undefined
    : pollers.maximum * provisionedPollers.invocationsEach;
}

function readPrices(file: string): PriceList {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new DomainError(`${file} cannot be read: ${messageOf(cause)}`, { code: 'E_PRICES', cause });
  }
  return parsePriceList(text, file);
}

async function writeChart(file: string, svg: string): Promise<void> {
  try {
    await writeFile(file, svg);
  } catch (cause) {
    throw new InfrastructureError(`${file} cannot be written: ${messageOf(cause)}`, {
      code: 'E_OUTPUT',
      cause,
    });
  }
}

function usage(message: string): DomainError {
  return new DomainError(message, { code: 'E_USAGE' });
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('It has to be a number above 0.');
  return value;
}

function within(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most))
      throw new InvalidArgumentError(`It has to be a number from ${least} to ${most}.`);
    return value;
  };
}

function hoursArgument(text: string): number {
  return within(0.01, 24)(text);
}

function factorArgument(text: string): number {
  return within(1, 10_000)(text);
}

function memoryArgument(text: string): number {
  return within(128, 10_240)(text);
}

function shardsArgument(text: string): number | null {
  return text === 'on-demand' ? null : wholeNumber(1)(text);
}

function pollersArgument(text: string): NonNullable<Deployment['transformPollers']> {
  const found = /^(\d+)-(\d+)$/.exec(text);
  const [minimum, maximum] = [Number(found?.[1]), Number(found?.[2])];
  // The ranges of the mapping's own settings.
  if (!(minimum >= 2 && minimum <= 200 && maximum >= minimum && maximum <= provisionedPollers.most))
    throw new InvalidArgumentError('It has to be like 10-200: 2 to 200, and as many or more, up to 2,000.');
  return { minimum, maximum };
}

function capacityArgument(text: string): NonNullable<Flags['databaseCapacity']> {
  const found = /^(\d+(?:\.5)?)-(\d+(?:\.5)?)$/.exec(text);
  const [minimumCapacity, maximumCapacity] = [Number(found?.[1]), Number(found?.[2])];
  if (!(minimumCapacity <= maximumCapacity && maximumCapacity >= 1 && maximumCapacity <= 256))
    throw new InvalidArgumentError('It has to be like 0.5-8: halves and wholes, up to 256.');
  return { minimumCapacity, maximumCapacity };
}
