import { Command, Option } from 'commander';
import { noEffects } from '../../../application/analyze/effects.ts';
import { isOfObject } from '../../../application/reprocess/settle.ts';
import { redrive, type RedriveSummary } from '../../../application/reprocess/redrive.ts';
import { decodeValue } from '../../../application/values/value-reader.ts';
import { DomainError } from '../../../domain/errors.ts';
import type { Stage } from '../../../domain/failure.ts';
import type { FailureQuery, FailureRecord, ResultStore } from '../../../domain/ports/result-store.ts';
import { describePosition } from '../../../domain/position.ts';
import { maskedFields } from '../../../domain/mask.ts';
import { compileWhere } from '../../../domain/predicate.ts';
import { emptyRow, type Row } from '../../../domain/row.ts';
import type { Where } from '../../../domain/where.ts';
import { publishResults } from '../execute-run.ts';
import { exitCodes } from '../exit-codes.ts';
import { requireGeneration, requireSame } from '../find-generation.ts';
import { loadPipeline } from '../load-pipeline.ts';
import { jsonOption, databaseOption, outOption, timeArgument, whereOption, wholeNumber } from '../options.ts';
import { withPlatform } from '../platform.ts';
import type { Runtime } from '../runtime.ts';
import { plainValue } from '../plain-value.ts';
import { renderTable } from '../terminal/table.ts';
import { terminalOf } from '../terminal/terminal.ts';
import { withResults, type ResultsFlags } from './with-results.ts';

interface Flags extends ResultsFlags {
  readonly generation?: string;
  readonly code?: string;
  readonly stage?: Stage;
  readonly object?: string;
  readonly since?: number;
  readonly until?: number;
  readonly where?: Where;
  readonly limit?: number;
  readonly state: 'open' | 'closed' | 'all';
  readonly dryRun?: true;
  readonly payload?: true;
  readonly json?: true;
}

const DEFAULT_LIMIT = 100;

export function failuresCommand(exitWith: (code: number) => void): Command {
  const command = new Command('failures').description(
    'list, show, redrive and dismiss what could not be processed',
  );
  selecting(command.command('list').description('list failures'))
    .addOption(new Option('--state <state>').choices(['open', 'closed', 'all']).default('open'))
    .option('--payload', 'with --json: also the rows and messages themselves')
    .action(async (flags: Flags) =>
      exitWith(await withResults(flags, (runtime, signal) => list(flags, runtime, signal))),
    );
  command
    .command('show <id>')
    .description('show one failure with the row or message itself')
    .addOption(outOption())
    .addOption(databaseOption())
    .addOption(jsonOption())
    .action(async (id: string, flags: Flags) =>
      exitWith(await withResults(flags, (runtime, signal) => show(id, flags, runtime, signal))),
    );
  selecting(
    command
      .command('redrive <pipeline> [ids...]')
      .description("process failures again with the pipeline file's code as it is now"),
  )
    .option('--dry-run', 'only say which failures it would be')
    .action(async (path: string, ids: string[], flags: Flags) =>
      exitWith(await redriveFailures(path, ids, flags)),
    );
  selecting(
    command
      .command('dismiss [ids...]')
      .description(
        'close failures for good, without processing them: their rows were fixed elsewhere, or are not wanted',
      ),
  )
    .option('--dry-run', 'only say which failures it would be')
    .action(async (ids: string[], flags: Flags) =>
      exitWith(await withResults(flags, (runtime, signal) => dismiss(ids, flags, runtime, signal))),
    );
  return command;
}

