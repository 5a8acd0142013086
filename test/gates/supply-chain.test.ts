import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { audit, auditOf } from '../../scripts/supply-chain/audit.ts';
import { isAllowedLicence, licenceDocs, licenceProblems } from '../../scripts/supply-chain/licences.ts';
import {
  lockedFolders,
  lockfileProblems,
  nameOf,
  productionPackages,
  publishedFolders,
  readLockfile,
  readManifest,
  root,
  type LockedPackage,
  type Lockfile,
} from '../../scripts/supply-chain/lockfile.ts';
import { sbomOf } from '../../scripts/supply-chain/sbom.ts';

describe('lockfiles', () => {
  it.each(lockedFolders)(
    'of %s name the registry, digests and scripts that are allowed, and nothing else',
    (folder) => {
      expect(lockfileProblems(readLockfile(folder), readManifest(folder))).toEqual([]);
      // A name of a host or a path would be that of somebody's machine.
      const text = readFileSync(join(root, folder, 'package-lock.json'), 'utf8');
      expect(text).not.toMatch(/"resolved"|file:|git\+|localhost|127\.0\.0\.1/);
    },
  );

  const integrity = 'sha512-x';
  const planted = (path: string, locked: LockedPackage): Lockfile => ({
    lockfileVersion: 3,
    packages: {
      '': { dependencies: { a: '^1.0.0' } },
      'node_modules/a': { version: '1.0.0', integrity },
      [path]: locked,
    },
  });
  const manifest = {
    name: 'x',
    version: '1.0.0',
    dependencies: { a: '^1.0.0' },
    allowScripts: { named: true, 'not-run': false },
  };
  const problems = (path: string, locked: LockedPackage) => lockfileProblems(planted(path, locked), manifest);

  it.each<[what: string, path: string, locked: LockedPackage, said: RegExp]>([
    [
      'a package without a digest',
      'node_modules/b',
      { version: '1.0.0' },
      /node_modules\/b has no integrity/,
    ],
    ['a weak digest', 'node_modules/b', { integrity: 'sha1-x' }, /SHA-1/],
    [
      'a source in git',
      'node_modules/b',
      { integrity, resolved: 'git+ssh://git@host/b.git#1' },
      /comes from git/,
    ],
    [
      'a registry that is named',
      'node_modules/b',
      { integrity, resolved: 'https://registry/b.tgz' },
      /comes from https/,
    ],
    ['a folder', 'node_modules/b', { integrity, link: true }, /is a link/],
    [
      'a dependency from git',
      'node_modules/b',
      { integrity, dependencies: { c: 'github:o/c' } },
      /takes c from github:o\/c/,
    ],
    [
      'a dependency by short name of git',
      'node_modules/b',
      { integrity, dependencies: { c: 'o/c' } },
      /takes c from/,
    ],
    [
      'a dependency by address',
      'node_modules/b',
      { integrity, optionalDependencies: { c: 'http://x/c.tgz' } },
      /takes c from/,
    ],
    ['a dependency in a folder', '', { dependencies: { a: 'file:../a' } }, /package\.json takes a from file/],
    [
      'another declaration than package.json',
      '',
      { dependencies: { a: '^2.0.0' } },
      /dependencies are others/,
    ],
    [
      'an install script that nobody named',
      'node_modules/b',
      { integrity, hasInstallScript: true },
      /does not name b/,
    ],
    [
      'one under an alias',
      'node_modules/named',
      { name: '@s/b', integrity, hasInstallScript: true },
      /does not name @s\/b/,
    ],
    [
      'one deep inside',
      'node_modules/a/node_modules/@s/b',
      { integrity, hasInstallScript: true },
      /does not name @s\/b/,
    ],
    ['what only says that it is bundled', 'node_modules/b', { inBundle: true }, /has no integrity/],
  ])('refuse %s', (_what, path, locked, said) => {
    expect(problems(path, locked).join('\n')).toMatch(said);
  });

  it.each<[what: string, path: string, locked: LockedPackage]>([
    ['a script that is named', 'node_modules/named', { integrity, hasInstallScript: true }],
    ['a script that is named and refused', 'node_modules/not-run', { integrity, hasInstallScript: true }],
    ['what lies in the tarball of another', 'node_modules/a/node_modules/b', { inBundle: true }],
    [
      'an alias and ranges',
      'node_modules/b',
      { integrity, dependencies: { c: 'npm:@s/c@^1.2.3 || >=2 <3', d: '*', e: '1.x - 2' } },
    ],
  ])('take %s', (_what, path, locked) => {
    expect(problems(path, locked)).toEqual([]);
  });
});

