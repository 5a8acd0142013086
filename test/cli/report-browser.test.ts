import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderReportPage } from '../../src/entrypoints/cli/report/page.ts';
import type { ReportPageData } from '../../src/entrypoints/cli/run-report.ts';
import { ChromiumPage, findChromium } from './chromium.ts';
import { emptyData, hostileData, realisticData, smallData } from './report-data.ts';

const executable = findChromium();
const missing =
  'Chromium is not installed, so the report page is not looked at in a browser: apt-get install chromium';

describe('the report page in a browser', () => {
  if (executable === undefined) saysThatItIsNotRun();
  else looksAtThePage(executable);
});

function saysThatItIsNotRun(): void {
  it('needs Chromium', ({ skip }) => {
    expect(process.env['CI'] ?? '', missing).toBe('');
    process.stderr.write(`\nNOT RUN: test/cli/report-browser.test.ts. ${missing}\n`);
    skip(missing);
  });
}

function looksAtThePage(chromium: string): void {
  let folder: string;
  let page: ChromiumPage;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-report-'));
    page = await ChromiumPage.open(chromium);
  });

  afterAll(async () => {
    await page?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function open(name: string, data: ReportPageData, width = 1_440): Promise<void> {
    const file = join(folder, `${name}.html`);
    await writeFile(file, await renderReportPage(data));
    await page.send('Emulation.setDeviceMetricsOverride', {
      width,
      height: 900,
      deviceScaleFactor: 1,
      mobile: false,
    });
    await page.send('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: 'light' }],
    });
    page.problems.length = 0;
    page.requested.length = 0;
    await page.goTo(pathToFileURL(file).href);
    // Charts fit themselves to the window in the next frames.
    await nextFrames();
  }

  function nextFrames(): Promise<unknown> {
    return page.evaluate(
      'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))',
    );
  }

  /** Painted pixels by canvas. */
  function painted(): Promise<unknown> {
    return page.evaluate(`Object.fromEntries([...document.querySelectorAll('canvas')].map((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let at = 3; at < data.length; at += 4) if (data[at] > 0) count++;
      return [canvas.id, count];
    }))`);
  }

  const texts = (selector: string) =>
    page.evaluate(
      `[...document.querySelectorAll(${JSON.stringify(selector)})].map((element) => element.textContent)`,
    );

  const fits = () => page.evaluate('document.documentElement.scrollWidth <= innerWidth');

  function expectQuiet(name: string): void {
    expect(page.problems).toEqual([]);
    for (const url of page.requested) expect(url).toMatch(/^(file|data):/);
    expect(page.requested.some((url) => url.endsWith(`${name}.html`))).toBe(true);
  }

  it.each([1_440, 390])('draws everything at a width of %i', async (width) => {
    await open('realistic', realisticData(), width);
    const counts = (await painted()) as Record<string, number>;
    expect(Object.keys(counts).sort()).toEqual(['bytes-chart', 'groups-chart', 'rows-chart']);
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(2_000);
    expect(await fits()).toBe(true);
    expect(await texts('#groups-status')).toEqual(['25 of 1,000 groups']);
    const widest = await page.evaluate(
      `Math.max(...[...document.querySelectorAll('canvas')].map((canvas) => canvas.getBoundingClientRect().right))`,
    );
    expect(widest).toBeLessThanOrEqual(width);
    expectQuiet('realistic');
  });

  it('sorts, searches and shows more groups', async () => {
    const data = realisticData();
    await open('sorting', data);
    const names = async () => (await texts('#groups-table tbody th')) as string[];
    const click = (text: string) =>
      page.evaluate(
        `[...document.querySelectorAll('#groups-table button')].find((button) => button.textContent === '${text}').click()`,
      );

    expect(await names()).toEqual(data.groups.slice(0, 25).map(({ group }) => group));
    await click('late');
    const byLate = data.groups.toSorted((a, b) => Number(b.measures['late']) - Number(a.measures['late']));
    expect((await names())[0]).toBe(byLate[0]!.group);
    expect(await texts('[aria-sort=descending]')).toEqual(['late']);
    await click('late');
    expect((await names())[0]).toBe(byLate.at(-1)!.group);
    await page.evaluate(`document.getElementById('groups-more').click()`);
    expect(await names()).toHaveLength(125);
    await page.evaluate(`{
      const search = document.getElementById('groups-search');
      search.value = ' atl-';
      search.dispatchEvent(new Event('input'));
    }`);
    const found = await names();
    expect(found.length).toBeGreaterThan(0);
    for (const name of found) expect(name).toContain('ATL-');
    expectQuiet('sorting');
  });

  it('draws the measure and the groups that the reader picks', async () => {
    await open('picking', realisticData());
    const drawn = () =>
      page.evaluate(`(() => {
        const { data } = Chart.getChart('groups-chart');
        return { labels: data.labels, datasets: data.datasets.length };
      })()`) as Promise<{ labels: string[]; datasets: number }>;
    const pick = (id: string, text: string) =>
      page.evaluate(`{
        const select = document.getElementById('${id}');
        select.value = [...select.options].find((option) => option.textContent.trim() === '${text}').value;
        select.dispatchEvent(new Event('change'));
      }`);
    expect(await drawn()).toMatchObject({ datasets: 4, labels: { length: 20 } });
    await pick('measure', 'lateShare');
    await pick('order', 'lateShare');
    await pick('amount', '10');
    const data = realisticData().groups;
    const byShare = data.toSorted(
      (a, b) => Number(b.measures['lateShare']) - Number(a.measures['lateShare']),
    );
    expect(await drawn()).toEqual({ datasets: 1, labels: byShare.slice(0, 10).map(({ group }) => group) });
    await pick('direction', 'lowest');
    expect((await drawn()).labels[0]).toBe(byShare.at(-1)!.group);
    expectQuiet('picking');
  });

  it('is dark where the reader likes it dark, and light on paper', async () => {
    await open('dark', realisticData());
    const look = () =>
      page.evaluate(
        `[getComputedStyle(document.body).backgroundColor, Chart.getChart('rows-chart').data.datasets[0].borderColor]`,
      );
    const light = await look();
    await page.send('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: 'dark' }],
    });
    await nextFrames();
    const dark = await look();
    expect(dark).not.toEqual(light);
    await page.evaluate(`dispatchEvent(new Event('beforeprint'))`);
    expect(await look()).toEqual(light);
    await page.evaluate(`dispatchEvent(new Event('afterprint'))`);
    expect(await look()).toEqual(dark);
    const { data } = await page.send('Page.printToPDF', {});
    expect(String(data).length).toBeGreaterThan(20_000);
    expectQuiet('dark');
  });

  it('shows hostile data and runs none of it', async () => {
    const data = hostileData();
    await open('hostile', data, 390);
    expect(await page.evaluate('document.title')).toContain('</script><script>');
    expect(await page.evaluate(`document.querySelectorAll('img, iframe, script:not(#data)').length`)).toBe(2);
    expect(
      await page.evaluate(
        `[...document.querySelectorAll('*')].every((element) => element.getAttributeNames().every((name) => !name.startsWith('on')))`,
      ),
    ).toBe(true);
    expect(await texts('#groups-table tbody th')).toHaveLength(data.groups.length);
    expect(((await painted()) as Record<string, number>)['groups-chart']).toBeGreaterThan(200);
    expect(await fits()).toBe(true);
    expect(await texts('section .verdict.bad')).toContain('✗ Not balanced');
    expectQuiet('hostile');
  });

  it('looks right where there is nothing to show', async () => {
    await open('empty', emptyData());
    expect(await painted()).toEqual({});
    expect(((await texts('.empty')) as string[]).map((text) => text.trim())).toHaveLength(5);
    expectQuiet('empty');
    await open('small', smallData());
    expect(Object.keys((await painted()) as object)).toEqual(['groups-chart']);
    expect(await texts('#groups-status')).toEqual(['1 of 1 groups']);
    expectQuiet('small');
  });
}