function selecting(command: Command): Command {
  return command
    .option('--generation <id>', 'of this generation only, e.g. lanes@2')
    .option('--code <code>', 'with this error code only')
    .addOption(new Option('--stage <stage>').choices(['open', 'read', 'transform', 'analyze', 'findings']))
    .option('--object <key>', 'of this object only: its key, or a path')
    .option('--since <time>', 'last tried at or after: ISO 8601, or 15m, 2h, 7d ago', timeArgument(Date.now))
    .option('--until <time>', 'last tried before', timeArgument(Date.now))
    .addOption(
      whereOption(
        'id, code, stage, message, object, coordinate, attempts, and payload fields as payload.NAME',
      ),
    )
    .option('--limit <n>', 'at most so many', wholeNumber(1))
    .addOption(outOption())
    .addOption(databaseOption())
    .addOption(jsonOption());
}

async function list(flags: Flags, { store }: Runtime, signal: AbortSignal): Promise<number> {
  if (flags.generation !== undefined) await requireGeneration(flags.generation, store, signal);
  const found: FailureRecord[] = [];
  const limit = flags.limit ?? DEFAULT_LIMIT;
  let more = false;
  for await (const record of select(flags, [], store, signal)) {
    if (found.length === limit) {
      more = true;
      break;
    }
    found.push(record);
  }
  if (flags.json === true) {
    process.stdout.write(
      `${JSON.stringify({ failures: found.map((record) => describe(record, flags.payload === true)), more })}\n`,
    );
    return exitCodes.ok;
  }
  const columns = [
    { title: 'id' },
    { title: 'code' },
    { title: 'stage' },
    { title: 'position' },
    { title: 'message' },
    { title: 'tries', align: 'right' as const },
  ];
  const rows = found.map(({ failure, attempts }) => [
    failure.id,
    failure.code,
    failure.stage,
    describePosition(failure.position),
    failure.message,
    attempts,
  ]);
  process.stdout.write(
    found.length === 0 ? 'no failures\n' : renderTable(columns, rows, terminalOf(process.stdout)),
  );
  if (more) process.stdout.write(`more than ${limit}: see --limit\n`);
  return exitCodes.ok;
}

