import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Case, Contender, Measured, MeasuredHere } from './contender.ts';

const COMPILED = path.join(import.meta.dirname, '..', '.data', 'compiled');
const PROCESS = new URL('./measured-process.ts', import.meta.url);

/** Of one contender, round by round. */
export type Rounds = ReadonlyMap<string, readonly Measured[]>;

/**
 * Measures every contender `rounds` times, each time in a fresh process, in turn: what else the machine does meets all of them.
 *
 * @throws Error a process failed, or did something else than what is measured
 */
export async function measureCase(
  { contenders }: Case,
  rounds: number,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<Rounds> {
  const measured = new Map<string, Measured[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      signal.throwIfAborted();
      progress(`round ${round} of ${rounds}: ${contender.name}`);
      const one = await measureOnce(contender, signal);
      checkCounts(contender, one);
      measured.get(contender.name)?.push(one);
    }
  }
  return measured;
}

async function measureOnce({ name, module, options }: Contender, signal: AbortSignal): Promise<Measured> {
  const child = fork(fileURLToPath(PROCESS), [module.href, JSON.stringify(options)], {
    execArgv: ['--conditions=sluice-source', '--disable-warning=ExperimentalWarning'],
    // As `sluice` has it, also in its threads: what was compiled once is there.
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
    // Results go to our standard output; what a contender says of its own goes beside the progress.
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  const stop = () => child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await told(name, child);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function told(name: string, child: ChildProcess): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const begunAt = performance.now();
    let measured: MeasuredHere | undefined;
    child.on('message', (message) => (measured = message as MeasuredHere));
    child.on('error', reject);
    child.on('exit', (code, by) => {
      if (measured !== undefined && code === 0)
        resolve({ ...measured, wholeWallMs: performance.now() - begunAt });
      else reject(new Error(`${name} ended ${by === null ? `with exit code ${code}` : `by ${by}`}`));
    });
  });
}

/** A contender that is fast because it leaves something out must not be compared. */
function checkCounts({ name, expected }: Contender, { counts }: Measured): void {
  for (const [what, wanted] of Object.entries(expected)) {
    if (counts[what] !== wanted)
      throw new Error(`${name}: ${what} are ${counts[what] ?? 'not told'}, and should be ${wanted}`);
  }
}
