import { readFileSync } from 'node:fs';

/** The version of the Sluice that is running. `src` and `dist` lie equally deep, so one path serves both. */
export function sluiceVersion(): string {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
