import type { Counter, Metrics } from '../../domain/ports/ambient.ts';

/** Totals by counter since it was made. */
export class InMemoryMetrics implements Metrics {
  readonly #totals = new Map<Counter, number>();

  add(counter: Counter, value: number): void {
    this.#totals.set(counter, (this.#totals.get(counter) ?? 0) + value);
  }

  /** 0 where nothing was counted. */
  total(counter: Counter): number {
    return this.#totals.get(counter) ?? 0;
  }

  /** What was counted so far; it does not change afterwards. */
  snapshot(): Readonly<Partial<Record<Counter, number>>> {
    return Object.fromEntries(this.#totals);
  }
}
