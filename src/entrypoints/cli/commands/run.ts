import { access, constants, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { errorCatalogue } from '../../../domain/error-codes.ts';
import { DomainError, InfrastructureError, messageOf } from '../../../domain/errors.ts';
import { canonicalJson } from '../../../domain/generation.ts';
import type { Where } from '../../../domain/where.ts';
import { startRuntime } from '../container.ts';
import { executeRun, type RunOptions, type RunOutcome } from '../execute-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { untilInterrupted } from '../interrupt.ts';
import { loadPipeline, type LoadedPipeline } from '../load-pipeline.ts';
import {
  databaseOption,
  databaseUrl,
  DEFAULT_OUT,
  jsonOption,
  outOption,
  whereOption,
  wholeNumber,
} from '../options.ts';
import type { Runtime } from '../runtime.ts';
import { createProgress } from '../terminal/progress.ts';
import { resultRows, tableColumns } from '../terminal/results-table.ts';
import { renderRunSummary } from '../terminal/summary.ts';
import { terminalOf } from '../terminal/terminal.ts';
import { workerLimits } from '../workers.ts';
import type { ResultsFlags } from './with-results.ts';
import { topGroups } from '../top-groups.ts';

interface Flags extends ResultsFlags {
  readonly where?: Where;
  readonly report?: string;
  readonly concurrency: number;
  readonly rowTimeout: number;
  readonly workerHeap?: number;
  readonly maxMemory?: number;
  readonly fresh?: true;
  readonly stdin?: true;
  readonly source?: string;
  readonly maxFailures: number;
  readonly top: number;
  readonly json?: true;
}

/** More of a kind is counted, not listed. */
const MAX_SAID = 3;

export function runCommand(exitWith: (code: number) => void): Command {
  return new Command('run')
    .description('run a pipeline over objects of the lake, or over messages from a pipe')
    .argument('<pipeline>', 'the pipeline file')
    .argument('[objects...]', 'files, folders, globs, or s3://bucket/prefix/')
    .addOption(whereOption('rows, for this run alone: its results stand apart'))
    .addOption(outOption())
    .addOption(databaseOption())
    .option('--report <file>', 'write the results as one HTML page')
    .option(
      '--concurrency <n>',
      'tasks in hand at once, each in a thread of its own',
      wholeNumber(1),
      Math.min(4, availableParallelism()),
    )
    .option('--row-timeout <s>', 'seconds that one row may take in the pipeline', wholeNumber(1), 30)
    .option(
      '--worker-heap <MiB>',
      'what the objects of one thread may take (default: half of the memory, shared out; 512 to 4096)',
      wholeNumber(16),
    )
    .option(
      '--max-memory <MiB>',
      'resident memory from which a row must not take more (default: three quarters of the memory)',
      wholeNumber(64),
    )
    .option('--fresh', 'delete the results of this version first')
    .option('--stdin', 'read messages from standard input, as JSON Lines')
    .option(
      '--source <name>',
      'with --stdin: where the messages come from; with line number and content it names a message',
    )
    .option('--max-failures <n>', 'open failures allowed before the exit code is 2', wholeNumber(0), 0)
    .option('--top <n>', 'groups to show at the end', wholeNumber(0), 10)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 complete; 2 more open failures than --max-failures; 1 not complete, the message says what to do; 130 stopped by Ctrl-C, SIGTERM or SIGHUP.
A run that was stopped continues when it is started again; what is done is not done again.
A row over --row-timeout, --worker-heap or --max-memory, or one that ends its process, fails with E_KILLED; the others go on.

Examples:
  sluice run lanes.ts lake/                        everything below lake/
  sluice run lanes.ts 'lake/yyyy=2019/**/*.csv.gz'
  sluice run alerts.ts --stdin --source events < events.jsonl
  tail -f events.jsonl | sluice run alerts.ts --stdin     (the pipeline's source.id names the messages)`,
    )
    .action(async (path: string, objects: string[], flags: Flags) => {
      const ending = new AbortController();
      const work = (signal: AbortSignal) => run(path, objects, flags, ending.signal, signal);
      exitWith(await (flags.stdin === true ? untilInterrupted(work, ending) : untilInterrupted(work)));
    });
}

async function run(
  path: string,
  objects: readonly string[],
  flags: Flags,
  ending: AbortSignal,
  signal: AbortSignal,
): Promise<number> {
  const loaded = await loadPipeline(path);
  const options = runOptions(loaded, objects, flags, ending);
  if (flags.report !== undefined) await prepareReport(flags.report);
  const terminal = terminalOf(process.stderr);
  const out = resolve(flags.out);
  const runtime = await startRuntime({
    out,
    database: databaseUrl(flags.database),
    partitions: loaded.pipeline.partitions,
    create: true,
    // On a terminal the progress lines stand where log lines would.
    log: { level: terminal.isTerminal ? 'silent' : 'info' },
  });
  try {
    const progress = createProgress({
      ...terminal,
      stream: process.stderr,
      columns: () => terminalOf(process.stderr).width,
      now: () => runtime.clock.now(),
      log: runtime.log,
    });
    let outcome: RunOutcome;
    try {
      outcome = await executeRun(loaded, options, runtime, signal, (sample) => progress.update(sample));
      progress.stop('done');
    } catch (thrown) {
      progress.stop('stopped');
      throw thrown;
    }
    if (flags.report !== undefined) await writeReport(flags.report, loaded, outcome, runtime, signal);
    await print(path, flags, loaded, outcome, runtime, signal);
    const exitCode = verdict(flags, outcome);
    return ending.aborted ? exitCodes.interrupted : exitCode;
  } finally {
    await runtime.close();
  }
}

function runOptions(
  { pipeline }: LoadedPipeline,
  locations: readonly string[],
  flags: Flags,
  ending: AbortSignal,
): RunOptions {
  const { where, concurrency, fresh = false } = flags;
  const workers = workerLimits(flags);
  if (flags.stdin === true) {
    if (locations.length > 0) throw usage('--stdin reads a pipe: leave the objects out');
    const keyed = pipeline.source.id !== undefined;
    if (!keyed && flags.source === undefined) {
      throw usage(
        'messages from a pipe need names: give the pipeline a source.id, or say --source NAME (then line number and content name a message)',
      );
    }
    return {
      locations,
      pipe: { input: process.stdin, source: flags.source ?? 'stdin', keyed, ending },
      where,
      concurrency,
      workers,
      fresh,
    };
  }
  if (flags.source !== undefined) throw usage('--source goes with --stdin');
  if (locations.length === 0) throw usage('say which files, folders or globs to read, or --stdin');
  return { locations, pipe: null, where, concurrency, workers, fresh };
}

function usage(message: string): DomainError {
  return new DomainError(message, { code: 'E_USAGE' });
}

/** A page that cannot be written is told before the work, not after it. */
async function prepareReport(file: string): Promise<void> {
  const folder = dirname(resolve(file));
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw reportFailed(cause);
  }
}

