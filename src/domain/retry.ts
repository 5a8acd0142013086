/** How long to wait between tries. */
export interface Backoff {
  /** The first wait is up to this long, in milliseconds; each further one up to twice the one before. */
  readonly baseMs: number;
  /** No wait is longer, in milliseconds. */
  readonly maxMs: number;
}

/** How often and how long after each other a call to the infrastructure is tried. */
export interface RetryPolicy extends Backoff {
  /** Calls in all, the first one too. */
  readonly attempts: number;
}

/** Between the tries of a task or a batch, which are larger than calls. */
export const defaultBackoff: Backoff = { baseMs: 100, maxMs: 10_000 };

export const defaultRetry: RetryPolicy = { attempts: 8, baseMs: 50, maxMs: 5_000 };

/**
 * Exponential backoff with full jitter (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015): anything from 0 to
 * the bound, so that many clients that failed together do not come back together.
 *
 * @param retry 1 before the second call
 * @param random a number in [0, 1)
 * @returns milliseconds
 */
export function backoffMs({ baseMs, maxMs }: Backoff, retry: number, random: number): number {
  return Math.floor(random * Math.min(maxMs, baseMs * 2 ** (retry - 1)));
}
