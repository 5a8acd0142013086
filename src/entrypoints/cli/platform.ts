import { QueueMapping, type TaskHandler } from '../../adapters/inmemory/queue-mapping.ts';
import {
  StreamMapping,
  type StreamBatch,
  type StreamBatchResult,
} from '../../adapters/inmemory/stream-mapping.ts';
import { analyzeRecord, applySectionEffects } from '../../application/analyze/analyze.ts';
import type { SectionEffects } from '../../application/analyze/work-out.ts';
import { isSluiceError, messageOf } from '../../domain/errors.ts';
import type { Generation } from '../../domain/generation.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Where } from '../../domain/where.ts';
import type { Runtime } from './runtime.ts';

export interface PlatformContext {
  readonly pipeline: AnyPipeline;
  readonly build: string;
  readonly generation: Generation;
  /** The run's own predicate, beside the pipeline's. */
  readonly where: Where | undefined;
  /** Tasks in hand at once, and batches of the stream. */
  readonly concurrency: number;
  /** What transforms a task; absent where there are no tasks. */
  readonly transform?: TaskHandler;
  /** What works out frames somewhere else; absent where nobody does. `undefined`: it holds something else than messages. */
  readonly workOut?: (record: Uint8Array, signal: AbortSignal) => Promise<SectionEffects | undefined>;
}

/** Frames wait for threads, which go on with a task otherwise, and threads never for frames. */
const BATCHES_PER_THREAD = 4;

/**
 * What the cloud does between the functions: brings tasks to `transform` and records of the stream to `analyze`,
 * while `work` puts some in; then waits until everything is through.
 *
 * @throws what broke a function for good, or the signal's reason; nothing is under way any more then
 */
export async function withPlatform<Result>(
  context: PlatformContext,
  runtime: Runtime,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const stop = new AbortController();
  const working = AbortSignal.any([signal, stop.signal]);
  const tasks =
    context.transform === undefined ? undefined : taskMapping(context, context.transform, runtime);
  const records = streamMapping(context, runtime, (thrown) => stop.abort(thrown));
  const running = [records.run(working), ...(tasks === undefined ? [] : [tasks.run(working)])];
  // A function that is broken for good must end the work that feeds it, not be found out afterwards.
  for (const mapping of running) mapping.catch((thrown: unknown) => stop.abort(thrown));
  try {
    const result = await work(working);
    await tasks?.idle(working);
    await records.idle(working);
    return result;
  } catch (thrown) {
    // What was given up because of the stop says less than what stopped it.
    throw working.aborted ? working.reason : thrown;
  } finally {
    stop.abort();
    await Promise.allSettled(running);
  }
}

function taskMapping({ concurrency }: PlatformContext, handler: TaskHandler, runtime: Runtime): QueueMapping {
  const { queue, clock, random, log } = runtime;
  return new QueueMapping(
    { queue, clock, random },
    {
      concurrency,
      handler,
      onAttemptFailed: ({ task, receiveCount, error, dead }) => {
        if (dead || isFinal(error)) throw error;
        log.warn(
          { task: task.id, object: task.object.key, attempt: receiveCount },
          `will be tried again: ${messageOf(error)}`,
        );
      },
    },
  );
}

/** @param breakOff called with an error that no further try can mend */
function streamMapping(
  context: PlatformContext,
  runtime: Runtime,
  breakOff: (thrown: unknown) => void,
): StreamMapping {
  const { stream, clock, random, log } = runtime;
  return new StreamMapping(
    { stream, clock, random },
    {
      concurrency: (context.workOut === undefined ? 1 : BATCHES_PER_THREAD) * context.concurrency,
      handler: (batch, signal) => handleBatch(batch, context, runtime, signal),
      onAttemptFailed: ({ shard, attempts, error }) => {
        if (isFinal(error)) breakOff(error);
        else if (error !== undefined)
          log.warn({ shard, attempt: attempts }, `will be tried again: ${messageOf(error)}`);
      },
      onFailure: ({ error }) => Promise.reject(error instanceof Error ? error : new Error(messageOf(error))),
    },
  );
}

/** A record that fails holds back those behind it: they come again, together with it. */
async function handleBatch(
  batch: StreamBatch,
  context: PlatformContext,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<StreamBatchResult> {
  for (const [index, { data, sequenceNumber }] of batch.records.entries()) {
    try {
      await applyRecord(data, context, runtime, signal);
    } catch (thrown) {
      if (index === 0) throw thrown;
      return { failedFrom: sequenceNumber };
    }
  }
  return { failedFrom: null };
}

async function applyRecord(
  record: Uint8Array,
  { workOut, ...context }: PlatformContext,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<void> {
  const worked = await workOut?.(record, signal);
  if (worked === undefined) await analyzeRecord(record, { ...context, signal }, runtime);
  else await applySectionEffects(worked, { ...context, signal }, runtime);
}

function isFinal(error: unknown): boolean {
  return isSluiceError(error) && !error.retryable;
}
