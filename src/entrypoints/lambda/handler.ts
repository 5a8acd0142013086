import { isSluiceError, messageOf } from '../../domain/errors.ts';
import type { Clock, Log, Metrics } from '../../domain/ports/ambient.ts';
import type { LambdaContext, LambdaHandler } from './events.ts';
import { Invocation, type Traced } from './invocation.ts';
import { ownedBy } from './owners.ts';
import { WarmStart } from './warm-start.ts';

export const functionNames = ['dispatch', 'transform', 'analyze', 'reprocess'] as const;
export type FunctionName = (typeof functionNames)[number];

/** What a function has before anything is opened: nothing of it can fail. */
export interface Surroundings {
  readonly clock: Clock;
  readonly log: Log;
  /** Counters of one invocation, and what writes them when it is over. */
  startMetrics(requestId: string): { readonly metrics: Metrics; readonly flush: () => void };
  readonly traced: Traced;
}

export interface FunctionOptions<Ports extends object> {
  readonly name: FunctionName;
  readonly surroundings: Surroundings;
  /** Opens what the function works with: once per warm container, and again after it failed. */
  readonly start: () => Promise<Ports>;
  readonly handle: (
    event: unknown,
    invocation: Invocation,
    ports: Ports,
    context: LambdaContext,
  ) => Promise<unknown>;
}

/**
 * A Lambda handler: the frame that is the same round every invocation.
 *
 *     start (once) ──▶ handle ──▶ nothing left in flight? ──▶ counters ──▶ reply
 *           │            └─ deadline near: signal aborted, reply says how far it came
 *           └─ failed: forgotten, the next invocation starts anew
 */
export function createFunction<Ports extends object>(options: FunctionOptions<Ports>): LambdaHandler {
  const { name, surroundings, start, handle } = options;
  const { clock, log, traced } = surroundings;
  const warm = new WarmStart(start);
  return async (event, context) => {
    const requestId = context.awsRequestId;
    const { metrics, flush } = surroundings.startMetrics(requestId);
    const remainingMs = context.getRemainingTimeInMillis();
    const invocation = new Invocation({ requestId, clock, log, metrics, traced, remainingMs });
    const work = async () => {
      const ports = await unlessAborted(warm.get(), invocation.signal);
      return handle(event, invocation, invocation.watched(ports), context);
    };
    const attributes = { 'faas.invocation_id': requestId };
    try {
      return await ownedBy(invocation, () =>
        traced(`sluice.${name}`, attributes, () => ending(invocation, work)),
      );
    } catch (thrown) {
      const code = isSluiceError(thrown) ? thrown.code : undefined;
      invocation.log.error({ code, error: thrown }, `the invocation failed: ${messageOf(thrown)}`);
      throw thrown;
    } finally {
      flush();
    }
  };
}

/** Whatever the work comes to, what it left behind is looked for. What the invocation was failed with says why the work broke off. */
async function ending<T>(invocation: Invocation, work: () => Promise<T>): Promise<T> {
  let reply: T;
  try {
    reply = await work();
  } catch (thrown) {
    const failure = await invocation.end();
    throw failure ?? thrown;
  }
  const failure = await invocation.end();
  if (failure !== undefined) throw failure;
  return reply;
}

/** A start is shared: whoever has no time left leaves it to the others. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
