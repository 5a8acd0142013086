import type { Random } from '../../domain/ports/ambient.ts';

export interface BackoffOptions {
  /** Longest wait before the second attempt, in milliseconds. Default 100. */
  readonly baseMs?: number;
  /** Longest wait at all, in milliseconds. Default 10,000. */
  readonly capMs?: number;
}

/** Exponential backoff with full jitter: anything from 0 up to base × 2^(attempt − 1), in milliseconds. */
export function backoffMs(
  attempt: number,
  random: Random,
  { baseMs = 100, capMs = 10_000 }: BackoffOptions = {},
): number {
  return Math.floor(random.next() * Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 30)));
}
