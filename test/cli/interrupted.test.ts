import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { processesIn } from '../kill/outcome.ts';
import { eventually, Scratch, type Running } from './harness.ts';
import { asCsv, expectedResults, pipelineSource, shipments } from './shipments.ts';

const rows = shipments(60_000);

describe('a run that is interrupted', { timeout: 240_000 }, () => {
  let scratch: Scratch;

  beforeAll(async () => {
    scratch = await Scratch.make();
    await scratch.write('lake.csv', asCsv(rows));
    await scratch.write(
      'shipments.ts',
      pipelineSource({ more: 'limits: { sectionBytes: 100_000, maxFrameMessages: 500 },' }),
    );
  });
  afterAll(() => scratch[Symbol.asyncDispose]());

  const command = (out: string) => ['run', 'shipments.ts', 'lake.csv', '--out', out, '--json'];
  const frames = (out: string) => {
    try {
      return scratch.count('SELECT count(*) FROM frames', out);
    } catch {
      return 0;
    }
  };

  async function expectContinues(out: string): Promise<void> {
    expect(processesIn(scratch.folder)).toEqual([]);
    const { code, stderr } = await scratch.sluice(...command(out));
    expect(code, stderr).toBe(0);
    expect(scratch.results('shipments@1', out)).toEqual(expectedResults(rows));
    expect(readdirSync(scratch.path(out, 'under-way'))).toEqual([]);
  }

  async function atWork(out: string): Promise<Running> {
    const running = scratch.start(command(out));
    await eventually(() => frames(out) > 0, 'something is applied', 60_000);
    return running;
  }

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'by %s ends in order, says so, and continues when it is started again',
    async (signal) => {
      const running = await atWork(signal);
      running.child.kill(signal);
      const { code, stdout, stderr } = await running.ended;
      expect(code, stderr).toBe(130);
      expect(stderr).toMatch(
        new RegExp(
          `E_ABORTED: stopped by ${signal}; what was applied is kept\\n {2}Start it again: it continues`,
        ),
      );
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'E_ABORTED' } });
      // Nothing is suspected of a task that was only stopped.
      expect(readdirSync(scratch.path(signal, 'under-way'))).toEqual([]);
      await expectContinues(signal);
    },
  );

  test('twice ends at once, and continues when it is started again', async () => {
    const running = await atWork('twice');
    running.child.kill('SIGINT');
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(130);
    expect(readdirSync(scratch.path('twice/under-way'))).toEqual([]);
    await expectContinues('twice');
  });

  test('while it starts leaves nothing that is in the way', async () => {
    const running = scratch.start(command('early'));
    await eventually(() => readdirSync(scratch.folder).includes('early'), 'the folder is made');
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    await expectContinues('early');
  });

  test('by the end of its reader goes on to its own end', async () => {
    const { code, stdout, stderr } = await scratch.start(command('read').slice(0, -1), {
      shell: '"$@" | head -1',
    }).ended;
    expect(code, stderr).toBe(0);
    expect(stdout.split('\n')).toHaveLength(2);
    await expectContinues('read');
    const closed = await scratch.start(command('closed'), { shell: 'exec "$@" >&-' }).ended;
    expect(closed.code, closed.stderr).toBe(0);
    await expectContinues('closed');
    const full = await scratch.start(command('full'), { shell: 'exec "$@" >/dev/full' }).ended;
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(/E_OUTPUT: standard output cannot be written/);
    await expectContinues('full');
  });

  test('together with the process that has its suspected task: no row is blamed for it', async () => {
    // Of a run that was killed, something is suspected; its task gets a process of its own, and in it a row that takes its time.
    await scratch.write(
      'slow.ts',
      pipelineSource({
        name: 'slow',
        head: "import { existsSync, writeSync } from 'node:fs';",
        transform: `if (row.id === 's0-700' && existsSync('slowly')) { writeSync(2, 'slowly\\n'); while (existsSync('slowly')); } return row;`,
      }),
    );
    await scratch.write('slowly', '');
    const slow = ['run', 'slow.ts', 'lake.csv', '--out', 'slow', '--json'];
    const untilSlow = (running: Running) =>
      eventually(() => running.stderr().includes('slowly'), 'it is in the slow row', 60_000);
    const killed = scratch.start(slow);
    await untilSlow(killed);
    killed.child.kill('SIGKILL');
    await killed.ended;
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
      const running = scratch.start(slow);
      await untilSlow(running);
      const own = processesIn(scratch.folder).map((entry) => Number(entry.slice('/proc/'.length)));
      const worker = own.filter((pid) => pid !== running.child.pid);
      expect(worker).toHaveLength(1);
      // As a terminal or a service manager does: to all of them.
      for (const pid of [...worker, running.child.pid as number]) process.kill(pid, signal);
      expect((await running.ended).code).toBe(130);
      const [journal] = readdirSync(scratch.path('slow/under-way'));
      const { suspects } = JSON.parse(
        readFileSync(scratch.path('slow/under-way', journal as string), 'utf8'),
      ) as { suspects: { rows: unknown[] }[] };
      expect(suspects.flatMap((suspect) => suspect.rows)).toEqual([]);
      await eventually(() => processesIn(scratch.folder).length === 0, 'its process is gone');
    }
  });
});
