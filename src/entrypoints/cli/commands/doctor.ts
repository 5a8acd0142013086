import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { DomainError, messageOf } from '../../../domain/errors.ts';
import { readManifest, type BuildManifest } from '../build/manifest.ts';
import { checks } from '../doctor/checks/index.ts';
import { LogScan, type LogFinding } from '../doctor/logs.ts';
import type { Problem } from '../doctor/problem.ts';
import { renderLogFindings, renderProblems } from '../doctor/render.ts';
import { stackOf } from '../doctor/stack.ts';
import { parseTemplate, type Template } from '../doctor/template.ts';
import { exitCodes } from '../exit-codes.ts';
import { jsonOption, wholeNumber } from '../options.ts';
import { terminalOf } from '../terminal/terminal.ts';

interface Flags {
  readonly build?: string;
  readonly maxConnections?: number;
  readonly logs?: string;
  readonly json?: true;
}

export function doctorCommand(exitWith: (code: number) => void): Command {
  return new Command('doctor')
    .description('check a stack against the code, and logs for errors that nobody sees')
    .argument(
      '[templates...]',
      'templates of CloudFormation in JSON, as cdk synth or aws cloudformation get-template gives them; folders of them',
    )
    .option(
      '--build <folder>',
      'what sluice build wrote, for checks of sizes, partitions and the build; default: the folder of the templates, or the one above it',
    )
    .option(
      '--max-connections <n>',
      'connections that the database takes; default: what the templates tell',
      wholeNumber(1),
    )
    .option('--logs <file>', 'log lines, - for standard input, e.g. aws logs tail … | sluice doctor --logs -')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing found, or warnings only; 2 errors found; 1 the command itself failed.',
    )
    .action(async (files: string[], flags: Flags) => {
      exitWith(await doctor(files, flags));
    });
}

async function doctor(files: readonly string[], flags: Flags): Promise<number> {
  if (files.length === 0 && flags.logs === undefined)
    throw new DomainError('there is nothing to check: name a template, a folder of them, or --logs', {
      code: 'E_USAGE',
    });
  const build = flags.build ?? buildAround(files);
  const problems = files.length === 0 ? undefined : checkTemplates(files, build, flags);
  const scanned = flags.logs === undefined ? undefined : await scanLogs(flags.logs);
  if (flags.json === true) {
    process.stdout.write(
      `${JSON.stringify({ ...(problems === undefined ? {} : { build: build ?? null, problems }), ...(scanned === undefined ? {} : { logs: scanned }) })}\n`,
    );
  } else {
    const terminal = terminalOf(process.stdout);
    if (problems !== undefined) process.stdout.write(renderProblems(problems, terminal));
    if (problems !== undefined && build === undefined)
      process.stdout.write('record sizes, partitions and the build were not compared: give --build\n');
    if (scanned !== undefined) process.stdout.write(renderLogFindings(scanned, terminal));
  }
  const bad =
    (problems ?? []).some(({ severity }) => severity === 'error') || (scanned?.findings.length ?? 0) > 0;
  return bad ? exitCodes.failures : exitCodes.ok;
}

/** `sluice deploy` synthesizes into a folder of the build's. */
function buildAround(files: readonly string[]): string | undefined {
  return files
    .map((file) => (statSync(file, { throwIfNoEntry: false })?.isDirectory() ? file : path.dirname(file)))
    .flatMap((folder) => [folder, path.dirname(path.resolve(folder))])
    .find(holdsBuild);
}

function holdsBuild(folder: string): boolean {
  try {
    readManifest(folder);
    return true;
  } catch {
    return false;
  }
}

function checkTemplates(
  files: readonly string[],
  build: string | undefined,
  flags: Flags,
): readonly Problem[] {
  const manifest: BuildManifest | undefined = build === undefined ? undefined : readManifest(build);
  // Network and database may be a stack of their own: together they tell more.
  const template: Template = new Map(files.flatMap(templateFiles).flatMap((file) => [...readTemplate(file)]));
  const stack = stackOf(template);
  if (stack.functions.length === 0)
    throw new DomainError(`there is no function of Sluice in ${files.join(', ')}`, { code: 'E_USAGE' });
  return checks.flatMap((check) => check(stack, { manifest, maxConnections: flags.maxConnections }));
}

function templateFiles(file: string): readonly string[] {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) throw new DomainError(`${file}: there is no such file`, { code: 'E_USAGE' });
  if (!stats.isDirectory()) return [file];
  const found = readdirSync(file).filter((name) => name.endsWith('.template.json'));
  if (found.length === 0)
    throw new DomainError(`${file}: there is no *.template.json in this folder`, { code: 'E_USAGE' });
  return found.sort().map((name) => path.join(file, name));
}

function readTemplate(file: string): Template {
  return parseTemplate(readFileSync(file, 'utf8'), file);
}

async function scanLogs(
  file: string,
): Promise<{ readonly lines: number; readonly findings: readonly LogFinding[] }> {
  const scan = new LogScan();
  const input = file === '-' ? process.stdin : createReadStream(file);
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) scan.add(line);
  } catch (thrown) {
    throw new DomainError(`${file} cannot be read: ${messageOf(thrown)}`, { code: 'E_USAGE', cause: thrown });
  }
  return { lines: scan.lines, findings: scan.findings() };
}
