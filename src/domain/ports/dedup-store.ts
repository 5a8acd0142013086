/**
 * Remembers keys of messages from elsewhere, so that duplicates cost nothing. It may forget: the result store
 * decides in the end.
 */
export interface DedupStore {
  readonly capabilities: DedupStoreCapabilities;

  /**
   * Claims keys for `leaseMs`; one outcome per key, in order. The same key twice in a call: the second is `busy`.
   * A claim whose lease has run out can be claimed anew, with a higher token.
   */
  claim(keys: readonly string[], leaseMs: number, signal: AbortSignal): Promise<readonly ClaimOutcome[]>;

  /** Marks claimed keys as done, also after their lease, and again where that is said twice. A token that has been overtaken changes nothing; the answer says so, key by key. */
  commit(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]>;

  /** Gives claimed keys back. A token that has been overtaken changes nothing; the answer says so, key by key. */
  release(claims: readonly Claim[], signal: AbortSignal): Promise<readonly boolean[]>;
}

export interface Claim {
  readonly key: string;
  /** The fencing token that the claim was given. */
  readonly token: number;
}

export type ClaimOutcome =
  | { readonly state: 'claimed'; readonly token: number }
  /** Somebody else has it and is not done: neither done nor failed, so hand it back. */
  | { readonly state: 'busy' }
  | { readonly state: 'done' };

export interface DedupStoreCapabilities {
  /** Keys in one call; more are the caller's defect: `InfrastructureError` `E_INTERNAL`, and nothing is done. */
  readonly maxBatchKeys: number;
  /** How long a done key is remembered, in milliseconds; `Infinity` while the store lives. */
  readonly retentionMs: number;
}
