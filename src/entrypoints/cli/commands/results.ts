import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline as pipe } from 'node:stream/promises';
import { Command, Option } from 'commander';
import { readResults } from '../../../application/results/read-results.ts';
import { DomainError } from '../../../domain/errors.ts';
import { declaredMeasures, type Generation } from '../../../domain/generation.ts';
import type { PublishedGroup } from '../../../domain/ports/result-store.ts';
import type { Where } from '../../../domain/where.ts';
import { exitCodes } from '../exit-codes.ts';
import { findGeneration, requireSame } from '../find-generation.ts';
import type { LoadedPipeline } from '../load-pipeline.ts';
import { databaseOption, outOption, whereOption, wholeNumber } from '../options.ts';
import type { Runtime } from '../runtime.ts';
import {
  resultsAsCsv,
  resultsAsJson,
  resultRows,
  tableColumns,
  type MeasureColumn,
} from '../terminal/results-table.ts';
import { renderTable } from '../terminal/table.ts';
import { terminalOf } from '../terminal/terminal.ts';
import { topGroups } from '../top-groups.ts';
import { resultsAsParquet } from '../results-as-parquet.ts';
import { withResults, type ResultsFlags } from './with-results.ts';

interface Flags extends ResultsFlags {
  readonly where?: Where;
  readonly top?: number;
  readonly by?: string;
  readonly format: 'table' | 'csv' | 'json' | 'parquet';
  readonly to?: string;
}

const DEFAULT_TOP = 20;

export function resultsCommand(exitWith: (code: number) => void): Command {
  return new Command('results')
    .description('show the results of a pipeline')
    .argument(
      '[pipeline]',
      'a pipeline file (with its findings), a name, or a generation like lanes@2; default: list what there is',
    )
    .option('--top <n>', `how many groups; default ${DEFAULT_TOP} in a table, else all`, wholeNumber(1))
    .option('--by <measure>', 'the measure that sorts them, largest first, e.g. flights or delay.p95')
    .addOption(new Option('--format <format>').choices(['table', 'csv', 'json', 'parquet']).default('table'))
    .option('--to <file>', 'write to a file instead of standard output')
    .addOption(whereOption('rows: the results of the ad-hoc run that had it'))
    .addOption(outOption())
    .addOption(databaseOption())
    .action(async (name: string | undefined, flags: Flags) => {
      exitWith(
        await withResults(flags, (runtime, signal) =>
          name === undefined
            ? listGenerations(flags, runtime, signal)
            : results(name, flags, runtime, signal),
        ),
      );
    });
}

async function listGenerations(flags: Flags, { store }: Runtime, signal: AbortSignal): Promise<number> {
  const { format, top, by, to, where } = flags;
  if (format === 'csv' || format === 'parquet' || [top, by, to, where].some((flag) => flag !== undefined)) {
    throw new DomainError('say which results: a pipeline file, a name or a generation', { code: 'E_USAGE' });
  }
  const runs = await store.runs(signal);
  const listed = (await store.generations(signal)).map(({ id }) => {
    const own = runs.filter(({ generation }) => generation === id);
    const last = own.at(-1);
    return {
      generation: id,
      runs: own.length,
      last: last === undefined ? null : last.id,
      at: last === undefined ? null : new Date(last.startedAt).toISOString(),
    };
  });
  if (flags.format === 'json') process.stdout.write(`${JSON.stringify(listed)}\n`);
  else {
    const columns = [
      { title: 'generation' },
      { title: 'runs', align: 'right' as const },
      { title: 'last run' },
      { title: 'started' },
    ];
    const rows = listed.map(({ generation, runs: count, last, at }) => [generation, count, last, at]);
    process.stdout.write(renderTable(columns, rows, terminalOf(process.stdout)));
  }
  return exitCodes.ok;
}

async function results(name: string, flags: Flags, runtime: Runtime, signal: AbortSignal): Promise<number> {
  const { generation, loaded } = await findGeneration(name, flags.where, runtime.store, signal);
  if (loaded !== undefined) requireSame(generation, loaded.pipeline, flags.where);
  // Empty findings must not read as if there were none.
  else process.stderr.write('Findings are worked out by the pipeline: name its file to have them, too.\n');
  const { measures, groups } = await selectGroups(generation, loaded, flags, runtime, signal);
  if (flags.format === 'parquet') {
    await writeParquet(measures, groups, flags.to);
    return exitCodes.ok;
  }
  const chunks =
    flags.format === 'csv'
      ? resultsAsCsv(measures, groups)
      : flags.format === 'json'
        ? resultsAsJson(groups)
        : asTable(measures, groups);
  await pipe(Readable.from(chunks), flags.to === undefined ? process.stdout : createWriteStream(flags.to), {
    end: flags.to !== undefined,
  });
  return exitCodes.ok;
}

async function writeParquet(
  measures: readonly MeasureColumn[],
  groups: AsyncIterable<PublishedGroup> | Iterable<PublishedGroup>,
  to: string | undefined,
): Promise<void> {
  if (to !== undefined) return resultsAsParquet(measures, groups, to);
  if (terminalOf(process.stdout).isTerminal) {
    throw new DomainError('Parquet is no text: say where it goes with --to FILE', { code: 'E_USAGE' });
  }
  // The footer holds what only the end tells, and the library writes files: it goes by a file that is gone afterwards.
  const folder = await mkdtemp(join(tmpdir(), 'sluice-'));
  try {
    const file = join(folder, 'results.parquet');
    await resultsAsParquet(measures, groups, file);
    await pipe(createReadStream(file), process.stdout, { end: false });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function selectGroups(
  generation: Generation,
  loaded: LoadedPipeline | undefined,
  { format, top, by }: Flags,
  { store }: Runtime,
  signal: AbortSignal,
): Promise<{
  measures: readonly MeasureColumn[];
  groups: AsyncIterable<PublishedGroup> | Iterable<PublishedGroup>;
}> {
  const limit = top ?? (format === 'table' || by !== undefined ? DEFAULT_TOP : undefined);
  if (limit !== undefined) return topGroups(generation, loaded?.pipeline, { top: limit, by }, store, signal);
  const declared = declaredMeasures(generation);
  const measures = Object.entries(declared).map(([measure, { kind }]) => ({ name: measure, kind }));
  return { measures, groups: readResults(store, generation.id, loaded?.pipeline, declared, signal) };
}

async function* asTable(
  measures: readonly MeasureColumn[],
  groups: AsyncIterable<PublishedGroup> | Iterable<PublishedGroup>,
): AsyncGenerator<string> {
  const shown: PublishedGroup[] = [];
  for await (const group of groups) shown.push(group);
  const columns = tableColumns(measures);
  yield renderTable(columns, resultRows(columns, shown), terminalOf(process.stdout));
}
