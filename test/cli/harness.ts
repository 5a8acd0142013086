import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import type { RunReport } from '../../src/entrypoints/cli/run-report.ts';

export const repository = fileURLToPath(new URL('../..', import.meta.url));
export const executable = join(repository, 'bin/sluice.js');

/** What a process left behind. */
export interface Ended {
  /** `null` where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `sluice` that is under way. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it said on stderr so far. */
  stderr(): string;
}

export interface StartOptions {
  readonly input?: string | Uint8Array;
  readonly keepInput?: true;
  /** Default: the test's folder. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A script for `sh` that starts it, as `"$@"`. */
  readonly shell?: string;
}

/** A folder for one test, outside any package; `dispose` ends what still runs in it and removes it. */
export class Scratch implements AsyncDisposable {
  readonly folder: string;
  readonly #running = new Set<Running>();

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), 'sluice-cli-')));
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  write(name: string, content: string | Uint8Array): Promise<void> {
    return writeFile(this.path(name), content);
  }

  /** Starts `sluice`. Its standard input stays open where `keepInput` is set; else it gets `input` and ends. */
  start(args: readonly string[], options: StartOptions = {}): Running {
    const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, VITEST: _vitest, ...env } = process.env;
    const command = [process.execPath, executable, ...args];
    const [file = '', ...rest] =
      options.shell === undefined ? command : ['sh', '-c', options.shell, 'sh', ...command];
    const child = spawn(file, rest, {
      cwd: options.cwd ?? this.folder,
      env: { ...env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    // A process that ends without reading its input is no fault of the test.
    child.stdin.on('error', () => undefined);
    if (options.keepInput !== true) child.stdin.end(options.input ?? '');
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    const running: Running = { child, ended, stderr: () => stderr };
    this.#running.add(running);
    void ended.then(
      () => this.#running.delete(running),
      () => this.#running.delete(running),
    );
    return running;
  }

  /** Runs `sluice` to its end. */
  sluice(...args: string[]): Promise<Ended> {
    return this.start(args).ended;
  }

  /** `sluice run … --json`, which must print one JSON object and nothing else on standard output. */
  async run(...args: string[]): Promise<{ report: RunReport; code: number | null; stderr: string }> {
    const { code, stdout, stderr } = await this.sluice('run', ...args, '--json');
    return { report: oneJson<RunReport>(stdout, stderr), code, stderr };
  }

  /** `sluice … --json` of the other commands. */
  async json<Answer = Record<string, unknown>>(
    ...args: string[]
  ): Promise<{ answer: Answer; code: number | null }> {
    const { code, stdout, stderr } = await this.sluice(...args, '--json');
    return { answer: oneJson<Answer>(stdout, stderr), code };
  }

  /** The readable results of a generation, as any SQLite tool sees them. */
  results(generation: string, out = 'sluice-out'): Results {
    return readResults(this.path(out), generation);
  }

  /** The first number that a query of the results file gives. */
  count(sql: string, out = 'sluice-out'): number {
    return Number(this.text(sql, out));
  }

  /** The first value that a query of the results file gives, as text. */
  text(sql: string, out = 'sluice-out'): string {
    return inResults(this.path(out), (database) =>
      String(Object.values(database.prepare(sql).get() ?? {})[0]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#running) child.kill('SIGKILL');
    await Promise.allSettled([...this.#running].map(({ ended }) => ended));
    await rm(this.folder, { recursive: true, force: true });
  }
}

export type Results = Record<string, Record<string, unknown>>;

export function readResults(out: string, generation: string): Results {
  return inResults(out, (database) => {
    const rows = database
      .prepare('SELECT "group", measures FROM results WHERE generation = ? ORDER BY "group"')
      .all(generation) as { group: string; measures: string }[];
    return Object.fromEntries(
      rows.map(({ group, measures }) => [group, JSON.parse(measures) as Record<string, unknown>]),
    );
  });
}

function inResults<Answer>(out: string, read: (database: DatabaseSync) => Answer): Answer {
  const database = new DatabaseSync(join(out, 'results.sqlite'), { readOnly: true, timeout: 10_000 });
  try {
    return read(database);
  } finally {
    database.close();
  }
}

/** @throws where it is not one JSON object on one line */
export function oneJson<Answer>(stdout: string, stderr: string): Answer {
  const lines = stdout.split('\n');
  if (lines.length !== 2 || lines[1] !== '')
    throw new Error(`not one line on standard output: ${JSON.stringify(stdout)}\n${stderr}`);
  return JSON.parse(lines[0] as string) as Answer;
}

/** Waits until `holds`, looking again whenever a moment has passed; the processes that it waits for are real. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string,
  ms = 20_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
