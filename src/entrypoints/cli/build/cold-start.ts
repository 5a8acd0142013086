import { execFile } from 'node:child_process';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { DomainError, messageOf } from '../../../domain/errors.ts';
import { firstEnvironment, firstEvents, firstReply } from './first-call.ts';
import type { FunctionName } from './manifest.ts';

const run = promisify(execFile);

const TRIES = 5;

/** `performance.now()` counts from the start of the process. Whatever else the pipeline writes, the last line is this. */
const CALL = `
const [file, event] = process.argv.slice(1);
const { handler } = await import(file);
const loaded = performance.now();
const context = { awsRequestId: 'first', getRemainingTimeInMillis: () => 30_000 };
const reply = await handler(JSON.parse(event), context);
const replied = performance.now();
process.stdout.write('\\n' + JSON.stringify({ loaded, replied, reply }), () => process.exit(0));
`;

/** In milliseconds from the start of a process of Node. */
export interface ColdStart {
  /** Until the bundle is loaded: what Lambda counts as the init of a function, but for its own client. */
  readonly loaded: number;
  /** Until the first event is answered: settings are read and clients made by then; no connection, since nothing is asked for. */
  readonly replied: number;
}

/**
 * How long a bundle takes from nothing to its first reply on this machine: the median of some fresh processes.
 *
 * @throws DomainError `E_PIPELINE_INVALID` where the function does not start
 */
export async function measureColdStart(name: FunctionName, file: string): Promise<ColdStart> {
  const times: ColdStart[] = [];
  for (let attempt = 0; attempt < TRIES; attempt++) times.push(await startOnce(name, file));
  return { loaded: median(times, 'loaded'), replied: median(times, 'replied') };
}

async function startOnce(name: FunctionName, file: string): Promise<ColdStart> {
  const event = JSON.stringify(firstEvents[name]);
  const args = ['--input-type=module', '--eval', CALL, pathToFileURL(file).href, event];
  try {
    const { stdout } = await run(process.execPath, args, { env: { ...ownVariables(), ...firstEnvironment } });
    const { loaded, replied, reply } = JSON.parse(stdout.split('\n').at(-1) as string) as ColdStart & {
      readonly reply: unknown;
    };
    if (JSON.stringify(reply) !== JSON.stringify(firstReply))
      throw new Error(`it replied ${JSON.stringify(reply)}`);
    return { loaded, replied };
  } catch (thrown) {
    throw new DomainError(`the function ${name} does not start: ${messageOf(thrown)}`, {
      code: 'E_PIPELINE_INVALID',
      cause: thrown,
    });
  }
}

/** The pipeline's code may read variables of its own; those of AWS and Sluice are of another place, and what Node has compiled before is not there on Lambda. */
function ownVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(AWS_|SLUICE_|NODE_COMPILE_CACHE$)/.test(name)),
  );
}

function median(times: readonly ColdStart[], of: keyof ColdStart): number {
  return times.map((time) => time[of]).sort((a, b) => a - b)[Math.floor(TRIES / 2)] as number;
}
