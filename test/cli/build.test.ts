import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';
import { describe, expect, test, vi } from 'vitest';
import { firstReply } from '../../src/entrypoints/cli/build/first-call.ts';
import { measureColdStart, type ColdStart } from '../../src/entrypoints/cli/build/cold-start.ts';
import {
  functionNames,
  type BuildManifest,
  type FunctionName,
} from '../../src/entrypoints/cli/build/manifest.ts';
import { Scratch } from './harness.ts';
import { COLUMNS_SOURCE, pipelineSource } from './shipments.ts';

type Built = BuildManifest & { readonly coldStarts?: Readonly<Record<FunctionName, ColdStart>> };

async function buildOf(scratch: Scratch, source: string, ...flags: readonly string[]): Promise<Built> {
  await scratch.write('shipments.ts', source);
  const { answer, code } = await scratch.json<Built>('build', 'shipments.ts', '--out', 'built', ...flags);
  expect(code).toBe(0);
  return answer;
}

/** Package by package, which functions carry it. */
function carriedIn({ functions }: BuildManifest): string {
  const names = [...new Set(functionNames.flatMap((name) => functions[name].packages))].sort();
  const carriers = (name: string) =>
    functionNames.map((each) => (functions[each].packages.includes(name) ? each : '-').padEnd(9));
  return `${names.map((name) => `${name.padEnd(40)} ${carriers(name).join(' ').trimEnd()}`).join('\n')}\n`;
}

/** What a module imports before it runs. */
async function importedBy(file: string): Promise<string[]> {
  const options = { bundle: true, platform: 'node', format: 'esm', write: false, metafile: true } as const;
  const { metafile } = await build({ ...options, entryPoints: [file], logLevel: 'silent' });
  const [input] = Object.values(metafile.inputs);
  return (input?.imports ?? []).flatMap(({ path, kind }) => (kind === 'import-statement' ? [path] : []));
}