/** Settles failures with nothing: they count as closed, and what they stood for stays out of the results. */
async function dismiss(
  ids: readonly string[],
  flags: Flags,
  { store, clock, random }: Runtime,
  signal: AbortSignal,
): Promise<number> {
  const { code, stage, object, since, until, where, generation } = flags;
  if (
    ids.length === 0 &&
    [code, stage, object, since, until, where, generation].every((filter) => filter === undefined)
  ) {
    throw new DomainError('say which failures: their ids, or a filter such as --code or --object', {
      code: 'E_USAGE',
    });
  }
  await requireFailures(ids, generation, store, signal);
  const selected = limited(select({ ...flags, state: 'open' }, ids, store, signal), flags.limit);
  if (flags.dryRun === true) return dryRun(selected, flags, 'dismiss');
  const run = random.id();
  const dismissed: string[] = [];
  const ofObjects: string[] = [];
  for await (const { generation: of, build, failure } of selected) {
    if (isOfObject(failure)) {
      ofObjects.push(failure.id);
      continue;
    }
    const redriven = {
      generation: of,
      run,
      build,
      failure: failure.id,
      again: null,
      messages: 0,
      at: clock.now(),
    };
    if ((await store.applyRedrive(redriven, noEffects, signal)) === 'applied') dismissed.push(failure.id);
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ dismissed, ofObjects })}\n`);
  else {
    process.stdout.write(`${dismissed.length} failures dismissed\n`);
    for (const id of ofObjects)
      process.stdout.write(
        `left open: ${id}: it stands for an object: replace, move or leave it out, and run again\n`,
      );
  }
  return ofObjects.length > 0 ? exitCodes.failures : exitCodes.ok;
}

async function show(id: string, flags: Flags, { store }: Runtime, signal: AbortSignal): Promise<number> {
  for await (const record of store.failures({ id }, signal)) {
    process.stdout.write(
      `${JSON.stringify(describe(record, true), null, flags.json === true ? undefined : 2)}\n`,
    );
    return exitCodes.ok;
  }
  throw new DomainError(`no failure ${id} here`, { code: 'E_NOT_FOUND' });
}

async function redriveFailures(path: string, ids: readonly string[], flags: Flags): Promise<number> {
  const loaded = await loadPipeline(path);
  const { pipeline, build } = loaded;
  return withResults({ ...flags, partitions: pipeline.partitions }, async (runtime, signal) => {
    const id = flags.generation ?? `${pipeline.name}@${pipeline.version}`;
    const generation = await requireGeneration(id, runtime.store, signal);
    await requireFailures(ids, id, runtime.store, signal);
    const adHoc = (JSON.parse(generation.declared) as { adHoc?: Where }).adHoc;
    requireSame(generation, pipeline, adHoc);
    const selected = () =>
      limited(select({ ...flags, state: 'open', generation: id }, ids, runtime.store, signal), flags.limit);
    if (flags.dryRun === true) return dryRun(selected(), flags, 'redrive');
    const run = runtime.random.id();
    const startedAt = runtime.clock.now();
    const record = { id: run, generation: id, build, startedAt };
    await runtime.store.saveRun({ ...record, finishedAt: null, report: null }, signal);
    const context = { pipeline, build, generation, where: undefined, concurrency: 2 };
    const summary = await withPlatform(context, runtime, signal, (working) =>
      redrive(selected(), { pipeline, build, run, signal: working }, { ...runtime, sink: runtime.stream }),
    );
    // What was settled is in the measures; the readable results have to follow.
    await publishResults(loaded, generation, runtime, signal);
    const report = redriveReport(run, summary, runtime);
    await runtime.store.saveRun(
      { ...record, finishedAt: runtime.clock.now(), report: JSON.stringify(report) },
      signal,
    );
    return printRedrive(report, flags);
  });
}

/** A mistyped id must not look as if there were nothing left to do; one that is settled is none. */
async function requireFailures(
  ids: readonly string[],
  generation: string | undefined,
  store: ResultStore,
  signal: AbortSignal,
): Promise<void> {
  const of = generation === undefined ? {} : { generation };
  for (const id of ids) {
    let known = false;
    for await (const _record of store.failures({ id, ...of, limit: 1 }, signal)) known = true;
    if (!known)
      throw new DomainError(`no failure ${id}${generation === undefined ? '' : ` of ${generation}`} here`, {
        code: 'E_NOT_FOUND',
      });
  }
}

interface RedriveReport {
  readonly run: string;
  readonly redriven: number;
  readonly closed: number;
  readonly failedAgain: number;
  readonly notRedrivable: RedriveSummary['notRedrivable'];
}

function redriveReport(
  run: string,
  { sent, notRedrivable }: RedriveSummary,
  { metrics }: Runtime,
): RedriveReport {
  const closed = metrics.total('failuresClosed');
  return {
    run,
    redriven: sent,
    closed,
    failedAgain: sent - closed - metrics.total('duplicates'),
    notRedrivable,
  };
}

function printRedrive(report: RedriveReport, flags: Flags): number {
  const { redriven, closed, failedAgain, notRedrivable } = report;
  if (flags.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  else {
    process.stdout.write(
      `${redriven} failures processed again: ${closed} settled, ${failedAgain} failed again\n`,
    );
    for (const { id, code, reason } of notRedrivable.slice(0, 20))
      process.stdout.write(`left open: ${id}: ${reason} (${code})\n`);
    if (notRedrivable.length > 20) process.stdout.write(`left open: ${notRedrivable.length - 20} more\n`);
  }
  if (failedAgain > 0 && flags.json !== true) process.stdout.write('see why: sluice failures list\n');
  return failedAgain + notRedrivable.length > 0 ? exitCodes.failures : exitCodes.ok;
}

async function dryRun(
  selected: AsyncIterable<FailureRecord>,
  flags: Flags,
  action: 'redrive' | 'dismiss',
): Promise<number> {
  const ids: string[] = [];
  for await (const { failure } of selected) ids.push(failure.id);
  const [key, words] = {
    redrive: ['wouldRedrive', 'processed again'],
    dismiss: ['wouldDismiss', 'dismissed'],
  }[action] as [string, string];
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ [key]: ids })}\n`);
  else
    process.stdout.write(`${ids.length} failures would be ${words}\n${ids.map((id) => `${id}\n`).join('')}`);
  return exitCodes.ok;
}

