import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { SystemClock } from '../../../adapters/inmemory/clock.ts';
import { DomainError } from '../../../domain/errors.ts';
import type { AnyPipeline } from '../../../domain/pipeline.ts';
import { buildPipeline } from '../build/build-pipeline.ts';
import type { BuildManifest } from '../build/manifest.ts';
import { unneededBy } from '../deploy/unneeded.ts';
import { explained } from '../deploy/calls.ts';
import { deployBuild } from '../deploy/steps.ts';
import { deployStacks, findToolkit, synthesize } from '../deploy/toolkit.ts';
import { checks } from '../doctor/checks/index.ts';
import { renderProblems } from '../doctor/render.ts';
import { stackOf } from '../doctor/stack.ts';
import { parseTemplate } from '../doctor/template.ts';
import { exitCodes } from '../exit-codes.ts';
import { untilInterrupted } from '../interrupt.ts';
import { terminalOf } from '../terminal/terminal.ts';
import { printable } from '../terminal/text.ts';

interface Flags {
  readonly out: string;
  readonly stackName?: string;
  readonly drainLimit: number;
  readonly context: readonly (readonly [name: string, value: string])[];
  readonly yes?: true;
  readonly dryRun?: true;
}

export function deployCommand(exitWith: (code: number) => void): Command {
  return new Command('deploy')
    .description('build a pipeline and put it on AWS, or a new build in the place of the one that is there')
    .argument('<pipeline>', 'the pipeline file')
    .option('--stack-name <name>', 'of the stack; default: sluice-<pipeline>-v<version>')
    .option(
      '--drain-limit <time>',
      'how long to wait for what the old build has begun',
      durationArgument,
      15 * 60_000,
    )
    .option(
      '-c, --context <name=value>',
      'a parameter of the stack, e.g. lake=s3://flights/2024/; docs/deploy.md has all',
      collectContext,
      [],
    )
    .option('--out <folder>', 'where bundles and templates go', 'sluice-build')
    .option('--yes', 'do not ask before permissions are widened')
    .option(
      '--dry-run',
      'build, synthesize and check only, and say what would be done; nothing of AWS is asked',
    )
    .action(async (file: string, flags: Flags) => {
      exitWith(await untilInterrupted((signal) => deploy(file, flags, signal)));
    });
}

async function deploy(file: string, flags: Flags, signal: AbortSignal): Promise<number> {
  const toolkit = findToolkit(process.cwd());
  const progress = (line: string) => void process.stdout.write(`${printable(line)}\n`);
  const parameters = Object.fromEntries(flags.context);
  const unneeded = (pipeline: AnyPipeline) => unneededBy(pipeline, parameters);
  const manifest = await buildPipeline(file, flags.out, { unneeded });
  progress(`${manifest.pipeline}@${manifest.version}, build ${manifest.build.slice(0, 12)}, in ${flags.out}`);

  const output = path.resolve(flags.out, 'cdk.out');
  const context = {
    ...parameters,
    ...(flags.stackName === undefined ? {} : { stack: flags.stackName }),
    build: path.resolve(flags.out),
  };
  await synthesize({ toolkit, output, context }, signal);
  checkStacks(output, manifest);
  const stacks = stacksIn(output);
  // What depends on another comes after it; the pipeline's is the one that has its functions.
  const stack = stacks.find(({ hasFunctions }) => hasFunctions)?.name;
  if (stack === undefined)
    throw new DomainError(`${output} has no stack with functions`, { code: 'E_DEPLOY' });
  const names = stacks.map(({ name }) => name);
  progress(`synthesized and checked: ${names.join(', ')}`);

  if (flags.dryRun === true) {
    for (const line of planOf(stack, flags)) progress(line);
    return exitCodes.ok;
  }
  await deployBuild(
    {
      manifest,
      stack,
      // Alone is a stack whose results lie in S3.
      foundation: names.find((name) => name !== stack) ?? null,
      drainLimitMs: flags.drainLimit,
    },
    {
      calls: explained(await toolkit.calls()),
      clock: new SystemClock(),
      bundle: (name) => readFile(path.resolve(flags.out, manifest.functions[name].file)),
      switchStacks: (stopped) => deployStacks(toolkit, output, names, { yes: flags.yes === true }, stopped),
      progress,
    },
    signal,
  );
  progress('deployed');
  return exitCodes.ok;
}

/** Whatever doctor calls an error is told before anything is touched. */
function checkStacks(output: string, manifest: BuildManifest): void {
  const template = new Map(
    templatesIn(output).flatMap((file) => [...parseTemplate(readFileSync(file, 'utf8'), file)]),
  );
  const stack = stackOf(template);
  const problems = checks.flatMap((check) => check(stack, { manifest, maxConnections: undefined }));
  if (problems.length > 0) process.stderr.write(renderProblems(problems, terminalOf(process.stderr)));
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0)
    throw new DomainError(`the stack would not work: ${errors.map(({ code }) => code).join(', ')}`, {
      code: 'E_DEPLOY',
    });
}

function stacksIn(output: string): readonly { readonly name: string; readonly hasFunctions: boolean }[] {
  return templatesIn(output).map((file) => ({
    name: path.basename(file, '.template.json'),
    hasFunctions: stackOf(parseTemplate(readFileSync(file, 'utf8'), file)).functions.length > 0,
  }));
}

function templatesIn(output: string): readonly string[] {
  // Stacks that an earlier synthesis left here are none of this one's.
  const { artifacts } = JSON.parse(readFileSync(path.join(output, 'manifest.json'), 'utf8')) as {
    artifacts: Readonly<
      Record<string, { readonly type: string; readonly properties?: { readonly templateFile?: string } }>
    >;
  };
  const current = new Set(
    Object.values(artifacts)
      .filter(({ type }) => type === 'aws:cloudformation:stack')
      .map(({ properties }) => properties?.templateFile),
  );
  return readdirSync(output)
    .filter((name) => current.has(name))
    .sort()
    .map((name) => path.join(output, name));
}

function planOf(stack: string, { drainLimit }: Flags): readonly string[] {
  return [
    'it would, where another build is there:',
    `  1. keep the bundles of this build in the state bucket of ${stack}`,
    '  2. stop dispatch; orders and events wait in its queue',
    `  3. wait until orders, tasks and frames are through, ${Math.round(drainLimit / 1000)} s at most; kept bundles finish what is left`,
    '  4. let CloudFormation switch',
    '  5. let a function inside the network make the tables, or bring them up to date',
    '  6. order that what the old build planned and has not begun goes over to this build',
    '  7. let dispatch go on',
  ];
}

/** `90s`, `15m`, `2h`; in milliseconds. */
function durationArgument(text: string): number {
  const [, count, unit] = /^(\d+)([smh])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('It has to be like 90s, 15m, 2h.');
  return Number(count) * { s: 1_000, m: 60_000, h: 3_600_000 }[unit as 's' | 'm' | 'h'];
}

function collectContext(text: string, before: Flags['context']): Flags['context'] {
  const at = text.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError('It has to be like name=value.');
  return [...before, [text.slice(0, at), text.slice(at + 1)]];
}
