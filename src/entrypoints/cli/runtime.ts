import type { InMemoryMetrics } from '../../adapters/inmemory/metrics.ts';
import type { InMemoryStream } from '../../adapters/inmemory/stream.ts';
import type { InMemoryTaskQueue } from '../../adapters/inmemory/task-queue.ts';
import type { LocalObjectSource } from '../../adapters/local/object-source.ts';
import type { Clock, Log, Random } from '../../domain/ports/ambient.ts';
import type { DedupStore } from '../../domain/ports/dedup-store.ts';
import type { ErrorRouter } from '../../domain/ports/error-router.ts';
import type { KilledRows } from '../../domain/ports/killed-rows.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { ResultStore } from '../../domain/ports/result-store.ts';
import type { TaskQueue } from '../../domain/ports/task-queue.ts';

/** What a command needs that only looks at the lake. */
export interface Reading {
  readonly source: ObjectSource;
  readonly metrics: InMemoryMetrics;
}

/** What a command works with, made once by the container. */
export interface Runtime extends Reading {
  /** The folder of results and failures. */
  readonly out: string;
  /** The part of the lake that lies on this machine. */
  readonly files: LocalObjectSource;
  readonly store: ResultStore;
  readonly stream: InMemoryStream;
  readonly queue: InMemoryTaskQueue;
  /** The queue, as the use cases see it. */
  readonly tasks: TaskQueue;
  readonly dedup: DedupStore;
  readonly killed: KilledRows;
  readonly router: ErrorRouter;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  close(): Promise<void>;
}
