import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { eventually, Scratch, type Running } from './harness.ts';
import { asCsv, asJsonLines, expectedResults, pipelineSource, shipments } from './shipments.ts';

const KEYED = 'id: (row: any) => row.id,';

async function ingest(scratch: Scratch, input: string, ...args: string[]) {
  const running = scratch.start(['run', 'shipments.ts', '--stdin', '--json', ...args], { input });
  const { code, stdout, stderr } = await running.ended;
  return { code, stderr, report: JSON.parse(stdout) as Record<string, unknown> };
}

describe('sluice run --stdin', { timeout: 60_000 }, () => {
  test('names messages by source.id: the same input twice applies nothing, in whatever order', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource({ source: KEYED }));
    const rows = shipments(500);
    const first = await ingest(scratch, asJsonLines(rows));
    expect(first.report).toMatchObject({
      source: 'stdin',
      rowsRead: 500,
      messages: 500,
      applied: 500,
      duplicates: 0,
    });
    expect(first).toMatchObject({ code: 0, report: { complete: true, failed: { total: 0 } } });
    // Once more, backwards, with one message twice and one that is new; the last line has no newline.
    const more = shipments(501).toReversed();
    const second = await ingest(scratch, asJsonLines([...more, ...more.slice(0, 1)]).trimEnd());
    expect(second).toMatchObject({ code: 0, report: { rowsRead: 502, applied: 1, duplicates: 501 } });
    expect(scratch.results('shipments@1')).toEqual(expectedResults(more));
    const { answer, code } = await scratch.json('reconcile');
    expect([code, answer]).toMatchObject([0, { balanced: true, complete: true }]);
  });

  test('names messages by source and line number; bad lines are failures that say what to do', async () => {
    await using scratch = await Scratch.make();
    await scratch.write(
      'shipments.ts',
      pipelineSource({ source: '', more: 'limits: { maxRowBytes: 2_000 },' }),
    );
    const unnamed = await scratch.start(['run', 'shipments.ts', '--stdin'], { input: '{}' }).ended;
    expect(unnamed.code).toBe(1);
    expect(unnamed.stderr).toMatch(/E_USAGE: .*source\.id.*--source NAME/);

    const [a, b, c] = shipments(3);
    const line = (value: unknown) => `${JSON.stringify(value)}\n`;
    const long = line({ ...b, note: 'x'.repeat(3_000) });
    const input = `${line(a)}\n{"lane":\n[1]\n${long}${line(b)}${line(c)}`;
    const first = await ingest(scratch, input, '--source', 'events');
    expect(first).toMatchObject({
      code: 2,
      report: {
        source: 'events',
        rowsRead: 6,
        applied: 3,
        failed: { total: 3, byCode: { E_JSON: 2, E_ROW_TOO_LARGE: 1 } },
      },
    });
    const second = await ingest(scratch, input, '--source', 'events');
    expect(second).toMatchObject({ code: 2, report: { applied: 0, duplicates: 6, failed: { total: 3 } } });
    // Another source is another place: its first line is another message.
    const other = await ingest(scratch, line(a), '--source', 'elsewhere');
    expect(other).toMatchObject({ code: 0, report: { applied: 1, duplicates: 0 } });
    const results = scratch.results('shipments@1');
    expect(Object.values(results).reduce((sum, { shipments: count }) => sum + Number(count), 0)).toBe(4);

    const { answer } = await scratch.json<{ notRedrivable: { reason: string }[] }>(
      'failures',
      'redrive',
      'shipments.ts',
    );
    // Where in the pipe, not where in what happened to arrive together.
    const shown = await scratch.json<{ failures: { message: string }[] }>('failures', 'list');
    const at = Buffer.byteLength(`${line(a)}\n`);
    expect(shown.answer.failures.map(({ message }) => message)).toContain(
      `the row at byte ${at} is not JSON`,
    );
    expect(answer.notRedrivable).toHaveLength(3);
    for (const { reason } of answer.notRedrivable) expect(reason).toContain('send it again');
    // A blank line is no message, and takes no number from those behind it.
    expect((await ingest(scratch, `${line(a)}${line(b)}`, '--source', 'blank')).report).toMatchObject({
      applied: 2,
    });
    expect((await ingest(scratch, `\n${line(a)}\n\n${line(b)}\n`, '--source', 'blank')).report).toMatchObject(
      {
        applied: 0,
        duplicates: 2,
      },
    );
  });

  test('shows each message while the pipe is still open, and Ctrl-C ends it in order', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource({ source: KEYED }));
    const rows = shipments(3);
    const running = scratch.start(['run', 'shipments.ts', '--stdin'], { keepInput: true });
    await say(running, asJsonLines(rows.slice(0, 1)));
    await eventually(() => appliedKeys(scratch) === 1, 'the first message is in the results file');
    // A line in two parts is one message, once it is whole.
    const second = asJsonLines(rows.slice(1, 2));
    await say(running, second.slice(0, 20));
    await say(running, second.slice(20));
    await eventually(() => appliedKeys(scratch) === 2, 'the second message is in the results file');
    // Other tools read what is published: it follows while the pipe is open.
    const published = () => Object.values(scratch.results('shipments@1')).length;
    await eventually(() => published() > 0, 'the results are published');
    await say(running, asJsonLines(shipments(4).slice(3)));
    await eventually(() => appliedKeys(scratch) === 3, 'the third message is in the results file');
    // What follows the last newline is no line yet, and no failure either.
    await say(running, asJsonLines(shipments(9).slice(8)).slice(0, 10));
    await eventually(() => appliedKeys(scratch) === 3, 'nothing more is in the results file');
    running.child.kill('SIGINT');
    const ended = await running.ended;
    // Ctrl-C is how such a run ends: it takes no more, and says what it did.
    expect(ended).toMatchObject({ code: 130, signal: null });
    expect(ended.stdout).toContain('complete');

    expect(scratch.results('shipments@1')).toEqual(
      expectedResults(shipments(4).filter((_, index) => index !== 2)),
    );

    const { report } = await ingest(scratch, asJsonLines(shipments(4)));
    expect(report).toMatchObject({ applied: 1, duplicates: 3, complete: true });
    expect(scratch.results('shipments@1')).toEqual(expectedResults(shipments(4)));
  });
});

