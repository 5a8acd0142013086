import { describe, expect, test } from 'vitest';
import { Scratch } from './harness.ts';
import { asCsv, expectedResults, pipelineSource, shipments, writeObject } from './shipments.ts';

const LINE = 'lane,delay\nFRA-JFK,1\n';

describe('what a pipeline or a person may do wrong', { timeout: 120_000 }, () => {
  test('a path is pruned by what its columns are declared as, and keeps its leading zeros', async () => {
    await using scratch = await Scratch.make();
    await writeObject(scratch.path('lake'), 'day=20190525/flag=1/zip=01234/a.csv', 'x\n1\n2\n');
    await scratch.write(
      'p.ts',
      `import { count, definePipeline } from 'sluice';
export default definePipeline({
  name: 'paths', version: 1,
  source: { columns: { day: 'timestamp', flag: 'boolean', zip: 'string', x: 'number' } },
  transform: (row) => ({ group: [row.zip, row.flag, row.day?.toISOString()].join(' ') }),
  analyze: { groupBy: (message) => message.group, measures: { rows: count() } },
});
`,
    );
    const rows = async (where: object) =>
      (await scratch.run('p.ts', 'lake', '--where', JSON.stringify(where))).report.messages;
    expect(await rows({ day: { $gte: '2019-05-25T00:00:00Z' } })).toBe(2);
    expect(await rows({ day: { $gt: '2019-05-25' } })).toBe(0);
    expect(await rows({ flag: true, zip: '01234' })).toBe(2);
    await scratch.run('p.ts', 'lake');
    expect(Object.keys(scratch.results('paths@1'))).toEqual(['01234 true 2019-05-25T00:00:00.000Z']);
  });

  test('notes and programs in a folder are no rows', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource());
    await writeObject(scratch.path('lake'), 'data.csv', asCsv(shipments(20)));
    await writeObject(scratch.path('lake'), 'README.md', '# Shipments, by lane\n\nSee shipments.ts.\n');
    const { report, code } = await scratch.run('shipments.ts', 'lake');
    expect(code).toBe(2);
    expect(report.failed.byCode).toEqual({ E_FORMAT_UNKNOWN: 1 });
    expect(scratch.results('shipments@1')).toEqual(expectedResults(shipments(20)));
  });

  test('a mistyped path does not cost the results that --fresh would replace', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource());
    await scratch.write('lake.csv', asCsv(shipments(20)));
    await scratch.run('shipments.ts', 'lake.csv');
    const mistyped = await scratch.sluice('run', 'shipments.ts', 'lake.cvs', '--fresh');
    expect(mistyped.code).toBe(1);
    expect(scratch.results('shipments@1')).toEqual(expectedResults(shipments(20)));
  });

  test('promises: an async function is a failure of its row; what nobody awaits ends the run with a code', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('lake.csv', LINE);
    const pipeline = (fields: string) => `import { count, definePipeline } from 'sluice';
export default definePipeline({ name: 'p', version: 1, source: {}, ${fields}
  analyze: { groupBy: (message: any) => message.lane, measures: { rows: count() } } });
`;
    await scratch.write(
      'async.ts',
      pipeline(
        'transform: (row: any) => row, partitionBy: (async () => { throw new Error("late"); }) as any,',
      ),
    );
    const { report, code } = await scratch.run('async.ts', 'lake.csv');
    expect(code).toBe(2);
    expect(report.failed.byCode).toEqual({ E_PARTITION: 1 });

    await scratch.write(
      'floating.ts',
      pipeline('transform: (row: any) => { void Promise.reject(new Error("lost")); return row; },'),
    );
    const ended = await scratch.sluice('run', 'floating.ts', 'lake.csv', '--json', '--out', 'other');
    expect(ended.code).toBe(1);
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { code: 'E_NOT_AWAITED' } });
    expect(ended.stderr).toContain('floating.ts');
  });

  test('a pipeline that prints does not print into what a script reads', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('lake.csv', asCsv(shipments(3)));
    await scratch.write('shipments.ts', pipelineSource({ transform: 'console.log("a row"); return row;' }));
    const ended = await scratch.sluice('run', 'shipments.ts', 'lake.csv', '--json');
    expect(JSON.parse(ended.stdout)).toMatchObject({ applied: 3 });
    expect(ended.stderr).toContain('a row');
  });

  test('a run that refused an object does not reconcile as complete', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource());
    await scratch.write('lake.csv', asCsv(shipments(20)));
    await scratch.run('shipments.ts', 'lake.csv');
    await scratch.write('lake.csv', asCsv(shipments(21)));
    expect((await scratch.sluice('run', 'shipments.ts', 'lake.csv')).code).toBe(1);
    const { answer } = await scratch.json('reconcile');
    expect(answer).toMatchObject({ complete: false, refused: 1 });
  });

  test('a row that transform changes before it throws is kept as it came', async () => {
    await using scratch = await Scratch.make();
    await scratch.write(
      'shipments.ts',
      pipelineSource({ transform: "row.lane = 'CHANGED'; throw new Error('no');" }),
    );
    const running = scratch.start(['run', 'shipments.ts', '--stdin', '--source', 'pipe'], {
      input: `${JSON.stringify(shipments(1)[0])}\n`,
    });
    expect((await running.ended).code).toBe(2);
    const { answer } = await scratch.json<{ failures: { payload: unknown }[] }>(
      'failures',
      'list',
      '--payload',
    );
    expect(answer.failures.map(({ payload }) => payload)).toEqual([shipments(1)[0]]);
  });
});
