import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import configuration from '../../.dependency-cruiser.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { forbidden, options } = configuration;

async function cruiseSource(baseDir: string): Promise<ICruiseResult> {
  const { output } = await cruise(['src'], {
    ...options,
    ruleSet: { forbidden: forbidden },
    validate: true,
    baseDir,
  });
  return output as ICruiseResult;
}

describe('the layers', () => {
  it('hold in the source, and all of it was read', async () => {
    const { summary, modules } = await cruiseSource(root);
    expect(summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`)).toEqual([]);
    const ours = modules.filter(({ source }) => source.startsWith('src/'));
    expect(ours.length).toBeGreaterThan(100);
    expect(ours.filter(({ dependencies }) => dependencies.length > 0).length).toBeGreaterThan(80);
  });
});

/** A file that breaks a rule, and one that does nearly the same and may. */
const planted: Readonly<
  Record<
    string,
    { readonly bad: readonly [path: string, text: string]; readonly good?: readonly [string, string] }
  >
> = {
  'domain-imports-only-itself': {
    bad: ['domain/bad.ts', `import { createHash } from 'node:crypto'; export const a = createHash;`],
    good: ['domain/good.ts', `import { d } from './d.ts'; export const a = d;`],
  },
  'application-imports-domain-and-itself': {
    bad: ['application/bad-layer.ts', `import { a } from '../adapters/one/a.ts'; export const b = a;`],
    good: ['application/good-layer.ts', `import { d } from '../domain/d.ts'; export const b = d;`],
  },
  'application-computes-only': {
    bad: ['application/bad-io.ts', `import { readFileSync } from 'node:fs'; export const b = readFileSync;`],
    good: ['application/good-io.ts', `import { gzipSync } from 'node:zlib'; export const b = gzipSync;`],
  },
  'no-other-provider': {
    bad: ['adapters/two/bad.ts', `import { a } from '../one/a.ts'; export const b = a;`],
    good: ['adapters/two/good.ts', `import { a } from '../shared.ts'; export const b = a;`],
  },
  'adapters-know-application-types-only': {
    bad: ['adapters/one/bad.ts', `import { d } from '../../application/d.ts'; export const b = d;`],
    good: ['adapters/one/good.ts', `import type { D } from '../../application/d.ts'; export const b: D = 1;`],
  },
  'entry-points-are-roots': {
    bad: [
      'adapters/one/bad-root.ts',
      `import { m } from '../../entrypoints/cli/main.ts'; export const b = m;`,
    ],
  },
  'no-other-entry-point': {
    bad: ['entrypoints/lambda/bad.ts', `import { m } from '../cli/main.ts'; export const b = m;`],
    good: ['entrypoints/lambda/good.ts', `import { s } from '../shared.ts'; export const b = s;`],
  },
  'testing-stays-out-of-production': {
    bad: ['adapters/one/bad-testing.ts', `import { t } from '../../testing/t.ts'; export const b = t;`],
  },
  'root-exports-no-adapter': { bad: ['index.ts', `export { a } from './adapters/one/a.ts';`] },
  'container-in-module-files': {
    bad: [
      'adapters/one/bad-container.ts',
      `import { Container } from 'inversify'; export const b = Container;`,
    ],
    good: [
      'adapters/one/module.ts',
      `import { ContainerModule } from 'inversify'; export const b = ContainerModule;`,
    ],
  },
  'library-hyparquet': {
    bad: [
      'application/bad-library.ts',
      `import { parquetMetadata } from 'hyparquet'; export const b = parquetMetadata;`,
    ],
    good: [
      'application/formats/parquet/good.ts',
      `import { parquetMetadata } from 'hyparquet'; export const b = parquetMetadata;`,
    ],
  },
  'no-circular': {
    bad: ['application/bad-circle.ts', `import { c } from './circle.ts'; export const b = (): unknown => c;`],
    good: [
      'application/good-circle.ts',
      `import type { C } from './circle-of-types.ts'; export type B = C | 1;`,
    ],
  },
  'no-orphans': { bad: ['domain/bad-orphan.ts', `export const a = 1;`] },
  'not-unreachable': {
    bad: ['domain/bad-unreachable.ts', `import { d } from './d.ts'; export const a = d;`],
  },
  'no-development-dependency': {
    bad: ['adapters/one/bad-dev.ts', `import { parse } from 'csv-parse'; export const b = parse;`],
  },
  resolves: {
    bad: ['adapters/one/bad-import.ts', `import { b } from 'there-is-no-such-package'; export const c = b;`],
  },
};

describe('a planted violation is found', () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-layers-')));
  const found = new Map<string, Set<string>>();

  beforeAll(async () => {
    const files: Record<string, string> = {
      'domain/d.ts': 'export const d = 1;',
      'application/d.ts': 'export const d = 1; export type D = number;',
      'application/circle.ts': `import { b } from './bad-circle.ts'; export const c = b;`,
      'application/circle-of-types.ts': `import type { B } from './good-circle.ts'; export type C = B[];`,
      'adapters/one/a.ts': 'export const a = 1;',
      'adapters/shared.ts': 'export const a = 1;',
      'entrypoints/cli/main.ts': 'export const m = 1;',
      'entrypoints/shared.ts': 'export const s = 1;',
      'testing/t.ts': 'export const t = 1;',
    };
    for (const { bad, good } of Object.values(planted)) {
      for (const [path, text] of good === undefined ? [bad] : [bad, good]) files[path] = text;
    }
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, 'src', path)), { recursive: true });
      writeFileSync(join(folder, 'src', path), text);
    }
    for (const shared of ['node_modules', 'tsconfig.json', 'package.json']) {
      symlinkSync(join(root, shared), join(folder, shared));
    }
    const { summary } = await cruiseSource(folder);
    for (const { rule, from, to } of summary.violations) {
      // What is not reachable is named by its place in the way, not where the way starts.
      for (const path of rule.name === 'not-unreachable' ? [from, to] : [from]) {
        found.set(rule.name, (found.get(rule.name) ?? new Set()).add(path));
      }
    }
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(Object.entries(planted))('of %s', (rule, { bad, good }) => {
    expect([...(found.get(rule) ?? [])]).toContain(`src/${bad[0]}`);
    if (good !== undefined) expect([...(found.get(rule) ?? [])]).not.toContain(`src/${good[0]}`);
  });

  it('of every rule there is', () => {
    const names = forbidden.map(({ name = '' }) => name);
    const oneLibraryStandsForAll = names.filter(
      (name) => !name.startsWith('library-') || name === 'library-hyparquet',
    );
    expect(oneLibraryStandsForAll.toSorted()).toEqual(Object.keys(planted).toSorted());
  });
});
