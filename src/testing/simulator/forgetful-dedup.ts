import { InMemoryDedupStore } from '../../adapters/inmemory/dedup-store.ts';
import { InfrastructureError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/ambient.ts';
import type { Claim, DedupStore } from '../../domain/ports/dedup-store.ts';

/** Calls by which the copy lags behind. */
const LAG = 20;

type Call = (store: InMemoryDedupStore) => Promise<unknown>;

/** Who claims keys: a process. */
export interface Claimant {
  readonly name: string;
  /** Whether it works, and has not outstayed its time. */
  readonly busy: boolean;
}

/**
 * A store of keys that forgets, falls back to an older copy of itself, and is away at times, as a cache may. It watches what
 * it is for: that no two processes have a key in hand at once, unless it forgot.
 */
export class ForgetfulDedup {
  /** Keys that two processes had in hand at once. */
  readonly shared: string[] = [];
  readonly #clock: Clock;
  /** Who has a key in hand, since the last time that something was forgotten. */
  readonly #inHand = new Map<string, Claimant>();
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

  /** Forgets everything. */
  flush(): void {
    this.failOver();
    this.failOver();
  }

  /** The copy takes over, without what it had not heard of. */
  failOver(): void {
    this.#store = this.#copy;
    this.#copy = new InMemoryDedupStore({ clock: this.#clock });
    this.#behind = [];
    this.#inHand.clear();
  }

  /** Cannot be reached for so many milliseconds. */
  goAway(ms: number): void {
    this.#awayUntil = this.#clock.now() + ms;
  }

  /** The store as one process has it. */
  of(process: Claimant): DedupStore {
    return {
      capabilities: this.#store.capabilities,
      claim: async (keys, leaseMs, signal) => {
        const outcomes = await this.#do((store) => store.claim(keys, leaseMs, signal));
        for (const [at, { state }] of outcomes.entries())
          if (state === 'claimed') this.#take(keys[at] as string, process);
        return outcomes;
      },
      commit: async (claims, signal) => {
        const changed = await this.#do((store) => store.commit(claims, signal));
        this.#letGo(claims, process);
        return changed;
      },
      release: async (claims, signal) => {
        const changed = await this.#do((store) => store.release(claims, signal));
        this.#letGo(claims, process);
        return changed;
      },
    };
  }

  #take(key: string, process: Claimant): void {
    const other = this.#inHand.get(key);
    if (other !== undefined && other !== process && other.busy)
      this.shared.push(`${other.name} and ${process.name} have ${key} in hand at once`);
    this.#inHand.set(key, process);
  }

  #letGo(claims: readonly Claim[], process: Claimant): void {
    for (const { key } of claims) if (this.#inHand.get(key) === process) this.#inHand.delete(key);
  }

  async #do<T>(call: (store: InMemoryDedupStore) => Promise<T>): Promise<T> {
    if (this.#clock.now() < this.#awayUntil)
      throw new InfrastructureError('the store of keys is away', { code: 'E_DEDUP_UNAVAILABLE' });
    this.#behind.push(call);
    while (this.#behind.length > LAG) await this.#behind.shift()?.(this.#copy);
    return call(this.#store);
  }
}
