import process from 'node:process';
import { audit } from './supply-chain/audit.ts';
import { publishedFolders, readManifest } from './supply-chain/lockfile.ts';

/** What `.ci/run` tells from a failure and from a success: the registry could not be asked. */
const NOT_CHECKED = 75;

let worst = 0;
for (const folder of publishedFolders) {
  const { name } = readManifest(folder);
  const found = await audit(folder);
  if (found.outcome === 'none') process.stdout.write(`${name}: no known vulnerability of high severity\n`);
  if (found.outcome === 'not checked') {
    process.stdout.write(`${name}: not checked: ${found.why}\n`);
    worst ||= NOT_CHECKED;
  }
  if (found.outcome === 'found') {
    process.stdout.write(`${name}: ${found.vulnerable.join(', ')}\n`);
    worst = 1;
  }
}
process.exitCode = worst;
