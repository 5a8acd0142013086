import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** AWS's own runtime client, from a folder of its own: it is built natively and no part of the default install. */
export const runtimeClient = fileURLToPath(
  new URL('../lambda-runtime/node_modules/aws-lambda-ric/index.mjs', import.meta.url),
);

if (!existsSync(runtimeClient))
  throw new Error(
    'aws-lambda-ric is not installed: npm run test:servers:install (needs cmake, g++ and make)',
  );

/** A folder with an `index.mjs`, removed by `remove`. */
export async function bundleOf(source: string): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-function-'));
  await writeFile(join(folder, 'index.mjs'), source);
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
