import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Claim, ClaimOutcome, DedupStore } from '../domain/ports/dedup-store.ts';
import { expectAborted, expectDefect } from './expectations.ts';
import { unstopped, withHarness, type ContractHarness } from './harness.ts';

export interface DedupStoreHarness extends ContractHarness {
  /** A store that knows no key. */
  readonly store: DedupStore;
  /** Lets the store's time pass, in milliseconds: its clock moves, nobody waits. */
  advance(ms: number): Promise<void>;
}

/** Above it limits are not tried out: the contract has to be quick. */
const MAX_TRIED_KEYS = 20_000;

/** What the port promises of one key. */
interface KeyModel {
  state: 'claimed' | 'released' | 'done';
  token: number;
  leaseUntil: number;
  doneAt: number;
}

interface DedupModel {
  now: number;
  readonly keys: Map<string, KeyModel>;
  /** All that were ever given. */
  readonly claims: Claim[];
}

type DedupCommand = fc.AsyncCommand<DedupModel, DedupStoreHarness>;

/** Checks every sentence of the port's description. */
export function dedupStoreContract(name: string, make: () => Promise<DedupStoreHarness>): void {
  describe(`DedupStore: ${name}`, () => {
    it('answers for each key, in order', () =>
      withHarness(make, async ({ store }) => {
        const [a] = claimed(await store.claim(['a'], 1_000, unstopped));
        await store.commit([{ key: 'a', token: a as number }], unstopped);
        await store.claim(['b'], 1_000, unstopped);
        const outcomes = await store.claim(['c', 'a', 'b', 'c', '', '__proto__', 'ü "\n'], 1_000, unstopped);
        expect(outcomes.map(({ state }) => state)).toEqual([
          'claimed',
          'done',
          'busy',
          'busy',
          'claimed',
          'claimed',
          'claimed',
        ]);
        expect(new Set(claimed(outcomes)).size).toBe(4);
        expect(await store.claim([], 1_000, unstopped)).toEqual([]);
        expect(await store.commit([], unstopped)).toEqual([]);
        expect(await store.release([], unstopped)).toEqual([]);
      }));

    it('lets somebody else have a key whose lease has run out, and then ignores who had it first', () =>
      withHarness(make, async ({ store, advance }) => {
        const [first] = claimed(await store.claim(['a'], 1_000, unstopped)) as [number];
        await advance(1_001);
        const [second] = claimed(await store.claim(['a'], 1_000, unstopped)) as [number];
        expect(second).toBeGreaterThan(first);
        expect(await store.commit([{ key: 'a', token: first }], unstopped)).toEqual([false]);
        expect(await store.release([{ key: 'a', token: first }], unstopped)).toEqual([false]);
        expect(await store.claim(['a'], 1_000, unstopped)).toEqual([{ state: 'busy' }]);
        expect(await store.commit([{ key: 'a', token: second }], unstopped)).toEqual([true]);
        expect(await store.claim(['a'], 1_000, unstopped)).toEqual([{ state: 'done' }]);
      }));

    it('lets who is late finish as long as nobody else has the key', () =>
      withHarness(make, async ({ store, advance }) => {
        const [token] = claimed(await store.claim(['a'], 1_000, unstopped)) as [number];
        await advance(1_001);
        expect(await store.commit([{ key: 'a', token }], unstopped)).toEqual([true]);
        expect(await store.claim(['a'], 1_000, unstopped)).toEqual([{ state: 'done' }]);
      }));

    it('says yes again to a commit whose answer got lost', () =>
      withHarness(make, async ({ store }) => {
        const [token] = claimed(await store.claim(['a'], 1_000, unstopped)) as [number];
        expect(await store.commit([{ key: 'a', token }], unstopped)).toEqual([true]);
        expect(await store.commit([{ key: 'a', token }], unstopped)).toEqual([true]);
      }));

    it('takes as many keys as it declares, and no more', () =>
      withHarness(make, async ({ store }) => {
        const count = Math.min(store.capabilities.maxBatchKeys, MAX_TRIED_KEYS);
        const keys = Array.from({ length: count }, (_, at) => `k${at}`);
        const tokens = claimed(await store.claim(keys, 1_000, unstopped));
        expect(tokens.length).toBe(count);
        const claims = keys.map((key, at) => ({ key, token: tokens[at] as number }));
        expect((await store.commit(claims, unstopped)).every(Boolean)).toBe(true);
        if (store.capabilities.maxBatchKeys > MAX_TRIED_KEYS) return;
        await expectDefect(() => store.claim([...keys, 'one more'], 1_000, unstopped));
        expect((await store.claim(['one more'], 1_000, unstopped)).map(({ state }) => state)).toEqual([
          'claimed',
        ]);
      }));

    it('does nothing for a signal that is aborted already', () =>
      withHarness(make, async ({ store }) => {
        await expectAborted((signal) => store.claim(['a'], 1_000, signal));
        const [token] = claimed(await store.claim(['a'], 1_000, unstopped)) as [number];
        await expectAborted((signal) => store.commit([{ key: 'a', token }], signal));
        await expectAborted((signal) => store.release([{ key: 'a', token }], signal));
        expect(await store.claim(['a'], 1_000, unstopped)).toEqual([{ state: 'busy' }]);
      }));

    it('keeps each key with one owner, whatever the order of calls', () => {
      const keys = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 6 });
      const claims = fc.array(fc.nat(), { minLength: 1, maxLength: 3 });
      const commands = [
        // Leases end between the milliseconds to which the clock is moved.
        fc
          .tuple(keys, fc.integer({ min: 0, max: 9 }))
          .map(([batch, tenths]) => new ClaimKeys(batch, tenths * 100 + 50)),
        claims.map((which) => new Settle('commit', which)),
        claims.map((which) => new Settle('release', which)),
        fc.integer({ min: 0, max: 9 }).map((tenths) => new Advance(tenths * 100)),
      ];
      return fc.assert(
        fc.asyncProperty(fc.commands(commands, { size: 'large', maxCommands: 60 }), (run) =>
          withHarness(make, async (harness) => {
            const model: DedupModel = { now: 0, keys: new Map(), claims: [] };
            await fc.asyncModelRun(() => ({ model, real: harness }), run);
          }),
        ),
        { numRuns: 100 },
      );
    });
  });
}

