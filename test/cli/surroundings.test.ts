import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { executable, repository, Scratch } from './harness.ts';
import { asCsv, expectedResults, pipelineSource, shipments } from './shipments.ts';

describe('the command line', { timeout: 60_000 }, () => {
  test.each([
    [[], ['run', 'inspect', 'failures', 'results', 'findings', 'reconcile']],
    [
      ['run'],
      [
        '--where',
        '--row-timeout',
        '--worker-heap',
        '--max-memory',
        '--stdin',
        '--fresh',
        '--max-failures',
        'Exit codes: 0 complete',
        'tail -f',
      ],
    ],
    [['inspect'], ['--pipeline', '--rows']],
    [['failures'], ['list', 'show', 'redrive']],
    [
      ['failures', 'list'],
      ['--code', '--stage', '--since', '--state', 'payload.NAME'],
    ],
    [['failures', 'show'], ['<id>']],
    [
      ['failures', 'redrive'],
      ['--dry-run', '--limit'],
    ],
    [['results'], ['--by', '--format', '--to']],
    [['reconcile'], ['Exit codes: 0']],
  ])('explains itself: sluice %s --help', async (command, words) => {
    await using scratch = await Scratch.make();
    const { code, stdout, stderr } = await scratch.sluice(...command, '--help');
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const word of words) expect(stdout).toContain(word);
  });

  test('says what is wrong with a command, as JSON where that was asked for, and leaves nothing behind', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource());
    await scratch.write('lake.csv', asCsv(shipments(5)));
    const wrong: [args: string[], message: RegExp][] = [
      [['run', 'shipments.ts', 'lake.csv', '--bogus'], /unknown option '--bogus'/],
      [['run', 'shipments.ts'], /E_USAGE: say which files/],
      [['run', 'shipment.ts', 'lake.csv'], /E_PIPELINE_INVALID: .*did you mean shipments\.ts/],
      [['run', 'shipments.ts', 'lake.csv', '--where', '{'], /E_WHERE_INVALID: --where is not JSON/],
      [['run', 'shipments.ts', 'lake.csv', '--stdin'], /E_USAGE: --stdin reads a pipe/],
      [['frobnicate'], /unknown command 'frobnicate'/],
      [['failures', 'show'], /missing required argument 'id'/],
    ];
    for (const [args, message] of wrong) {
      const { code, stdout, stderr } = await scratch.sluice(...args, '--json');
      expect(code, args.join(' ')).toBe(1);
      expect(stderr).toMatch(message);
      const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
      expect(error.code).toMatch(/^E_/);
    }
    expect(existsSync(scratch.path('sluice-out'))).toBe(false);

    for (const missing of ['nothing.csv', 'none/*.csv']) {
      const { code, stderr } = await scratch.sluice('run', 'shipments.ts', missing);
      expect(code).toBe(1);
      expect(stderr).toMatch(/E_OBJECT_NOT_FOUND: .*(nothing\.csv|none\/\*\.csv)/);
    }
  });

  test('is there by its name in a clone of the repository', () => {
    // Offline: what npx runs is what lies here, or it fails.
    const version = execFileSync('npx', ['--no', '--offline', 'sluice', '--version'], {
      cwd: repository,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const { version: declared } = JSON.parse(
      execFileSync('cat', [join(repository, 'package.json')], { encoding: 'utf8' }),
    ) as {
      version: string;
    };
    expect(version.trim()).toBe(declared);
  });

  test('ends quietly when its reader has enough', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('lake.csv', asCsv(shipments(20_000)));
    // One group a row, more text than a pipe holds.
    await scratch.write('shipments.ts', pipelineSource({ groupBy: 'return message.id;' }));
    expect((await scratch.run('shipments.ts', 'lake.csv')).code).toBe(0);
    for (const format of ['csv', 'json']) {
      const running = scratch.start(['results', 'shipments.ts', '--format', format]);
      running.child.stdout?.once('data', () => running.child.stdout?.destroy());
      expect(await running.ended).toMatchObject({ code: 0, stderr: '' });
    }
  });
});

test(
  'a pipeline outside any package: its build is its own code and that of what it imports',
  { timeout: 60_000 },
  async () => {
    await using scratch = await Scratch.make();
    await mkdir(scratch.path('team/pipelines'), { recursive: true });
    const model = (limit: number) => `export const LATE_AFTER: number = ${limit};\n`;
    await scratch.write('team/model.ts', model(15));
    await scratch.write(
      'team/pipelines/late.ts',
      pipelineSource({
        head: "import { LATE_AFTER } from '../model.ts';",
        measures: 'tardy: countIf((message: any) => message.delay > LATE_AFTER),',
      }),
    );
    const rows = shipments(200);
    await scratch.write('lake.csv', asCsv(rows));
    const buildOf = (run: string, out: string) =>
      scratch.text(`SELECT build FROM runs WHERE run = '${run}'`, out);
    const run = async (out: string, path = 'team/pipelines/late.ts') => {
      const { report, code } = await scratch.run(path, 'lake.csv', '--out', out);
      expect(code).toBe(0);
      const tardy = Object.values(scratch.results('shipments@1', out)).reduce(
        (sum, group) => sum + Number(group['tardy']),
        0,
      );
      return { build: buildOf(report.run, out), tardy };
    };
    const first = await run('first');
    expect(first).toEqual({ build: first.build, tardy: rows.filter(({ delay }) => delay > 15).length });
    // Where the folder lies changes nothing.
    await cp(scratch.path('team'), scratch.path('copy'), { recursive: true });
    expect(await run('copied', 'copy/pipelines/late.ts')).toEqual(first);
    await scratch.write('team/model.ts', model(60));
    const changed = await run('second');
    expect(changed.build).not.toBe(first.build);
    expect(changed.tardy).toBe(rows.filter(({ delay }) => delay > 60).length);
  },
);

const hasScript = spawnSync('script', ['--version']).status === 0;

test.runIf(hasScript)(
  'a terminal sees progress, then a table, and its cursor again',
  { timeout: 60_000 },
  async () => {
    await using scratch = await Scratch.make();
    const rows = shipments(30_000);
    await scratch.write('lake.csv', asCsv(rows));
    await scratch.write('shipments.ts', pipelineSource({ more: 'limits: { sectionBytes: 50_000 },' }));
    const command = [process.execPath, executable, 'run', 'shipments.ts', 'lake.csv']
      .map((part) => `'${part}'`)
      .join(' ');
    const { status } = spawnSync('script', ['-qec', command, 'typescript'], {
      cwd: scratch.folder,
      env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: '1' },
      stdio: 'ignore',
    });
    expect(status).toBe(0);
    const seen = await readFile(scratch.path('typescript'), 'utf8');
    // Drawn over and over in its place, then left.
    expect(seen.split('\u001b[?25l').length).toBeGreaterThan(2);
    expect(seen.split('\u001b[?25h').length).toBe(seen.split('\u001b[?25l').length);
    expect(seen.lastIndexOf('\u001b[?25h')).toBeLessThan(seen.indexOf('shipments v1 ·'));
    expect(seen).toContain('30,000');
    expect(seen).toMatch(/FRA-JFK/);
    // No log lines among the drawings.
    expect(seen).not.toContain('"level"');
    expect(scratch.results('shipments@1')).toEqual(expectedResults(rows));
  },
);
