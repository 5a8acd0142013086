import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Scratch } from '../cli/harness.ts';
import { asCsv, asJsonLines, asParquet, expectedResults, shipments, writeObject } from '../cli/shipments.ts';
import { killAndRestart, killsOf, type Subject } from './campaign.ts';
import { outcomeOf, type Outcome } from './outcome.ts';
import { appliedMessages, shipmentsPipeline } from './shipments-pipeline.ts';

// `npm run test:kill` does the same at full size.
const KILLS = 12;
const SEED = 20_191_125;

const csvRows = shipments(90_000, 1);
const jsonRows = shipments(30_000, 2);
const parquetRows = shipments(50_000, 3);
const messages = appliedMessages([...csvRows, ...jsonRows, ...parquetRows]);
const subject: Subject = { name: 'lake', pipeline: 'shipments.ts', objects: ['lake'] };

describe('a run that is killed', { timeout: 600_000 }, () => {
  let scratch: Scratch;
  let clean: Outcome;

  beforeAll(async () => {
    scratch = await Scratch.make();
    // Small sections and frames: many moments at which something is half done.
    const limits = 'limits: { sectionBytes: 400_000, sectionRows: 5_000, maxFrameMessages: 1_000 },';
    await scratch.write('shipments.ts', shipmentsPipeline(limits));
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
    clean = await outcomeOf(scratch, 'shipments.ts', 'clean');
    const { delay: _delay, ...plain } = scratch.results('shipments@1', 'clean')['seventh'] ?? {};
    expect(plain).toEqual(expectedResults(messages)['seventh']);
    expect(clean.groups).toHaveLength(6);
    expect(clean.failures.length).toBeGreaterThan(100);
    expect(clean.flags.length).toBeGreaterThan(10);
  }, 120_000);

  afterAll(() => scratch[Symbol.asyncDispose]());

  test(`at ${KILLS} moments ends as one that was never interrupted`, async () => {
    const said: string[] = [];
    const totals = await killAndRestart(scratch, {
      subjects: [subject],
      kills: KILLS,
      seed: SEED,
      reach: 0.5,
      say: (line) => said.push(line),
    });
    console.log(said.at(-1));
    expect(totals.problems).toEqual([]);
    expect(killsOf(totals)).toBe(KILLS);
    expect(totals.kills.working).toBeGreaterThan(2);
  });

  test('while another one runs on the same folder: both end well, and everything counts once', async () => {
    const args = ['shipments.ts', 'lake', '--out', 'both', '--max-failures', '100000'];
    const [one, two] = await Promise.all([scratch.run(...args), scratch.run(...args)]);
    expect([one.code, two.code], one.stderr + two.stderr).toEqual([0, 0]);
    expect(one.report.complete && two.report.complete).toBe(true);
    expect(one.report.applied + two.report.applied).toBe(messages.length);
    expect(await outcomeOf(scratch, 'shipments.ts', 'both')).toEqual(clean);
  });
});