describe('install scripts', () => {
  it.each([
    ['that nobody named fails the install, and does not run', {}, false],
    ['that is named runs', { 'file:planted': true }, true],
  ])('a package with one %s', (_what, allowScripts, runs) => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-scripts-'));
    try {
      copyFileSync(join(root, '.npmrc'), join(folder, '.npmrc'));
      mkdirSync(join(folder, 'planted'));
      const ran = join(folder, 'ran');
      const script = `node -e "require('fs').writeFileSync(${JSON.stringify(ran).replaceAll('"', "'")}, '')"`;
      const write = (file: string, value: object) => writeFileSync(join(folder, file), JSON.stringify(value));
      write('planted/package.json', { name: 'planted', version: '1.0.0', scripts: { postinstall: script } });
      write('package.json', {
        name: 'x',
        version: '1.0.0',
        dependencies: { planted: 'file:planted' },
        allowScripts,
      });
      // What npm hands to the scripts that it runs would count for more than the file.
      const env = Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !/^npm_config_(strict_)?allow_/.test(name)),
      );
      const { status, stderr } = spawnSync('npm', ['install', '--offline'], {
        cwd: folder,
        env,
        encoding: 'utf8',
      });
      expect(existsSync(ran)).toBe(runs);
      expect(status === 0, stderr).toBe(runs);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it.each(lockedFolders)('of %s are strict, and nothing comes from git', (folder) => {
    const settings = readFileSync(join(root, folder, '.npmrc'), 'utf8').split('\n');
    expect(settings).toEqual(expect.arrayContaining(['strict-allow-scripts=true', 'allow-git=none']));
  });
});

describe('licences', () => {
  it.each(publishedFolders)('of what comes with %s ask for no more than their notice', (folder) => {
    expect(licenceProblems(readLockfile(folder))).toEqual([]);
  });

  it('are listed: docs/licences.md is what `npm run licences` writes', () => {
    expect(readFileSync(join(root, 'docs/licences.md'), 'utf8')).toBe(licenceDocs(publishedFolders));
  });

  it('are those that the packages themselves declare', () => {
    const compared = productionPackages(readLockfile('.')).flatMap(([path, { license, version }]) => {
      const file = join(root, path, 'package.json');
      if (!existsSync(file)) return [];
      const declared = JSON.parse(readFileSync(file, 'utf8')) as { license?: string; version?: string };
      return [[path, license, version, declared.license, declared.version]];
    });
    expect(compared.length).toBeGreaterThan(50);
    for (const [path, license, version, declared, installed] of compared)
      expect([path, declared, installed]).toEqual([path, license, version]);
  });

  it.each([
    ['MIT', true],
    ['(MIT OR GPL-3.0-or-later)', true],
    ['MIT AND ISC', true],
    ['GPL-3.0-only', false],
    ['MIT AND GPL-3.0-only', false],
    ['(MIT AND GPL-2.0-only) OR GPL-3.0-only', false],
    ['MPL-2.0', false],
    ['SEE LICENSE IN LICENSE', false],
    ['UNLICENSED', false],
    [undefined, false],
  ])('%s: %s', (licence, allowed) => {
    expect(isAllowedLicence(licence)).toBe(allowed);
    const locked = { version: '1.0.0', ...(licence === undefined ? {} : { license: licence }) };
    const of = (own: LockedPackage) =>
      licenceProblems({ lockfileVersion: 3, packages: { '': own, 'node_modules/b': locked } });
    expect(of({ dependencies: { b: '1' } })).toHaveLength(allowed ? 0 : 1);
    expect(of({ optionalDependencies: { b: '1' } })).toHaveLength(allowed ? 0 : 1);
    // What only developers install is not passed on.
    expect(of({ devDependencies: { b: '1' } })).toEqual([]);
  });
});

