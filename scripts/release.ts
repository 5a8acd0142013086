import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs, promisify } from 'node:util';
import { audit } from './supply-chain/audit.ts';
import { licenceDocs, licenceProblems } from './supply-chain/licences.ts';
import {
  lockedFolders,
  lockfileProblems,
  publishedFolders,
  readLockfile,
  readManifest,
  root,
} from './supply-chain/lockfile.ts';
import { sbomOf } from './supply-chain/sbom.ts';

const run = promisify(execFile);

/** Makes what is published: tarballs, a bill of materials for each, and their digests. Refuses where the supply chain is not in order. */
async function release(): Promise<void> {
  const { values } = parseArgs({
    options: { out: { type: 'string', default: 'release' }, unaudited: { type: 'boolean', default: false } },
  });
  const problems = [...inFiles(), ...(await inRegistry(values.unaudited))];
  if (problems.length > 0)
    throw new Error(`nothing is released:\n${problems.map((problem) => `  ${problem}\n`).join('')}`);
  const out = resolve(root, values.out);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const files: string[] = [];
  for (const folder of publishedFolders) files.push(await pack(folder, out), await describe(folder, out));
  const sums = files.map((file) => `${sha256(join(out, file))}  ${file}\n`).join('');
  writeFileSync(join(out, 'SHA256SUMS'), sums);
  process.stdout.write(sums);
}

function inFiles(): string[] {
  const current = readFileSync(join(root, 'docs/licences.md'), 'utf8') === licenceDocs(publishedFolders);
  return [
    ...lockedFolders.flatMap((folder) =>
      lockfileProblems(readLockfile(folder), readManifest(folder)).map((problem) => `${folder}: ${problem}`),
    ),
    ...publishedFolders.flatMap((folder) =>
      licenceProblems(readLockfile(folder)).map((problem) => `${folder}: ${problem}`),
    ),
    ...(current ? [] : ['docs/licences.md is out of date: npm run licences']),
    ...publishedFolders
      .filter((folder) => !existsSync(join(root, folder, 'node_modules')))
      .map((folder) => `${folder} is not installed: npm ci --prefix ${folder}`),
  ];
}

async function inRegistry(unaudited: boolean): Promise<string[]> {
  const problems: string[] = [];
  for (const folder of publishedFolders) {
    const found = await audit(folder);
    if (found.outcome === 'found') problems.push(`${folder}: vulnerable: ${found.vulnerable.join(', ')}`);
    if (found.outcome !== 'not checked') continue;
    if (unaudited) process.stderr.write(`${folder}: vulnerabilities are NOT CHECKED: ${found.why}\n`);
    else
      problems.push(
        `${folder}: vulnerabilities are not checked (${found.why}); --unaudited releases all the same`,
      );
  }
  return problems;
}

/** @returns the name of the tarball */
async function pack(folder: string, out: string): Promise<string> {
  await run('npm', ['run', 'build'], { cwd: join(root, folder) });
  const options = ['--json', '--ignore-scripts', '--pack-destination', out];
  const { stdout } = await run('npm', ['pack', ...options], { cwd: join(root, folder) });
  const [tarball] = JSON.parse(stdout) as [{ filename: string }];
  return tarball.filename;
}

/** @returns the name of the bill of materials */
async function describe(folder: string, out: string): Promise<string> {
  const manifest = readManifest(folder);
  const { name, version } = manifest;
  const file = `${name}-${version}.cdx.json`;
  writeFileSync(
    join(out, file),
    `${JSON.stringify(await sbomOf(readLockfile(folder), manifest), null, 2)}\n`,
  );
  return file;
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

try {
  await release();
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
