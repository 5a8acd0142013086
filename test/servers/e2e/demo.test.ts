import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository } from '../../cli/harness.ts';

// That its results are right is for flights.test.ts, which runs the same flights through the same stack.

/** Processes that name a folder in their command or their environment. */
async function processesOf(folder: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== `${process.pid}`);
  const read = (file: string) => readFile(file, 'latin1').catch(() => '');
  const found = pids.map(async (pid) => {
    const command = await read(`/proc/${pid}/cmdline`);
    const text = command + (await read(`/proc/${pid}/environ`));
    return text.includes(folder) ? [`${pid} ${command.replaceAll('\0', ' ')}`] : [];
  });
  return (await Promise.all(found)).flat();
}

describe('npm run demo:aws', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-demo-test-'));
    // PostgreSQL runs as another user where the tests are root.
    await chmod(folder, 0o755);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('stopped in the middle leaves no process and no file', async () => {
    const child = spawn(process.execPath, ['--conditions=sluice-source', 'scripts/demo-aws.ts'], {
      cwd: repository,
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'close');
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await expect.poll(() => said, { timeout: 60_000 }).toMatch(/applied .*flights|Error/);
    expect((await processesOf(folder)).length).toBeGreaterThan(3);
    child.kill('SIGTERM');
    expect(await ended).toEqual([130, null]);
    expect(said).toContain('stopped');
    expect(await processesOf(folder)).toEqual([]);
    // What Node compiled is for the next time.
    expect((await readdir(folder)).filter((name) => name !== 'node-compile-cache')).toEqual([]);
  });
});
