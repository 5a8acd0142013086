import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { errorDocs, withErrorTable } from '../../scripts/error-docs.ts';
import { errorCatalogue } from '../../src/domain/error-codes.ts';

it('docs/errors.md is what `npm run docs` writes', () => {
  expect(readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')).toBe(errorDocs());
});

it('the table of codes in README.md is what `npm run docs` writes', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  expect(readme).toBe(withErrorTable(readme));
});

it('every code has a row with its meaning and its remedy', () => {
  const rows = new Map(
    errorDocs()
      .split('\n')
      .filter((line) => line.startsWith('| `E_'))
      .map((line) => line.split(' | '))
      .map(([code = '', , , meaning, remedy]) => [
        code.slice(3, -1),
        { meaning, remedy: remedy?.slice(0, -2) },
      ]),
  );
  const expected = Object.entries(errorCatalogue).map(([code, { meaning, remedy }]) => [
    code,
    { meaning, remedy },
  ]);
  expect([...rows]).toEqual(expected);
});
