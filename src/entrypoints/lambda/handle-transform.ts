import { Buffer, isUtf8 } from 'node:buffer';
import { generationOf } from '../../application/generation.ts';
import { arrivalKey } from '../../application/ingest/arrival-key.ts';
import type { IngestPorts } from '../../application/ingest/ingest.ts';
import { transformTask, type TransformPorts } from '../../application/transform/transform.ts';
import { DomainError, InfrastructureError } from '../../domain/errors.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Counter, Metrics } from '../../domain/ports/ambient.ts';
import type { ObjectName } from '../../domain/lake-object.ts';
import type { Task } from '../../domain/section.ts';
import { clearTask, isSuspected } from './clear-task.ts';
import {
  kinesisRecordsOf,
  resourceName,
  sqsRecordsOf,
  type KinesisRecord,
  type LambdaContext,
  type LambdaHandler,
  type PartialResponse,
  type SqsRecord,
} from './events.ts';
import { Fields, wrong } from './fields.ts';
import { createFunction, type Surroundings } from './handler.ts';
import { ingestArrived, type Arriving } from './ingest-arrived.ts';
import type { Invocation } from './invocation.ts';
import type { KeptBundles } from './kept-bundles.ts';
import { locationOf } from './order.ts';
import { kinesisResponse, sqsResponse } from './partial-response.ts';
import { dailyRun } from './runs.ts';
import type { Probe } from './probe-process.ts';
import { StepTimes } from './step-times.ts';
import { receiveCountOf, takeMessages } from './take-messages.ts';
import { isUndeliveredCall } from './undelivered-call.ts';
import { readUndelivered } from './undelivered-words.ts';

/** A claim outlives the invocation that made it, or two would work on one message; in milliseconds. */
const MIN_LEASE_MS = 10_000;

/** What is unsent so long before the end of the invocation, in milliseconds, is handed on; never more than an eighth of the time that there is. */
const HAND_ON_MS = 500;

/** What the queues' messages and somebody else's records hold. */
export interface Arrivals {
  /** @throws DomainError `E_TASK_INVALID` */
  task(body: string, signal: AbortSignal): Promise<Task>;
  /** A message as a line of JSON Lines, without its end. @throws DomainError `E_JSON` */
  messageLine(body: string, signal: AbortSignal): Promise<Uint8Array>;
}

/** Of what `reprocess` hands on: where records of somebody else's stream lie. `null`: the message is something else, a task. */
function undeliveredObjectOf(body: string): ObjectName | null {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return null;
  }
  if (!isUndeliveredCall(value)) return null;
  const place = new Fields(value, ['undelivered']).text('undelivered') ?? '';
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(place) ?? [];
  if (bucket === undefined || key === undefined) throw wrong('undelivered', 'must be s3://bucket/key');
  return { bucket, key };
}

/** What the container has; clock, log and counters are an invocation's. */
export interface TransformFunctionPorts extends Omit<TransformPorts, 'clock' | 'log' | 'metrics'> {
  /** `null`: this pipeline takes no messages from elsewhere. */
  readonly dedup: IngestPorts['dedup'] | null;
  readonly arrivals: Arrivals;
  readonly kept: KeptBundles;
  /** For tasks that come again. `null`: nobody knows how to start one, they are transformed as they are. */
  readonly probe: Probe | null;
  /** How long a row may take in a probe, in milliseconds. */
  readonly rowTimeoutMs: number;
  /** Of frames: what its mapping gives up is reprocess's. */
  readonly streamName: string;
  /** Names of the queues that the events come from. */
  readonly queues: { readonly tasks: string; readonly messages: string | null };
}

/** `transform` as a function: tasks, and messages from a queue or from somebody else's stream. */
export function transformFunction(
  pipeline: AnyPipeline,
  build: string,
  surroundings: Surroundings,
  start: () => Promise<TransformFunctionPorts>,
): LambdaHandler {
  const generation = generationOf(pipeline, undefined).id;
  const sections = new StepTimes();
  const slices = new StepTimes();
  return createFunction({
    name: 'transform',
    surroundings,
    start,
    handle: async (event, invocation, ports, context) => {
      const call = {
        pipeline,
        build,
        generation,
        clock: surroundings.clock,
        sections,
        slices,
        invocation,
        ports,
        context,
      };
      const messages = sqsRecordsOf(event);
      if (messages !== null) return queueEvent(messages, call);
      const records = kinesisRecordsOf(event);
      if (records !== null) return streamEvent(records, call);
      throw new DomainError('the event is of no queue and of no stream', { code: 'E_EVENT' });
    },
  });
}

