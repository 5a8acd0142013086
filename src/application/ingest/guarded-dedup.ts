import { isSluiceError, messageOf } from '../../domain/errors.ts';
import type { Log, Metrics } from '../../domain/ports/ambient.ts';
import type {
  Claim,
  ClaimOutcome,
  DedupStore,
  DedupStoreCapabilities,
} from '../../domain/ports/dedup-store.ts';

/** The token of a key that nobody could be asked for; no store gives it. */
const UNASKED = -1;

/**
 * A store of keys that work goes on without: the result store keeps every key in the transaction that applies it, and decides
 * in the end. Losing the keys costs time, never a duplicate or a loss.
 *
 *     claim fails   ──▶ every key counts as claimed: what was done before is sent again, and dropped where it is applied
 *     commit fails  ──▶ nothing: if the message comes again, it is sent again
 *     release fails ──▶ nothing: the claims end with their lease
 *
 * Each is logged as a warning and counted by keys as `dedupUnavailable`. An aborted signal and a caller's defect go through.
 */
export class GuardedDedup implements DedupStore {
  readonly #store: DedupStore;
  readonly #log: Log;
  readonly #metrics: Metrics;

  constructor(ports: { readonly dedup: DedupStore; readonly log: Log; readonly metrics: Metrics }) {
    this.#store = ports.dedup;
    this.#log = ports.log;
    this.#metrics = ports.metrics;
  }

  get capabilities(): DedupStoreCapabilities {
    return this.#store.capabilities;
  }

  async claim(
    keys: readonly string[],
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<readonly ClaimOutcome[]> {
    try {
      return await this.#store.claim(keys, leaseMs, signal);
    } catch (thrown) {
      this.#note(thrown, 'claim', keys.length, signal);
      return claimUnasked(keys);
    }
  }

  commit(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]> {
    return this.#settle('commit', claims, signal);
  }

  release(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]> {
    return this.#settle('release', claims, signal);
  }

  async #settle(
    call: 'commit' | 'release',
    claims: readonly Claim[],
    signal: AbortSignal,
  ): Promise<readonly boolean[]> {
    // The store knows nothing of the others: they were counted when it could not be asked.
    const asked = claims.filter(({ token }) => token !== UNASKED);
    if (asked.length === 0 && claims.length > 0) return claims.map(() => false);
    try {
      const changed = (await this.#store[call](asked, signal)).values();
      return claims.map(({ token }) => token !== UNASKED && changed.next().value === true);
    } catch (thrown) {
      this.#note(thrown, call, asked.length, signal);
      return claims.map(() => false);
    }
  }

  #note(thrown: unknown, call: string, keys: number, signal: AbortSignal): void {
    signal.throwIfAborted();
    if (isSluiceError(thrown) && thrown.code === 'E_INTERNAL') throw thrown;
    this.#metrics.add('dedupUnavailable', keys);
    this.#log.warn(
      { call, keys, error: thrown },
      `going on without the store of keys, the result store drops duplicates: ${messageOf(thrown)}`,
    );
  }
}

/** Still one owner for a key within the call, as the port has it. */
function claimUnasked(keys: readonly string[]): ClaimOutcome[] {
  const seen = new Set<string>();
  return keys.map((key) => {
    if (seen.has(key)) return { state: 'busy' };
    seen.add(key);
    return { state: 'claimed', token: UNASKED };
  });
}
