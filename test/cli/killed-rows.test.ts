import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eventually, Scratch } from './harness.ts';
import {
  asCsv,
  expectedResults,
  pipelineSource,
  shipments,
  writeObject,
  type Shipment,
} from './shipments.ts';

const rows = shipments(3_000);
const others = shipments(2_000, 1);
/** In the middle of a section in the middle of its object. */
const poisonous = rows[1_700] as Shipment;
const offset = Buffer.byteLength(asCsv(rows.slice(0, 1_700)), 'utf8');
const innocent = [...rows.filter((row) => row !== poisonous), ...others];

const LOOP = 'for (;;) {}';
const POISONS: Readonly<Record<string, { poison: string; args?: string[]; message: RegExp }>> = {
  'loops for ever': { poison: LOOP, message: /did not come to an end within 1 s/ },
  'takes all of the heap': {
    poison: 'const all = []; for (;;) all.push({ at: all.length, text: `item ${all.length}` });',
    args: ['--worker-heap', '64'],
    message: /ran out of memory: 64 MiB of heap/,
  },
  'takes all memory outside of the heap': {
    poison: 'const all = []; for (;;) all.push(Buffer.alloc(4_000_000, 1));',
    args: ['--max-memory', '900'],
    message: /made the process grow over 900 MiB/,
  },
  'calls process.exit': { poison: 'process.exit(7);', message: /ended with exit code 7/ },
};

/** A lake in which one row of the one object does what it should not. */
async function poisoned(scratch: Scratch, poison: string): Promise<void> {
  await writeObject(scratch.path('lake'), 'a.csv', asCsv(rows));
  await writeObject(scratch.path('lake'), 'b.csv', asCsv(others));
  await scratch.write('shipments.ts', pipeline(poison));
}

function pipeline(poison: string): string {
  return pipelineSource({
    head: "import { writeSync } from 'node:fs';",
    transform: `if (row.id === '${poisonous.id}') { writeSync(2, 'poisoned\\n'); ${poison} } return row;`,
    more: 'limits: { sectionBytes: 30_000 },',
  });
}

/** The run left everything as it should be: the row is a failure, all others are in the results. */
async function expectFound(scratch: Scratch, message: RegExp): Promise<void> {
  const { answer } = await scratch.json<{ failures: Record<string, unknown>[] }>(
    'failures',
    'list',
    '--code',
    'E_KILLED',
  );
  expect(answer.failures).toHaveLength(1);
  expect(answer.failures[0]).toMatchObject({
    code: 'E_KILLED',
    stage: 'transform',
    coordinate: offset,
    message: expect.stringMatching(message) as string,
  });
  const { answer: shown } = await scratch.json<{ payload: unknown }>(
    'failures',
    'show',
    String(answer.failures[0]?.['id']),
  );
  expect(shown).toMatchObject({ payload: poisonous });
  const { answer: reconciled } = await scratch.json<{ balanced: boolean; complete: boolean }>('reconcile');
  expect(reconciled).toMatchObject({ balanced: true, complete: true });
  expect(scratch.results('shipments@1')).toEqual(expectedResults(innocent));
  // Nothing is left to be careful about.
  expect(readdirSync(scratch.path('sluice-out/under-way'))).toEqual([]);
}

describe('a row that', { timeout: 240_000 }, () => {
  test.each(Object.entries(POISONS))(
    '%s is found, fails, and the rest goes on',
    async (_, { poison, args, message }) => {
      await using scratch = await Scratch.make();
      await poisoned(scratch, poison);
      const options = ['--row-timeout', poison === LOOP ? '1' : '60', ...(args ?? [])];
      const { code, report, stderr } = await scratch.run('shipments.ts', 'lake', ...options);
      expect(code, stderr).toBe(2);
      expect(report).toMatchObject({ complete: true, failed: { total: 1, byCode: { E_KILLED: 1 } } });
      // Once beside others, once alone; then it has its verdict.
      expect(stderr.match(/poisoned/g)).toHaveLength(2);
      await expectFound(scratch, message);
    },
  );

  test('kills the whole process is found by the next run', async () => {
    await using scratch = await Scratch.make();
    await poisoned(scratch, "process.kill(process.pid, 'SIGKILL'); for (;;) {}");
    const first = await scratch.sluice('run', 'shipments.ts', 'lake');
    expect(first).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(readdirSync(scratch.path('sluice-out/under-way'))).toHaveLength(1);

    const { code, report, stderr } = await scratch.run('shipments.ts', 'lake');
    expect(code, stderr).toBe(2);
    expect(report).toMatchObject({ complete: true, failed: { total: 1, byCode: { E_KILLED: 1 } } });
    await expectFound(scratch, /was ended by SIGKILL/);
  });

  test('hangs does not keep Ctrl-C from stopping the run, and the next one finds it', async () => {
    await using scratch = await Scratch.make();
    await poisoned(scratch, LOOP);
    for (const options of [[], ['--row-timeout', '3']]) {
      const running = scratch.start(['run', 'shipments.ts', 'lake', ...options]);
      // Without a limit that is near: while it hangs beside others. With one: when it hangs in a process of its own.
      const times = options.length === 0 ? 1 : 2;
      await eventually(
        () => (running.stderr().match(/poisoned/g) ?? []).length === times,
        `the row hangs for the ${times}. time`,
        60_000,
      );
      running.child.kill('SIGINT');
      const { code, stderr } = await running.ended;
      expect(code, stderr).toBe(130);
      expect(stderr).toContain('E_ABORTED: stopped by SIGINT');
    }
    const { code, report } = await scratch.run('shipments.ts', 'lake', '--row-timeout', '1');
    expect(code).toBe(2);
    expect(report.complete).toBe(true);
    await expectFound(scratch, /did not come to an end within 1 s/);
  });

  test('was found is processed again by a transform that is mended', async () => {
    await using scratch = await Scratch.make();
    await poisoned(scratch, 'process.exit();');
    expect((await scratch.run('shipments.ts', 'lake')).code).toBe(2);
    await scratch.write('shipments.ts', pipeline(''));
    const { answer, code } = await scratch.json('failures', 'redrive', 'shipments.ts');
    expect(code).toBe(0);
    expect(answer).toMatchObject({ redriven: 1, closed: 1 });
    expect(scratch.results('shipments@1')).toEqual(expectedResults([...rows, ...others]));
  });
});