describe('sluice build', { timeout: 120_000 }, () => {
  test('puts the licences of all that is in a bundle beside it', async () => {
    await using scratch = await Scratch.make();
    const manifest = await buildOf(scratch, pipelineSource(), '--no-cold-start');
    for (const name of functionNames) {
      const text = await readFile(scratch.path('built', name, 'licences.txt'), 'utf8');
      const { packages } = manifest.functions[name];
      expect(packages.length).toBeGreaterThan(5);
      const parts = text.split(/^-{80}$/m).map((part) => part.trim());
      expect([...new Set(parts.map((part) => /^\S+/.exec(part)?.[0]))]).toEqual(packages);
      for (const part of parts) expect(part.split('\n')[0]).toMatch(/^\S+ \d+\.\d+\.\d+\S*: \S/);
    }
    const analyze = await readFile(scratch.path('built', 'analyze', 'licences.txt'), 'utf8');
    expect(analyze).toMatch(/^pg \d[^\n]*: MIT\n\nMIT License\n\nCopyright \(c\) 2010/m);
    const transform = await readFile(scratch.path('built', 'transform', 'licences.txt'), 'utf8');
    expect(transform).not.toMatch(/^pg /m);
  });

  test('gives them nothing that only costs their start: what Node reads of its own modules, what pino asks of a stack', async () => {
    await using scratch = await Scratch.make();
    await buildOf(scratch, pipelineSource(), '--no-cold-start');
    for (const name of functionNames) {
      const file = scratch.path('built', name, 'index.mjs');
      expect(await importedBy(file)).toEqual(['node:module']);
      expect(await readFile(file, 'utf8')).not.toContain('getCallSites');
    }
  });

  test('gives each function the packages that it uses, and no others', async () => {
    await using scratch = await Scratch.make();
    const manifest = await buildOf(scratch, pipelineSource(), '--no-cold-start');
    await expect(carriedIn(manifest)).toMatchFileSnapshot('golden/packages.txt');
    const carriers = (name: string) =>
      functionNames.filter((each) => manifest.functions[each].packages.includes(name));
    expect(carriers('hyparquet')).toEqual(['dispatch', 'transform', 'reprocess']);
    expect(carriers('pg')).toEqual(['dispatch', 'analyze', 'reprocess']);
    expect(carriers('ioredis')).toEqual(['transform']);
    expect(carriers('@aws-sdk/client-kinesis')).toEqual(['transform', 'reprocess']);
    expect(carriers('@aws-sdk/client-sns')).toEqual(['dispatch', 'analyze']);
    // What only the command line needs.
    for (const name of ['esbuild', 'commander', 'chart.js', 'hyparquet-writer', 'string-width'])
      expect(carriers(name)).toEqual([]);
  });

  test.each([
    ["format: 'csv'", ['CsvReader']],
    ["format: 'parquet'", ['GroupReader']],
    ["format: 'json'", ['JsonReader']],
    ['', ['CsvReader', 'GroupReader', 'JsonReader']],
  ])('of objects with {%s} has these readers: %j', async (format, readers) => {
    await using scratch = await Scratch.make();
    await buildOf(scratch, pipelineSource({ source: `${COLUMNS_SOURCE} ${format}` }), '--no-cold-start');
    const text = await readFile(scratch.path('built', 'transform', 'index.mjs'), 'utf8');
    const all = ['CsvReader', 'GroupReader', 'JsonReader'];
    expect(all.filter((name) => new RegExp(`\\b${name}\\b`).test(text))).toEqual(readers);
    // Messages from elsewhere.
    expect(text).toContain('JsonLinesReader');
  });

  test('leaves out what the deployment has not, and readers of formats that the pipeline has not', async () => {
    await using scratch = await Scratch.make();
    const csv = pipelineSource({ source: `${COLUMNS_SOURCE} format: 'csv'` });
    const manifest = await buildOf(scratch, csv, '--without', 'postgres,redis');
    expect(manifest.without).toEqual(['redis', 'postgres']);
    await expect(carriedIn(manifest)).toMatchFileSnapshot('golden/packages-csv-without-redis-postgres.txt');
    // They start all the same.
    for (const name of functionNames) {
      const { loaded, replied } = manifest.coldStarts![name];
      expect(loaded).toBeGreaterThan(0);
      expect(replied).toBeGreaterThanOrEqual(loaded);
    }
    const { code, stderr } = await scratch.sluice('build', 'shipments.ts', '--without', 'redis,parquet');
    expect(code).toBe(1);
    expect(stderr).toContain('It has to be some of redis, postgres');
  });

  test('says which function does not start', async () => {
    await using scratch = await Scratch.make();
    const file = scratch.path('index.mjs');
    await scratch.write('index.mjs', 'export const handler = async () => ({ batchItemFailures: [] });');
    await expect(measureColdStart('analyze', file)).rejects.toMatchObject({
      code: 'E_PIPELINE_INVALID',
      message: 'the function analyze does not start: it replied {"batchItemFailures":[]}',
    });
  });

  test('measures without what Node has compiled before, and with the variables of the pipeline’s own', async () => {
    await using scratch = await Scratch.make();
    // What a pipeline writes by itself is no reply.
    await scratch.write(
      'index.mjs',
      `console.log('hello');
      const { NODE_COMPILE_CACHE, AWS_PROFILE, SHIPMENTS } = process.env;
      const isCold = NODE_COMPILE_CACHE === undefined && AWS_PROFILE === undefined && SHIPMENTS === 'mine';
      export const handler = async () => (isCold ? ${JSON.stringify(firstReply)} : null);`,
    );
    vi.stubEnv('NODE_COMPILE_CACHE', scratch.path('compiled'));
    vi.stubEnv('AWS_PROFILE', 'somebody');
    vi.stubEnv('SHIPMENTS', 'mine');
    try {
      const { replied } = await measureColdStart('analyze', scratch.path('index.mjs'));
      expect(replied).toBeGreaterThan(0);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
