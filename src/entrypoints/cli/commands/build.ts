import path from 'node:path';
import { Command } from 'commander';
import { buildPipeline } from '../build/build-pipeline.ts';
import { measureColdStart } from '../build/cold-start.ts';
import { functionNames, type BuildManifest, type FunctionName } from '../build/manifest.ts';
import { exitCodes } from '../exit-codes.ts';
import { jsonOption } from '../options.ts';
import { formatBytes } from '../terminal/format.ts';
import { renderTable } from '../terminal/table.ts';
import { terminalOf } from '../terminal/terminal.ts';

interface Flags {
  readonly out: string;
  readonly coldStart: boolean;
  readonly json?: true;
}

export function buildCommand(exitWith: (code: number) => void): Command {
  return new Command('build')
    .description('bundle a pipeline into its Lambda functions: one ES module each')
    .argument('<pipeline>', 'the pipeline file')
    .option('--out <folder>', 'where the bundles and their manifest go', 'sluice-build')
    .option('--no-cold-start', 'do not measure how long each bundle takes to load')
    .addOption(jsonOption())
    .action(async (file: string, flags: Flags) => {
      const manifest = await buildPipeline(file, flags.out);
      const coldStarts = flags.coldStart ? await measureAll(manifest, flags.out) : undefined;
      if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...manifest, coldStarts })}\n`);
      else process.stdout.write(describe(manifest, flags.out, coldStarts));
      exitWith(exitCodes.ok);
    });
}

/** Milliseconds by function. */
type ColdStarts = Readonly<Record<FunctionName, number>>;

async function measureAll({ functions }: BuildManifest, out: string): Promise<ColdStarts> {
  const times: Partial<Record<FunctionName, number>> = {};
  for (const name of functionNames)
    times[name] = Math.round(await measureColdStart(path.resolve(out, functions[name].file)));
  return times as ColdStarts;
}

function describe(manifest: BuildManifest, out: string, coldStarts: ColdStarts | undefined): string {
  const { pipeline, version, build, functions } = manifest;
  const columns = [
    { title: 'function' },
    { title: 'bundle', align: 'right' },
    { title: 'gzipped', align: 'right' },
    ...(coldStarts === undefined ? [] : [{ title: 'loads in', align: 'right' } as const]),
    { title: 'file' },
  ] as const;
  const rows = functionNames.map((name) => [
    name,
    formatBytes(functions[name].bytes),
    formatBytes(functions[name].gzipBytes),
    ...(coldStarts === undefined ? [] : [`${coldStarts[name]} ms`]),
    path.join(out, functions[name].file),
  ]);
  const { width, color } = terminalOf(process.stdout);
  return `${pipeline}@${version}, build ${build.slice(0, 12)}\n\n${renderTable(columns, rows, { width, color })}`;
}
