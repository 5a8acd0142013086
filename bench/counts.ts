/**
 * `npm run bench:counts`: what transforming a small, seeded lake takes, in counts that do not depend on the machine: bytes read, ranged reads, sections, frames
 * and their bytes, bytes of objects allocated. Compares them with what was accepted; `--accept` accepts.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { changedWork, HOW_TO_ACCEPT } from './counts/compare.ts';
import { countWork, type CountedWork } from './counts/counted-work.ts';
import { repositoryFile } from './harness/places.ts';

const USAGE = `npm run bench:counts -- [options]

  --accept  what was counted is right from now on: writes test/work/counts.json
  --help
`;

const { values } = parseArgs({
  options: { accept: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit();
}
const file = repositoryFile('test/work/counts.json');
const now = await countWork();
if (values.accept) await writeFile(file, `${JSON.stringify(now, null, 2)}\n`);
console.table(now);
const changes = changedWork(JSON.parse(await readFile(file, 'utf8')) as CountedWork, now);
if (changes.length > 0) {
  console.log([...changes, HOW_TO_ACCEPT].join('\n'));
  process.exitCode = 1;
}
