import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/ambient.ts';
import type {
  Claim,
  ClaimOutcome,
  DedupStore,
  DedupStoreCapabilities,
} from '../../domain/ports/dedup-store.ts';

const HOUR_MS = 60 * 60 * 1000;
const MICROSECONDS = 1000;

export interface InMemoryDedupStoreOptions {
  /** How long a done key is remembered, in milliseconds. Default: as long as the store lives. */
  readonly retentionMs?: number;
  /** Done keys that are remembered; above it the oldest are forgotten. Default 1,000,000. */
  readonly maxDoneKeys?: number;
  /** How long after the end of its lease a claim that nobody settled is forgotten, in milliseconds. Default one hour. */
  readonly abandonedMs?: number;
  /** Default 1,000. */
  readonly maxBatchKeys?: number;
}

interface HeldClaim {
  readonly token: number;
  /** Milliseconds since 1970; at that time the lease has run out. */
  readonly leaseUntil: number;
}

interface DoneKey {
  readonly token: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Keys in memory, with leases and fencing tokens. */
export class InMemoryDedupStore implements DedupStore {
  readonly capabilities: DedupStoreCapabilities;
  readonly #clock: Clock;
  readonly #maxDoneKeys: number;
  readonly #abandonedMs: number;
  /** In the order in which they were claimed. */
  readonly #held = new Map<string, HeldClaim>();
  /** In the order in which they were done. */
  readonly #done = new Map<string, DoneKey>();
  #lastToken = 0;

  constructor({ clock }: { readonly clock: Clock }, options: InMemoryDedupStoreOptions = {}) {
    this.#clock = clock;
    this.#maxDoneKeys = options.maxDoneKeys ?? 1_000_000;
    this.#abandonedMs = options.abandonedMs ?? HOUR_MS;
    this.capabilities = {
      maxBatchKeys: options.maxBatchKeys ?? 1_000,
      retentionMs: options.retentionMs ?? Number.POSITIVE_INFINITY,
    };
  }

  /** How many keys are remembered, done or claimed. */
  get size(): number {
    return this.#done.size + this.#held.size;
  }

  async claim(
    keys: readonly string[],
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<readonly ClaimOutcome[]> {
    this.#begin(keys, signal);
    return keys.map((key) => this.#claim(key, leaseMs));
  }

  async commit(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]> {
    this.#begin(claims, signal);
    return claims.map((claim) => this.#commit(claim));
  }

  async release(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]> {
    this.#begin(claims, signal);
    return claims.map(({ key, token }) => this.#held.get(key)?.token === token && this.#held.delete(key));
  }

  #begin(batch: readonly unknown[], signal: AbortSignal): void {
    signal.throwIfAborted();
    if (batch.length > this.capabilities.maxBatchKeys) {
      throw new InfrastructureError(
        `${batch.length} keys are over what one call takes (${this.capabilities.maxBatchKeys})`,
        {
          code: 'E_INTERNAL',
          retryable: false,
        },
      );
    }
    this.#forget();
  }

  #claim(key: string, leaseMs: number): ClaimOutcome {
    const now = this.#clock.now();
    if (this.#done.has(key)) return { state: 'done' };
    const held = this.#held.get(key);
    if (held !== undefined && held.leaseUntil > now) return { state: 'busy' };
    // By the clock: a store that lost everything gives no token again that somebody may still hold.
    const token = Math.max(this.#lastToken + 1, Math.floor(now * MICROSECONDS));
    this.#lastToken = token;
    this.#held.delete(key);
    this.#held.set(key, { token, leaseUntil: now + leaseMs });
    return { state: 'claimed', token };
  }

  #commit({ key, token }: Claim): boolean {
    // Said again, because the answer got lost.
    if (this.#done.get(key)?.token === token) return true;
    if (this.#held.get(key)?.token !== token) return false;
    this.#held.delete(key);
    this.#done.set(key, { token, at: this.#clock.now() });
    for (const [oldest] of this.#done) {
      if (this.#done.size <= this.#maxDoneKeys) break;
      this.#done.delete(oldest);
    }
    return true;
  }

  #forget(): void {
    const now = this.#clock.now();
    for (const [key, { at }] of this.#done) {
      if (at + this.capabilities.retentionMs > now) break;
      this.#done.delete(key);
    }
    for (const [key, { leaseUntil }] of this.#held) {
      if (leaseUntil + this.#abandonedMs > now) break;
      this.#held.delete(key);
    }
  }
}
