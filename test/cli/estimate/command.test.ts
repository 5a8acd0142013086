import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { estimate, type Estimate } from '../../../src/entrypoints/cli/estimate/estimate.ts';
import { builtInPrices } from '../../../src/entrypoints/cli/estimate/price-list.ts';
import { repository, Scratch } from '../harness.ts';
import { requestOf } from './workloads.ts';

const DAY = ['--objects', '2000', '--rows', '60000000', '--groups', '8000000', '--region', 'us-east-1'];

describe('sluice estimate', { timeout: 120_000 }, () => {
  it('prints one JSON object of what the arithmetic says, and the chart of docs/scale.md', async () => {
    await using scratch = await Scratch.make();
    const { code, stdout } = await scratch.sluice('estimate', ...DAY, '--chart', 'chart.svg', '--json');
    expect(code).toBe(0);
    const printed = JSON.parse(stdout) as Estimate & { readonly prices: object; readonly region: string };
    expect(printed).toMatchObject(JSON.parse(JSON.stringify(estimate(requestOf()))) as object);
    expect(printed).toMatchObject({
      region: 'us-east-1',
      prices: { asOf: builtInPrices.asOf, from: 'built in' },
    });
    const drawn = await readFile(scratch.path('chart.svg'), 'utf8');
    expect(drawn).toBe(await readFile(join(repository, 'docs/images/break-even.svg'), 'utf8'));
    expect(drawn).toContain('messages a day');
    expect(drawn).toContain('dollars a month');
    expect(drawn).toMatch(/break-even: \d+M a day/);
  });

  it('prints what docs/scale.md shows', async () => {
    await using scratch = await Scratch.make();
    const docs = await readFile(join(repository, 'docs/scale.md'), 'utf8');
    const blocks = [...docs.matchAll(/^\$ npx sluice (estimate .*)\n([\s\S]*?)^```/gm)];
    expect(blocks.length).toBeGreaterThanOrEqual(3);
    for (const [, line = '', shown = ''] of blocks) {
      const { code, stdout } = await scratch.sluice(...line.split(' '));
      expect(code, line).toBe(0);
      // What is left out of a longer answer is an ellipsis.
      const parts = shown.split('…\n');
      let from = 0;
      for (const part of parts) {
        const at = stdout.indexOf(part, from);
        expect(at, `${line}: ${part}`).toBeGreaterThanOrEqual(0);
        from = at + part.length;
      }
    }
  });

  it('takes partitions, limits and format from a pipeline, and prices from a file', async () => {
    await using scratch = await Scratch.make();
    await scratch.write(
      'p.ts',
      `import { count, definePipeline } from 'sluice';
export default definePipeline({
  name: 'p', version: 1, source: { format: 'jsonl' }, transform: (row) => row, partitions: 7, limits: { sectionBytes: 1_000_000 },
  analyze: { groupBy: () => 'all', measures: { rows: count() } },
});
`,
    );
    const prices = structuredClone(builtInPrices) as { regions: Record<string, unknown> };
    prices.regions = { here: builtInPrices.regions['us-east-1'] };
    await scratch.write('mine.json', JSON.stringify(prices));
    const line =
      'estimate --objects 10 --rows 1000000 --pipeline p.ts --prices mine.json --region here --shards 2 --functions 10000 --json';
    const { code, stdout } = await scratch.sluice(...line.split(' '));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      workload: { partitions: 7, partitioned: false, sectionBytes: 1_000_000, format: 'jsonl' },
      deployment: { shards: 2, transformPollers: { minimum: 2, maximum: 1_000 } },
      prices: { from: 'mine.json' },
    });
  });

  it('prints its prices in the form that it reads', async () => {
    await using scratch = await Scratch.make();
    const { stdout } = await scratch.sluice('estimate', '--print-prices');
    expect(JSON.parse(stdout)).toEqual(builtInPrices);
  });

  it.each([
    [
      ['--rows', '5', '--objects', '1', '--region', 'eu-moon-1'],
      'E_PRICES',
      'no prices of "eu-moon-1", only of us-east-1',
    ],
    [['--region', 'us-east-1'], 'E_USAGE', 'name --objects and --rows, or --messages'],
    [['--objects', '5', '--region', 'us-east-1'], 'E_USAGE', '--objects goes with --rows'],
    [['--rows', '5', '--region', 'us-east-1'], 'E_USAGE', 'name --objects'],
    [['--rows', '5', '--messages', '1', '--region', 'us-east-1'], 'E_USAGE', '--objects goes with --rows'],
    [['--objects', '1', '--rows', '-5', '--region', 'us-east-1'], 'E_USAGE', 'whole number from 0'],
    [['--objects', '1', '--rows', '5'], 'E_USAGE', 'name the --region: there are prices of us-east-1'],
    [[...DAY, '--pollers', '1-5000'], 'E_USAGE', 'It has to be like 10-200'],
    [[...DAY, '--database-capacity', '8-4'], 'E_USAGE', 'It has to be like 0.5-8'],
    [[...DAY, '--memory', '64'], 'E_USAGE', 'from 128 to 10240'],
    [[...DAY, '--hours', '25'], 'E_USAGE', 'from 0.01 to 24'],
    [[...DAY, '--shards', 'many'], 'E_USAGE', 'whole number from 1'],
    [[...DAY, '--message-bytes', '0'], 'E_USAGE', 'a number above 0'],
    [[...DAY, '--prices', 'none.json'], 'E_PRICES', 'none.json cannot be read'],
    [[...DAY, '--chart', 'no/such/folder/chart.svg'], 'E_OUTPUT', 'cannot be written'],
    [
      [...DAY, '--pipeline', join(repository, 'examples/lane-performance.ts')],
      'E_USAGE',
      'reads parquet: only csv and jsonl are estimated',
    ],
  ])('refuses %j', async (flags, code, message) => {
    await using scratch = await Scratch.make();
    const ended = await scratch.sluice('estimate', ...flags, '--json');
    expect(ended.code).toBe(1);
    const { error } = JSON.parse(ended.stdout) as { error: { code: string; message: string } };
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });
});
