import { isSluiceError, messageOf } from '../../domain/errors.ts';
import type { Clock, Log } from '../../domain/ports/ambient.ts';

/** Least time between two publications, in milliseconds. */
const PUBLISH_EVERY_MS = 1_000;
/** After a publication, so many times as long as it took is given to the messages. */
const REST_FACTOR = 20;

/**
 * A pipe may stay open for days: publishes what has been applied meanwhile, now and then.
 *
 * @param progress grows whenever there is something new
 * @returns what ends it
 */
export function keepPublished(
  publish: (signal: AbortSignal) => Promise<unknown>,
  progress: () => number,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): () => Promise<void> {
  const stop = new AbortController();
  const loop = async () => {
    let published = progress();
    let took = 0;
    for (;;) {
      await clock.sleep(Math.max(PUBLISH_EVERY_MS, REST_FACTOR * took), stop.signal);
      const now = progress();
      if (now === published) continue;
      const startedAt = clock.now();
      try {
        await publish(stop.signal);
        published = now;
      } catch (thrown) {
        if (stop.signal.aborted || !isSluiceError(thrown) || !thrown.retryable) throw thrown;
        log.warn({ code: thrown.code }, `the results will be published later: ${messageOf(thrown)}`);
      }
      took = clock.now() - startedAt;
    }
  };
  const running = loop().catch((thrown: unknown) => {
    if (!stop.signal.aborted) throw thrown;
  });
  // Whoever stops it is told; until then it is no unhandled rejection.
  running.catch(() => undefined);
  return async () => {
    stop.abort();
    await running;
  };
}
