import { describe, expect, test } from 'vitest';
import { Scratch } from './harness.ts';
import { asCsv, expectedResults, pipelineSource, shipments, writeObject } from './shipments.ts';

interface Described {
  readonly id: string;
  readonly state: string;
  readonly code: string;
  readonly stage: string;
  readonly object: string;
  readonly attempts: number;
  readonly payload?: Record<string, unknown>;
}
interface Listed {
  readonly failures: readonly Described[];
  readonly more: boolean;
}
interface Redriven {
  readonly redriven: number;
  readonly closed: number;
  readonly failedAgain: number;
  readonly notRedrivable: readonly { readonly id: string; readonly reason: string }[];
}

/** Rejects one lane, throws for another's very late ones, and cannot group the heaviest. */
const faulty = pipelineSource({
  transform:
    "if (row.lane === 'ICN-ANC') throw new DomainError('closed', { code: 'E_LANE_CLOSED' }); if (row.delay > 170) row.nothing.there; return row;",
  groupBy: "if (message.weight > 950) throw new Error('too heavy'); return message.lane;",
});

describe('sluice failures', { timeout: 120_000 }, () => {
  test('lists by code, stage, object, time and predicate; redrives what mended code can process; twice is harmless', async () => {
    await using scratch = await Scratch.make();
    const [a, b] = [shipments(400, 1), shipments(400, 2)];
    await writeObject(scratch.path('lake'), 'a.csv', asCsv(a));
    await writeObject(scratch.path('lake'), 'b.csv', `${asCsv(b)}short,row\n`);
    await scratch.write('shipments.ts', faulty);
    const before = Date.now();
    const run = await scratch.run('shipments.ts', 'lake');
    expect(run.code).toBe(2);

    const all = [...a, ...b];
    const closed = all.filter(({ lane }) => lane === 'ICN-ANC');
    const thrown = all.filter(({ lane, delay }) => lane !== 'ICN-ANC' && delay > 170);
    const heavy = all.filter((row) => !closed.includes(row) && !thrown.includes(row) && row.weight > 950);
    for (const some of [closed, thrown, heavy]) expect(some.length).toBeGreaterThan(5);
    const total = closed.length + thrown.length + heavy.length + 1;
    expect(run.report.failed).toEqual({
      total,
      byCode: {
        E_ANALYZE: heavy.length,
        E_CSV_FIELDS: 1,
        E_LANE_CLOSED: closed.length,
        E_TRANSFORM: thrown.length,
      },
    });

    const list = async (...args: string[]) => {
      const { answer, code } = await scratch.json<Listed>('failures', 'list', '--limit', '1000', ...args);
      expect(code).toBe(0);
      expect(answer.more).toBe(false);
      return answer.failures;
    };
    const everything = await list();
    expect(everything).toHaveLength(total);
    expect(new Set(everything.map(({ id }) => id)).size).toBe(total);
    expect(await list('--code', 'E_LANE_CLOSED')).toHaveLength(closed.length);
    expect(await list('--stage', 'analyze')).toHaveLength(heavy.length);
    expect(
      (await list('--stage', 'read')).map(({ code, object }) => [code, object.endsWith('/lake/b.csv')]),
    ).toEqual([['E_CSV_FIELDS', true]]);
    const ofA = closed.filter(({ id }) => id.startsWith('s1-'));
    expect(await list('--code', 'E_LANE_CLOSED', '--object', './lake/a.csv')).toHaveLength(ofA.length);
    const late = thrown.filter(({ delay }) => delay >= 175).length;
    expect(await list('--where', '{"payload.delay":{"$gte":175},"code":"E_TRANSFORM"}')).toHaveLength(late);
    expect(await list('--since', '1h', '--until', new Date(before - 1_000).toISOString())).toHaveLength(0);
    const few = await scratch.sluice('failures', 'list', '--limit', '3');
    expect(few.stdout).toContain('more than 3');

    // What is copied from a list is found, and what is mistyped is not taken for nothing.
    const { object } = everything[0] as Described;
    expect(await list('--object', object)).toHaveLength(
      everything.filter((failure) => failure.object === object).length,
    );
    for (const args of [
      ['list', '--generation', 'shipments@7'],
      ['redrive', 'shipments.ts', '--generation', 'shipments@7'],
      ['redrive', 'shipments.ts', 'no-such-id'],
    ]) {
      const { code, stderr } = await scratch.sluice('failures', ...args);
      expect(code, args.join(' ')).toBe(1);
      expect(stderr, args.join(' ')).toMatch(/E_NOT_FOUND: .*(shipments@1)/);
    }

    // One of them, with its row.
    const one = everything.find(({ code }) => code === 'E_LANE_CLOSED') as Described;
    const { answer: shown } = await scratch.json<Described>('failures', 'show', one.id);
    expect(shown).toMatchObject({
      id: one.id,
      code: 'E_LANE_CLOSED',
      stage: 'transform',
      payload: { lane: 'ICN-ANC' },
    });
    const balanced = async () => {
      const { answer } = await scratch.json('reconcile', run.report.run);
      expect(answer).toMatchObject({ balanced: true, complete: true });
    };
    await balanced();

    const redrive = async (...args: string[]) =>
      scratch.json<Redriven>('failures', 'redrive', 'shipments.ts', ...args);
    const dry = await scratch.json<{ wouldRedrive: string[] }>(
      'failures',
      'redrive',
      'shipments.ts',
      '--dry-run',
      '--limit',
      '4',
    );
    expect(dry.answer.wouldRedrive).toHaveLength(4);
    expect(await list()).toHaveLength(total);

    // The code is as it was: all fail again, as the same failures.
    const again = await redrive('--code', 'E_LANE_CLOSED', '--limit', '5');
    expect(again.code).toBe(2);
    expect(again.answer).toMatchObject({ redriven: 5, closed: 0, failedAgain: 5, notRedrivable: [] });
    expect((await list('--code', 'E_LANE_CLOSED')).filter(({ attempts }) => attempts === 2)).toHaveLength(5);

    // Mended for one lane, one by its id, the rest by predicate; then everything.
    await scratch.write('shipments.ts', pipelineSource());
    const single = await redrive(one.id);
    expect(single).toMatchObject({ code: 0, answer: { redriven: 1, closed: 1, failedAgain: 0 } });
    expect((await list('--state', 'closed')).map(({ id }) => id)).toEqual([one.id]);
    const some = await redrive('--where', '{"stage":"analyze"}');
    expect(some.answer).toMatchObject({ redriven: heavy.length, closed: heavy.length, failedAgain: 0 });
    const rest = await redrive();
    // The short row is read again and is as short as before.
    expect(rest.answer).toMatchObject({
      redriven: total - 1 - heavy.length,
      failedAgain: 1,
      notRedrivable: [],
    });
    expect(rest.code).toBe(2);
    expect((await list()).map(({ code }) => code)).toEqual(['E_CSV_FIELDS']);
    const twice = await redrive();
    expect(twice.answer).toMatchObject({ redriven: 1, closed: 0, failedAgain: 1 });
    await balanced();

    // The readable results follow, and are those of a clean run.
    expect(scratch.results('shipments@1')).toEqual(expectedResults(all));
  });

  test('what cannot be redriven is told, with what to do instead', async () => {
    await using scratch = await Scratch.make();
    await writeObject(scratch.path('lake'), 'noise.bin', Buffer.from([0, 1, 2, 3, 0xfe, 0xff, 0, 9]));
    await writeObject(scratch.path('lake'), 'good.csv', asCsv(shipments(20)));
    await scratch.write('shipments.ts', pipelineSource());
    expect((await scratch.run('shipments.ts', 'lake')).code).toBe(2);
    const { answer, code } = await scratch.json<Redriven>('failures', 'redrive', 'shipments.ts');
    expect(code).toBe(2);
    expect(answer).toMatchObject({ redriven: 0, closed: 0, failedAgain: 0 });
    expect(answer.notRedrivable.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('run the pipeline again'),
    ]);
    const said = await scratch.sluice('failures', 'redrive', 'shipments.ts');
    expect(said.stdout).toMatch(/left open: \S+: .*run the pipeline again/);

    // A redrive with another declaration would apply rows to measures of another kind.
    await scratch.write(
      'shipments.ts',
      pipelineSource({ measures: 'worst: max((message: any) => message.delay),' }),
    );
    const other = await scratch.sluice('failures', 'redrive', 'shipments.ts');
    expect(other.code).toBe(1);
    expect(other.stderr).toContain('E_PIPELINE_CHANGED');
  });
});