interface TransformCall {
  readonly pipeline: AnyPipeline;
  readonly build: string;
  readonly generation: string;
  readonly clock: Surroundings['clock'];
  /** How long sections took lately. */
  readonly sections: StepTimes;
  /** How long slices of messages from elsewhere took lately. */
  readonly slices: StepTimes;
  readonly invocation: Invocation;
  readonly ports: TransformFunctionPorts;
  readonly context: LambdaContext;
}

/** By the sections of this very invocation, too: the first of a container tells how long the second may take. */
function isLate({ clock, sections, invocation }: TransformCall): boolean {
  return clock.now() >= sections.lastStart(clock.now(), invocation.endsAt);
}

async function queueEvent(records: readonly SqsRecord[], call: TransformCall): Promise<PartialResponse> {
  const { queues } = call.ports;
  const name = resourceName((records[0] as SqsRecord).eventSourceARN);
  if (name === queues.tasks) return taskEvent(records, call);
  if (name === queues.messages) return messageEvent(records, name, call);
  throw new DomainError(`the event is of the queue ${name}, which is neither of tasks nor of messages`, {
    code: 'E_EVENT',
  });
}

async function taskEvent(records: readonly SqsRecord[], call: TransformCall): Promise<PartialResponse> {
  const { invocation, ports } = call;
  const failed = await takeMessages(
    records,
    invocation,
    () => isLate(call),
    async (record, about) => {
      const undelivered = undeliveredObjectOf(record.body);
      if (undelivered !== null) {
        about({ object: undelivered.key });
        return takeUndelivered(undelivered, call);
      }
      const task = await ports.arrivals.task(record.body, invocation.signal);
      about({ run: task.run, task: task.id });
      if (task.build !== call.build)
        return ports.kept.handle(task.build, record, call.context, invocation.signal);
      if (ports.probe !== null && isSuspected(task, receiveCountOf(record)))
        await clearOne(task, ports.probe, call);
      else await transformOne(task, call);
      return true;
    },
  );
  return sqsResponse(failed);
}

/**
 * A task that comes again may hold a row that hung the function or ended it. Nothing of it is transformed here before that is known; what is
 * known of it goes into the queue as a new task, which has the time of an invocation to itself.
 */
async function clearOne(task: Task, probe: Probe, call: TransformCall): Promise<void> {
  const { clock, invocation, ports } = call;
  const { killed, tasks, random, rowTimeoutMs } = ports;
  const { endsAt, signal } = invocation;
  const { run, id, object } = task;
  await invocation.step('probe', { run, task: id, object: object.key }, async (log) => {
    const cleared = await clearTask(task, { rowTimeoutMs, endsAt, signal }, { probe, killed, clock, log });
    const next: Task = { ...cleared, id: random.id() };
    await tasks.send([next], signal);
    log.info(
      { next: next.id, cleared: next.cleared },
      'handed on a task that came again, as far as it is cleared',
    );
  });
}

async function transformOne(task: Task, call: TransformCall): Promise<void> {
  const { pipeline, build, clock, sections, invocation, ports } = call;
  const { signal } = invocation;
  const lap = sections.laps(clock);
  // Where a section is over is told by nothing but its counter.
  const metrics: Metrics = {
    add(counter: Counter, value: number) {
      if (counter === 'sectionsSent') lap();
      invocation.metrics.add(counter, value);
    },
  };
  const left = invocation.endsAt - clock.now();
  const deadline = invocation.endsAt - Math.min(HAND_ON_MS, left / 8);
  const context = { pipeline, build, isLate: () => isLate(call), deadline, signal };
  await invocation.step('task', { run: task.run, task: task.id, object: task.object.key }, (log) =>
    transformTask(task, context, { ...ports, clock, log, metrics }),
  );
}

