import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SendMessageBatchCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { readResults } from '../../../src/application/results/read-results.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { reconcileKeyed, reconcileObject } from '../../../src/domain/reconcile.ts';
import { buildPipeline } from '../../../src/entrypoints/cli/build/build-pipeline.ts';
import type { FunctionLog, WireFault } from '../../../src/testing/lambda/index.ts';
import { openResults } from '../stack/results.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../stack/stack.ts';
import pipeline from './parcels-pipeline.ts';
import {
  countRefused,
  csvOf,
  jsonLinesOf,
  measureStretches,
  parcels,
  type StretchMeasures,
} from './parcels.ts';
import { Trouble, type TroubleDone, type TroublePlan } from './trouble.ts';

export interface ChaosOptions extends TroublePlan {
  readonly seed: number;
  readonly rows: number;
  /** How many objects the rows lie in. */
  readonly objects: number;
  /** From elsewhere; a part of them is sent twice. */
  readonly messages: number;
  /** Gives up after so long. */
  readonly timeoutMs: number;
  readonly say?: (line: string) => void;
  /** Gets what the functions write. */
  readonly log?: FunctionLog;
}

export interface ChaosReport {
  readonly trouble: TroubleDone;
  /** Faults that struck calls of S3, SQS and Kinesis, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** How often the lake had to be dispatched again until nothing was missing. */
  readonly redispatched: number;
  /** Rows and messages that counted too few times, and too many times. */
  readonly lost: number;
  readonly duplicated: number;
  /** What else is not as it has to be, in words. */
  readonly objections: readonly string[];
}

const PIPELINE = fileURLToPath(new URL('parcels-pipeline.ts', import.meta.url));
const GENERATION = 'parcels@1';
const PREFIX = 'parcels/';
/** Ids of messages begin here: far from those of rows. */
const FIRST_MESSAGE = 10_000_000;
/** Every so many-th message is sent twice. */
const SENT_TWICE = 7;
/** So many objects of the lake are there before anything is killed; the others arrive while functions are. */
const HEAD_START = 4;
/** Nothing ran for so long: more may arrive. */
const QUIET_MS = 2_000;
const MAX_DISPATCHES = 10;

/** A bad day: something goes wrong with every tenth call or so, in every way that there is. */
const faults: readonly WireFault[] = [
  { kind: 'reject', on: 'PutRecords', rate: 0.2, entries: 0.3 },
  { kind: 'reorder', on: 'PutRecords', rate: 0.1 },
  { kind: 'throttle', on: 'PutRecords', rate: 0.05 },
  { kind: 'error', on: 'PutRecords', rate: 0.02, status: 503 },
  { kind: 'lost-answer', on: 'PutRecords', rate: 0.05 },
  { kind: 'duplicate', on: 'PutRecords', rate: 0.05 },
  { kind: 'reset', on: 'PutRecords', rate: 0.02 },
  { kind: 'truncate', on: 'PutRecords', rate: 0.02 },
  { kind: 'reject', on: 'SendMessageBatch', rate: 0.2, entries: 0.5 },
  { kind: 'throttle', on: 'SendMessageBatch', rate: 0.05 },
  { kind: 'lost-answer', on: 'SendMessageBatch', rate: 0.1 },
  { kind: 'error', on: 'SendMessageBatch', rate: 0.1, status: 503 },
  { kind: 'error', on: 'GetObject', rate: 0.05, status: 503 },
  { kind: 'throttle', on: 'GetObject', rate: 0.05 },
  { kind: 'truncate', on: 'GetObject', rate: 0.05 },
  { kind: 'reset', on: 'GetObject', rate: 0.05 },
  { kind: 'lost-answer', on: 'GetObject', rate: 0.02 },
  { kind: 'throttle', on: 'HeadObject', rate: 0.05 },
  { kind: 'error', on: 'ListObjectsV2', rate: 0.2, status: 503 },
];

/**
 * Objects and messages come to a deployed pipeline while its functions are killed, Redis and PostgreSQL go down, and calls fail. Afterwards
 * everything is left in peace, what is missing is dispatched again, and what the results say is compared with plain loops.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, timeoutMs, log } = options;
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-chaos-'));
  let stack: Stack | undefined;
  let store: ResultStore | undefined;
  try {
    await buildPipeline(PIPELINE, folder);
    stack = await startStack({
      build: folder,
      faults,
      seed,
      concurrency: 2,
      memoryMb: 512,
      ...(log === undefined ? {} : { log }),
    });
    const signal = AbortSignal.timeout(timeoutMs);
    const trouble = await endureTrouble(stack, options, signal);
    store = await openResults(stack.peers.postgres.url);
    const redispatched = await completeLake(stack, store, options, signal);
    return {
      trouble,
      faults: faultsThatStruck(stack),
      redispatched,
      ...(await judge(store, options, signal)),
    };
  } finally {
    await store?.close();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves when all has arrived, the trouble is over, and nothing is under way any more. */
async function endureTrouble(stack: Stack, options: ChaosOptions, signal: AbortSignal): Promise<TroubleDone> {
  const trouble = new Trouble(stack, options, options.seed);
  const arriving = letArrive(stack, trouble, options, signal);
  const [done] = await Promise.all([trouble.run(signal), arriving]);
  options.say?.('the trouble is over');
  await stack.twin.idle(signal);
  return done;
}

