/**
 * Cold starts of the functions as they are: processes of AWS's runtime client with the bundles of a pipeline, from the start of the process until the client asks
 * for its first event (what Lambda reports as init) and until the first event is answered.
 *
 *   node bench/cold-start.ts [--pipeline examples/lane-performance.ts] [--starts 15]
 *
 * Beside them stand the same functions without the parts that can be left out, and one that does nothing: what Node and the client take. They start in turn, so that
 * whatever else the machine does meets all of them. Prints median and fastest, in milliseconds. Needs `npm run test:servers:install`. Not in it: the download of a
 * bundle, and connections, since the first event asks for nothing.
 */
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildPipeline } from '../src/entrypoints/cli/build/build-pipeline.ts';
import { firstEnvironment, firstEvents, firstReply } from '../src/entrypoints/cli/build/first-call.ts';
import { optionalParts } from '../src/entrypoints/cli/build/left-out.ts';
import { functionNames, type FunctionName } from '../src/entrypoints/cli/build/manifest.ts';
import { ExecutionEnvironment } from '../src/testing/lambda/index.ts';
import { runtimeClient } from '../test/servers/lambda/runtime-client.ts';

const USAGE = `node bench/cold-start.ts [options]

  --pipeline <file>  whose functions (default examples/lane-performance.ts)
  --starts <n>       of each function, in turn (default 15)
  --help
`;

const { values } = parseArgs({
  options: {
    pipeline: { type: 'string', default: 'examples/lane-performance.ts' },
    starts: { type: 'string', default: '15' },
    help: { type: 'boolean', default: false },
  },
});
const starts = Number(values.starts);
if (values.help || !Number.isInteger(starts) || starts < 1) {
  (values.help ? process.stdout : process.stderr).write(USAGE);
  process.exit(values.help ? 0 : 2);
}

interface Started {
  readonly says: string;
  readonly name: FunctionName;
  readonly folder: string;
  readonly init: number[];
  readonly reply: number[];
}

const scratch = await mkdtemp(path.join(tmpdir(), 'sluice-cold-start-'));
try {
  const all = [await nothing(), ...(await built('', [])), ...(await built(', of the least', optionalParts))];
  for (let start = 0; start < starts; start++) for (const each of all) await startOnce(each);
  process.stdout.write(`${''.padEnd(26)}bundle kB   init: median fastest   first reply: median fastest\n`);
  for (const { says, folder, init, reply } of all) {
    const { size } = await stat(path.join(folder, 'index.mjs'));
    const columns = [`${Math.round(size / 1000)}`.padStart(9), ...shown(init, 15), ...shown(reply, 22)];
    process.stdout.write(`${says.padEnd(26)}${columns.join('')}\n`);
  }
} finally {
  await rm(scratch, { recursive: true, force: true });
}

async function nothing(): Promise<Started> {
  const folder = path.join(scratch, 'nothing');
  await mkdir(folder);
  const reply = JSON.stringify(firstReply);
  await writeFile(path.join(folder, 'index.mjs'), `export const handler = async () => (${reply});\n`);
  return { says: 'a function of nothing', name: 'dispatch', folder, init: [], reply: [] };
}

async function built(without: string, unneeded: typeof optionalParts | readonly []): Promise<Started[]> {
  const folder = path.join(scratch, `build${without}`);
  await buildPipeline(values.pipeline, folder, { unneeded: () => unneeded });
  return functionNames.map((name) => ({
    says: `${name}${without}`,
    name,
    folder: path.join(folder, name),
    init: [],
    reply: [],
  }));
}

async function startOnce({ name, folder, init, reply }: Started): Promise<void> {
  const begun = performance.now();
  const environment = await ExecutionEnvironment.start(
    { name, folder, runtimeClient, environment: firstEnvironment, memoryMb: 1024 },
    () => {},
  );
  try {
    init.push(performance.now() - begun);
    const answer = await environment.invoke(JSON.stringify(firstEvents[name]));
    reply.push(performance.now() - begun);
    if (answer !== JSON.stringify(firstReply)) throw new Error(`${name} replied ${answer}`);
  } finally {
    await environment.stop();
  }
}

function shown(times: readonly number[], width: number): readonly string[] {
  const sorted = times.toSorted((a, b) => a - b);
  const [median, fastest] = [sorted[Math.floor(sorted.length / 2)], sorted[0]] as const;
  return [`${Math.round(median ?? 0)}`.padStart(width), `${Math.round(fastest ?? 0)}`.padStart(8)];
}
