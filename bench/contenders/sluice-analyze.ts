/** Ours: unpack, drop duplicates, measure and apply frames, as `analyze` does with the records of a stream. Making the frames is not measured. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SystemClock } from '../../src/adapters/inmemory/clock.ts';
import { InMemoryErrorRouter } from '../../src/adapters/inmemory/error-router.ts';
import { silentLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { InMemoryResultStore } from '../../src/adapters/inmemory/result-store.ts';
import { openSqliteResultStore } from '../../src/adapters/local/sqlite/result-store.ts';
import { analyzeRecord } from '../../src/application/analyze/analyze.ts';
import { mergeStates } from '../../src/application/measures/state.ts';
import { loadPipeline } from '../../src/entrypoints/cli/load-pipeline.ts';
import { CollectingSink } from '../harness/collecting-sink.ts';
import type { Counts } from '../harness/contender.ts';
import { transformLake } from './sluice-in-process.ts';

export interface AnalyzeOptions {
  readonly pipeline: string;
  readonly location: string;
  readonly store: 'in-memory' | 'sqlite';
}

export async function prepare({ pipeline: file, location, store: kind }: AnalyzeOptions) {
  const { pipeline } = await loadPipeline(file);
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-bench-'));
  const sink = new CollectingSink(true);
  const store =
    kind === 'in-memory'
      ? new InMemoryResultStore(mergeStates)
      : await openSqliteResultStore(path.join(folder, 'results.sqlite'), { mergeStates });
  await transformLake(pipeline, { location, sink, store });
  return { pipeline, folder, store, records: sink.records };
}

export default async function analyze(
  _options: AnalyzeOptions,
  { pipeline, folder, store, records }: Awaited<ReturnType<typeof prepare>>,
): Promise<Counts> {
  const metrics = new InMemoryMetrics();
  const ports = {
    store,
    router: new InMemoryErrorRouter(),
    clock: new SystemClock(),
    log: silentLog,
    metrics,
  };
  const { signal } = new AbortController();
  try {
    for (const record of records) await analyzeRecord(record, { pipeline, build: 'bench', signal }, ports);
    const objects = await Array.fromAsync(
      store.objects({ generation: `${pipeline.name}@${pipeline.version}` }, signal),
    );
    return {
      applied: metrics.total('applied'),
      frames: metrics.total('framesApplied'),
      complete: objects.filter(({ complete }) => complete).length,
    };
  } finally {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}
