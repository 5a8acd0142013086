// A whole Sluice in one process without files: for tests of pipelines, and to build on. Published as `sluice/in-memory`.
export { runInMemory } from './run-in-memory.ts';
export type { InMemoryLake, InMemoryRun } from './run-in-memory.ts';

export { ManualClock, SystemClock } from '../../adapters/inmemory/clock.ts';
export { InMemoryDedupStore } from '../../adapters/inmemory/dedup-store.ts';
export { InMemoryErrorRouter } from '../../adapters/inmemory/error-router.ts';
export { InMemoryLog } from '../../adapters/inmemory/log.ts';
export { InMemoryMetrics } from '../../adapters/inmemory/metrics.ts';
export { InMemoryObjectSource } from '../../adapters/inmemory/object-source.ts';
export { QueueMapping } from '../../adapters/inmemory/queue-mapping.ts';
export { SeededRandom, SystemRandom } from '../../adapters/inmemory/random.ts';
export { InMemoryResultStore } from '../../adapters/inmemory/result-store.ts';
export { StreamMapping } from '../../adapters/inmemory/stream-mapping.ts';
export { InMemoryStream } from '../../adapters/inmemory/stream.ts';
export { InMemoryTaskQueue } from '../../adapters/inmemory/task-queue.ts';
