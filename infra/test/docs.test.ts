import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parameters } from '../src/app-parameters.ts';

const text = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8');

describe('docs/deploy.md', () => {
  it('has every parameter, as the app says it, and no other', () => {
    const table = text.slice(text.indexOf('## Parameters'), text.indexOf('## The construct'));
    const rows = [...table.matchAll(/^\| `(\w+)` +\| (.*?) *\|$/gm)].map(([, name, says]) => [name, says]);
    expect(Object.fromEntries(rows)).toEqual(parameters);
  });
});
