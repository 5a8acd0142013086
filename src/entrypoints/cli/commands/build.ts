import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { buildPipeline } from '../build/build-pipeline.ts';
import { measureColdStart, type ColdStart } from '../build/cold-start.ts';
import { optionalParts, type OptionalPart } from '../build/left-out.ts';
import { functionNames, type BuildManifest, type FunctionName } from '../build/manifest.ts';
import { exitCodes } from '../exit-codes.ts';
import { jsonOption } from '../options.ts';
import { formatBytes } from '../terminal/format.ts';
import { renderTable } from '../terminal/table.ts';
import { terminalOf } from '../terminal/terminal.ts';

interface Flags {
  readonly out: string;
  readonly without: readonly OptionalPart[];
  readonly coldStart: boolean;
  readonly json?: true;
}

export function buildCommand(exitWith: (code: number) => void): Command {
  return new Command('build')
    .description('bundle a pipeline into its Lambda functions: one ES module each')
    .argument('<pipeline>', 'the pipeline file')
    .option('--out <folder>', 'where the bundles and their manifest go', 'sluice-build')
    .option(
      '--without <parts>',
      `what the deployment has not, comma separated: ${optionalParts.join(', ')}; sluice deploy knows by itself`,
      partsArgument,
      [],
    )
    .option('--no-cold-start', 'do not measure how long each function takes to load and to its first reply')
    .addOption(jsonOption())
    .action(async (file: string, flags: Flags) => {
      const manifest = await buildPipeline(file, flags.out, { unneeded: () => flags.without });
      const coldStarts = flags.coldStart ? await measureAll(manifest, flags.out) : undefined;
      if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...manifest, coldStarts })}\n`);
      else process.stdout.write(describe(manifest, flags.out, coldStarts));
      exitWith(exitCodes.ok);
    });
}

function partsArgument(text: string): readonly OptionalPart[] {
  const names = new Set(text.split(',').map((name) => name.trim()));
  const parts = optionalParts.filter((part) => names.has(part));
  if (parts.length < names.size)
    throw new InvalidArgumentError(`It has to be some of ${optionalParts.join(', ')}, comma separated.`);
  return parts;
}

/** By function, in whole milliseconds. */
type ColdStarts = Readonly<Record<FunctionName, ColdStart>>;

async function measureAll({ functions }: BuildManifest, out: string): Promise<ColdStarts> {
  const times: Partial<Record<FunctionName, ColdStart>> = {};
  for (const name of functionNames) {
    const { loaded, replied } = await measureColdStart(name, path.resolve(out, functions[name].file));
    times[name] = { loaded: Math.round(loaded), replied: Math.round(replied) };
  }
  return times as ColdStarts;
}

function describe(manifest: BuildManifest, out: string, coldStarts: ColdStarts | undefined): string {
  const { pipeline, version, build, functions } = manifest;
  const columns = [
    { title: 'function' },
    { title: 'bundle', align: 'right' },
    { title: 'gzipped', align: 'right' },
    ...(coldStarts === undefined
      ? []
      : ([
          { title: 'loaded', align: 'right' },
          { title: 'first reply', align: 'right' },
        ] as const)),
    { title: 'file' },
  ] as const;
  const rows = functionNames.map((name) => [
    name,
    formatBytes(functions[name].bytes),
    formatBytes(functions[name].gzipBytes),
    ...(coldStarts === undefined ? [] : [`${coldStarts[name].loaded} ms`, `${coldStarts[name].replied} ms`]),
    path.join(out, functions[name].file),
  ]);
  const { width, color } = terminalOf(process.stdout);
  return `${pipeline}@${version}, build ${build.slice(0, 12)}\n\n${renderTable(columns, rows, { width, color })}`;
}
