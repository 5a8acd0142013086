import type { DispatchSummary } from '../../application/dispatch/dispatch-summary.ts';
import { dispatch } from '../../application/dispatch/dispatch.ts';
import { generationOf } from '../../application/generation.ts';
import { isSluiceError } from '../../domain/errors.ts';
import type { LakeObject, ObjectName } from '../../domain/lake-object.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Log } from '../../domain/ports/ambient.ts';
import { isLate, type DispatchCall, type DispatchFunctionPorts } from './dispatch-call.ts';
import { isObject, sqsRecordsOf, type LambdaHandler } from './events.ts';
import { createFunction, type Surroundings } from './handler.ts';
import { createdObjectsOf, refuseFaults } from './object-events.ts';
import { locationOf, orderData, parseOrder, type Order } from './order.ts';
import { sqsResponse } from './partial-response.ts';
import { beginRun, dailyRun, type RunKind } from './runs.ts';
import { StepTimes } from './step-times.ts';
import { takeMessages } from './take-messages.ts';
import { parseTakeOver, takeOverAll, type TakeOverReply } from './take-over-order.ts';

/** What a direct call is told. */
export interface DispatchReply {
  readonly run: string;
  readonly generation: string;
  /** As far as they are listed. */
  readonly objects: number;
  readonly prunedObjects: number;
  readonly completeObjects: number;
  /** Of which other builds finish what they began. */
  readonly sharedObjects: number;
  readonly failedObjects: number;
  /** Left as they are, by code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly tasks: number;
  readonly bytes: number;
  readonly bytesToRead: number;
  /** Whether the listing goes on, in calls that follow by themselves. */
  readonly continues: boolean;
}

/** `dispatch` as a function: records the plan and queues tasks for new objects, for orders, and for the rest of a long listing. */
export function dispatchFunction(
  pipeline: AnyPipeline,
  build: string,
  surroundings: Surroundings,
  start: () => Promise<DispatchFunctionPorts>,
): LambdaHandler {
  const batches = new StepTimes();
  return createFunction({
    name: 'dispatch',
    surroundings,
    start,
    handle: async (event, invocation, ports) => {
      const call = { pipeline, build, clock: surroundings.clock, batches, invocation, ports };
      const records = sqsRecordsOf(event);
      if (records === null) return carryOut(event, call);
      const failed = await takeMessages(
        records,
        invocation,
        () => isLate(call),
        async ({ body }, about) => {
          const value = await ports.orders.read(body, invocation.signal);
          // An order that goes on has one; whatever else this is gets one of its own.
          if (isObject(value)) about({ run: value['run'] });
          await carryOut(value, call);
          return true;
        },
      );
      return sqsResponse(failed);
    },
  });
}

/** An event of S3's, or an order. */
async function carryOut(
  value: unknown,
  call: DispatchCall,
): Promise<DispatchReply | readonly DispatchReply[] | TakeOverReply> {
  const created = createdObjectsOf(value);
  if (created === null) {
    const rest = parseTakeOver(value, call.pipeline);
    if (rest !== null) return takeOverAll(rest, call);
    const order = parseOrder(value, call.pipeline);
    return carryOutOrder({ ...order, run: order.run ?? call.ports.random.id() }, 'order', call);
  }
  const replies: DispatchReply[] = [];
  for (const name of created.names) {
    const object = await arrived(name, call);
    if (object !== null) replies.push(await dispatchArrival(object, call));
  }
  refuseFaults(created, call.invocation.log);
  return replies;
}

/** `null`: it is none of the lake, or gone again. */
async function arrived(name: ObjectName, { invocation, ports }: DispatchCall): Promise<LakeObject | null> {
  const { log, signal } = invocation;
  if (!ports.isOfLake(name)) {
    log.debug({ object: locationOf(name) }, 'the object is none of the lake');
    return null;
  }
  try {
    return await ports.source.stat(name, signal);
  } catch (thrown) {
    if (!isSluiceError(thrown) || thrown.code !== 'E_OBJECT_NOT_FOUND') throw thrown;
    log.warn({ object: locationOf(name) }, 'the object is gone: it was removed since it was created');
    return null;
  }
}

function dispatchArrival(object: LakeObject, call: DispatchCall): Promise<DispatchReply> {
  const run = dailyRun(generationOf(call.pipeline, undefined).id, 'arrivals', call.clock.now());
  const order = { locations: [], objects: [object], run, after: undefined, where: undefined };
  return carryOutOrder(order, 'arrivals', call);
}

interface RunOrder extends Order {
  readonly run: string;
  readonly objects?: readonly LakeObject[];
}

function carryOutOrder(order: RunOrder, kind: RunKind, call: DispatchCall): Promise<DispatchReply> {
  return call.invocation.step('order', { run: order.run }, (log) => planOrder(order, kind, call, log));
}

async function planOrder(
  order: RunOrder,
  kind: RunKind,
  call: DispatchCall,
  log: Log,
): Promise<DispatchReply> {
  const { pipeline, build, clock, batches, invocation, ports } = call;
  const { signal, metrics } = invocation;
  const { run, locations, objects = [], after, where } = order;
  const generation = generationOf(pipeline, where);
  await ports.store.declare(generation, signal);
  // The run of an order says nothing of itself until all of it is planned: before, it cannot be over.
  const report = kind === 'order' ? null : JSON.stringify({ kind });
  const begun = await beginRun(
    { id: run, generation: generation.id, build, report },
    { store: ports.store, clock },
    signal,
  );
  const summary = await dispatch(
    { run, locations, objects, isLate: () => isLate(call), ...(after === undefined ? {} : { after }) },
    { pipeline, generation, build, where, keepsBuilds: true, signal },
    { ...ports, clock, log, metrics },
    batches.laps(clock),
  );
  const { rest } = summary;
  if (rest !== null)
    await ports.orders.send(orderData({ ...rest, after: rest.after, run, where }, pipeline), signal);
  else if (kind === 'order')
    await ports.store.saveRun({ ...begun, report: JSON.stringify({ kind }) }, signal);
  const reply = replyOf(run, generation.id, summary);
  log.info({ ...reply }, rest === null ? 'dispatched' : 'dispatched, as far as time allowed');
  return reply;
}

function replyOf(run: string, generation: string, summary: DispatchSummary): DispatchReply {
  const { refused, rest, ...counts } = summary;
  return { run, generation, ...counts, refused: refused.byCode, continues: rest !== null };
}
