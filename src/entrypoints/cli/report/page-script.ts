import { drawGroups } from './client/draw-groups.ts';
import { drawThroughput } from './client/draw-throughput.ts';
import { createFormats } from './client/formats.ts';
import { createGroupsTable } from './client/groups-table.ts';
import { startPage, type PageParts } from './client/start-page.ts';

/**
 * The page's script: the source text of the functions in `client`, which know nothing but their parameters. So they
 * are typed and checked like everything else and need no bundler.
 */
export function pageScript(): string {
  const parts: PageParts = { createFormats, createGroupsTable, drawGroups, drawThroughput };
  const sources = Object.entries(parts).map(([name, part]) => `${name}: ${sourceOf(part)}`);
  return `(${sourceOf(startPage)})(globalThis, Chart, {\n${sources.join(',\n')}\n});`;
}

/** Types leave blanks behind where they stood. */
function sourceOf(part: Function): string {
  return String(part).replace(/[ \t]+$/gm, '');
}