describe('sluice reconcile', { timeout: 60_000 }, () => {
  test('proves the last run, a named one, and none that is not there', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('lake.csv', asCsv(shipments(200)));
    await scratch.write('shipments.ts', pipelineSource());
    const nothing = await scratch.sluice('reconcile');
    expect(nothing.code).toBe(1);
    expect(nothing.stderr).toContain('E_NOT_FOUND');
    const { report } = await scratch.run('shipments.ts', 'lake.csv');
    const last = await scratch.sluice('reconcile');
    expect(last.code).toBe(0);
    expect(last.stdout).toContain(`run ${report.run} of shipments@1`);
    expect(last.stdout).toMatch(/rows\s+200 = pruned 0 \+ filtered 0 \+ failed 0 \+ transformed 200/);
    expect(last.stdout).toContain('every planned object is complete');
    const unknown = await scratch.sluice('reconcile', 'no-such-run');
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain(report.run);

    // A run that broke off before it had planned everything proves nothing.
    expect((await scratch.sluice('run', 'shipments.ts', 'lake.csv', 'missing.csv')).code).toBe(1);
    const broken = await scratch.json('reconcile');
    expect(broken).toMatchObject({ code: 1, answer: { finished: false, complete: false } });
    expect((await scratch.json('reconcile', report.run)).answer).toMatchObject({
      finished: true,
      complete: true,
    });
  });
});

