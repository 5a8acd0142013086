import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProgressSample } from '../../src/entrypoints/cli/run-report.ts';
import { clientData, throughputOf, type ClientData } from '../../src/entrypoints/cli/report/client-data.ts';
import { escapeHtml, html, inlineJson } from '../../src/entrypoints/cli/report/html.ts';
import { renderReportPage } from '../../src/entrypoints/cli/report/page.ts';
import { anyText } from './any-text.ts';
import { emptyData, hostileData, MARKUP, realisticData, smallData } from './report-data.ts';

const pages = { realistic: realisticData, empty: emptyData, hostile: hostileData, small: smallData };

function dataOf(page: string): ClientData {
  const text = /<script type="application\/json" id="data">([\s\S]*?)<\/script>/.exec(page)![1]!;
  return JSON.parse(text);
}

describe('the report page', () => {
  it.each(Object.entries(pages))(
    'of %s data loads nothing and holds only its own scripts',
    async (_name, make) => {
      const page = await renderReportPage(make());
      expect(Buffer.byteLength(page)).toBeLessThan(500_000);
      expect(page).not.toContain(MARKUP);
      expect(page).not.toContain('<img');
      expect(page.isWellFormed()).toBe(true);
      // Addresses stand in the licence comments of the library and nowhere else.
      const addresses = [...page.matchAll(/\b(?:https?|wss?|ftp):\/\/[^\s"'<>]*/g)].map(
        ([address]) => address,
      );
      expect(new Set(addresses)).toEqual(
        new Set(['https://www.chartjs.org', 'https://github.com/kurkle/color#readme']),
      );
      expect(page).not.toMatch(/<(?:script|img|iframe|object|embed|audio|video|source)[^>]*\ssrc=/i);
      expect([...page.matchAll(/<link\b[^>]*>/g)].map(([link]) => link)).toEqual([
        '<link rel="icon" href="data:," />',
      ]);
      expect(page).not.toMatch(/@import|url\(/);
      expect(page).not.toMatch(/sourceMappingURL/);
      expect(page).toMatch(/Chart\.js v\d[\s\S]{0,200}MIT License/);
      // Neither style attributes nor handlers: the policy would refuse them.
      const markup = page.replace(/<(script|style)\b[\s\S]*?<\/\1>/g, '');
      for (const [tag] of markup.replace(/"[^"]*"/g, '""').matchAll(/<[a-z][^>]*>/gi))
        expect(tag).not.toMatch(/\s(?:style|on\w+)=/i);
    },
  );

  it('allows its scripts and styles by their digests, and nothing else', async () => {
    const page = await renderReportPage(hostileData());
    const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(page)![1]!;
    const digests = [...page.matchAll(/<(script|style)>([\s\S]*?)<\/\1>/g)].map(
      ([, , source]) => `'sha256-${createHash('sha256').update(source!).digest('base64')}'`,
    );
    expect(digests).toHaveLength(3);
    const [style, library, script] = digests;
    expect(policy).toBe(
      `default-src 'none'; script-src ${library} ${script}; style-src ${style}; img-src data:; base-uri 'none'; form-action 'none'`,
    );
  });

  it('holds what the charts draw', async () => {
    const data = realisticData();
    const client = dataOf(await renderReportPage(data));
    expect(client.groups).toEqual(data.groups.map(({ group }) => group));
    expect(client.groupsInAll).toBe(4_012);
    expect(client.measures.map(({ name, columns }) => [name, columns])).toEqual([
      ['flights', [0]],
      ['late', [1]],
      ['lateShare', [2]],
      ['distance', [3]],
      ['delay', [4, 5, 6, 7, 8, 9, 10]],
    ]);
    expect(client.columns.map(({ title }) => title).slice(3, 7)).toEqual([
      'distance',
      'delay.count',
      'delay.min',
      'delay.p50',
    ]);
    expect(client.columns[0]!.values).toEqual(data.groups.map(({ measures }) => measures['flights']));
    expect(client.columns[0]!.decimals).toBe(0);
    expect(client.columns[2]!.decimals).toBe(3);
    expect(client.throughput.seconds.length).toBeGreaterThan(15);
  });

  it('keeps hostile data what it is: text', async () => {
    const client = dataOf(await renderReportPage(hostileData()));
    expect(client.groups[0]).toBe(MARKUP);
    expect(client.groups[3]).toBe('\\u202egnp.exe\\x00\\x1b[31m');
    expect(client.columns[0]).toMatchObject({ title: MARKUP, decimals: null });
    expect(client.columns[0]!.values[0]).toBe('∞');
    expect(client.columns[1]!.values[0]).toBe(2 ** 60);
    expect(client.columns[4]!.values).toEqual(Array.from({ length: 8 }, () => null));
  });

  it('shows fewer groups where they would make the page too large', async () => {
    const data = realisticData();
    const groups = data.groups.map((group) => ({ ...group, group: group.group.repeat(400) }));
    const measures = [
      ...data.measures,
      ...Array.from({ length: 20 }, (_, at) => ({ name: `delay${at}`, kind: 'quantiles' as const })),
    ];
    const large = {
      ...data,
      measures,
      groups: groups.map((group) => ({
        ...group,
        measures: {
          ...group.measures,
          ...Object.fromEntries(measures.slice(5).map(({ name }) => [name, group.measures['delay']])),
        },
      })),
    };
    const page = await renderReportPage(large);
    expect(Buffer.byteLength(page)).toBeLessThan(500_000);
    const shown = dataOf(page).groups.length;
    expect(shown).toBeGreaterThan(50);
    expect(shown).toBeLessThan(1_000);
    expect(page).toContain(`The ${shown} largest of 4,012 groups`);
  });

  it('tells at a glance whether everything is complete and balanced', async () => {
    const good = await renderReportPage(realisticData());
    expect(good).toContain('✓ Complete, 1,287 open failures');
    expect(good).toContain('✓ Balanced');
    expect(good).not.toContain('✗');
    expect(good).toContain('sluice failures list --generation lane-performance@1 --code E_SCHEMA');
    const bad = await renderReportPage(hostileData());
    expect(bad).toContain('✗ Not complete');
    expect(bad).toContain('✗ Not balanced');
    expect(bad).toMatch(/600\s+missing/);
    expect(bad).toMatch(/5\s+too\s+many/);
    // A command is safe to paste, whatever the code is.
    expect(bad).toContain('--code &#39;&quot; onmouseover=&quot;document.title=&#39;\\&#39;&#39;owned');
  });
});

describe('escaping', () => {
  it('leaves nothing that could leave text, an attribute or a script', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.constantFrom(MARKUP, '<!--', ']]>', '\u2028')), (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"'\u0000-\u001f\u2028\u2029]|&(?!(?:amp|lt|gt|quot|#39);)/);
        expect(html`<b title="${text}">${[html`${text}`]}</b>`.markup).toBe(
          `<b title="${escapeHtml(text)}">${escapeHtml(text)}</b>`,
        );
        const json = inlineJson({ [text]: text });
        expect(json).not.toMatch(/[<>&\u2028\u2029]/);
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify({ [text]: text })));
      }),
    );
  });
});