test(
  'Ctrl-C in the middle of a run: exit code 130, and the next run ends as a clean one',
  { timeout: 60_000 },
  async () => {
    await using scratch = await Scratch.make();
    const rows = shipments(60_000);
    await scratch.write('big.csv', asCsv(rows));
    const small = 'limits: { sectionBytes: 50_000, maxFrameMessages: 500 },';
    await scratch.write('shipments.ts', pipelineSource({ more: small }));
    const running = scratch.start(['run', 'shipments.ts', 'big.csv', '--json']);
    await eventually(() => completeSections(scratch) > 3, 'some sections are complete');
    running.child.kill('SIGINT');
    const ended = await running.ended;
    expect(ended.code).toBe(130);
    expect(ended.stderr).toContain('E_ABORTED: stopped by SIGINT; what was applied is kept');
    // For a script, too: one JSON object.
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { code: 'E_ABORTED' } });
    const before = completeSections(scratch);
    expect(scratch.count('SELECT count(*) FROM objects WHERE complete = 1')).toBe(0);

    const { report, code } = await scratch.run('shipments.ts', 'big.csv');
    expect(code).toBe(0);
    expect(report.complete).toBe(true);
    expect(report.applied).toBeLessThan(60_000);
    const lines = Math.ceil(Buffer.byteLength(asCsv(rows)) / 50_000);
    expect(report.sections).toBe(lines - before);
    expect(scratch.results('shipments@1')).toEqual(expectedResults(rows));
  },
);

async function say(running: Running, text: string): Promise<void> {
  const { stdin } = running.child;
  if (stdin === null) throw new Error('the process has no input');
  if (!stdin.write(text)) await once(stdin, 'drain');
}

function appliedKeys(scratch: Scratch): number {
  return counted(scratch, 'SELECT count(*) FROM keys');
}

function completeSections(scratch: Scratch): number {
  return counted(scratch, 'SELECT coalesce(sum(sections_complete), 0) FROM objects');
}

/** 0 while there is no results file. */
function counted(scratch: Scratch, sql: string): number {
  try {
    return scratch.count(sql);
  } catch {
    return 0;
  }
}
