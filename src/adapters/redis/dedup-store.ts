import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import { InfrastructureError } from '../../domain/errors.ts';
import type {
  Claim,
  ClaimOutcome,
  DedupStore,
  DedupStoreCapabilities,
} from '../../domain/ports/dedup-store.ts';
import type { RedisClient } from './client.ts';
import { claimScript, commitScript, releaseScript } from './scripts.ts';

const HOUR_MS = 60 * 60 * 1000;

export interface RedisDedupStoreOptions {
  /** How long a done key is remembered, in milliseconds. Default 24 hours: as long as a stream keeps its records unless told otherwise. */
  readonly retentionMs?: number;
  /** How long after the end of its lease a claim that nobody settled is still known, in milliseconds. Default one hour. */
  readonly abandonedMs?: number;
  /** Default 10,000: what Redis does in some 30 ms, in which it does nothing else. */
  readonly maxBatchKeys?: number;
}

/**
 * Hash tags, one for each sixteenth of a cluster's 16,384 slots, so that whatever nodes share the slots evenly share the
 * keys evenly. For ever: with other tags nothing is found again.
 */
export const TAGS = [
  '18',
  '5x',
  'dj',
  '3r',
  'd2',
  'pv',
  'uh',
  'iy',
  'ly',
  'h9',
  'uv',
  'q6',
  '9s',
  '5f',
  'dt',
  'ha',
] as const;

/** Keys that one call of a script takes: all keys of a tag, or, on a single node, all keys there are. */
interface Lane {
  /** Where the last token is kept. */
  readonly counter: string;
  /** Tokens of this lane are those that leave this remainder. */
  readonly remainder: number;
  readonly names: string[];
  /** Where they stand among the caller's. */
  readonly places: number[];
}

/**
 * Keys in Redis. Whatever the number of keys, a call is one Lua script; on a cluster one for each hash tag, all at once, because
 * the keys of a script have to lie in one slot.
 *
 * Keys are kept as the first 132 bits of their SHA-256, and done ones as a bare integer: 72 bytes each, and
 * about 60 more for when to forget it.
 */
export class RedisDedupStore implements DedupStore {
  readonly capabilities: DedupStoreCapabilities;
  readonly #client: RedisClient;
  readonly #abandonedMs: number;

  /** @param client is closed with the store */
  constructor(
    { client }: { readonly client: RedisClient },
    { retentionMs = 24 * HOUR_MS, abandonedMs = HOUR_MS, maxBatchKeys = 10_000 }: RedisDedupStoreOptions = {},
  ) {
    this.#client = client;
    this.#abandonedMs = abandonedMs;
    this.capabilities = { retentionMs, maxBatchKeys };
  }

  async claim(
    keys: readonly string[],
    leaseMs: number,
    signal: AbortSignal,
  ): Promise<readonly ClaimOutcome[]> {
    this.#check(keys, signal);
    const lanes = this.#lanes(keys);
    const stride = this.#client.cluster ? TAGS.length : 1;
    const calls = lanes.map(({ counter, remainder, names }) =>
      this.#client.run(
        claimScript,
        [counter, ...names],
        [Math.ceil(leaseMs), this.#abandonedMs, stride, remainder],
        signal,
      ),
    );
    const settled = await Promise.allSettled(calls);
    const outcomes = Array<ClaimOutcome>(keys.length);
    lanes.forEach(({ places }, lane) => {
      const answer = settled[lane];
      if (answer?.status !== 'fulfilled') return;
      places.forEach((place, at) => (outcomes[place] = outcomeOf(answer.value[at] as number)));
    });
    const failed = settled.find((answer) => answer.status === 'rejected');
    if (failed === undefined) return outcomes;
    await this.#giveBack(keys, outcomes, signal);
    throw failed.reason;
  }

  commit(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]> {
    const { retentionMs } = this.capabilities;
    return this.#settle(claims, signal, ({ names }, tokens) =>
      this.#client.run(commitScript, names, [retentionMs, ...tokens], signal),
    );
  }

  release(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]> {
    return this.#settle(claims, signal, ({ names }, tokens) =>
      this.#client.run(releaseScript, names, tokens, signal),
    );
  }

  /** Twice is harmless. Calls under way fail. */
  close(): void {
    this.#client.close();
  }

  async #settle(
    claims: readonly Claim[],
    signal: AbortSignal,
    run: (lane: Lane, tokens: readonly string[]) => Promise<readonly number[]>,
  ): Promise<readonly boolean[]> {
    this.#check(claims, signal);
    const changed = Array<boolean>(claims.length);
    const settled = await Promise.allSettled(
      this.#lanes(claims.map(({ key }) => key)).map(async (lane) => {
        const tokens = lane.places.map((place) => String(claims[place]?.token));
        const answers = await run(lane, tokens);
        lane.places.forEach((place, at) => (changed[place] = answers[at] === 1));
      }),
    );
    const failed = settled.find((answer) => answer.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return changed;
  }

  /** A claim that failed in part leaves no keys behind that are busy for nobody. */
  async #giveBack(
    keys: readonly string[],
    outcomes: readonly (ClaimOutcome | undefined)[],
    signal: AbortSignal,
  ): Promise<void> {
    const claims = keys.flatMap((key, at): Claim[] => {
      const outcome = outcomes[at];
      return outcome?.state === 'claimed' ? [{ key, token: outcome.token }] : [];
    });
    if (claims.length === 0 || signal.aborted) return;
    try {
      await this.release(claims, signal);
    } catch {
      // They end with their lease; the caller has to hear why the claim failed.
    }
  }

  #check(batch: readonly unknown[], signal: AbortSignal): void {
    signal.throwIfAborted();
    const { maxBatchKeys } = this.capabilities;
    if (batch.length <= maxBatchKeys) return;
    throw new InfrastructureError(`${batch.length} keys are over what one call takes (${maxBatchKeys})`, {
      code: 'E_INTERNAL',
      retryable: false,
    });
  }

  #lanes(keys: readonly string[]): Lane[] {
    const lanes = new Map<number, Lane>();
    keys.forEach((key, place) => {
      const { name, tag } = nameOf(key);
      const number = this.#client.cluster ? tag : 0;
      let lane = lanes.get(number);
      if (lane === undefined) {
        lane = { counter: `sl:{${TAGS[number] as string}}token`, remainder: number, names: [], places: [] };
        lanes.set(number, lane);
      }
      lane.names.push(name);
      lane.places.push(place);
    });
    return [...lanes.values()];
  }
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** What a key is called in Redis, and the number of its tag. */
function nameOf(key: string): { readonly name: string; readonly tag: number } {
  // As UTF-16: in UTF-8 all lone surrogates are the same.
  const digest = hash('sha256', Buffer.from(key, 'utf16le'), 'base64url');
  // The last character stands for the last 4 bits.
  const tag = BASE64URL.indexOf(digest.charAt(42)) >> 2;
  return { name: `sl:{${TAGS[tag] as string}}${digest.slice(0, 22)}`, tag };
}

function outcomeOf(answer: number): ClaimOutcome {
  if (answer === 0) return { state: 'done' };
  if (answer === -1) return { state: 'busy' };
  return { state: 'claimed', token: answer };
}