describe('vulnerabilities', () => {
  /** What a registry tells of a package: the versions that are locked. npm asks for those that depend on what is vulnerable. */
  function packument(name: string): object {
    const locked = Object.entries(readLockfile('.').packages).filter(([path]) => path.endsWith(`/${name}`));
    const versions = locked.map(([, { version, dependencies }]) => [
      version,
      { name, version, dependencies },
    ]);
    return {
      name,
      'dist-tags': { latest: versions[0]?.[0] },
      versions: Object.fromEntries(versions) as object,
    };
  }

  /** A registry that knows of one vulnerability, of a package that everybody gets. */
  async function withRegistry<T>(severity: string | null, work: (flags: string[]) => Promise<T>): Promise<T> {
    const vulnerable = 'pino';
    const server = createServer((request, response) => {
      request.resume();
      if (severity === null) return void response.writeHead(405).end();
      const advisory = {
        id: 1,
        url: 'https://example.org/1',
        title: 'planted',
        severity,
        vulnerable_versions: '<9999',
        cwe: [],
        cvss: { score: 9, vectorString: null },
      };
      const answer =
        request.method === 'POST'
          ? { [vulnerable]: [advisory] }
          : packument(decodeURIComponent(request.url?.slice(1) ?? ''));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const cache = mkdtempSync(join(tmpdir(), 'sluice-audit-'));
    try {
      const { port } = server.address() as AddressInfo;
      return await work([`--registry=http://127.0.0.1:${port}/`, `--cache=${cache}`, '--fetch-retries=0']);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(cache, { recursive: true, force: true });
    }
  }

  it('of high severity are found', async () => {
    const found = await withRegistry('high', (flags) => audit('.', flags));
    expect(found).toEqual({ outcome: 'found', vulnerable: ['pino * (high)'] });
  }, 60_000);

  it('of low severity let it pass', async () => {
    expect(await withRegistry('low', (flags) => audit('.', flags))).toEqual({ outcome: 'none' });
  }, 60_000);

  it('are not checked where the registry does not answer, which is no pass', async () => {
    expect(await withRegistry(null, (flags) => audit('.', flags))).toMatchObject({ outcome: 'not checked' });
    for (const said of ['', 'not JSON', '{}', '{"error":{"summary":"no"}}'])
      expect(auditOf(said)).toMatchObject({ outcome: 'not checked' });
  }, 60_000);
});

describe('the bill of materials', () => {
  it.each(publishedFolders)(
    'of %s names what comes with it, and nothing else',
    async (folder) => {
      const [lockfile, manifest] = [readLockfile(folder), readManifest(folder)];
      const { bomFormat, metadata, components } = await sbomOf(lockfile, manifest);
      expect(bomFormat).toBe('CycloneDX');
      expect(metadata.component).toMatchObject({ name: manifest.name, version: manifest.version });
      const production = productionPackages(lockfile).map(
        ([path, locked]) => `${nameOf(path, locked)}@${locked.version}`,
      );
      expect(production.length).toBeGreaterThan(30);
      expect(new Set(components.map(({ name, version }) => `${name}@${version}`))).toEqual(
        new Set(production),
      );
      expect(JSON.stringify(components)).not.toMatch(/localhost|127\.0\.0\.1|file:/);
    },
    60_000,
  );

  it('is of the packages that npm itself does not take for a developer’s', () => {
    const { packages } = readLockfile('.');
    const marked = packages as Record<string, LockedPackage & { dev?: true; devOptional?: true }>;
    const others = Object.keys(packages).filter(
      (path) => path !== '' && marked[path]?.dev !== true && marked[path]?.devOptional !== true,
    );
    expect(productionPackages(readLockfile('.')).map(([path]) => path)).toEqual(others.toSorted());
  });
});