class ClaimKeys implements DedupCommand {
  readonly #keys: readonly string[];
  readonly #leaseMs: number;
  constructor(keys: readonly string[], leaseMs: number) {
    this.#keys = keys;
    this.#leaseMs = leaseMs;
  }
  check(): boolean {
    return true;
  }
  async run(model: DedupModel, { store }: DedupStoreHarness): Promise<void> {
    const outcomes = await store.claim(this.#keys, this.#leaseMs, unstopped);
    expect(outcomes.length).toBe(this.#keys.length);
    this.#keys.forEach((key, at) => {
      const outcome = outcomes[at] as ClaimOutcome;
      const known = model.keys.get(key);
      expect(allowedStates(known, model.now, store), `claim of ${key}`).toContain(outcome.state);
      if (outcome.state !== 'claimed') return;
      expect(outcome.token).toBeGreaterThan(known?.token ?? Number.NEGATIVE_INFINITY);
      model.keys.set(key, {
        state: 'claimed',
        token: outcome.token,
        leaseUntil: model.now + this.#leaseMs,
        doneAt: 0,
      });
      model.claims.push({ key, token: outcome.token });
    });
  }
  toString(): string {
    return `claim([${this.#keys.join()}], ${this.#leaseMs})`;
  }
}

class Settle implements DedupCommand {
  readonly #how: 'commit' | 'release';
  readonly #which: readonly number[];
  constructor(how: 'commit' | 'release', which: readonly number[]) {
    this.#how = how;
    this.#which = which;
  }
  check(model: DedupModel): boolean {
    return model.claims.length > 0;
  }
  async run(model: DedupModel, { store }: DedupStoreHarness): Promise<void> {
    const claims = this.#which.map((which) => model.claims[which % model.claims.length] as Claim);
    const allowed = claims.map((claim) => this.#settle(model, claim, store));
    const answers = await store[this.#how](claims, unstopped);
    expect(answers.length).toBe(claims.length);
    allowed.forEach((answersAllowed, at) =>
      expect(answersAllowed, `${this.#how} of #${this.#which[at]}`).toContain(answers[at]),
    );
  }
  #settle(model: DedupModel, { key, token }: Claim, store: DedupStore): readonly boolean[] {
    const known = model.keys.get(key) as KeyModel;
    if (known.token !== token || known.state === 'released') return [false];
    if (known.state === 'done') {
      if (this.#how === 'release') return [false];
      return isForgettable(known, model.now, store) ? [true, false] : [true];
    }
    known.state = this.#how === 'commit' ? 'done' : 'released';
    known.doneAt = model.now;
    return [true];
  }
  toString(): string {
    return `${this.#how}([${this.#which.join()}])`;
  }
}

class Advance implements DedupCommand {
  readonly #ms: number;
  constructor(ms: number) {
    this.#ms = ms;
  }
  check(): boolean {
    return true;
  }
  async run(model: DedupModel, { advance }: DedupStoreHarness): Promise<void> {
    await advance(this.#ms);
    model.now += this.#ms;
  }
  toString(): string {
    return `advance(${this.#ms})`;
  }
}

/** A store has to remember what is done for as long as it declares; it may do so for longer. */
function allowedStates(
  known: KeyModel | undefined,
  now: number,
  store: DedupStore,
): readonly ClaimOutcome['state'][] {
  if (known === undefined || known.state === 'released') return ['claimed'];
  if (known.state === 'claimed') return [known.leaseUntil > now ? 'busy' : 'claimed'];
  return isForgettable(known, now, store) ? ['done', 'claimed'] : ['done'];
}

function isForgettable({ doneAt }: KeyModel, now: number, store: DedupStore): boolean {
  return doneAt + store.capabilities.retentionMs <= now;
}

function claimed(outcomes: readonly ClaimOutcome[]): number[] {
  return outcomes.flatMap((outcome) => (outcome.state === 'claimed' ? [outcome.token] : []));
}
