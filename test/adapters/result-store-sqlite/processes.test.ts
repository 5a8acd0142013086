import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteResultStore } from '../../../src/adapters/local/sqlite/result-store.ts';
import { addCounters, doAll, seen } from './work.ts';

const KILLS = 20;
const worker = join(import.meta.dirname, 'worker.ts');

let folder: string;
let path: string;
let children: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-processes-'));
  path = join(folder, 'results.db');
  children = [];
});

afterEach(async () => {
  for (const child of children)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

function start(): ChildProcess {
  const child = spawn(process.execPath, [worker, path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(folder, 'cache') },
  });
  children.push(child);
  return child;
}

/** Exit code, and how many frames it applied. */
async function ended(child: ChildProcess): Promise<{ code: number | null; applied: number; errors: string }> {
  let [applied, errors] = [0, ''];
  child.stdout?.on('data', (bytes: Buffer) => (applied += bytes.length));
  child.stderr?.on('data', (bytes: Buffer) => (errors += bytes.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, applied, errors };
}

async function readAll(file = path): Promise<unknown> {
  const store = await openSqliteResultStore(file, { mergeStates: addCounters });
  try {
    return await seen(store);
  } finally {
    await store.close();
  }
}

function checkIntegrity(): unknown {
  const database = new DatabaseSync(path);
  try {
    return database.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
  } finally {
    database.close();
  }
}

async function cleanRun(): Promise<unknown> {
  const clean = join(folder, 'clean.db');
  const store = await openSqliteResultStore(clean, { mergeStates: addCounters });
  await doAll(store);
  await store.close();
  return readAll(clean);
}

// Every child is a process that starts anew: a machine that is busy needs its time.
describe('a results file and processes', { timeout: 120_000 }, () => {
  it(`is the same after ${KILLS} kills at random moments as after one clean run`, async () => {
    const lengths = fc.sample(fc.nat(9), KILLS);
    let killed = 0;
    for (const frames of lengths) {
      const child = start();
      // After its next frames at the earliest; where it is by then, only the machine knows.
      let applied = 0;
      if (frames === 0) child.kill('SIGKILL');
      child.stdout?.on('data', (bytes: Buffer) => {
        applied += bytes.length;
        if (applied >= frames) child.kill('SIGKILL');
      });
      const { code } = await ended(child);
      if (code === null) killed += 1;
      if (existsSync(path)) expect(checkIntegrity()).toBe('ok');
    }
    expect(killed).toBeGreaterThan(0);
    const { code, errors } = await ended(start());
    expect(code === 0 ? 0 : errors).toBe(0);
    expect(await readAll()).toEqual(await cleanRun());
  });

  it('is right with three processes at once that all do all of the work', async () => {
    const results = await Promise.all([start(), start(), start()].map(ended));
    expect(results.map(({ code, errors }) => (code === 0 ? 0 : errors))).toEqual([0, 0, 0]);
    expect(results.reduce((sum, { applied }) => sum + applied, 0)).toBe(12 * 3 * 3);
    expect(await readAll()).toEqual(await cleanRun());
  });
});
