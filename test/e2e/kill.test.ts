import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DatabaseSync } from 'node:sqlite';
import { Scratch } from '../cli/harness.ts';
import {
  asCsv,
  asJsonLines,
  asParquet,
  expectedResults,
  pipelineSource,
  shipments,
  writeObject,
  type Shipment,
} from '../cli/shipments.ts';

const KILLS = 25;
/** Kills and where they fall follow from it; how far a process is by then does not. */
const SEED = Number(process.env['SLUICE_KILL_SEED'] ?? 20_191_125);

/** Small sections and frames: many moments at which something is half done. Some rows fail, some are flagged. */
const source = pipelineSource({
  transform:
    "if (row.delay === 170) throw new DomainError('rejected', { code: 'E_REJECTED' }); return row.delay % 7 === 0 ? [row, { ...row, lane: 'seventh' }] : row;",
  groupBy: "if (message.weight === 999) throw new Error('too heavy'); return message.lane;",
  measures: 'delay: quantiles((message: any) => message.delay),',
  analyze: "flag: (message: any) => message.weight === 0 ? { kind: 'empty', message: message.id } : null,",
  more: 'limits: { sectionBytes: 400_000, sectionRows: 5_000, maxFrameMessages: 1_000 },',
});

const csvRows = shipments(90_000, 1);
const jsonRows = shipments(30_000, 2);
const parquetRows = shipments(50_000, 3);
const rejected = ({ delay }: Shipment) => delay === 170;
const heavy = ({ weight }: Shipment) => weight === 999;
const messages = [...csvRows, ...jsonRows, ...parquetRows]
  .filter((row) => !rejected(row))
  .flatMap((row) => (row.delay % 7 === 0 ? [row, { ...row, lane: 'seventh' }] : [row]))
  .filter((message) => !heavy(message));

describe('a run that is killed', { timeout: 600_000 }, () => {
  let scratch: Scratch;
  let clean: State;

  beforeAll(async () => {
    scratch = await Scratch.make();
    await scratch.write('shipments.ts', source);
    const lake = scratch.path('lake');
    await writeObject(lake, 'quoted.csv', asCsv(csvRows));
    await writeObject(lake, 'whole.jsonl.gz', gzipSync(asJsonLines(jsonRows), { level: 1 }));
    await writeObject(lake, 'groups.parquet', asParquet(parquetRows, 7_000));
    const { code, report } = await scratch.run(
      'shipments.ts',
      'lake',
      '--out',
      'clean',
      '--max-failures',
      '100000',
    );
    expect(code).toBe(0);
    expect(report.sections).toBeGreaterThan(30);
    clean = await stateOf(scratch, 'clean');
    const { delay: _delay, ...plain } = clean.results['seventh'] as Record<string, unknown>;
    expect(plain).toEqual(expectedResults(messages)['seventh']);
    expect(Object.keys(clean.results)).toHaveLength(6);
    expect(clean.failures.length).toBeGreaterThan(100);
    expect(clean.flags.length).toBeGreaterThan(10);
  }, 120_000);

  afterAll(() => scratch[Symbol.asyncDispose]());

  test(`at ${KILLS} moments ends as one that was never interrupted`, async () => {
    const random = mulberry32(SEED);
    const moments: number[] = [];
    let midway = 0;
    for (let folder = 0; moments.length < KILLS; folder++) {
      const out = `killed-${folder}`;
      for (;;) {
        const running = scratch.start([
          'run',
          'shipments.ts',
          'lake',
          '--out',
          out,
          '--max-failures',
          '100000',
          '--json',
        ]);
        // Counted from its start for every fifth, from when it has opened its results, or from when it applies something:
        // workers start in between, and each of these has to be met.
        const kind = random();
        const early = kind < 0.2;
        const moment = Math.round(random() * (early ? 400 : 900));
        if (!early) await Promise.race([running.ended, untilOpen(scratch, out)]);
        if (kind > 0.5) await Promise.race([running.ended, untilApplying(scratch, out)]);
        const timer = setTimeout(() => running.child.kill('SIGKILL'), moment);
        const { signal, code, stderr } = await running.ended;
        clearTimeout(timer);
        if (signal === 'SIGKILL') {
          moments.push(early ? -moment : moment);
          if (tryCount(scratch, out, 'SELECT count(*) FROM frames') > 0) midway++;
          if (moments.length < KILLS) continue;
        } else expect(code, stderr).toBe(0);
        break;
      }
      const { code, report } = await scratch.run(
        'shipments.ts',
        'lake',
        '--out',
        out,
        '--max-failures',
        '100000',
      );
      expect(code).toBe(0);
      expect(report.complete).toBe(true);
      expect(await stateOf(scratch, out), `seed ${SEED}, killed after ${moments.join(', ')} ms`).toEqual(
        clean,
      );
    }
    console.log(
      `seed ${SEED}: killed after ${moments.join(', ')} ms (negative: from the start), ${midway} times with a section half applied`,
    );
    expect(moments.length).toBeGreaterThanOrEqual(KILLS);
    expect(midway).toBeGreaterThan(3);
  });

  test('while another one runs on the same folder: both end well, and everything counts once', async () => {
    const args = ['shipments.ts', 'lake', '--out', 'both', '--max-failures', '100000'];
    const [one, two] = await Promise.all([scratch.run(...args), scratch.run(...args)]);
    expect([one.code, two.code], one.stderr + two.stderr).toEqual([0, 0]);
    expect(one.report.complete && two.report.complete).toBe(true);
    expect(one.report.applied + two.report.applied).toBe(messages.length);
    expect(await stateOf(scratch, 'both')).toEqual(clean);
  });
});

/** All that must be the same, however a run came to its end. */
interface State {
  readonly results: Record<string, unknown>;
  /** The merged measures, byte by byte. */
  readonly groups: unknown;
  readonly flags: readonly unknown[];
  readonly failures: readonly unknown[];
  readonly objects: unknown;
  readonly balance: unknown;
}

async function stateOf(scratch: Scratch, out: string): Promise<State> {
  const { answer } = await scratch.json<{ balance: unknown; balanced: boolean }>('reconcile', '--out', out);
  expect(answer.balanced).toBe(true);
  const database = new DatabaseSync(scratch.path(out, 'results.sqlite'), { readOnly: true });
  try {
    const all = (sql: string) => database.prepare(sql).all();
    return {
      results: scratch.results('shipments@1', out),
      groups: all('SELECT "group", hex(state) AS state FROM groups ORDER BY "group"'),
      flags: all(
        'SELECT o.key, f.coordinate, f.output, f.kind, f.message FROM flags f JOIN objects o ON o.id = f.object_id ORDER BY 1, 2, 3',
      ),
      failures: all(
        'SELECT failure, state, code, message, hex(payload) AS payload FROM failures ORDER BY failure',
      ),
      objects: all(
        'SELECT key, rows, failed, transformed, messages, applied, complete FROM objects ORDER BY key',
      ),
      balance: answer.balance,
    };
  } finally {
    database.close();
  }
}

function untilOpen(scratch: Scratch, out: string): Promise<void> {
  return untilOther(() => tryCount(scratch, out, 'SELECT count(*) FROM runs'));
}

function untilApplying(scratch: Scratch, out: string): Promise<void> {
  return untilOther(() => tryCount(scratch, out, 'SELECT count(*) FROM frames'));
}

async function untilOther(count: () => number): Promise<void> {
  const deadline = performance.now() + 10_000;
  const before = count();
  while (count() === before && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

function tryCount(scratch: Scratch, out: string, sql: string): number {
  try {
    return scratch.count(sql, out);
  } catch {
    return -1;
  }
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
