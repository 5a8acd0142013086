import { Command, CommanderError } from 'commander';
import { failuresCommand } from './commands/failures.ts';
import { inspectCommand } from './commands/inspect.ts';
import { reconcileCommand } from './commands/reconcile.ts';
import { resultsCommand } from './commands/results.ts';
import { runCommand } from './commands/run.ts';
import { describeError, errorFields } from './describe-error.ts';
import { exitCodes } from './exit-codes.ts';
import { isInterrupt } from './interrupt.ts';
import { sluiceVersion } from './sluice-version.ts';

/**
 * Carries out one command line.
 *
 * @param argv what follows `sluice`
 * @returns the exit code
 */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = new Command('sluice')
    .description('Processes a data lake: rows in, answers out, every message counted exactly once.')
    .version(sluiceVersion())
    .showHelpAfterError('(run the command with --help to see what it takes)')
    .exitOverride();
  for (const command of [runCommand, inspectCommand, failuresCommand, resultsCommand, reconcileCommand]) {
    program.addCommand(command((code: number) => (exitCode = code)));
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (thrown) {
    // Commander has printed its own: help and version end well, a wrong command line does not.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.ok : exitCodes.broken;
    process.stderr.write(describeError(thrown));
    if (argv.includes('--json')) process.stdout.write(`${JSON.stringify({ error: errorFields(thrown) })}\n`);
    return isInterrupt(thrown) ? exitCodes.interrupted : exitCodes.broken;
  }
}
