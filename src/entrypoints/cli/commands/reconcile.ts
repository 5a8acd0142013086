import { Command } from 'commander';
import { DomainError } from '../../../domain/errors.ts';
import type { RunRecord } from '../../../domain/ports/result-store.ts';
import { exitCodes } from '../exit-codes.ts';
import { jsonOption, databaseOption, outOption } from '../options.ts';
import { balanceOf, openFailuresOf, scopeOf } from '../run-state.ts';
import type { RunReport } from '../run-report.ts';
import type { Runtime } from '../runtime.ts';
import { renderBalance } from '../terminal/summary.ts';
import { terminalOf } from '../terminal/terminal.ts';
import { withResults, type ResultsFlags } from './with-results.ts';

interface Flags extends ResultsFlags {
  readonly json?: true;
}

export function reconcileCommand(exitWith: (code: number) => void): Command {
  return new Command('reconcile')
    .description('prove that every row and message of a run came to exactly one end')
    .argument('[run]', 'id of the run; default: the last one')
    .addOption(outOption())
    .addOption(databaseOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExit codes: 0 ended, complete and balanced; 1 not, or the command itself failed.',
    )
    .action(async (id: string | undefined, flags: Flags) => {
      exitWith(await withResults(flags, (runtime, signal) => reconcile(id, flags, runtime, signal)));
    });
}

async function reconcile(
  id: string | undefined,
  flags: Flags,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<number> {
  const { store } = runtime;
  const run = await findRun(id, runtime, signal);
  const scope = scopeOf(run);
  const { balance, complete: plannedComplete, unbalanced } = await balanceOf(scope, store, signal);
  // What broke off may not have planned all that it was given: its objects prove nothing about the others.
  const finished = run.finishedAt !== null;
  // What a run refused (a changed object) is complete as it was before, and not as the run was given it.
  const refused = refusedBy(run);
  const complete = finished && plannedComplete && refused === 0;
  const failed = await openFailuresOf(scope, store, signal);
  const balanced = balance.every((line) => line.balanced);
  if (flags.json === true) {
    process.stdout.write(
      `${JSON.stringify({ run: run.id, generation: run.generation, finished, complete, refused, balanced, balance, failed, unbalanced: unbalanced.first, unbalancedTotal: unbalanced.total })}\n`,
    );
  } else {
    process.stdout.write(
      `run ${run.id} of ${run.generation}\n${renderBalance(balance, terminalOf(process.stdout))}`,
    );
    process.stdout.write(`${completenessOf(finished, plannedComplete, refused)}\n`);
    for (const object of unbalanced.first) process.stdout.write(`does not balance: ${object}\n`);
    const unnamed = unbalanced.total - unbalanced.first.length;
    if (unnamed > 0) process.stdout.write(`${unnamed} more objects do not balance\n`);
  }
  return complete && balanced ? exitCodes.ok : exitCodes.broken;
}

function refusedBy({ report }: RunRecord): number {
  const { refused } = (report === null ? {} : JSON.parse(report)) as Partial<Pick<RunReport, 'refused'>>;
  return refused?.total ?? 0;
}

function completenessOf(finished: boolean, complete: boolean, refused: number): string {
  if (!finished)
    return 'this run is under way or broke off before its end: start it again, and reconcile the run that ends';
  if (refused > 0) return `${refused} objects were left as they are: see what the run said of them`;
  return complete
    ? 'every planned object is complete'
    : 'not every planned object is complete, and the balance is that of a moment: start the run again to continue';
}

async function findRun(id: string | undefined, { store }: Runtime, signal: AbortSignal): Promise<RunRecord> {
  const run = id === undefined ? (await store.runs(signal)).at(-1) : await store.run(id, signal);
  if (run !== undefined) return run;
  const runs = await store.runs(signal);
  const there =
    runs.length === 0
      ? 'there are none'
      : `the last ones are ${runs
          .slice(-5)
          .map((known) => known.id)
          .join(', ')}`;
  throw new DomainError(`no run ${id ?? ''} here: ${there}`, { code: 'E_NOT_FOUND' });
}