async function messageEvent(
  records: readonly SqsRecord[],
  source: string,
  call: TransformCall,
): Promise<PartialResponse> {
  const { arrivals } = call.ports;
  const keyed = call.pipeline.source.id !== undefined;
  const arriving = records.map((record): Arriving<SqsRecord> => {
    const sentAt = Number(record.attributes?.SentTimestamp ?? Number.NaN);
    return {
      record,
      // Without an id of its own a message is what the queue keeps: what is sent twice counts twice.
      key: keyed ? null : record.messageId,
      time: keyed || Number.isNaN(sentAt) ? null : sentAt,
      raw: Buffer.from(record.body, 'utf8'),
      line: (signal) => arrivals.messageLine(record.body, signal),
    };
  });
  return sqsResponse(await ingestInto(arriving, source, call));
}

async function streamEvent(records: readonly KinesisRecord[], call: TransformCall): Promise<PartialResponse> {
  return kinesisResponse(await ingestRecords(records, call));
}

/**
 * Takes in what a mapping of somebody else's stream has given up: under the keys that it would have had, so that what was taken in
 * before is a duplicate.
 *
 * @returns whether all of it is done
 */
async function takeUndelivered(name: ObjectName, call: TransformCall): Promise<boolean> {
  const { invocation, ports } = call;
  const { kept, streamName } = await readUndelivered(ports.source, name, invocation.signal);
  if (kept === null || streamName === ports.streamName)
    throw wrong(locationOf(name), 'has no records of somebody else’s stream in it');
  const again = await ingestRecords(kept, call);
  invocation.log.info(
    { stream: streamName, records: kept.length, again: again.length },
    'took in undelivered records of a stream',
  );
  return again.length === 0;
}

/** @returns the records that are to come again */
async function ingestRecords(
  records: readonly KinesisRecord[],
  call: TransformCall,
): Promise<readonly KinesisRecord[]> {
  const { arrivals } = call.ports;
  const source = resourceName((records[0] as KinesisRecord).eventSourceARN);
  const keyed = call.pipeline.source.id !== undefined;
  const arriving = records.map((record): Arriving<KinesisRecord> => {
    const data = Buffer.from(record.kinesis.data, 'base64');
    return {
      record,
      ...(keyed ? { key: null, time: null } : namedByArrival(record, source)),
      raw: data,
      line: (signal) => lineOfRecord(data, arrivals, signal),
    };
  });
  return ingestInto(arriving, source, call);
}

/** A record of somebody else's stream, by when and where it arrived. */
function namedByArrival({ eventID, kinesis }: KinesisRecord, stream: string): { key: string; time: number } {
  const time = Math.round(kinesis.approximateArrivalTimestamp * 1000);
  const [shardId = ''] = eventID.split(':');
  const { sequenceNumber } = kinesis;
  return { key: arrivalKey({ stream, shardId, sequenceNumber, arrivedAt: time }), time };
}

/** Sources of messages from elsewhere go by the name of their queue or stream. */
async function ingestInto<R>(
  arriving: readonly Arriving<R>[],
  source: string,
  call: TransformCall,
): Promise<readonly R[]> {
  const { pipeline, build, generation, clock, slices, invocation, ports } = call;
  const { dedup } = ports;
  if (dedup === null) {
    throw new InfrastructureError(
      'messages from elsewhere come in, and SLUICE_REDIS_URL is not set, or the function was built without redis',
      { code: 'E_CONFIGURATION' },
    );
  }
  const { signal, metrics, endsAt: deadline } = invocation;
  const run = dailyRun(generation, 'messages', clock.now(), source);
  const slicing = {
    isLate: () => clock.now() >= slices.lastStart(clock.now(), deadline),
    onDone: slices.laps(clock),
  };
  const leaseMs = Math.max(MIN_LEASE_MS, deadline - clock.now());
  const context = { pipeline, generation, build, run, source, where: undefined, leaseMs, deadline, signal };
  return invocation.step('messages', { run, source }, (log) =>
    ingestArrived(arriving, slicing, context, {
      ...ports,
      dedup,
      clock,
      log,
      metrics,
    }),
  );
}

/** One record of a stream is one message, as JSON. */
async function lineOfRecord(data: Buffer, arrivals: Arrivals, signal: AbortSignal): Promise<Uint8Array> {
  if (!isUtf8(data)) throw new DomainError('a message is not UTF-8', { code: 'E_UTF8' });
  return arrivals.messageLine(data.toString('utf8'), signal);
}
