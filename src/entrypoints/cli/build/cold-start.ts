import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const TRIES = 5;

/** What Node spends before it looks at a bundle is not counted: that is the runtime's. */
const LOAD = `
const begun = process.hrtime.bigint();
await import(process.argv[1]);
process.stdout.write(String(Number(process.hrtime.bigint() - begun) / 1e6));
process.exit(0);
`;

/**
 * How long a bundle takes to load, in milliseconds on this machine: the median of some fresh processes. It is the part of
 * a cold start that the code decides.
 */
export async function measureColdStart(file: string): Promise<number> {
  const times: number[] = [];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const { stdout } = await run(process.execPath, [
      '--input-type=module',
      '--eval',
      LOAD,
      pathToFileURL(file).href,
    ]);
    times.push(Number(stdout));
  }
  return times.sort((a, b) => a - b)[Math.floor(TRIES / 2)] as number;
}
