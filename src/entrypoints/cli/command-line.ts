import { Console } from 'node:console';
import { Command, CommanderError } from 'commander';
import { DomainError, InfrastructureError, messageOf } from '../../domain/errors.ts';
import { isBrokenPipe } from './broken-pipe.ts';
import { buildCommand } from './commands/build.ts';
import { deployCommand } from './commands/deploy.ts';
import { doctorCommand } from './commands/doctor.ts';
import { estimateCommand } from './commands/estimate.ts';
import { failuresCommand } from './commands/failures.ts';
import { findingsCommand } from './commands/findings.ts';
import { inspectCommand } from './commands/inspect.ts';
import { migrateCommand } from './commands/migrate.ts';
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
  // A reader that has enough must not end a run that is under way, nor look like a defect.
  process.stdout.on('error', (thrown) => {
    if (isBrokenPipe(thrown)) return;
    process.stderr.write(
      describeError(
        new InfrastructureError(`standard output cannot be written: ${messageOf(thrown)}`, {
          code: 'E_OUTPUT',
          cause: thrown,
        }),
      ),
    );
    process.exit(exitCodes.broken);
  });
  // Standard output is for what a command was asked for: a pipeline that prints must not end up in it.
  globalThis.console = new Console(process.stderr);
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (thrown: unknown) => endAtOnce(argv, thrown));
  }
  const program = new Command('sluice')
    .description('Processes a data lake: rows in, answers out, every message counted exactly once.')
    .version(sluiceVersion())
    .showHelpAfterError('(run the command with --help to see what it takes)')
    .exitOverride();
  for (const command of [
    runCommand,
    inspectCommand,
    failuresCommand,
    resultsCommand,
    findingsCommand,
    reconcileCommand,
    migrateCommand,
    buildCommand,
    doctorCommand,
    deployCommand,
    estimateCommand,
  ]) {
    program.addCommand(
      inheriting(
        program,
        command((code: number) => (exitCode = code)),
      ),
    );
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (thrown) {
    // Commander has printed its own: help and version end well, a wrong command line does not.
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return exitCodes.ok;
      const message = thrown.message.replace(/^error: /, '');
      printAsJson(argv, new DomainError(message, { code: 'E_USAGE', cause: thrown }));
      return exitCodes.broken;
    }
    if (isBrokenPipe(thrown)) return exitCodes.ok;
    process.stderr.write(describeError(thrown));
    printAsJson(argv, thrown);
    return isInterrupt(thrown) ? exitCodes.interrupted : exitCodes.broken;
  }
}

/** Nobody can tell which row it belongs to. What is applied is applied whole, so that ending here is safe. */
function endAtOnce(argv: readonly string[], cause: unknown): never {
  const error = new DomainError(`nobody awaited this: ${messageOf(cause)}`, { code: 'E_NOT_AWAITED', cause });
  process.stderr.write(describeError(error));
  if (cause instanceof Error && cause.stack !== undefined) process.stderr.write(`${cause.stack}\n`);
  printAsJson(argv, error);
  process.exit(exitCodes.broken);
}

/** Commander hands settings on only to commands that are made under it. */
function inheriting(parent: Command, command: Command): Command {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inheriting(command, child);
  return command;
}

/** Whoever asks for JSON gets one object, whatever happens. */
function printAsJson(argv: readonly string[], thrown: unknown): void {
  if (argv.includes('--json')) process.stdout.write(`${JSON.stringify({ error: errorFields(thrown) })}\n`);
}
