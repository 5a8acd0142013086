import type { DispatchSummary } from '../../application/dispatch/dispatch-summary.ts';
import { dispatch } from '../../application/dispatch/dispatch.ts';
import { generationOf } from '../../application/generation.ts';
import { isSluiceError } from '../../domain/errors.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { isLate, type DispatchCall, type DispatchFunctionPorts } from './dispatch-call.ts';
import { sqsRecordsOf, type LambdaHandler } from './events.ts';
import { createFunction, type Surroundings } from './handler.ts';
import { withFields } from './invocation.ts';
import { createdObjectsOf } from './object-events.ts';
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
        async ({ body }) => {
          await carryOut(await ports.orders.read(body, invocation.signal), call);
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
  for (const object of created) {
    // It says that there is a folder, and holds nothing; as a place it would be all that lies in it.
    if (object.key.endsWith('/')) continue;
    const reply = await dispatchArrival(locationOf(object), call);
    if (reply !== null) replies.push(reply);
  }
  return replies;
}

async function dispatchArrival(location: string, call: DispatchCall): Promise<DispatchReply | null> {
  const { clock, invocation, pipeline } = call;
  const run = dailyRun(generationOf(pipeline, undefined).id, 'arrivals', clock.now());
  const order = { locations: [location], run, after: undefined, where: undefined };
  try {
    return await carryOutOrder(order, 'arrivals', call);
  } catch (thrown) {
    if (!isSluiceError(thrown) || thrown.code !== 'E_OBJECT_NOT_FOUND') throw thrown;
    invocation.log.warn({ object: location }, 'the object is gone: it was removed since it was created');
    return null;
  }
}

async function carryOutOrder(
  order: Order & { readonly run: string },
  kind: RunKind,
  { pipeline, build, clock, batches, invocation, ports }: DispatchCall,
): Promise<DispatchReply> {
  const { signal, metrics } = invocation;
  const { run, locations, after, where } = order;
  const log = withFields(invocation.log, { run });
  const generation = generationOf(pipeline, where);
  await ports.store.declare(generation, signal);
  // The run of an order says nothing of itself until all of it is planned: before, it cannot be over.
  const report = kind === 'order' ? null : JSON.stringify({ kind });
  const begun = await beginRun(
    { id: run, generation: generation.id, build, report },
    { store: ports.store, clock },
    signal,
  );
  const stopAt = () => batches.lastStart(clock.now(), invocation.endsAt);
  const summary = await dispatch(
    { run, locations, stopAt, ...(after === undefined ? {} : { after }) },
    { pipeline, generation, build, where, signal },
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
