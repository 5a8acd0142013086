import { isSluiceError } from '../../domain/errors.ts';
import type { Clock, Metrics, Random } from '../../domain/ports/ambient.ts';
import { backoffMs, type RetryPolicy } from '../../domain/retry.ts';

export interface RetryPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Counts `retries`. */
  readonly metrics: Metrics;
}

/** Calls until it succeeds, is refused for good, or the tries are used up: then it throws what the last one threw. */
export async function retrying<T>(
  ports: RetryPorts,
  policy: RetryPolicy,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      await backOff(error, tries, ports, policy, signal);
    }
  }
}

/**
 * Waits before the next try.
 *
 * @param tries calls that failed so far, one after the other
 * @throws the error itself where no further try is due; the signal's reason where it is aborted
 */
export async function backOff(
  error: unknown,
  tries: number,
  { clock, random, metrics }: RetryPorts,
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if (!isSluiceError(error) || !error.retryable || tries >= policy.attempts) throw error;
  metrics.add('retries', 1);
  await clock.sleep(backoffMs(policy, tries, random.next()), signal);
}
