import { InMemoryMetrics } from '../../../src/adapters/inmemory/metrics.ts';
import type { Clock, Random } from '../../../src/domain/ports/ambient.ts';

export const never: AbortSignal = new AbortController().signal;

/** Time that passes at once, and remembers what was waited for. */
export function hastyClock(): Clock & { readonly waits: readonly number[] } {
  const waits: number[] = [];
  return {
    waits,
    now: () => Date.UTC(2026, 10, 23),
    sleep: async (ms, signal) => {
      signal.throwIfAborted();
      waits.push(ms);
    },
  };
}

/** What adapters take beside their service. Jitter is at its most. */
export function surroundings() {
  const random: Random = { next: () => 0.999_999, id: () => 'id' };
  return { clock: hastyClock(), random, metrics: new InMemoryMetrics() };
}