describe('throughput', () => {
  const sample = (seconds: number, rowsRead: number): ProgressSample => ({
    seconds,
    counters: { rowsRead, bytesRead: rowsRead * 100 },
    objects: 1,
    bytesToRead: 1e9,
    listed: true,
  });

  it('is measured over stretches that are long enough', () => {
    const samples = Array.from({ length: 100 }, (_, at) => sample((at + 1) / 10, (at + 1) * 1_000));
    const { seconds, rowsPerSecond, megabytesPerSecond } = throughputOf(samples);
    expect(seconds).toEqual(Array.from({ length: 20 }, (_, at) => (at + 1) / 2));
    expect(new Set(rowsPerSecond)).toEqual(new Set([10_000]));
    expect(new Set(megabytesPerSecond)).toEqual(new Set([1]));
  });

  it('has a bounded number of points, and none without samples', () => {
    expect(throughputOf([]).seconds).toEqual([]);
    const samples = Array.from({ length: 36_000 }, (_, at) => sample((at + 1) / 10, at));
    expect(throughputOf(samples).seconds.length).toBeLessThanOrEqual(161);
  });

  it('gives the client no value that JSON cannot hold', () => {
    for (const make of Object.values(pages)) {
      const client = clientData(make());
      expect(JSON.parse(JSON.stringify(client))).toEqual(client);
    }
  });
});
