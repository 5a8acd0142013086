/**
 * Plans a prefix of millions of small objects with the function `dispatch` as it is deployed: its own process, a real PostgreSQL on loopback, and a
 * server that speaks as much of S3 and SQS as it asks for. Each call of the function ends before its timeout and goes on by an order in its queue, as on
 * AWS. Then the same prefix is ordered again, once while nothing is done yet and once when everything is, and what was planned is reconciled.
 *
 *   node bench/dispatch-objects.ts [--objects 20000] [--timeout 900] [--latency 0] [--seed 1]
 *
 * `--timeout` is that of one call, in seconds; `--latency` is added to each answer of S3 and SQS, in milliseconds. The objects follow from the seed. Needs
 * PostgreSQL (Debian: `postgresql`).
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { migrate } from '../src/adapters/postgres/migrate.ts';
import { PgDatabase } from '../src/adapters/postgres/pg-database.ts';
import type { DispatchReply } from '../src/entrypoints/lambda/handle-dispatch.ts';
import { startPostgres } from '../test/servers/postgres-server.ts';
import { AwsServer, DISPATCH_QUEUE, TASK_QUEUE } from './dispatch-objects/aws-server.ts';
import { GENERATED_PREFIX, GeneratedLake } from './dispatch-objects/generated-lake.ts';
import type { Measured, Work } from './dispatch-objects/measured-process.ts';

const MIB = 1024 * 1024;
/** Of the kernel's count of CPU time. */
const TICK_MS = 10;

const { values } = parseArgs({
  options: {
    objects: { type: 'string', default: '20000' },
    timeout: { type: 'string', default: '900' },
    latency: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
  },
});
const objects = Number(values.objects);
const timeoutMs = Number(values.timeout) * 1_000;

