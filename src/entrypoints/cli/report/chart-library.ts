import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Chart.js as one script that sets the global `Chart`, with its licence comment. Read only where a report is asked for.
 */
export async function readChartLibrary(): Promise<string> {
  // The package exports its modules only; the script for browsers lies beside them.
  const folder = dirname(createRequire(import.meta.url).resolve('chart.js'));
  const script = await readFile(join(folder, 'chart.umd.min.js'), 'utf8');
  // A browser's developer tools would look for the map next to the page.
  return script.replace(/^\/\/# sourceMappingURL=.*$/m, '').trim();
}
