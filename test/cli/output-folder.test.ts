import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { eventually, Scratch } from './harness.ts';
import { asCsv, expectedResults, pipelineSource, shipments } from './shipments.ts';

const rows = shipments(60_000);
const rejected = ({ delay }: { readonly delay: number }) => delay % 10 === 0;
const expected = expectedResults(rows.filter((row) => !rejected(row)));

/** Many failures: beside the results, their ledger needs space. */
async function lakeIn(scratch: Scratch): Promise<void> {
  await scratch.write('lake.csv', asCsv(rows));
  await scratch.write(
    'shipments.ts',
    pipelineSource({
      transform: "if (row.delay % 10 === 0) throw new DomainError('no', { code: 'E_REJECTED' }); return row;",
      more: 'limits: { sectionBytes: 200_000, maxFrameMessages: 1_000 },',
    }),
  );
}

const run = ['run', 'shipments.ts', 'lake.csv', '--max-failures', '1000000', '--json'];

/** As if nothing had happened. */
async function expectContinues(scratch: Scratch, out: string): Promise<void> {
  const { code, stderr } = await scratch.sluice(...run, '--out', out);
  expect(code, stderr).toBe(0);
  expect(scratch.results('shipments@1', out)).toEqual(expected);
  const { answer } = await scratch.json('reconcile', '--out', out);
  expect(answer).toMatchObject({
    balanced: true,
    complete: true,
    failed: { byCode: { E_REJECTED: rows.filter(rejected).length } },
  });
  expect(readdirSync(scratch.path(out, 'under-way'))).toEqual([]);
}

/** A file system of its own, that is gone with the test. */
class Disk implements Disposable {
  readonly #folder: string;

  constructor(folder: string, options: string) {
    this.#folder = folder;
    mkdirSync(folder);
    mount('-t', 'tmpfs', '-o', options, 'tmpfs', folder);
  }

  remount(options: string): void {
    mount('-o', `remount,${options}`, this.#folder);
  }

  [Symbol.dispose](): void {
    spawnSync('umount', ['-l', this.#folder]);
  }
}

function mount(...args: string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

const mayMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

describe('an output folder', { timeout: 240_000 }, () => {
  test('that is none, or cannot be made: said before anything is read', async () => {
    await using scratch = await Scratch.make();
    await lakeIn(scratch);
    for (const out of ['lake.csv', 'lake.csv/out']) {
      const { code, stdout, stderr } = await scratch.sluice(...run, '--out', out);
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'E_OUTPUT' } });
      expect(stderr).toMatch(/E_OUTPUT: the folder .*lake\.csv.* cannot be made\n {2}Check rights/);
    }
  });

  // Whoever runs the tests as root may write everywhere but there.
  test.runIf(mayMount)('that may only be read: said before anything is read', async () => {
    await using scratch = await Scratch.make();
    await lakeIn(scratch);
    using disk = new Disk(scratch.path('disk'), 'ro');
    const refused = await scratch.sluice(...run, '--out', 'disk/out');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/E_OUTPUT: the folder .*disk\/out cannot be made\n {2}Check rights/);
    disk.remount('rw');
    expect((await scratch.sluice(...run, '--out', 'disk/out')).code).toBe(0);
    disk.remount('ro');
    const later = await scratch.sluice(...run, '--out', 'disk/out');
    expect(later.code).toBe(1);
    expect(JSON.parse(later.stdout)).toMatchObject({ error: { code: 'E_OUTPUT' } });
    disk.remount('rw');
    await expectContinues(scratch, 'disk/out');
  });

  test.runIf(mayMount)(
    'on a disk that is full: E_OUTPUT wherever it is met, and with space the run continues',
    async () => {
      await using scratch = await Scratch.make();
      await lakeIn(scratch);
      using disk = new Disk(scratch.path('disk'), 'size=16k');
      for (const size of [16, 100, 300, 1_000, 2_000, 3_000]) {
        disk.remount(`size=${size}k`);
        const { code, stdout, stderr } = await scratch.sluice(...run, '--out', 'disk/out');
        expect(code, `${size} KiB\n${stderr}`).toBe(1);
        const { error } = JSON.parse(stdout) as { error: { code: string; remedy: string } };
        expect(error, `${size} KiB\n${stderr}`).toMatchObject({ code: 'E_OUTPUT' });
        expect(error.remedy).toContain('free space; a run that is started again continues');
        expect(stderr).toMatch(/disk is full|cannot be written|check the disk and the space on it/);
      }
      disk.remount('size=200m');
      await expectContinues(scratch, 'disk/out');
    },
  );

  test('in which files may not grow: E_OUTPUT, and without the limit the run continues', async () => {
    await using scratch = await Scratch.make();
    await lakeIn(scratch);
    for (const blocks of [8, 200, 800]) {
      const { code, stdout, stderr } = await scratch.start([...run, '--out', 'out'], {
        shell: `ulimit -f ${blocks}; exec "$@"`,
      }).ended;
      expect(code, `${blocks} blocks\n${stderr}`).toBe(1);
      expect(JSON.parse(stdout), stderr).toMatchObject({ error: { code: 'E_OUTPUT' } });
      expect(stderr).toMatch(/check the disk|cannot be written|cannot grow/);
    }
    await expectContinues(scratch, 'out');
  });

  test('whose results file another process holds: E_STORE_BUSY at the start; meanwhile it is waited for', async () => {
    await using scratch = await Scratch.make();
    await lakeIn(scratch);
    mkdirSync(scratch.path('out'));
    await scratch.sluice('run', 'shipments.ts', 'lake.csv', '--out', 'out', '--where', '{"lane":"nowhere"}');
    const holder = new DatabaseSync(scratch.path('out/results.sqlite'));
    holder.exec('BEGIN IMMEDIATE');
    const refused = await scratch.sluice(...run, '--out', 'out');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /E_STORE_BUSY: .*results\.sqlite is locked by another process\n {2}.*stop the other process/,
    );
    holder.exec('ROLLBACK');

    const running = scratch.start([...run, '--out', 'out']);
    const frames = () => scratch.count('SELECT count(*) FROM frames', 'out');
    await eventually(() => frames() > 0, 'something is applied');
    holder.exec('PRAGMA busy_timeout = 20000');
    holder.exec('BEGIN IMMEDIATE');
    // Longer than one call waits.
    await eventually(() => running.stderr().includes('is locked by another process'), 'it is told', 60_000);
    holder.exec('ROLLBACK');
    holder.close();
    const { code, stderr } = await running.ended;
    expect(code, stderr).toBe(0);
    await expectContinues(scratch, 'out');
  });

  test('whose results file is no database of Sluice: E_OUTPUT, and it is left as it is', async () => {
    await using scratch = await Scratch.make();
    await lakeIn(scratch);
    mkdirSync(scratch.path('out'));
    await scratch.write('out/results.sqlite', 'my notes, of more than sixteen bytes\n'.repeat(100));
    const { code, stderr } = await scratch.sluice(...run, '--out', 'out');
    expect(code).toBe(1);
    expect(stderr).toMatch(/E_OUTPUT: .*is not a SQLite database: choose another output folder/);
    rmSync(scratch.path('out/results.sqlite'));
    await expectContinues(scratch, 'out');
  });
});
