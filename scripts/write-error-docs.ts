import { readFileSync, writeFileSync } from 'node:fs';
import { errorDocs, withErrorTable } from './error-docs.ts';

const readme = new URL('../README.md', import.meta.url);

writeFileSync(new URL('../docs/errors.md', import.meta.url), errorDocs());
writeFileSync(readme, withErrorTable(readFileSync(readme, 'utf8')));
