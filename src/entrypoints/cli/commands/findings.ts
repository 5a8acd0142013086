import { Command, Option } from 'commander';
import { readResults } from '../../../application/results/read-results.ts';
import { declaredMeasures } from '../../../domain/generation.ts';
import type { Finding } from '../../../domain/pipeline.ts';
import { describePosition } from '../../../domain/position.ts';
import type { Where } from '../../../domain/where.ts';
import { exitCodes } from '../exit-codes.ts';
import { GravestFindings, severities } from '../gravest-findings.ts';
import { findGeneration, requireSame } from '../find-generation.ts';
import { databaseOption, outOption, whereOption, wholeNumber } from '../options.ts';
import { plainValue } from '../plain-value.ts';
import type { Runtime } from '../runtime.ts';
import { renderTable } from '../terminal/table.ts';
import { terminalOf } from '../terminal/terminal.ts';
import { withResults, type ResultsFlags } from './with-results.ts';

interface Flags extends ResultsFlags {
  readonly where?: Where;
  readonly kind?: string;
  readonly severity?: NonNullable<Finding['severity']>;
  readonly limit?: number;
  readonly format: 'table' | 'json';
}

/** A finding about a group, or a flag of one message. */
interface Found {
  readonly severity: NonNullable<Finding['severity']>;
  readonly kind: string;
  readonly message: string;
  readonly group: string | null;
  readonly position: string | null;
  readonly details: Finding['details'] | null;
}

const DEFAULT_LIMIT = 50;

export function findingsCommand(exitWith: (code: number) => void): Command {
  return new Command('findings')
    .description(
      'show what is worth telling: findings about groups, flags of single messages; the gravest first',
    )
    .argument(
      '<pipeline>',
      'the pipeline file, whose `findings` works them out; by name or generation, flags alone',
    )
    .option('--kind <kind>', 'of this kind only')
    .addOption(new Option('--severity <severity>', 'of this severity only').choices(severities))
    .option('--limit <n>', `at most so many; default ${DEFAULT_LIMIT} in a table, else all`, wholeNumber(1))
    .addOption(new Option('--format <format>').choices(['table', 'json']).default('table'))
    .addOption(whereOption('rows: the findings of the ad-hoc run that had it'))
    .addOption(outOption())
    .addOption(databaseOption())
    .action(async (name: string, flags: Flags) => {
      exitWith(await withResults(flags, (runtime, signal) => showFindings(name, flags, runtime, signal)));
    });
}

async function showFindings(
  name: string,
  flags: Flags,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<number> {
  const limit = flags.limit ?? (flags.format === 'table' ? DEFAULT_LIMIT : Number.POSITIVE_INFINITY);
  const gravest = new GravestFindings<Found>(limit);
  for await (const found of allFindings(name, flags.where, runtime, signal)) {
    if (flags.kind !== undefined && found.kind !== flags.kind) continue;
    if (flags.severity !== undefined && found.severity !== flags.severity) continue;
    gravest.add(found);
  }
  const { total } = gravest;
  const shown = gravest.list();
  if (flags.format === 'json')
    process.stdout.write(
      `${JSON.stringify({ total, findings: shown.map((found) => ({ ...found, details: plainValue(found.details) })) })}\n`,
    );
  else {
    const columns = [{ title: 'severity' }, { title: 'kind' }, { title: 'message' }, { title: 'where' }];
    const rows = shown.map((found) => [
      found.severity,
      found.kind,
      found.message,
      found.group ?? found.position,
    ]);
    process.stdout.write(
      total === 0 ? 'no findings\n' : renderTable(columns, rows, terminalOf(process.stdout)),
    );
    if (total > shown.length) process.stdout.write(`${shown.length} of ${total}: see --limit\n`);
  }
  return exitCodes.ok;
}

async function* allFindings(
  name: string,
  where: Where | undefined,
  { store }: Runtime,
  signal: AbortSignal,
): AsyncGenerator<Found> {
  const { generation, loaded } = await findGeneration(name, where, store, signal);
  if (loaded === undefined)
    process.stderr.write(
      'Flags alone: findings of groups are worked out by the pipeline, name its file to have them, too.\n',
    );
  else {
    requireSame(generation, loaded.pipeline, where);
    const measures = declaredMeasures(generation);
    for await (const { group, findings, error } of readResults(
      store,
      generation.id,
      loaded.pipeline,
      measures,
      signal,
    )) {
      if (error !== null) process.stderr.write(`${error.code}: ${error.message}\n`);
      for (const finding of findings) yield asFound(finding, group, null);
    }
  }
  for await (const { position, finding } of store.flags(generation.id, signal)) {
    yield asFound(finding, null, describePosition(position));
  }
}

function asFound(
  { severity = 'info', kind, message, details }: Finding,
  group: string | null,
  position: string | null,
): Found {
  return { severity, kind, message, group, position, details: details ?? null };
}