/** Objects and messages arrive in step with the trouble, so that there is something to do until its end. */
async function letArrive(
  stack: Stack,
  trouble: Trouble,
  { objects, rows, messages, say }: ChaosOptions,
  signal: AbortSignal,
): Promise<void> {
  const share = (whole: number, at: number) => Math.floor((whole * at) / objects);
  for (let at = 0; at < objects; at++) {
    await untilDue(trouble, (at - HEAD_START) / objects, signal);
    await putObject(stack, at, share(rows, at), share(rows, at + 1));
    await sendMessages(stack, FIRST_MESSAGE + share(messages, at), FIRST_MESSAGE + share(messages, at + 1));
    if (at % 10 === 9)
      say?.(`${at + 1} of ${objects} objects, ${Math.round(100 * trouble.progress)} % of the kills`);
  }
  trouble.allArrived();
}

async function untilDue(trouble: Trouble, progress: number, signal: AbortSignal): Promise<void> {
  let quietSince = performance.now();
  while (trouble.progress < progress) {
    if (trouble.running > 0) quietSince = performance.now();
    if (performance.now() - quietSince > QUIET_MS) return;
    await sleep(20, undefined, { signal });
  }
}

/** CSV and JSON Lines in turn; EventBridge tells of it. */
async function putObject({ put, peers }: Stack, at: number, from: number, to: number): Promise<void> {
  const rows = parcels(from, to);
  const [format, text] = at % 2 === 0 ? ['csv', csvOf(rows)] : ['jsonl', jsonLinesOf(rows)];
  const key = `${PREFIX}yyyy=2026/mm=${`${1 + (at % 12)}`.padStart(2, '0')}/${at}.${format}`;
  await put(key, Buffer.from(text));
  await peers.sqs.send(
    new SendMessageCommand({
      QueueUrl: peers.queues.dispatch,
      MessageBody: JSON.stringify({
        version: '0',
        'detail-type': 'Object Created',
        source: 'aws.s3',
        detail: { bucket: { name: LAKE_BUCKET }, object: { key } },
      }),
    }),
  );
}

async function sendMessages({ peers }: Stack, from: number, to: number): Promise<void> {
  const twice = parcels(from, to).filter(({ id }) => id % SENT_TWICE === 0);
  const all = [...parcels(from, to), ...twice];
  for (let at = 0; at < all.length; at += 10)
    await peers.sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: peers.queues.messages,
        Entries: all
          .slice(at, at + 10)
          .map((message, index) => ({ Id: `${index}`, MessageBody: JSON.stringify(message) })),
      }),
    );
}

/**
 * Dispatches the lake as a schedule does, until nothing is missing.
 *
 * @returns how often
 */
async function completeLake(
  { twin }: Stack,
  store: ResultStore,
  { objects, say }: ChaosOptions,
  signal: AbortSignal,
): Promise<number> {
  for (let dispatches = 0; ; dispatches++) {
    const known = await Array.fromAsync(store.objects({ generation: GENERATION }, signal));
    const complete = known.filter((object) => object.complete).length;
    say?.(`${complete} of ${objects} objects are complete`);
    if (complete === objects || dispatches === MAX_DISPATCHES) return dispatches;
    await twin.invoke('dispatch', { prefix: `s3://${LAKE_BUCKET}/${PREFIX}` });
    await twin.idle(signal);
  }
}

function faultsThatStruck({ peers }: Stack): Readonly<Record<string, number>> {
  const struck: Record<string, number> = {};
  for (const { fault } of peers.proxies.flatMap((proxy) => proxy.struck))
    struck[fault.kind] = (struck[fault.kind] ?? 0) + 1;
  return struck;
}

async function judge(
  store: ResultStore,
  { rows, objects, messages }: ChaosOptions,
  signal: AbortSignal,
): Promise<Pick<ChaosReport, 'lost' | 'duplicated' | 'objections'>> {
  const objections: string[] = [];
  const hold = (what: string, found: unknown, expected: unknown) => {
    if (JSON.stringify(found) !== JSON.stringify(expected))
      objections.push(`${what}: ${JSON.stringify(found)} and not ${JSON.stringify(expected)}`);
  };
  const known = await Array.fromAsync(store.objects({ generation: GENERATION }, signal));
  hold('complete objects', known.filter((object) => object.complete).length, objects);
  hold(
    'rows of objects',
    known.reduce((sum, object) => sum + object.rows, 0),
    rows,
  );
  for (const object of known)
    hold(`reconciliation of ${object.object.key}`, reconcileObject(object).balances, true);

  const lastMessage = FIRST_MESSAGE + messages;
  const sources = await store.keyedSources(GENERATION, signal);
  hold(
    'messages from elsewhere',
    sources.map((source) => source.rows),
    [messages],
  );
  for (const source of sources)
    hold(`reconciliation of ${source.source}`, reconcileKeyed(source).balances, true);
  hold('open failures', await store.countOpenFailures({ generation: GENERATION }, signal), {
    E_NO_SUCH_PARCEL: countRefused(0, rows) + countRefused(FIRST_MESSAGE, lastMessage),
  });

  const expected = new Map<string, StretchMeasures>();
  measureStretches(expected, 0, rows);
  measureStretches(expected, FIRST_MESSAGE, lastMessage);
  let lost = 0;
  let duplicated = 0;
  const { measures } = pipeline.analyze;
  for await (const result of readResults(store, GENERATION, pipeline, measures, signal)) {
    const found = result.measures as unknown as StretchMeasures;
    const due = expected.get(result.group);
    expected.delete(result.group);
    const surplus = found.parcels - (due?.parcels ?? 0);
    if (surplus > 0) duplicated += surplus;
    else lost -= surplus;
    hold(result.group, found, due);
  }
  for (const [group, due] of expected) {
    lost += due.parcels;
    hold(group, undefined, due);
  }
  return { lost, duplicated, objections };
}