async function* select(
  flags: Flags,
  ids: readonly string[],
  store: ResultStore,
  signal: AbortSignal,
): AsyncGenerator<FailureRecord> {
  const keeps = flags.where === undefined ? () => true : compileWhere(flags.where);
  const wanted = new Set(ids);
  const query: FailureQuery = {
    ...(flags.generation === undefined ? {} : { generation: flags.generation }),
    ...(flags.state === 'all' ? {} : { state: flags.state }),
    ...(flags.code === undefined ? {} : { code: flags.code }),
    ...(flags.stage === undefined ? {} : { stage: flags.stage }),
    ...(flags.since === undefined ? {} : { since: flags.since }),
    ...(flags.until === undefined ? {} : { until: flags.until }),
  };
  for await (const record of store.failures(query, signal)) {
    if (wanted.size > 0 && !wanted.has(record.failure.id)) continue;
    if (flags.object !== undefined && !isAt(record, flags.object)) continue;
    if (keeps(asRow(record))) yield record;
  }
}

async function* limited<Item>(
  items: AsyncIterable<Item>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<Item> {
  let taken = 0;
  for await (const item of items) {
    if (taken++ >= limit) return;
    yield item;
  }
}

/** A key in full, or the end of one from a `/` on: a person rarely types absolute paths. */
function isAt({ failure: { position } }: FailureRecord, object: string): boolean {
  // With the bucket, as `list` shows it: what is copied from there has to be found.
  const key = position.kind === 'row' ? `${position.object.bucket}/${position.object.key}` : position.source;
  const wanted = object.replace(/^\.?\//, '');
  return key === wanted || key.endsWith(`/${wanted}`);
}

/** A failure as `--where` sees it. */
function asRow(record: FailureRecord): Row {
  const row = Object.assign(emptyRow(), describe(record, false));
  const payload = payloadOf(record);
  if (typeof payload === 'object' && payload !== null) {
    for (const [name, value] of Object.entries(payload)) row[`payload.${name}`] = value;
  }
  return row;
}

function describe({ failure, ...record }: FailureRecord, withPayload: boolean): Record<string, unknown> {
  const { position } = failure;
  const place =
    position.kind === 'row'
      ? {
          object: `${position.object.bucket}/${position.object.key}`,
          objectVersion: position.object.version,
          coordinate: position.coordinate,
        }
      : { source: position.source, key: position.key };
  return {
    id: failure.id,
    state: record.state,
    code: failure.code,
    stage: failure.stage,
    message: failure.message,
    ...place,
    output: position.output,
    rows: failure.rows,
    attempts: record.attempts,
    generation: record.generation,
    run: record.run,
    build: record.build,
    openedAt: new Date(record.openedAt).toISOString(),
    triedAt: new Date(record.triedAt).toISOString(),
    closedAt: record.closedAt === null ? null : new Date(record.closedAt).toISOString(),
    ...(withPayload ? describePayload({ failure }) : {}),
  };
}

/** What is masked is named, so that nobody takes it for what the source holds. */
function describePayload(record: Pick<FailureRecord, 'failure'>): Record<string, unknown> {
  const payload = payloadOf(record);
  const masked = maskedFields(payload);
  return { payload: plainValue(payload), ...(masked.length === 0 ? {} : { masked }) };
}

function payloadOf({ failure: { payload } }: Pick<FailureRecord, 'failure'>): unknown {
  return payload === null ? null : decodeValue(payload);
}
