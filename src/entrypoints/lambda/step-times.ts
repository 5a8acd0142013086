import type { Clock } from '../../domain/ports/ambient.ts';

/** Steps that the longest one is looked for in. */
const REMEMBERED = 32;
/** Before anything was measured: a step may take so long, in milliseconds, but never more than a quarter of what there is. */
const ASSUMED_MS = 10_000;

/**
 * How long a step of a function's work took lately in this container: reading, transforming and flushing a section, planning a
 * batch of objects, applying a record. What is left of an invocation's time has to be longer, or no step is begun.
 */
export class StepTimes {
  readonly #recent: number[] = [];

  record(ms: number): void {
    this.#recent.push(ms);
    if (this.#recent.length > REMEMBERED) this.#recent.shift();
  }

  /** When the last step can be begun that ends before `endsAt`; both in milliseconds since 1970. */
  lastStart(now: number, endsAt: number): number {
    const longest =
      this.#recent.length === 0 ? Math.min(ASSUMED_MS, (endsAt - now) / 4) : Math.max(...this.#recent);
    return endsAt - longest;
  }

  /** Measures steps that follow each other: each call of the result ends one. */
  laps(clock: Pick<Clock, 'now'>): () => void {
    let begunAt = clock.now();
    return () => {
      const now = clock.now();
      this.record(now - begunAt);
      begunAt = now;
    };
  }
}
