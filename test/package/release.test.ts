import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { readManifest, root } from '../../scripts/supply-chain/lockfile.ts';
import type { Sbom } from '../../scripts/supply-chain/sbom.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'sluice-release-'));
const out = join(folder, 'out');

/** A registry that nobody answers for. */
const env = { ...process.env, npm_config_registry: 'http://127.0.0.1:1/', npm_config_fetch_retries: '0' };

const release = (...flags: string[]) =>
  run(process.execPath, [join(root, 'scripts/release.ts'), '--out', out, ...flags], { cwd: root, env });

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('npm run release', () => {
  it('releases nothing that could not be audited', async () => {
    await expect(release()).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/nothing is released:\n.*vulnerabilities are not checked/) as string,
    });
    expect(existsSync(out)).toBe(false);
  });

  it('makes tarballs, what is in them, and their digests; told to, also what is not audited, and says so', async () => {
    const { stdout, stderr } = await release('--unaudited');
    expect(stderr).toContain('NOT CHECKED');
    const { version } = readManifest('.');
    const names = ['sluice', 'sluice-infra'].map((name) => `${name}-${version}`);
    const files = names.flatMap((name) => [`${name}.tgz`, `${name}.cdx.json`]);
    const sums = files.map((file) => {
      const digest = createHash('sha256')
        .update(readFileSync(join(out, file)))
        .digest('hex');
      return `${digest}  ${file}\n`;
    });
    expect(stdout).toBe(sums.join(''));
    expect(readFileSync(join(out, 'SHA256SUMS'), 'utf8')).toBe(stdout);
    const sbom = JSON.parse(readFileSync(join(out, `sluice-${version}.cdx.json`), 'utf8')) as Sbom;
    expect(sbom.metadata.component).toMatchObject({ name: 'sluice', version });
    const direct = Object.keys(readManifest('.').dependencies ?? {});
    expect(sbom.components.map(({ name }) => name)).toEqual(expect.arrayContaining(direct));
  });
});
