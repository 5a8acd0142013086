import type { Failure } from '../failure.ts';
import type { FailureRoute } from '../routing.ts';

/** Delivers failures to where the policy says; decides nothing itself. Copies only: the result store has the truth. */
export interface ErrorRouter {
  /** Resolves when every failure is delivered. Delivering one twice is harmless: readers go by its id. */
  route(failures: readonly RoutedFailure[], signal: AbortSignal): Promise<void>;
}

export interface RoutedFailure {
  readonly generation: string;
  readonly pipeline: string;
  readonly version: number;
  readonly run: string;
  readonly build: string;
  readonly failure: Failure;
  readonly route: FailureRoute;
  /** Milliseconds since 1970. */
  readonly at: number;
}
