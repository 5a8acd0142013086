import { utimes, writeFile, rename } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { eventually, Scratch } from './harness.ts';
import { asCsv, expectedResults, pipelineSource, shipments, writeObject } from './shipments.ts';

const SMALL = 'limits: { sectionBytes: 20_000, maxFrameMessages: 200 },';

describe('what changes between runs', { timeout: 120_000 }, () => {
  test('declared data: E_PIPELINE_CHANGED, until the version is raised or the run is fresh', async () => {
    await using scratch = await Scratch.make();
    const rows = shipments(300);
    await scratch.write('lake.csv', asCsv(rows));
    await scratch.write('shipments.ts', pipelineSource());
    expect((await scratch.run('shipments.ts', 'lake.csv')).code).toBe(0);

    await scratch.write(
      'shipments.ts',
      pipelineSource({ measures: 'worst: max((message: any) => message.delay),' }),
    );
    const refused = await scratch.sluice('run', 'shipments.ts', 'lake.csv');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('E_PIPELINE_CHANGED');
    expect(refused.stderr).toMatch(/Raise `version`.*--fresh/);
    expect(refused.stdout).toBe('');
    // Looking at results with a file that declares something else would show what was never measured.
    const shown = await scratch.sluice('results', 'shipments.ts');
    expect(shown.code).toBe(1);
    expect(shown.stderr).toContain('E_PIPELINE_CHANGED');
    expect(scratch.results('shipments@1')).toEqual(expectedResults(rows));

    await scratch.write(
      'shipments.ts',
      pipelineSource({ version: 2, measures: 'worst: max((message: any) => message.delay),' }),
    );
    expect((await scratch.run('shipments.ts', 'lake.csv')).report).toMatchObject({
      applied: 300,
      generation: 'shipments@2',
    });
    expect(scratch.results('shipments@1')).toEqual(expectedResults(rows));
    expect(Object.keys(scratch.results('shipments@2')['FRA-JFK'] ?? {})).toContain('worst');

    await scratch.write(
      'shipments.ts',
      pipelineSource({ source: "columns: ['lane', 'delay'], format: 'csv'," }),
    );
    expect((await scratch.run('shipments.ts', 'lake.csv', '--fresh')).code).toBe(0);
  });

  test('a declaration of which nothing was applied binds nobody', async () => {
    await using scratch = await Scratch.make();
    const rows = shipments(300);
    await scratch.write('lake.csv', asCsv(rows));
    await scratch.write(
      'shipments.ts',
      pipelineSource({ source: "columns: ['lane', 'dealy'], format: 'csv'," }),
    );
    expect((await scratch.run('shipments.ts', 'lake.csv')).report.failed.byCode).toEqual({
      E_COLUMN_MISSING: 1,
    });

    await scratch.write('shipments.ts', pipelineSource());
    expect((await scratch.run('shipments.ts', 'lake.csv', 'lake.csv', '*.csv')).report).toMatchObject({
      objects: 1,
      applied: 300,
      failed: { total: 0 },
      complete: true,
    });
    expect(scratch.results('shipments@1')).toEqual(expectedResults(rows));
  });

  test('code, of a finished object: nothing to do; of a begun one: E_OTHER_BUILD', async () => {
    await using scratch = await Scratch.make();
    const done = shipments(300, 1);
    const begun = shipments(20_000, 2);
    await scratch.write('done.csv', asCsv(done));
    await scratch.write('begun.csv', asCsv(begun));
    await scratch.write('shipments.ts', pipelineSource({ more: SMALL }));
    expect((await scratch.run('shipments.ts', 'done.csv')).code).toBe(0);

    // From some row on it takes for ever, so that the object is begun and not finished when the process dies.
    const stuck =
      "if (row.id === 's2-12000') for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000); return row;";
    await scratch.write('shipments.ts', pipelineSource({ more: SMALL, transform: stuck }));
    const running = scratch.start(['run', 'shipments.ts', 'begun.csv', '--concurrency', '1']);
    await eventually(async () => begunSections(scratch) > 0, 'a section of begun.csv is applied');
    running.child.kill('SIGKILL');
    expect(await running.ended).toMatchObject({ code: null, signal: 'SIGKILL' });

    await scratch.write('shipments.ts', pipelineSource({ more: SMALL }));
    const refused = await scratch.run('shipments.ts', 'begun.csv', 'done.csv');
    expect(refused.code).toBe(1);
    expect(refused.report).toMatchObject({
      applied: 0,
      complete: false,
      refused: { total: 1, byCode: { E_OTHER_BUILD: 1 } },
    });
    expect(refused.stderr).toContain('begun.csv');
    expect(refused.stderr).toMatch(/Finish it with the old code, raise `version`, or run with --fresh/);

    await scratch.write('shipments.ts', pipelineSource({ version: 2, more: SMALL }));
    expect((await scratch.run('shipments.ts', 'begun.csv', 'done.csv')).code).toBe(0);
    expect(scratch.results('shipments@2')).toEqual(expectedResults([...done, ...begun]));

    await scratch.write('shipments.ts', pipelineSource({ more: SMALL }));
    expect((await scratch.run('shipments.ts', 'begun.csv', 'done.csv', '--fresh')).code).toBe(0);
    expect(scratch.results('shipments@1')).toEqual(expectedResults([...done, ...begun]));
  });

  test('content: E_OBJECT_CHANGED; a touched file is the same, a moved one is another', async () => {
    await using scratch = await Scratch.make();
    const rows = shipments(300);
    await writeObject(scratch.path('lake'), 'a.csv', asCsv(rows));
    await writeObject(scratch.path('lake'), 'b.csv', asCsv(shipments(100, 1)));
    await scratch.write('shipments.ts', pipelineSource());
    expect((await scratch.run('shipments.ts', 'lake')).report.applied).toBe(400);

    await utimes(scratch.path('lake/a.csv'), new Date(), new Date());
    const touched = await scratch.run('shipments.ts', 'lake');
    expect(touched.code).toBe(0);
    expect(touched.report).toMatchObject({ applied: 0, bytesRead: 0, rowsRead: 0 });

    await writeFile(scratch.path('lake/a.csv'), asCsv(shipments(301)));
    await writeObject(scratch.path('lake'), 'c.csv', asCsv(shipments(50, 2)));
    const changed = await scratch.run('shipments.ts', 'lake');
    expect(changed.code).toBe(1);
    expect(changed.report).toMatchObject({
      objects: 3,
      // The others go on.
      applied: 50,
      refused: { total: 1, byCode: { E_OBJECT_CHANGED: 1 } },
      complete: false,
    });
    expect(changed.stderr).toMatch(
      /Restore it, give the new content a key of its own, raise `version`, or run with --fresh/,
    );

    // Restored, it is what it was.
    await writeFile(scratch.path('lake/a.csv'), asCsv(rows));
    expect((await scratch.run('shipments.ts', 'lake')).code).toBe(0);

    // The key of an object is its path: a folder that moved holds other objects.
    await rename(scratch.path('lake'), scratch.path('pond'));
    const moved = await scratch.run('shipments.ts', 'pond');
    expect(moved.report).toMatchObject({ objects: 3, applied: 450 });
  });
});

function begunSections(scratch: Scratch): number {
  try {
    return scratch.count('SELECT count(*) AS n FROM sections WHERE complete = 1');
  } catch {
    // The results file is not there yet.
    return 0;
  }
}
