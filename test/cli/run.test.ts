import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/entrypoints/cli/run-report.ts';
import { Scratch } from './harness.ts';
import {
  expectedResults,
  pipelineSource,
  shipments,
  writeObject,
  writers,
  type Shipment,
} from './shipments.ts';

/** Every field of a run's report, and what it is. */
const reportFields: Record<keyof Omit<RunReport, 'source'>, 'string' | 'number' | 'boolean' | 'object'> = {
  run: 'string',
  pipeline: 'string',
  version: 'number',
  generation: 'string',
  objects: 'number',
  sections: 'number',
  tasks: 'number',
  bytesRead: 'number',
  bytesTotal: 'number',
  rowsRead: 'number',
  rowsPruned: 'number',
  rowsFiltered: 'number',
  messages: 'number',
  frames: 'number',
  frameBytes: 'number',
  applied: 'number',
  duplicates: 'number',
  failed: 'object',
  refused: 'object',
  groups: 'number',
  findings: 'number',
  seconds: 'number',
  complete: 'boolean',
};

/** Small sections, so that even small objects have several. */
const LIMITS = 'limits: { sectionBytes: 20_000, sectionRows: 500, maxFrameMessages: 200 },';

describe('sluice run', { timeout: 120_000 }, () => {
  let scratch: Scratch;
  /** Rows by the month of their Hive path. */
  const lake: Record<number, Shipment[]> = { 4: [], 5: [], 6: [] };
  const all = () => Object.values(lake).flat();

  beforeAll(async () => {
    scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource({ more: LIMITS }));
    let salt = 0;
    for (const [extension, write] of Object.entries(writers)) {
      const month = 4 + (salt % 3);
      const rows = shipments(2_000, salt++);
      lake[month]?.push(...rows);
      await writeObject(
        scratch.path('lake'),
        `yyyy=2019/mm=0${month}/part-${salt}.${extension}`,
        write(rows),
      );
    }
    // What writers of lakes leave beside the data is no object.
    await writeObject(scratch.path('lake'), 'yyyy=2019/_SUCCESS', '');
  });

  afterAll(() => scratch[Symbol.asyncDispose]());

  test('gives the same as a plain computation over every format, and nothing again the second time', async () => {
    const first = await scratch.run('shipments.ts', 'lake', '--out', 'plain');
    expect(first.stderr).not.toContain('E_');
    expect(first.code).toBe(0);
    expect(
      Object.fromEntries(Object.entries(first.report).map(([field, value]) => [field, typeof value])),
    ).toEqual(reportFields);
    expect(first.report).toMatchObject({
      pipeline: 'shipments',
      version: 1,
      generation: 'shipments@1',
      objects: 9,
      rowsRead: 18_000,
      rowsPruned: 0,
      rowsFiltered: 0,
      messages: 18_000,
      applied: 18_000,
      duplicates: 0,
      failed: { total: 0, byCode: {} },
      refused: { total: 0, byCode: {} },
      groups: 5,
      findings: 0,
      complete: true,
    });
    expect(first.report.sections).toBeGreaterThan(40);
    expect(first.report.bytesRead).toBeGreaterThan(0);
    expect(scratch.results('shipments@1', 'plain')).toEqual(expectedResults(all()));

    const second = await scratch.run('shipments.ts', 'lake', '--out', 'plain', '--concurrency', '7');
    expect(second.code).toBe(0);
    expect(second.report).toMatchObject({
      objects: 9,
      sections: 0,
      tasks: 0,
      bytesRead: 0,
      rowsRead: 0,
      messages: 0,
      frames: 0,
      applied: 0,
      duplicates: 0,
      groups: 5,
      complete: true,
    });
    expect(second.report.bytesTotal).toBe(first.report.bytesTotal);
    expect(second.report.run).not.toBe(first.report.run);
    expect(scratch.results('shipments@1', 'plain')).toEqual(expectedResults(all()));

    // Forgetting and doing it again, one task at a time, ends at the same place.
    const fresh = await scratch.run(
      'shipments.ts',
      'lake',
      '--out',
      'plain',
      '--fresh',
      '--concurrency',
      '1',
    );
    expect(fresh.report).toMatchObject({ applied: 18_000, duplicates: 0, complete: true });
    expect(fresh.report.sections).toBe(first.report.sections);
    expect(fresh.report.frames).toBe(first.report.frames);
    expect(scratch.results('shipments@1', 'plain')).toEqual(expectedResults(all()));

    const { answer, code } = await scratch.json('reconcile', '--out', 'plain');
    expect(answer).toMatchObject({
      run: fresh.report.run,
      generation: 'shipments@1',
      complete: true,
      balanced: true,
    });
    expect(code).toBe(0);
  });

  test('takes an ad-hoc predicate as a generation of its own, and prunes objects by their path', async () => {
    const ofLate = ['--where', '{"delay":{"$gt":100}}', '--out', 'adhoc'];
    const late = await scratch.run('shipments.ts', 'lake', ...ofLate);
    const lateRows = all().filter(({ delay }) => delay > 100);
    expect(late.code).toBe(0);
    expect(late.report.generation).toMatch(/^shipments@1\?/);
    expect(late.report).toMatchObject({ objects: 9, messages: lateRows.length, complete: true });
    expect(late.report.rowsFiltered + late.report.messages).toBe(18_000 - late.report.rowsPruned);
    expect(scratch.results(late.report.generation, 'adhoc')).toEqual(expectedResults(lateRows));

    const may = await scratch.run('shipments.ts', 'lake', '--where', '{"mm":5}', '--out', 'adhoc');
    expect(may.report.objects).toBe(3);
    expect(may.report.generation).not.toBe(late.report.generation);
    expect(may.report.messages).toBe(lake[5]?.length);
    expect(may.report.bytesTotal).toBeLessThan(late.report.bytesTotal / 2);
    expect(scratch.results(may.report.generation, 'adhoc')).toEqual(expectedResults(lake[5] ?? []));
    // The others stand as they were.
    expect(scratch.results(late.report.generation, 'adhoc')).toEqual(expectedResults(lateRows));

    const shown = await scratch.sluice('results', 'shipments.ts', ...ofLate, '--format', 'json');
    expect(JSON.parse(shown.stdout)).toHaveLength(5);

    const none = await scratch.run('shipments.ts', 'lake', '--where', '{"yyyy":2018}', '--out', 'adhoc');
    expect(none.report).toMatchObject({
      objects: 0,
      bytesRead: 0,
      bytesTotal: 0,
      rowsRead: 0,
      complete: true,
    });
    expect(none.code).toBe(0);
  });

  test('reads files, folders and globs, each object once', async () => {
    const { report, code } = await scratch.run(
      'shipments.ts',
      'lake/yyyy=2019/mm=04',
      'lake/**/*.csv',
      scratch.path('lake/yyyy=2019/mm=04/part-1.csv'),
      '--out',
      'places',
    );
    expect(code).toBe(0);
    expect(report).toMatchObject({ applied: lake[4]?.length, complete: true });
    expect(scratch.results('shipments@1', 'places')).toEqual(expectedResults(lake[4] ?? []));
  });

  test('has an exit code and a message for failures, and a number of them that is tolerated', async () => {
    await scratch.write(
      'picky.ts',
      pipelineSource({
        name: 'picky',
        transform:
          "if (row.delay === -60) throw new DomainError('too early', { code: 'E_EARLY' }); return row;",
        more: LIMITS,
      }),
    );
    const rejected = all().filter(({ delay }) => delay === -60).length;
    expect(rejected).toBeGreaterThan(10);
    const strict = await scratch.run('picky.ts', 'lake', '--out', 'picky');
    expect(strict.code).toBe(2);
    expect(strict.report).toMatchObject({
      messages: 18_000 - rejected,
      applied: 18_000 - rejected,
      failed: { total: rejected, byCode: { E_EARLY: rejected } },
      complete: true,
    });
    expect(strict.stderr).toContain(
      `${rejected} failures are open: sluice failures list --generation picky@1 --out picky`,
    );
    // Open failures count whichever run opened them.
    const under = await scratch.run(
      'picky.ts',
      'lake',
      '--out',
      'picky',
      '--max-failures',
      `${rejected - 1}`,
    );
    expect(under.code).toBe(2);
    const tolerant = await scratch.run('picky.ts', 'lake', '--out', 'picky', '--max-failures', `${rejected}`);
    expect(tolerant.code).toBe(0);
    expect(tolerant.report).toMatchObject({ applied: 0, failed: { total: rejected } });
  });

  test('writes a page where it was told to, or says at once that it cannot', async () => {
    const mm4 = ['run', 'shipments.ts', 'lake/yyyy=2019/mm=04', '--out', 'page', '--top', '1'];
    const wrong = await scratch.sluice(...mm4, '--report', 'shipments.ts/page.html');
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('E_OUTPUT: the report cannot be written');
    expect(existsSync(scratch.path('page'))).toBe(false);
    const { code, stdout } = await scratch.sluice(...mm4, '--report', 'pages/may/page.html');
    expect(code).toBe(0);
    expect(stdout).toContain('The group with the most shipments');
    expect(await readFile(scratch.path('pages/may/page.html'), 'utf8')).toMatch(
      /^<!doctype html>[^]*shipments/i,
    );
  });

  test('prints a summary with a table for a person', async () => {
    const { code, stdout, stderr } = await scratch.sluice(
      'run',
      'shipments.ts',
      'lake',
      '--out',
      'shown',
      '--top',
      '2',
    );
    expect(code).toBe(0);
    expect(stdout).toContain('shipments v1 · complete');
    expect(stdout).toContain('18,000');
    expect(stdout).toMatch(/The 2 groups with the most shipments/);
    expect(stdout).toContain('sluice results shipments.ts --out shown');
    // Not a terminal: no escape, and each line of the log is JSON.
    expect(stdout + stderr).not.toContain('\u001b');
    const lines = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.at(-1)).toMatchObject({ level: 'info', msg: 'done', rows: 18_000, applied: 18_000 });
  });
});
