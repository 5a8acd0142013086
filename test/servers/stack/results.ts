import { ResultsLake } from '../../../src/adapters/aws/results-lake.ts';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import { SystemRandom } from '../../../src/adapters/inmemory/random.ts';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { openPostgresResultStore } from '../../../src/adapters/postgres/result-store.ts';
import { mergeStates } from '../../../src/application/measures/state.ts';
import { readResults } from '../../../src/application/results/read-results.ts';
import type { AnyPipeline } from '../../../src/domain/pipeline.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import { RESULTS_BUCKET, type Peers } from './peers.ts';

/** The results of a stack, as a tool beside it reads them. */
export function openResults(url: string): Promise<ResultStore> {
  const clock = new SystemClock();
  const random = new SystemRandom({ clock });
  return openPostgresResultStore(new PgDatabase({ url }), { mergeStates, clock, random });
}

/** The results of a stack that keeps them in S3. */
export function openResultsInS3({ fauxqs }: Peers): ResultStore {
  const clock = new SystemClock();
  const random = new SystemRandom({ clock });
  const ports = { calls: fauxqs.calls(), clock, random, metrics: new InMemoryMetrics() };
  return new ResultsLake(ports, { bucket: RESULTS_BUCKET, prefix: '', mergeStates });
}

/** What the groups of a generation measure, by group. */
export async function measuresOf(
  store: ResultStore,
  generation: string,
  pipeline: AnyPipeline,
): Promise<Readonly<Record<string, unknown>>> {
  const { signal } = new AbortController();
  const found: Record<string, unknown> = {};
  for await (const result of readResults(store, generation, pipeline, pipeline.analyze.measures, signal))
    found[result.group] = result.measures;
  return found;
}
