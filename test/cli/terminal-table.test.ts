import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import type { PublishedGroup } from '../../src/domain/ports/result-store.ts';
import {
  csvLine,
  resultRows,
  resultsAsCsv,
  resultsAsJson,
  tableColumns,
} from '../../src/entrypoints/cli/terminal/results-table.ts';
import { renderTable } from '../../src/entrypoints/cli/terminal/table.ts';
import { cutToWidth, printable } from '../../src/entrypoints/cli/terminal/text.ts';
import { anyText } from './any-text.ts';

const lane: PublishedGroup = {
  group: 'ATL-ORD',
  measures: {
    flights: 31_240,
    share: 0.25,
    delay: { count: 9, min: -20, p50: -2.1, p90: 22, p95: 51.3, p99: 130, max: 1_400 },
  },
  findings: [{ kind: 'late-lane', message: 'one in four is late' }],
};
const measures = [
  { name: 'flights', kind: 'count' },
  { name: 'share', kind: 'mean' },
  { name: 'delay', kind: 'quantiles' },
] as const;

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

describe('tables', () => {
  it('aligns text to the left and numbers to the right, whatever the width of the characters', () => {
    const table = renderTable(
      [{ title: 'lane' }, { title: 'flights', align: 'right' }],
      [
        ['ATL-ORD', 1_234_567],
        ['日本語🛫', 5],
        [null, null],
      ],
      { width: 80 },
    );
    expect(table).toBe(
      [
        'lane        flights',
        '────────  ─────────',
        'ATL-ORD   1,234,567',
        '日本語🛫          5',
        '–                 –',
        '',
      ].join('\n'),
    );
  });

  it('cuts text first, then leaves columns out and names them', () => {
    const columns = [
      { title: 'a' },
      { title: 'first', align: 'right' },
      { title: 'second', align: 'right' },
    ] as const;
    const rows = [['a very long name of a group', 1_000_000, 2_000_000]];
    expect(renderTable(columns, rows, { width: 35 }).split('\n')[2]).toBe(
      'a very long …  1,000,000  2,000,000',
    );
    const narrow = renderTable(columns, rows, { width: 26 });
    expect(narrow).toContain('a very long na…  1,000,000\n');
    expect(narrow).toContain('not shown, too wide: seco…\n');
    expect(narrow).not.toContain('2,000');
  });

  it('never leaves the width, and never lets data act on the terminal', () => {
    const text = fc.oneof(
      anyText,
      fc.constantFrom(
        '\u001b[2J\u001b]0;title\u0007',
        'a\nb\rc\td',
        '\u202Eevil',
        '\ud800',
        '👨‍👩‍👧‍👦'.repeat(9),
        '\u009b31m',
      ),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(text, fc.double(), text), { maxLength: 5 }),
        fc.integer({ min: 1, max: 90 }),
        (rows, width) => {
          const table = renderTable(
            [{ title: 'group' }, { title: 'n', align: 'right' }, { title: '\u001b[1mx' }],
            rows,
            {
              width,
            },
          );
          const lines = table.slice(0, -1).split('\n');
          const shown = rows.length + 2;
          expect(lines.length === shown || lines.length === shown + 1).toBe(true);
          for (const line of lines) {
            expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
            expect(line.isWellFormed()).toBe(true);
            expect(stringWidth(line)).toBeLessThanOrEqual(width);
          }
        },
      ),
    );
  });

  it('shows what it makes harmless', () => {
    expect(printable('a\n\u001b[31mred\u2028\ud800é')).toBe('a\\n\\x1b[31mred\\u2028\\ud800é');
    expect(cutToWidth('日本語', 4)).toBe('日…');
    expect(cutToWidth('日本語', 6)).toBe('日本語');
    expect(cutToWidth('x'.repeat(10_000_000), 5)).toBe('xxxx…');
  });

  it('uses colour only where it is asked for', () => {
    const columns = [{ title: 'a' }];
    expect(renderTable(columns, [['x']], { width: 9 })).not.toContain('\u001b');
    expect(renderTable(columns, [['x']], { width: 9, color: true })).toContain('\u001b[1m');
  });
});

describe('results', () => {
  it('makes a table of groups and measures', () => {
    const columns = tableColumns(measures);
    expect(renderTable(columns, resultRows(columns, [lane]), { width: 100 })).toBe(
      [
        'group    flights  share  delay.p50  delay.p90  delay.p95  delay.p99  findings',
        '───────  ───────  ─────  ─────────  ─────────  ─────────  ─────────  ─────────',
        'ATL-ORD   31,240  0.250      -2.10         22      51.30        130  late-lane',
        '',
      ].join('\n'),
    );
  });

  it('gives CSV that other readers read back', async () => {
    const nasty: PublishedGroup = {
      group: 'a "b",\r\nc',
      measures: { flights: 2, share: null, delay: null },
      findings: [],
    };
    const text = await textOf(resultsAsCsv(measures, [lane, nasty]));
    const rows: Record<string, string>[] = parse(text, { columns: true });
    expect(rows[0]).toMatchObject({
      group: 'ATL-ORD',
      flights: '31240',
      share: '0.25',
      'delay.p50': '-2.1',
      'delay.max': '1400',
    });
    expect(JSON.parse(rows[0]!['findings']!)).toEqual(lane.findings);
    expect(rows[1]).toMatchObject({ group: 'a "b",\r\nc', share: '', 'delay.p50': '' });
  });

  it('gives CSV fields back whatever they hold', () => {
    fc.assert(
      fc.property(
        fc.array(
          anyText.map((text) => text.toWellFormed()),
          { minLength: 2, maxLength: 4 },
        ),
        (fields) => {
          // The reader takes a byte order mark at the very start for one.
          const line = csvLine(['start', ...fields]);
          expect(parse(line)).toEqual([['start', ...fields]]);
        },
      ),
    );
  });

  it('gives one JSON array with a group on each line', async () => {
    const text = await textOf(resultsAsJson([lane, { ...lane, measures: { flights: 2n ** 70n } }]));
    expect(JSON.parse(text)).toEqual([lane, { ...lane, measures: { flights: '1180591620717411303424' } }]);
    expect(text.trimEnd().split('\n')).toHaveLength(4);
    expect(await textOf(resultsAsJson([]))).toBe('[]\n');
  });
});
