import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Script } from 'node:vm';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as sources from '../../src/index.ts';

interface Manifest {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-package-')));
const installed = join(folder, 'node_modules', 'sluice');
let packed: readonly string[] = [];
let manifest: Manifest;

/** npm tells the scripts that it runs about themselves, and how this repository installs; what they start is none of that. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle)_|^npm_config_(strict_)?allow_/.test(name),
  ),
);

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

beforeAll(async () => {
  await run('npm', ['run', 'build'], { cwd: root, env });
  const options = ['--ignore-scripts', '--json', '--pack-destination', folder];
  const [tarball] = JSON.parse((await run('npm', ['pack', ...options], { cwd: root, env })).stdout) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = tarball.files.map(({ path }) => path);
  write('package.json', '{ "private": true }');
  const quick = ['--prefer-offline', '--no-audit', '--no-fund'];
  await run('npm', ['install', ...quick, join(folder, tarball.filename)], { cwd: folder, env });
  manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;

  write(
    'parcels.ts',
    `import { count, definePipeline, sum } from 'sluice';
     export default definePipeline({
       name: 'parcels', version: 1,
       source: { columns: { lane: 'string', kilos: 'number' } },
       transform: (row) => ({ lane: row.lane ?? 'unknown', kilos: row.kilos }),
       analyze: {
         groupBy: (message) => message.lane,
         measures: { parcels: count(), kilos: sum((message: { kilos: number | null }) => message.kilos) },
       },
     });`,
  );
  mkdirSync(join(folder, 'lake'));
  write('lake/parcels.csv', 'lane,kilos\nFRA-JFK,1.5\nFRA-JFK,2.5\nHKG-LEJ,10\n');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the package', () => {
  it('holds what users need and no sources', () => {
    const unexpected = packed.filter(
      (path) =>
        !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md|bin\/sluice\.js|docs\/.+|examples\/.+\.ts|dist\/.+\.(js|d\.ts))$/.test(
          path,
        ),
    );
    expect(unexpected).toEqual([]);
    expect(packed).toEqual(
      expect.arrayContaining(['README.md', 'LICENSE', 'CHANGELOG.md', 'bin/sluice.js', 'dist/index.js']),
    );
  });

  it('has a file behind every export and command', () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string'
        ? [target]
        : Object.entries(target).flatMap(([condition, path]) =>
            condition === 'sluice-source' ? [] : [path],
          ),
    );
    const missing = [...targets, ...Object.values(manifest.bin)].filter(
      (path) => !existsSync(join(installed, path)),
    );
    expect(missing).toEqual([]);
  });

  it('imports what it declares, and declares nothing else', () => {
    const imported = new Set<string>();
    const types = new Set<string>();
    for (const path of readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(js|ts)$/.test(path)) continue;
      const text = readFileSync(join(installed, 'dist', path), 'utf8');
      // A package of which a file is read, not imported.
      for (const [, name] of text.matchAll(/\)\.resolve\("([^"'./][^"'/]*)/g)) imported.add(name!);
      const { importedFiles } = ts.preProcessFile(text, true, true);
      for (const { fileName } of importedFiles) {
        if (/^(\.|node:)/.test(fileName)) continue;
        const name = fileName.split('/', fileName.startsWith('@') ? 2 : 1).join('/');
        (path.endsWith('.d.ts') ? types : imported).add(name);
      }
    }
    // Looked for where a pipeline is deployed from; who only runs pipelines installs neither.
    for (const name of ['sluice-infra', 'aws-cdk']) expect(imported.delete(name), name).toBe(true);
    const declared = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies ?? {})];
    expect([...imported].toSorted()).toEqual(declared.toSorted());
    expect([...types].filter((name) => !declared.includes(name))).toEqual([]);
  });

  it('exports what the sources export', async () => {
    const { stdout } = await run(
      process.execPath,
      ['--input-type=module', '-e', `console.log(JSON.stringify(Object.keys(await import('sluice'))))`],
      { cwd: folder },
    );
    expect((JSON.parse(stdout) as string[]).toSorted()).toEqual(Object.keys(sources).toSorted());
  });
});

describe('installed into an empty folder', () => {
  it('runs a pipeline, and applies nothing the second time', async () => {
    const command = ['sluice', 'run', 'parcels.ts', 'lake', '--json'];
    const first = await run('npx', command, { cwd: folder, env });
    expect(JSON.parse(first.stdout)).toMatchObject({
      pipeline: 'parcels',
      objects: 1,
      rowsRead: 3,
      messages: 3,
      duplicates: 0,
      failed: { total: 0 },
      groups: 2,
      complete: true,
    });
    const second = await run('npx', command, { cwd: folder, env });
    expect(JSON.parse(second.stdout)).toMatchObject({ applied: 0, groups: 2, complete: true });
  });

  it('writes a report whose scripts a browser can read', async () => {
    await run(
      'npx',
      ['sluice', 'run', 'parcels.ts', 'lake', '--report', 'report.html', '--out', 'reported'],
      {
        cwd: folder,
        env,
      },
    );
    const page = readFileSync(join(folder, 'report.html'), 'utf8');
    const scripts = [...page.matchAll(/<script>(.*?)<\/script>/gs)].map(([, script]) => script!);
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts) expect(() => new Script(script)).not.toThrow();
    expect(page).toContain('HKG-LEJ');
  });

  it('infers the types of rows, messages and measures', async () => {
    write(
      'types.ts',
      `import { count, countIf, definePipeline } from 'sluice';
       export default definePipeline({
         name: 'types', version: 1,
         source: { columns: { lane: 'string', kilos: 'number' } },
         transform: (row) => {
           // @ts-expect-error a column that is not read
           const missing = row.missing;
           return { lane: row.lane, heavy: (row.kilos ?? 0) > 10, missing };
         },
         partitionBy: (message) => String(message.lane),
         analyze: {
           // @ts-expect-error a field that transform does not return
           groupBy: (message) => message.kilos,
           measures: { parcels: count(), heavy: countIf((message: { heavy: boolean }) => message.heavy) },
           findings: (group, measures) =>
             measures.heavy / measures.parcels > 0.5 ? { kind: 'heavy', message: group } : null,
         },
       });`,
    );
    const options = {
      compilerOptions: {
        strict: true,
        target: 'es2024',
        module: 'nodenext',
        noEmit: true,
        typeRoots: [join(root, 'node_modules/@types')],
        types: ['node'],
      },
      files: ['parcels.ts', 'types.ts'],
    };
    write('tsconfig.json', JSON.stringify(options));
    const tsc = join(root, 'node_modules/.bin/tsc');
    const { stdout } = await run(tsc, ['-p', '.'], { cwd: folder }).catch(
      (error: unknown) => error as { stdout: string },
    );
    expect(stdout).toBe('');
  });
});