/** A container of the function: what it reached its most with is its own. */
class Container {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  constructor(environment: Readonly<Record<string, string>>) {
    this.#child = fork(join(import.meta.dirname, 'dispatch-objects', 'measured-process.ts'), {
      env: { PATH: process.env['PATH'] ?? '', ...environment },
      // The log of the function is not looked at.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`the measured process ended with ${String(code)}`);
    });
    // Where nobody waits for anything of it, it may end.
    this.#ended.catch(() => undefined);
  }

  async do(work: Work): Promise<Measured> {
    this.#child.send(work);
    const [measured] = (await Promise.race([once(this.#child, 'message'), this.#ended])) as [Measured];
    if (measured.error !== undefined) throw new Error(measured.error);
    return measured;
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}

/** What the database did and holds. */
async function databaseFigures(client: pg.Client) {
  const { rows } = await client.query<{ bytes: string; transactions: string }>(
    `SELECT pg_database_size(current_database()) AS bytes, xact_commit AS transactions
     FROM pg_stat_database WHERE datname = current_database()`,
  );
  return { bytes: Number(rows[0]?.bytes), transactions: Number(rows[0]?.transactions) };
}

/** CPU time of the sessions that are open now, in milliseconds: others share the machine, and a slow minute is not theirs. */
async function databaseCpuMs(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice'",
  );
  const ticks = rows.map(({ pid }) => {
    // Behind the name of the program, which may hold anything: user and system time are fields 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, some) => sum + some, 0) * TICK_MS;
}

async function order(
  title: string,
  run: string,
  environment: Readonly<Record<string, string>>,
  aws: AwsServer,
  client: pg.Client,
): Promise<void> {
  console.log(`\n${title}`);
  aws.requests.clear();
  aws.tasks = 0;
  const before = await databaseFigures(client);
  const container = new Container(environment);
  const sums = { calls: 0, objects: 0, ms: 0, cpuMs: 0, longestMs: 0, peakBytes: 0 };
  let event: unknown = { prefix: `s3://lake/${GENERATED_PREFIX}`, run };
  for (;;) {
    const { result, ms, cpuMs, peakBytes } = await container.do({ kind: 'dispatch', event, timeoutMs });
    if ((result as { batchItemFailures?: unknown[] }).batchItemFailures?.length)
      throw new Error('a call gave its order back');
    sums.calls++;
    sums.ms += ms;
    sums.cpuMs += cpuMs;
    sums.longestMs = Math.max(sums.longestMs, ms);
    sums.peakBytes = Math.max(sums.peakBytes, peakBytes);
    const body = aws.orders.shift();
    console.log(
      `  call ${sums.calls}: ${(ms / 1_000).toFixed(1)} s, ${aws.tasks} tasks until now, ${(peakBytes / MIB).toFixed(0)} MiB at most`,
    );
    if (body === undefined) {
      const reply = result as Partial<DispatchReply>;
      if (sums.calls === 1 && reply.objects !== objects)
        throw new Error(`${reply.objects} objects were planned`);
      break;
    }
    event = {
      Records: [
        {
          messageId: `order-${sums.calls}`,
          body,
          eventSource: 'aws:sqs',
          eventSourceARN: `a:${DISPATCH_QUEUE}`,
        },
      ],
    };
  }
  const databaseMs = await databaseCpuMs(client);
  await container.stop();
  const after = await databaseFigures(client);
  const perObject = (many: number) => (many / objects).toFixed(3);
  console.log(
    `  ${objects} objects in ${(sums.ms / 1_000).toFixed(1)} s: ${((objects * 1_000) / sums.ms).toFixed(0)} objects/s`,
  );
  console.log(
    `  calls: ${sums.calls}, the longest ${(sums.longestMs / 1_000).toFixed(1)} s of ${timeoutMs / 1_000} s`,
  );
  for (const [name, spentMs] of [
    ['function', sums.cpuMs],
    ['database', databaseMs],
  ] as const)
    console.log(
      `  CPU of the ${name}: ${(spentMs / 1_000).toFixed(1)} s, ${((spentMs * 1_000) / objects).toFixed(0)} µs an object`,
    );
  console.log(`  peak memory of the function: ${(sums.peakBytes / MIB).toFixed(0)} MiB`);
  for (const [name, many] of [...aws.requests].sort(([a], [b]) => (a < b ? -1 : 1)))
    console.log(`  requests ${name}: ${many}, ${perObject(many)} an object`);
  console.log(`  tasks: ${aws.tasks}`);
  console.log(
    `  PostgreSQL: ${perObject(after.transactions - before.transactions)} transactions an object, ${(after.bytes / MIB).toFixed(0)} MiB, ${((after.bytes - before.bytes) / objects).toFixed(0)} bytes more an object`,
  );
}

async function reconcile(run: string, environment: Readonly<Record<string, string>>): Promise<void> {
  const container = new Container(environment);
  const { result, ms, peakBytes } = await container.do({ kind: 'reconcile', run });
  await container.stop();
  console.log(
    `\nreconcile ${run}: ${(ms / 1_000).toFixed(1)} s, ${((objects * 1_000) / ms).toFixed(0)} objects/s, ${(peakBytes / MIB).toFixed(0)} MiB at most: ${JSON.stringify(result)}`,
  );
}

const postgres = await startPostgres();
const client = new pg.Client(postgres.url);
const aws = await AwsServer.start(new GeneratedLake(objects, Number(values.seed)), Number(values.latency));
try {
  const database = new PgDatabase({ url: postgres.url });
  await migrate(database, {}, new AbortController().signal);
  await database.close();
  await client.connect();
  const environment = {
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
    AWS_ENDPOINT_URL_S3: aws.url,
    AWS_ENDPOINT_URL_SQS: aws.url,
    SLUICE_S3_PATH_STYLE: 'true',
    SLUICE_BUCKET: 'state',
    SLUICE_TASK_QUEUE_URL: `${aws.url}/0/${TASK_QUEUE}`,
    SLUICE_DISPATCH_QUEUE_URL: `${aws.url}/0/${DISPATCH_QUEUE}`,
    SLUICE_FAILURE_QUEUE_URL: `${aws.url}/0/failures`,
    SLUICE_DATABASE_URL: postgres.url.replace('sluice@', 'sluice:none@'),
  };
  await order('first order', 'first', environment, aws, client);
  await reconcile('first', environment);
  await order('second order, nothing is done yet', 'second', environment, aws, client);
  await client.query('UPDATE sluice.objects SET complete = true, last_section = 0, sections_complete = 1');
  await order('third order, everything is complete', 'third', environment, aws, client);
  await reconcile('third', environment);
} finally {
  await client.end();
  await aws.stop();
  await postgres.stop();
}
