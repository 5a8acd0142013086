import { ContainerModule } from 'inversify';
import { token, tokens } from '../tokens.ts';
import { SystemClock } from './clock.ts';
import { InMemoryDedupStore, type InMemoryDedupStoreOptions } from './dedup-store.ts';
import { InMemoryErrorRouter, type InMemoryErrorRouterOptions } from './error-router.ts';
import { InMemoryKilledRows } from './killed-rows.ts';
import { InMemoryLog } from './log.ts';
import { InMemoryMetrics } from './metrics.ts';
import { InMemoryObjectSource, type InMemoryObjectSourceOptions } from './object-source.ts';
import { SystemRandom } from './random.ts';
import { InMemoryResultStore } from './result-store.ts';
import { InMemoryStream, type InMemoryStreamOptions } from './stream.ts';
import { InMemoryTaskQueue, type InMemoryTaskQueueOptions } from './task-queue.ts';

/** What the mappings read from: the same instances as behind `tokens.recordSink` and `tokens.taskQueue`. */
export const inMemoryTokens = {
  stream: token<InMemoryStream>('inmemory.stream'),
  queue: token<InMemoryTaskQueue>('inmemory.queue'),
} as const;

/** Time, randomness and counters of this machine. Binds `clock`, `random`, `metrics`. */
export function ambientModule(): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.clock)
      .toResolvedValue(() => new SystemClock())
      .inSingletonScope();
    bind(tokens.random)
      .toResolvedValue((clock) => new SystemRandom({ clock }), [tokens.clock])
      .inSingletonScope();
    bind(tokens.metrics)
      .toResolvedValue(() => new InMemoryMetrics())
      .inSingletonScope();
  });
}

export interface DeliveryOptions {
  readonly stream: InMemoryStreamOptions;
  readonly queue?: InMemoryTaskQueueOptions;
  readonly dedup?: InMemoryDedupStoreOptions;
}

/** Binds `recordSink`, `taskQueue`, `dedupStore` and `inMemoryTokens`; needs `clock` and `random`. */
export function deliveryModule({ stream, queue, dedup }: DeliveryOptions): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(inMemoryTokens.stream)
      .toResolvedValue(
        (clock, random) => new InMemoryStream({ clock, random }, stream),
        [tokens.clock, tokens.random],
      )
      .inSingletonScope();
    bind(tokens.recordSink).toService(inMemoryTokens.stream);
    bind(inMemoryTokens.queue)
      .toResolvedValue((clock) => new InMemoryTaskQueue({ clock }, queue), [tokens.clock])
      .inSingletonScope();
    bind(tokens.taskQueue).toService(inMemoryTokens.queue);
    bind(tokens.dedupStore)
      .toResolvedValue((clock) => new InMemoryDedupStore({ clock }, dedup), [tokens.clock])
      .inSingletonScope();
  });
}

export interface InMemoryLakeOptions {
  readonly lake?: InMemoryObjectSourceOptions;
  readonly errors?: InMemoryErrorRouterOptions;
}

/** Binds `objectSource`, `errorRouter`, `resultStore`, `killedRows`, `log`; needs `mergeStates`. */
export function inMemoryLakeModule({ lake, errors }: InMemoryLakeOptions = {}): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(tokens.objectSource)
      .toResolvedValue(() => new InMemoryObjectSource(lake))
      .inSingletonScope();
    bind(tokens.errorRouter)
      .toResolvedValue(() => new InMemoryErrorRouter(errors))
      .inSingletonScope();
    bind(tokens.log)
      .toResolvedValue(() => new InMemoryLog())
      .inSingletonScope();
    bind(tokens.resultStore)
      .toResolvedValue((mergeStates) => new InMemoryResultStore(mergeStates), [tokens.mergeStates])
      .inSingletonScope();
    bind(tokens.killedRows)
      .toResolvedValue(() => new InMemoryKilledRows())
      .inSingletonScope();
  });
}
