import type { ErrorRouter, RoutedFailure } from '../../domain/ports/error-router.ts';

export interface InMemoryErrorRouterOptions {
  /** The oldest are dropped above it. Default: no bound. */
  readonly maxFailures?: number;
}

/** Collects failures. */
export class InMemoryErrorRouter implements ErrorRouter {
  readonly #failures: RoutedFailure[] = [];
  readonly #maxFailures: number;
  #dropped = 0;

  constructor({ maxFailures = Number.POSITIVE_INFINITY }: InMemoryErrorRouterOptions = {}) {
    this.#maxFailures = maxFailures;
  }

  /** In the order in which they came, each as often as it came. */
  get failures(): readonly RoutedFailure[] {
    return this.#failures;
  }

  /** How many were dropped to stay under `maxFailures`. */
  get dropped(): number {
    return this.#dropped;
  }

  async route(failures: readonly RoutedFailure[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#failures.push(...failures);
    const over = this.#failures.length - this.#maxFailures;
    if (over > 0) {
      this.#failures.splice(0, over);
      this.#dropped += over;
    }
  }
}
