import type { Clock } from '../../domain/ports/ambient.ts';
import { type Backoff, backoffMs } from '../../domain/retry.ts';

/** Between tries of a source or destination that does not answer. */
const backoff: Backoff = { baseMs: 50, maxMs: 2_000 };

/** So often in a row a call may fail before it is taken for broken for good. */
const MAX_TRIES = 20;

interface AwsError {
  readonly name?: string;
  readonly $fault?: 'client' | 'server';
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Refusals that pass. */
const throttling =
  /Throttl|ProvisionedThroughputExceeded|SlowDown|TooManyRequests|RequestTimeout|LimitExceeded/;

/**
 * Calls a queue or stream again until it answers, as a mapping's pollers do. What only the sender can mend (no such queue, no
 * permission) is thrown at once.
 */
export async function untilAnswered<T>(
  call: () => Promise<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      if (tries === MAX_TRIES || isSendersFault(error as AwsError)) throw error;
      await clock.sleep(backoffMs(backoff, tries, 1), signal);
    }
  }
}

function isSendersFault({ name = '', $fault, $metadata }: AwsError): boolean {
  if (throttling.test(name)) return false;
  return $fault === 'client' && ($metadata?.httpStatusCode ?? 400) < 500;
}