describe('what nobody can process', { timeout: 60_000 }, () => {
  test('is dismissed: closed for good, out of the results, and it still adds up', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource());
    await scratch.write('lake.csv', `${asCsv(shipments(5))}one,field,too,many,for,it\n`);
    expect((await scratch.run('shipments.ts', 'lake.csv')).code).toBe(2);

    // All of them by mistake would be hard to take back.
    expect((await scratch.sluice('failures', 'dismiss')).stderr).toContain('E_USAGE');
    const { answer: tried } = await scratch.json(
      'failures',
      'dismiss',
      '--code',
      'E_CSV_FIELDS',
      '--dry-run',
    );
    expect(tried).toMatchObject({ wouldDismiss: [expect.any(String)] });
    expect((await scratch.sluice('failures', 'dismiss', 'nobody')).stderr).toContain('E_NOT_FOUND');
    const { answer } = await scratch.json('failures', 'dismiss', '--code', 'E_CSV_FIELDS');
    expect(answer).toMatchObject({ dismissed: [expect.any(String)] });

    expect((await scratch.run('shipments.ts', 'lake.csv')).code).toBe(0);
    expect(scratch.results('shipments@1')).toEqual(expectedResults(shipments(5)));

    // An object as a whole is not dismissed: it would never be taken up again.
    await scratch.write('later.csv', '');
    expect((await scratch.run('shipments.ts', 'lake.csv', 'later.csv')).code).toBe(2);
    const { answer: left } = await scratch.json('failures', 'dismiss', '--code', 'E_OBJECT_EMPTY');
    expect(left).toMatchObject({ dismissed: [], ofObjects: [expect.any(String)] });
    await scratch.write('later.csv', asCsv(shipments(2, 9)));
    expect((await scratch.run('shipments.ts', 'lake.csv', 'later.csv')).report).toMatchObject({
      applied: 2,
      complete: true,
    });
    const { answer: reconciled } = await scratch.json('reconcile');
    expect(reconciled).toMatchObject({ balanced: true, complete: true });
  });
});
