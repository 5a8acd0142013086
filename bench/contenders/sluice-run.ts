/** The command line as it is: `sluice run`, from its start to its end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Counts } from '../harness/contender.ts';
import { moduleOf } from '../harness/places.ts';

export default async function sluiceRun({ args }: { readonly args: readonly string[] }): Promise<Counts> {
  const out = await mkdtemp(path.join(tmpdir(), 'sluice-bench-'));
  let said = '';
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (text: string) => {
    said += text;
    return true;
  };
  try {
    process.argv.splice(2, Infinity, 'run', ...args, '--out', out, '--json');
    await import(moduleOf('../bin/sluice').href.replace(/ts$/, 'js'));
  } finally {
    process.stdout.write = write;
    await rm(out, { recursive: true, force: true });
  }
  const { groups, applied, complete } = JSON.parse(said) as {
    readonly groups: number;
    readonly applied: number;
    readonly complete: boolean;
  };
  return { groups, applied, complete: Number(complete) };
}
