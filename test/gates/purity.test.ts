import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { impurities } from './impurities.ts';

it('the domain uses no clock, no randomness, nothing of the machine', () => {
  expect(impurities(fileURLToPath(new URL('../../src/domain', import.meta.url)))).toEqual([]);
});

it('a planted use is found, and a pure one is not', () => {
  const bad = [
    'Date.now()',
    'new Date()',
    'Date()',
    '(() => { const D = Date; return new D(); })()',
    'Math.random()',
    'performance.now()',
    'process.env',
    'fetch("a")',
    'setTimeout(String, 1)',
    'globalThis',
    'crypto.randomUUID()',
    'console.log(1)',
    'new Intl.NumberFormat()',
    'new Date(0).getHours()',
    '(1).toLocaleString()',
    '"a".localeCompare("b")',
  ];
  const good = [
    'new Date(0)',
    'new Date("2019-01-01T00:00:00Z").getUTCHours()',
    'Math.max(1, 2)',
    '({ now: 1 }).now',
    '"Date.now()"',
  ];
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-purity-')));
  try {
    const lines = [...bad, ...good].map(
      (expression, index) => `export const x${index}: unknown = ${expression};`,
    );
    writeFileSync(join(folder, 'planted.ts'), lines.join('\n'));
    const found = new Set(impurities(folder).map((line) => Number(line.split(':')[1]) - 1));
    expect([...bad, ...good].filter((_, index) => found.has(index))).toEqual(bad);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
