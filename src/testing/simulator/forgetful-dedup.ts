import { InMemoryDedupStore } from '../../adapters/inmemory/dedup-store.ts';
import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/ambient.ts';
import type { Claim, ClaimOutcome, DedupStore } from '../../domain/ports/dedup-store.ts';

/** Calls by which the copy lags behind. */
const LAG = 20;

type Call = (store: InMemoryDedupStore) => Promise<unknown>;

/** A store of keys that forgets, falls back to an older copy of itself, and is away at times, as a cache may. */
export class ForgetfulDedup implements DedupStore {
  readonly #clock: Clock;
  #store: InMemoryDedupStore;
  #copy: InMemoryDedupStore;
  /** What the copy has not heard of yet, oldest first. */
  #behind: Call[] = [];
  #awayUntil = 0;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
    this.#store = new InMemoryDedupStore({ clock });
    this.#copy = new InMemoryDedupStore({ clock });
  }

  get capabilities() {
    return this.#store.capabilities;
  }

  /** Forgets everything; tokens start anew, too. */
  flush(): void {
    this.#store = new InMemoryDedupStore({ clock: this.#clock });
    this.failOver();
    this.#store = new InMemoryDedupStore({ clock: this.#clock });
  }

  /** The copy takes over, without what it had not heard of. */
  failOver(): void {
    this.#store = this.#copy;
    this.#copy = new InMemoryDedupStore({ clock: this.#clock });
    this.#behind = [];
  }

  /** Cannot be reached for so many milliseconds. */
  goAway(ms: number): void {
    this.#awayUntil = this.#clock.now() + ms;
  }

  claim(keys: readonly string[], leaseMs: number, signal: AbortSignal): Promise<readonly ClaimOutcome[]> {
    return this.#do((store) => store.claim(keys, leaseMs, signal));
  }

  commit(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]> {
    return this.#do((store) => store.commit(claims, signal));
  }

  release(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]> {
    return this.#do((store) => store.release(claims, signal));
  }

  async #do<T>(call: (store: InMemoryDedupStore) => Promise<T>): Promise<T> {
    if (this.#clock.now() < this.#awayUntil)
      throw new InfrastructureError('the store of keys is away', { code: 'E_DEDUP_UNAVAILABLE' });
    this.#behind.push(call);
    while (this.#behind.length > LAG) await this.#behind.shift()?.(this.#copy);
    return call(this.#store);
  }
}
