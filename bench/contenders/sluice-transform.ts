/**
 * Ours, as `sluice run` does it without its analyze: list, plan, queue, transform in worker threads, frames into the in-memory stream. What arrives
 * there is let go at once, as a consumer that keeps up would.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { QueueMapping } from '../../src/adapters/inmemory/queue-mapping.ts';
import type { InMemoryStream } from '../../src/adapters/inmemory/stream.ts';
import { dispatch } from '../../src/application/dispatch/dispatch.ts';
import { generationOf } from '../../src/application/generation.ts';
import { startRuntime } from '../../src/entrypoints/cli/container.ts';
import { SECTIONS_PER_TASK } from '../../src/entrypoints/cli/execute-run.ts';
import { loadPipeline } from '../../src/entrypoints/cli/load-pipeline.ts';
import { makeWorkers, workerLimits } from '../../src/entrypoints/cli/workers.ts';
import type { Counts } from '../harness/contender.ts';

export interface SluiceOptions {
  /** The pipeline file. */
  readonly pipeline: string;
  readonly location: string;
  readonly workers: number;
}

export default async function transform({
  pipeline: file,
  location,
  workers,
}: SluiceOptions): Promise<Counts> {
  const out = await mkdtemp(path.join(tmpdir(), 'sluice-bench-'));
  try {
    const loaded = await loadPipeline(file);
    const { pipeline, build } = loaded;
    const { partitions } = pipeline;
    const runtime = await startRuntime({ out, partitions, create: true, log: { level: 'warn' } });
    const generation = generationOf(pipeline, undefined);
    const run = runtime.random.id();
    const limits = workerLimits({ concurrency: workers, rowTimeout: 30 });
    const pool = makeWorkers(loaded, run, limits, runtime);
    const stop = new AbortController();
    const mapping = new QueueMapping(runtime, {
      concurrency: workers,
      handler: (task, { signal }) => pool.transform(task, signal),
      onAttemptFailed: ({ error }) => {
        throw error;
      },
    });
    const running = [mapping.run(stop.signal), ...letGo(runtime.stream, stop.signal)];
    try {
      await dispatch(
        { run, locations: [location], sectionsPerTask: SECTIONS_PER_TASK },
        { pipeline, generation, build, where: undefined, signal: stop.signal },
        runtime,
      );
      await mapping.idle(stop.signal);
    } finally {
      stop.abort();
      await Promise.allSettled(running);
      await pool.close();
      await runtime.close();
    }
    const { metrics } = runtime;
    return {
      rows: metrics.total('rowsRead'),
      failed: metrics.total('rowsFailed'),
      messages: metrics.total('messages'),
      frames: metrics.total('frames'),
      bytesRead: metrics.total('bytesRead'),
      bytesOut: metrics.total('frameBytes'),
    };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

function letGo(stream: InMemoryStream, signal: AbortSignal): Promise<void>[] {
  return Array.from({ length: stream.shards }, async (_, shard) => {
    for (;;) {
      await stream.whenRecords(shard, stream.checkpoint(shard), signal);
      const [last] = stream.read(shard, stream.checkpoint(shard), 1, Infinity);
      if (last !== undefined) stream.setCheckpoint(shard, last.sequenceNumber);
    }
  });
}
