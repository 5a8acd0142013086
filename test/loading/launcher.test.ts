import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };

/** Runs the launcher; `before` is code that runs in its process first. */
function launch(
  before: string,
  ...args: string[]
): { status: number | null; stdout: string; stderr: string } {
  const preload = `data:text/javascript,${encodeURIComponent(before)}`;
  return spawnSync(process.execPath, ['--import', preload, `${root}bin/sluice.js`, ...args], {
    encoding: 'utf8',
  });
}

it('runs the sources of the repository', () => {
  expect(launch('', '--version')).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
});

it.each(['20.20.2', '22.17.1', '18.0.0'])('refuses Node %s and says what to do', (old) => {
  const { status, stdout, stderr } = launch(
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${old}' } });`,
    '--version',
  );
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^sluice needs Node 22\.18 or later; .*\nInstall a newer Node/);
});

it('is quiet about features that Sluice chose, and about nothing else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-launcher-'));
  try {
    // A package.json that says nothing of modules, and a pipeline that is none.
    writeFileSync(join(folder, 'package.json'), '{}');
    writeFileSync(
      join(folder, 'noisy.ts'),
      `import 'node:sqlite';
       process.emitWarning('Something Else is an experimental feature', 'ExperimentalWarning');
       process.emitWarning('old', { type: 'DeprecationWarning', code: 'DEP0000' });
       await new Promise(setImmediate);
       export default 1;`,
    );
    const { status, stderr } = launch('', 'run', join(folder, 'noisy.ts'), folder);
    expect(status).toBe(1);
    expect(stderr).toContain('its default export is of type number');
    expect(stderr).toContain('Something Else is an experimental feature');
    expect(stderr).toContain('[DEP0000] DeprecationWarning: old');
    expect(stderr).not.toMatch(/SQLite|MODULE_TYPELESS/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