function reportFailed(cause: unknown): InfrastructureError {
  return new InfrastructureError(`the report cannot be written: ${messageOf(cause)}`, {
    code: 'E_OUTPUT',
    cause,
  });
}

async function writeReport(
  file: string,
  loaded: LoadedPipeline,
  outcome: RunOutcome,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<void> {
  // Charts weigh something: only a run that asks for a page loads them.
  const { writeReportPage } = await import('../report/write-report-page.ts');
  const page = await writeReportPage(loaded, outcome, runtime, signal);
  // Killed while it writes, or out of space: the page before is left whole.
  const written = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(written, page);
    await rename(written, file);
  } catch (cause) {
    await rm(written, { force: true }).catch(() => undefined);
    throw reportFailed(cause);
  }
}

async function print(
  path: string,
  flags: Flags,
  loaded: LoadedPipeline,
  outcome: RunOutcome,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<void> {
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(outcome.report)}\n`);
    return;
  }
  const { measures, groups } = await topGroups(
    outcome.generation,
    loaded.pipeline,
    { top: flags.top },
    runtime.store,
    signal,
  );
  const columns = tableColumns(measures);
  const table = {
    title: `The ${groups.length === 1 ? 'group' : `${groups.length} groups`} with the most ${measures.find(({ kind }) => kind === 'count')?.name ?? 'in them'}`,
    columns,
    rows: resultRows(columns, groups),
  };
  process.stdout.write(
    renderRunSummary(
      { ...outcome, groups: table, next: nextSteps(path, flags, outcome) },
      terminalOf(process.stdout),
    ),
  );
}

function nextSteps(path: string, flags: Flags, outcome: RunOutcome): { text: string; purpose: string }[] {
  const { out, where, report: page } = flags;
  const { report } = outcome;
  // By its file a pipeline shows its findings, too.
  const adHoc = where === undefined ? '' : ` --where ${quoted(canonicalJson(where))}`;
  const results = `${quoted(path)}${adHoc}${inFolder(flags)}`;
  const steps = [
    { purpose: 'all results', text: `sluice results ${results}` },
    ...(flags.database === undefined ? [{ purpose: 'with any tool', text: `${out}/results.sqlite` }] : []),
  ];
  if (report.findings > 0) steps.unshift({ purpose: 'findings', text: `sluice findings ${results}` });
  if (report.failed.total > 0) steps.unshift({ purpose: 'failures', text: listFailures(flags, outcome) });
  if (page !== undefined) steps.push({ purpose: 'report', text: page });
  return steps;
}

function listFailures(flags: Flags, { generation }: RunOutcome): string {
  return `sluice failures list --generation ${quoted(generation.id)}${inFolder(flags)}`;
}

function inFolder({ out, database }: Flags): string {
  // Never the URL itself: it may hold a password.
  const place = database === undefined ? '' : ' --database';
  return out === DEFAULT_OUT ? place : `${place} --out ${quoted(out)}`;
}

/** A word for a shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Says on stderr what is not as it should be, and picks the exit code. What to do about it stands in the summary, or here where none is printed. */
function verdict(flags: Flags, outcome: RunOutcome): number {
  const { report, refused, findingErrors } = outcome;
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const sayWithoutSummary = (text: string) => flags.json === true && say(text);
  for (const error of findingErrors.slice(0, MAX_SAID)) say(`${error.code}: ${error.message}`);
  if (findingErrors.length > MAX_SAID)
    say(`${findingErrors.length - MAX_SAID} more groups have errors in their findings`);
  for (const { code, object } of refused.first.slice(0, MAX_SAID))
    say(`${code}: left as it is: ${object.bucket}/${object.key}`);
  if (refused.total > MAX_SAID) say(`${refused.total - MAX_SAID} more objects were left as they are`);
  for (const code of Object.keys(refused.byCode) as (keyof typeof refused.byCode)[])
    sayWithoutSummary(`  ${errorCatalogue[code].remedy}`);
  if (report.failed.total > 0)
    sayWithoutSummary(`${report.failed.total} failures are open: ${listFailures(flags, outcome)}`);
  if (report.rowsRead + report.rowsPruned > 0 && report.rowsFiltered === report.rowsRead) {
    say('No row matched the predicate: are its columns in the data? `sluice inspect` shows them.');
  }
  if (report.refused.total > 0) return exitCodes.broken;
  if (report.failed.total > flags.maxFailures) return exitCodes.failures;
  if (report.complete) return exitCodes.ok;
  say('Not everything that was planned is complete: start the same command again to continue.');
  return exitCodes.broken;
}
