import { redrive, type RedrivePorts, type RedriveSummary } from '../../application/reprocess/redrive.ts';
import { DomainError, InfrastructureError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { RoutedFailure } from '../../domain/ports/error-router.ts';
import type { FailureRecord, ResultStore } from '../../domain/ports/result-store.ts';
import type { TaskQueue } from '../../domain/ports/task-queue.ts';
import { isRedrivenUnasked } from '../../domain/routing.ts';
import type { Task } from '../../domain/section.ts';
import {
  isObject,
  parseJson,
  sqsRecordsOf,
  type LambdaHandler,
  type PartialResponse,
  type SqsRecord,
} from './events.ts';
import { createFunction, type Surroundings } from './handler.ts';
import { putPlaceAgain, undeliveredIn, type PutAgainPorts } from './handle-undelivered.ts';
import type { Invocation } from './invocation.ts';
import { Pace, sharesOf } from './pace.ts';
import { sqsResponse } from './partial-response.ts';
import { parseRedriveCall, type RedriveCall } from './redrive-call.ts';
import { beginRun, dailyRun } from './runs.ts';
import { StepTimes } from './step-times.ts';
import { takeMessages } from './take-messages.ts';
import { isUndeliveredCall, parseUndeliveredCall } from './undelivered-call.ts';

/** What the container has; clock, log and counters are an invocation's. */
export interface ReprocessFunctionPorts
  extends Omit<RedrivePorts, 'clock' | 'log' | 'metrics'>, PutAgainPorts {
  readonly store: ResultStore;
  readonly tasks: TaskQueue;
  readonly letters: DeadLetters;
}

/** What lies in the queues of what failed. */
export interface DeadLetters {
  /** What a body says, fetched where it was too large to travel. */
  read(body: string, signal: AbortSignal): Promise<string>;
  /** @throws DomainError `E_EVENT` where it is no failure */
  failure(text: string): RoutedFailure;
  /** @throws DomainError `E_TASK_INVALID` */
  task(text: string, signal: AbortSignal): Promise<Task>;
}

/** What a direct call is told. */
export interface RedriveReply {
  readonly run: string;
  /** Failures that were processed again: what became of each shows once its frame is applied. */
  readonly redriven: number;
  readonly notRedrivable: { readonly total: number; readonly examples: RedriveSummary['notRedrivable'] };
  /** Whether time ran out: the same call again goes on, what was settled is not open any more. */
  readonly more: boolean;
}

/** Failures that are redriven together at most. */
const BATCH = 500;
const EXAMPLES = 20;

/** `reprocess` as a function: sends what failed, and only that, back to where it failed. */
export function reprocessFunction(
  pipeline: AnyPipeline,
  build: string,
  surroundings: Surroundings,
  start: () => Promise<ReprocessFunctionPorts>,
): LambdaHandler {
  const batches = new StepTimes();
  const objects = new StepTimes();
  return createFunction({
    name: 'reprocess',
    surroundings,
    start,
    handle: async (event, invocation, ports) => {
      const call = { pipeline, build, clock: surroundings.clock, batches, objects, invocation, ports };
      const records = sqsRecordsOf(event);
      if (records !== null) return queueEvent(records, call);
      if (isUndeliveredCall(event)) return putPlaceAgain(parseUndeliveredCall(event, pipeline), call);
      const again = await undeliveredIn(event, call);
      return again ?? redriveSelected(parseRedriveCall(event, pipeline), call);
    },
  });
}

interface ReprocessCall {
  readonly pipeline: AnyPipeline;
  readonly build: string;
  readonly clock: Surroundings['clock'];
  /** How long it took lately to redrive a batch. */
  readonly batches: StepTimes;
  /** How long it took lately to put an object of undelivered records again. */
  readonly objects: StepTimes;
  readonly invocation: Invocation;
  readonly ports: ReprocessFunctionPorts;
}

function isLate({ batches, clock, invocation }: ReprocessCall): boolean {
  return clock.now() >= batches.lastStart(clock.now(), invocation.endsAt);
}

/** Failures, words of on-failure destinations, and dead tasks may come by any of the queues: each says what it is. */
async function queueEvent(records: readonly SqsRecord[], call: ReprocessCall): Promise<PartialResponse> {
  const { invocation, ports } = call;
  const { signal } = invocation;
  const failures = new Map<SqsRecord, FailureRecord>();
  const failed = await takeMessages(
    records,
    invocation,
    () => isLate(call),
    async (record, about) => {
      const text = await ports.letters.read(record.body, signal);
      const value = parseJson(text, 'a message');
      if (isObject(value) && 'failure' in value) {
        const routed = ports.letters.failure(text);
        about({ run: routed.run, failure: routed.failure.id });
        const found = await openFailure(routed, call);
        if (found === 'unknown') return false;
        if (found !== 'settled') failures.set(record, found);
        return true;
      }
      if (isObject(value) && 'sections' in value) {
        const task = await ports.letters.task(text, signal);
        about({ run: task.run, task: task.id });
        await ports.tasks.send([task], signal);
        return true;
      }
      if (isUndeliveredCall(value)) {
        await putPlaceAgain(parseUndeliveredCall(value, call.pipeline), call);
        return true;
      }
      if ((await undeliveredIn(value, call)) !== null) return true;
      throw new DomainError('a message is no failure, no task, and no word of an on-failure destination', {
        code: 'E_EVENT',
      });
    },
  );
  return sqsResponse([...failed, ...(await redriveMessages(failures, call))]);
}

/**
 * @returns `unknown` where it is not open yet: the frame that opens it is on its way, after the copy that lies here; `settled` where it
 *   is closed, or waits for another build
 */
async function openFailure(
  { generation, build: failedBy, failure }: RoutedFailure,
  { pipeline, build, invocation, ports }: ReprocessCall,
): Promise<FailureRecord | 'settled' | 'unknown'> {
  const own = `${pipeline.name}@${pipeline.version}`;
  if (generation !== own && !generation.startsWith(`${own}?`)) {
    throw new DomainError(`a failure is of ${generation}, and this function belongs to ${own}`, {
      code: 'E_EVENT',
    });
  }
  // The copy comes before its frame: what the store still says may be older.
  if (failedBy === build) return leftOpen(failure.id, invocation);
  const query = { generation, id: failure.id, limit: 1 };
  for await (const record of ports.store.failures(query, invocation.signal)) {
    if (record.state === 'closed') return 'settled';
    return isRedrivenUnasked(record, build) ? record : leftOpen(failure.id, invocation);
  }
  invocation.log.info({ failure: failure.id }, 'the failure is not open yet: its message comes again');
  return 'unknown';
}

/** Whoever deploys mended code redrives it by a direct call. */
function leftOpen(failure: string, { log }: Invocation): 'settled' {
  log.info({ failure }, 'the failure stays open: this build would only fail it again');
  return 'settled';
}

/** @returns the messages that are to come again */
async function redriveMessages(
  failures: ReadonlyMap<SqsRecord, FailureRecord>,
  call: ReprocessCall,
): Promise<readonly SqsRecord[]> {
  const { batches, clock, invocation, ports } = call;
  const { endsAt, log, signal } = invocation;
  const again: SqsRecord[] = [];
  const byGeneration = Map.groupBy(failures, ([, { generation }]) => generation);
  for (const [generation, entries] of byGeneration) {
    for (const share of sharesOf(entries, ports.pace.share)) {
      try {
        if (ports.pace.freeAt >= batches.lastStart(clock.now(), endsAt)) {
          throw new InfrastructureError('at their rate there is no time left for them', {
            code: 'E_DEADLINE',
          });
        }
        await ports.pace.take(share.length, signal);
        const run = await redrivesOf(generation, call);
        await redriveBatch(
          share.map(([, failure]) => failure),
          run,
          call,
        );
      } catch (thrown) {
        again.push(...share.map(([record]) => record));
        log.error(
          { code: isSluiceError(thrown) ? thrown.code : undefined, failures: share.length, error: thrown },
          `failures come again: ${messageOf(thrown)}`,
        );
      }
    }
  }
  return again;
}

async function redriveBatch(
  failures: readonly FailureRecord[],
  run: string,
  { pipeline, build, clock, batches, invocation, ports }: ReprocessCall,
): Promise<RedriveSummary> {
  const { signal, metrics, endsAt: deadline } = invocation;
  const context = { pipeline, build, run, deadline, signal };
  return invocation.step('redrive', { run }, async (log) => {
    const lap = batches.laps(clock);
    const summary = await redrive(inOrder(failures), context, { ...ports, clock, log, metrics });
    lap();
    for (const { id, code, reason } of summary.notRedrivable)
      log.warn({ code, failure: id }, `the failure is left open: ${reason}`);
    return summary;
  });
}

async function* inOrder(failures: readonly FailureRecord[]): AsyncGenerator<FailureRecord> {
  yield* failures;
}

async function redriveSelected(
  { query, limit, rate, dryRun }: RedriveCall,
  call: ReprocessCall,
): Promise<RedriveReply | { readonly wouldRedrive: readonly string[] }> {
  const { clock, invocation, ports } = call;
  const { signal } = invocation;
  if (dryRun) {
    const ids: string[] = [];
    for await (const { failure } of selected()) ids.push(failure.id);
    return { wouldRedrive: ids };
  }
  const run = await redrivesOf(query.generation ?? '', call);
  const examples: RedriveSummary['notRedrivable'][number][] = [];
  const reply = { run, redriven: 0, notRedrivable: { total: 0, examples }, more: false };
  const pace = new Pace(rate, clock);
  const size = Math.min(BATCH, pace.share);
  let batch: FailureRecord[] = [];
  const flush = async () => {
    await pace.take(batch.length, signal);
    const { sent, notRedrivable } = await redriveBatch(batch, run, call);
    reply.redriven += sent;
    reply.notRedrivable.total += notRedrivable.length;
    examples.push(...notRedrivable.slice(0, EXAMPLES - examples.length));
    batch = [];
  };
  for await (const record of selected()) {
    batch.push(record);
    if (batch.length < size) continue;
    await flush();
    if (pace.freeAt >= call.batches.lastStart(clock.now(), invocation.endsAt))
      return { ...reply, more: true };
  }
  if (batch.length > 0) await flush();
  return reply;

  async function* selected(): AsyncGenerator<FailureRecord> {
    let taken = 0;
    for await (const record of ports.store.failures(query, signal)) {
      if (taken++ >= limit) return;
      yield record;
    }
  }
}

async function redrivesOf(generation: string, call: ReprocessCall): Promise<string> {
  const { build, clock, invocation, ports } = call;
  const id = dailyRun(generation, 'redrives', clock.now());
  const report = JSON.stringify({ kind: 'redrives' });
  await beginRun({ id, generation, build, report }, { store: ports.store, clock }, invocation.signal);
  return id;
}
