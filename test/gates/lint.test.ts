import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

function lint(text: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-lint-'));
  try {
    copyFileSync(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
    writeFileSync(
      join(folder, 'tsconfig.json'),
      '{"compilerOptions":{"strict":true,"target":"es2024","module":"nodenext"}}',
    );
    writeFileSync(join(folder, 'planted.ts'), text);
    // Beside the `oxlint` that npm links lies `tsgolint`, which knows the types.
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [join(root, 'node_modules/oxlint/bin/oxlint'), '--format=unix'],
      {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}` },
      },
    );
    expect(stderr).toBe('');
    return [...stdout.matchAll(/\[Error\/[a-z]+\(([a-z-]+)\)\]/g)].map((match) => match[1]!);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const work = 'export function work(): Promise<number> { return Promise.resolve(1); }\n';

it.each([
  ['no-floating-promises', 'export function go(): void { work(); }'],
  ['no-misused-promises', 'export function go(): void { [1].forEach(async () => { await work(); }); }'],
  ['await-thenable', 'export async function go(): Promise<number> { return await 1; }'],
  ['no-explicit-any', 'export function go(a: any): unknown { return a; }'],
  ['no-console', 'export function go(): void { console.log(1); }'],
  ['no-throw-literal', 'export function go(): void { throw "a"; }'],
  ['eqeqeq', 'export function go(a: number): boolean { return a == 1; }'],
])('a planted violation of %s fails the lint', (rule, text) => {
  expect(lint(work + text)).toContain(rule);
});

it('the same without a violation passes', () => {
  expect(lint(`${work}export async function go(): Promise<number> { return (await work()) + 1; }`)).toEqual(
    [],
  );
});
