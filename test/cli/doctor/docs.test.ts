import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../../', import.meta.url);
const doctor = new URL('src/entrypoints/cli/doctor/', root);

describe('docs/deploy.md', () => {
  it('has every code of doctor, and no other', () => {
    const sources = ['logs.ts', ...readdirSync(new URL('checks/', doctor)).map((name) => `checks/${name}`)];
    const codesIn = (text: string) => new Set(text.match(/\b[DL]_[A-Z_]+\b/g));
    const inCode = codesIn(sources.map((name) => readFileSync(new URL(name, doctor), 'utf8')).join('\n'));
    expect(codesIn(readFileSync(new URL('docs/deploy.md', root), 'utf8'))).toEqual(inCode);
    expect(inCode.size).toBeGreaterThan(20);
  });
});
