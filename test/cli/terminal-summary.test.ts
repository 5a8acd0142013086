import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import type { BalanceLine, RunReport } from '../../src/entrypoints/cli/run-report.ts';
import { renderBalance, renderRunSummary } from '../../src/entrypoints/cli/terminal/summary.ts';

const report: RunReport = {
  run: '01k5q3-9c8f',
  pipeline: 'lane-performance',
  version: 1,
  generation: 'lane-performance@1',
  objects: 1,
  sections: 12,
  tasks: 4,
  bytesRead: 17_400_000,
  bytesTotal: 33_000_000,
  rowsRead: 3_000_000,
  rowsPruned: 0,
  rowsFiltered: 1_234,
  messages: 2_998_766,
  frames: 812,
  frameBytes: 41_200_000,
  applied: 2_998_766,
  duplicates: 0,
  failed: { total: 0, byCode: {} },
  refused: { total: 0, byCode: {} },
  groups: 4_012,
  findings: 37,
  seconds: 20,
  complete: true,
};

const rows: BalanceLine = {
  label: 'rows',
  whole: { label: 'rows', value: 3_000_000 },
  parts: [
    { label: 'pruned', value: 0 },
    { label: 'filtered', value: 1_234 },
    { label: 'failed', value: 0 },
    { label: 'transformed', value: 2_998_766 },
  ],
  balanced: true,
};

describe('the summary of a run', () => {
  it('tells a complete run in one block', () => {
    expect(renderRunSummary({ report, balance: [rows] }, { width: 100 })).toBe(
      [
        'lane-performance v1 · complete · 20.0 s · run 01k5q3-9c8f',
        '  read      17.4 MB of 33.0 MB (52.7%) · 0.9 MB/s',
        '  rows      3,000,000 · 150,000/s · 1,234 filtered',
        '  work      1 object · 4 tasks · 12 sections sent',
        '  messages  2,998,766 in 812 frames (41.2 MB)',
        '  applied   2,998,766 · 0 duplicates dropped',
        '  results   4,012 groups · 37 findings',
        '  failures  0',
        '',
        '✓ rows  3,000,000 = pruned 0 + filtered 1,234 + failed 0 + transformed 2,998,766',
        '',
      ].join('\n'),
    );
  });

  it('tells what is missing and what to do', () => {
    const broken: RunReport = {
      ...report,
      complete: false,
      failed: { total: 7, byCode: { E_TRANSFORM: 2, E_CUSTOM: 5 } },
      refused: { total: 1, byCode: { E_OTHER_BUILD: 1 } },
    };
    const text = renderRunSummary({ report: broken, balance: [] }, { width: 200 });
    expect(text).toContain('lane-performance v1 · not complete');
    expect(text).toContain('failures    7 · E_CUSTOM 5 · E_TRANSFORM 2');
    expect(text).toContain('left alone  1 · E_OTHER_BUILD 1');
    expect(text).toContain('What to do');
    expect(text).toMatch(/E_OTHER_BUILD {2}.*Finish it with the old code/);
    expect(text).toMatch(/E_TRANSFORM {4}.*Fix `transform`/);
    expect(text).toMatch(/E_CUSTOM {7}A code of the pipeline/);

    const cut = renderRunSummary({ report: { ...report, complete: false }, balance: [] }, { width: 200 });
    expect(cut).toContain('Start the same command again');
  });

  it('shows the groups, and where to look next', () => {
    const text = renderRunSummary(
      {
        report,
        balance: [],
        groups: {
          title: 'Most flights',
          columns: [{ title: 'lane' }, { title: 'n', align: 'right' }],
          rows: [['A-B', 12]],
        },
        next: [{ purpose: 'report', text: 'out/report.html' }],
      },
      { width: 80 },
    );
    expect(text.endsWith('Most flights\n\nlane   n\n────  ──\nA-B   12\n\n  report  out/report.html\n')).toBe(
      true,
    );
  });

  it('says what does not balance', () => {
    const parts = [
      { label: 'applied', value: 9_000 },
      { label: 'open failures', value: 4 },
    ];
    const text = renderBalance(
      [rows, { label: 'messages', whole: { label: 'made', value: 9_010 }, parts, balanced: false }],
      { width: 100 },
    );
    expect(text).toContain('✗ messages      9,010 ≠ applied 9,000 + open failures 4\n');
    expect(text).toContain('not balanced: 6 missing');
  });

  it('lets no data act on the terminal, and breaks lines where it is narrow', () => {
    const hostile: RunReport = {
      ...report,
      pipeline: 'p\u001b[2J',
      failed: { total: 1, byCode: { [`E_\u001b]0;x\u0007${'LONG'.repeat(40)}`]: 1 } },
    };
    const text = renderRunSummary({ report: hostile, balance: [rows] }, { width: 40 });
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/u);
    const balance = renderBalance([rows], { width: 40 });
    for (const line of balance.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(42);
  });

  it('balances colours: none runs over into the next line', () => {
    const failing: RunReport = {
      ...report,
      failed: { total: 9, byCode: { E_SCHEMA: 8, E_TRANSFORM: 1 } },
      complete: false,
    };
    const text = renderRunSummary({ report: failing, balance: [rows] }, { width: 30, color: true });
    for (const line of text.split('\n')) {
      const codes = [...line.matchAll(/\u001b\[(\d+)m/g)].map(([, code]) => Number(code));
      const opening = codes.filter((code) => code < 22 || (code >= 30 && code <= 37)).length;
      expect(codes.length).toBe(opening * 2);
    }
  });
});
