import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { Scratch, type StartOptions } from './harness.ts';
import { asCsv, expectedResults, pipelineSource, shipments } from './shipments.ts';

const rows = shipments(20_000);
const SMALL = 'limits: { sectionBytes: 50_000 },';

async function lake(head = ''): Promise<Scratch> {
  const scratch = await Scratch.make();
  await scratch.write('lake.csv', asCsv(rows));
  await scratch.write('shipments.ts', pipelineSource({ more: SMALL, head }));
  return scratch;
}

describe('the threads of a run', { timeout: 120_000 }, () => {
  test.each<[what: string, args: string[], options: StartOptions]>([
    ['one', ['--concurrency', '1'], {}],
    ['eight', ['--concurrency', '8'], {}],
    ['standard input closed', [], { shell: 'exec "$@" <&-' }],
    ['standard error closed', [], { shell: 'exec "$@" 2>&-' }],
    ['options of Node', [], { env: { NODE_OPTIONS: '--max-old-space-size=512 --enable-source-maps' } }],
    ['a condition of Node', [], { env: { NODE_OPTIONS: '--conditions=development' } }],
  ])('%s: the same results', async (_, args, options) => {
    await using scratch = await lake();
    const { code, stdout, stderr } = await scratch.start(
      ['run', 'shipments.ts', 'lake.csv', '--json', ...args],
      options,
    ).ended;
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ complete: true, applied: rows.length });
    expect(scratch.results('shipments@1')).toEqual(expectedResults(rows));
  });

  test('started from another folder: the same results', async () => {
    await using scratch = await lake();
    mkdirSync(scratch.path('elsewhere'));
    const { code, stderr } = await scratch.start(
      ['run', '../shipments.ts', '../lake.csv', '--out', '../out'],
      {
        cwd: scratch.path('elsewhere'),
      },
    ).ended;
    expect(code, stderr).toBe(0);
    expect(scratch.results('shipments@1', 'out')).toEqual(expectedResults(rows));
  });

  test('a pipeline that takes its time to load is waited for, in each of them', async () => {
    await using scratch = await lake('await new Promise((resolve) => setTimeout(resolve, 5_000));');
    // Less than loading takes: no row is under way meanwhile.
    const { code, report, stderr } = await scratch.run('shipments.ts', 'lake.csv', '--row-timeout', '1');
    expect(code, stderr).toBe(0);
    expect(report.failed.total).toBe(0);
    expect(scratch.results('shipments@1')).toEqual(expectedResults(rows));
  });

  test('a pipeline that cannot be loaded in a thread: its own error, once, and no row is blamed', async () => {
    for (const [broken, message] of [
      ['export default {{{;', /E_PIPELINE_INVALID: .*shipments\.ts/],
      ["throw new Error('not today');", /E_PIPELINE_INVALID: .*not today/],
    ] as const) {
      await using scratch = await lake();
      const good = readFileSync(scratch.path('shipments.ts'), 'utf8');
      // The main thread has loaded it; whoever comes later finds another file.
      await scratch.write(
        'shipments.ts',
        `${good}\nimport { writeFileSync } from 'node:fs';\nwriteFileSync(new URL(import.meta.url), ${JSON.stringify(broken)});\n`,
      );
      const { code, stdout, stderr } = await scratch.sluice('run', 'shipments.ts', 'lake.csv', '--json');
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(message);
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'E_PIPELINE_INVALID' } });
      writeFileSync(scratch.path('shipments.ts'), good);
      expect((await scratch.run('shipments.ts', 'lake.csv')).code).toBe(0);
      expect(scratch.results('shipments@1')).toEqual(expectedResults(rows));
    }
  });
});

describe('analyze, in the threads of a run', { timeout: 120_000 }, () => {
  async function lakeWith(groupBy: string): Promise<Scratch> {
    const scratch = await Scratch.make();
    await scratch.write('lake.csv', 'id\n1\n2\n3\n');
    await scratch.write(
      'odd.ts',
      `import { appendFileSync } from 'node:fs';
       import { definePipeline } from 'sluice';
       export default definePipeline({
         name: 'odd', version: 1,
         source: { format: 'csv', columns: { id: 'integer' } },
         transform: (row) => row,
         analyze: { groupBy: ({ id }) => { ${groupBy} return String(id); }, measures: ({ count }) => ({ rows: count() }) },
       });`,
    );
    return scratch;
  }

  test('that takes all memory: an error of its own, and the run continues once it is mended', async () => {
    await using scratch = await lakeWith(
      "if (id === 2 && process.env['MENDED'] === undefined) for (const all = []; ; ) all.push(new Array(1e5).fill(0.5));",
    );
    const args = ['run', 'odd.ts', 'lake.csv', '--json', '--worker-heap', '100'];
    const broken = await scratch.start(args).ended;
    expect(broken.code).toBe(1);
    expect(broken.stderr).toContain(
      'E_ANALYZE_KILLED: workers ended 3 times while they worked out one frame',
    );
    const mended = await scratch.start(args, { env: { MENDED: '1' } }).ended;
    expect(mended.code, mended.stderr).toBe(0);
    expect(JSON.parse(mended.stdout)).toMatchObject({ complete: true, groups: 3 });
  });

  test('that hangs: Ctrl-C ends the run', async () => {
    await using scratch = await lakeWith("if (id === 2) { appendFileSync('hangs', 'x'); for (;;); }");
    const running = scratch.start(['run', 'odd.ts', 'lake.csv']);
    await vi.waitFor(() => expect(existsSync(scratch.path('hangs'))).toBe(true), { timeout: 60_000 });
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toContain('E_ABORTED');
  });
});
