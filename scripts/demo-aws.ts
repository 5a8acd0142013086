import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ResultStore } from '../src/domain/ports/result-store.ts';
import { buildPipeline } from '../src/entrypoints/cli/build/build-pipeline.ts';
import { formatBytes, formatCount, formatDuration } from '../src/entrypoints/cli/terminal/format.ts';
import { openResults } from '../test/servers/stack/results.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../test/servers/stack/stack.ts';

// `npm run demo:aws`: the flights through the deployed functions, on this machine. Needs redis-server, PostgreSQL and AWS's runtime
// client (`npm run test:servers:install`); everything listens on loopback, and nothing is left running.

const repository = fileURLToPath(new URL('..', import.meta.url));
const PIPELINE = 'examples/lane-performance.ts';
const FLIGHTS = 'node_modules/vega-datasets/data/flights-3m.parquet';
const KEY = 'flights/flights-3m.parquet';
const GENERATION = 'lane-performance@1';
/** Between two looks at how far the results are. */
const LOOK_MS = 5_000;

const begun = performance.now();
const say = (what: string, text: string) =>
  process.stdout.write(
    `${formatDuration((performance.now() - begun) / 1000).padStart(7)}  ${what.padEnd(10)} ${text}\n`,
  );

process.chdir(repository);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));
process.exitCode = await demonstrate(interrupted.signal);

async function demonstrate(signal: AbortSignal): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-demo-'));
  const log = createWriteStream(path.join(folder, 'functions.log'));
  let stack: Stack | undefined;
  let store: ResultStore | undefined;
  try {
    const build = path.join(folder, 'build');
    const { functions } = await buildPipeline(PIPELINE, build);
    const sizes = Object.entries(functions).map(([name, { bytes }]) => `${name} ${formatBytes(bytes)}`);
    say('build', sizes.join(', '));
    stack = await startStack({
      build,
      concurrency: 2,
      log: ({ functionName, line }) => void log.write(`${functionName} ${line}\n`),
    });
    store = await openResults(stack.peers.postgres.url);
    say('peers', 'S3 and SQS (fauxqs), Kinesis (kinesalite), Redis and PostgreSQL on loopback');
    const body = await readFile(FLIGHTS);
    await stack.put(KEY, body);
    say('put', `s3://${LAKE_BUCKET}/${KEY}, ${formatBytes(body.length)}`);
    const { run, tasks } = (await stack.twin.invoke('dispatch', {
      prefix: `s3://${LAKE_BUCKET}/flights/`,
    })) as {
      readonly run: string;
      readonly tasks: number;
    };
    say('dispatch', `run ${run}: ${tasks} tasks queued`);
    await follow(stack, store, signal);
    await stack.twin.invoke('analyze', { publish: true });
    for (const [name, counts] of Object.entries(stack.twin.counts()))
      if (counts.invocations > 0)
        say(
          name,
          `${counts.invocations} invocations, ${counts.coldStarts} cold starts, ${counts.errors} errors`,
        );
    process.stdout.write('\n');
    return await showResults(stack.peers.postgres.url);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
    process.stderr.write('stopped\n');
    return 130;
  } finally {
    await store?.close();
    await stack?.stop();
    log.end();
    await once(log, 'close');
    await rm(folder, { recursive: true, force: true });
    say('stopped', 'nothing is left running');
  }
}

/** Says how far the results are until nothing is on its way any more. */
async function follow({ twin }: Stack, store: ResultStore, signal: AbortSignal): Promise<void> {
  const look = async () => {
    for await (const object of store.objects({ generation: GENERATION }, signal)) {
      const { sectionsComplete, lastSection, applied } = object;
      const sections = lastSection === null ? '?' : String(lastSection + 1);
      say('applied', `${formatCount(applied)} flights, ${sectionsComplete} of ${sections} sections complete`);
    }
  };
  let looking = Promise.resolve();
  const timer = setInterval(() => void (looking = looking.then(look)), LOOK_MS);
  try {
    await twin.idle(signal);
  } finally {
    clearInterval(timer);
    await looking;
  }
  await look();
}

/** The table that `npm start` ends with, and the reconciliation, from the database. */
async function showResults(database: string): Promise<number> {
  const run = async (...args: readonly string[]): Promise<number> => {
    const child = spawn(process.execPath, ['bin/sluice.js', ...args, '--database'], {
      stdio: 'inherit',
      env: { ...process.env, SLUICE_DATABASE_URL: database },
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return code ?? 1;
  };
  const shown = await run('results', PIPELINE, '--top', '10', '--by', 'flights');
  process.stdout.write('\n');
  const reconciled = await run('reconcile');
  process.stdout.write('\n');
  return Math.max(shown, reconciled);
}
