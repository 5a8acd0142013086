import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build, type Plugin } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LAMBDA_EVERY } from './history-of-seed.ts';
import { mutants, type Mutant } from './mutants.ts';

// Every bug is planted in a bundle of its own, which then plays histories until the oracle finds something wrong.

const execute = promisify(execFile);
const sources = fileURLToPath(new URL('../../src/', import.meta.url));
const entry = fileURLToPath(new URL('mutant-history.ts', import.meta.url));

const SEEDS = 700;
const ROWS = 300;
/** Without a bug nothing may be found: as many histories as most bugs need. */
const CONTROL_SEEDS = 40;
const LIMIT_MS = 300_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sluice-mutants-'));
});
afterAll(() => rm(folder, { recursive: true }));

function planting({ file, find, replace }: Mutant): Plugin {
  return {
    name: 'plant',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path: loaded }) => {
        if (path.relative(sources, loaded) !== file) return undefined;
        const text = await readFile(loaded, 'utf8');
        const [before, after, ...more] = text.split(find);
        if (after === undefined || more.length > 0) throw new Error(`${file} has not exactly one ${find}`);
        return { contents: `${before ?? ''}${replace}${after}`, loader: 'ts' };
      });
    },
  };
}

/** What the histories show, as JSON: `null` where nothing is wrong. */
async function play(
  name: string,
  plugins: Plugin[],
  seeds: number,
  { step = 1, known }: { readonly step?: number; readonly known?: number | undefined } = {},
): Promise<unknown> {
  const outfile = path.join(folder, `${name.replaceAll(/\W+/g, '-')}.mjs`);
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    conditions: ['sluice-source'],
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'silent',
    plugins,
  });
  const { stdout } = await execute(
    process.execPath,
    [outfile, step, step, seeds, ROWS, ...(known === undefined ? [] : [known])].map(String),
    {
      timeout: LIMIT_MS,
    },
  );
  return JSON.parse(stdout);
}

describe('planted bugs', { timeout: LIMIT_MS }, () => {
  it('without one, nothing is wrong', async () => {
    expect(await play('control', [], CONTROL_SEEDS)).toBeNull();
  });

  it.for(mutants)('$name', async (mutant) => {
    // What only the deployed functions have shows in their histories alone.
    const step = /^(entrypoints\/lambda|adapters\/aws)\//.test(mutant.file) ? LAMBDA_EVERY : 1;
    const caught = await play(mutant.name, [planting(mutant)], SEEDS, { step, known: mutant.seed });
    expect(caught).toMatchObject({ seed: expect.any(Number) });
  });
});
