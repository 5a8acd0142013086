import type { PublishedGroup, ResultStore } from '../domain/ports/result-store.ts';

/** One isolated store, as the contract uses it. */
export interface ResultStoreFixture {
  readonly store: ResultStore;
  /** Closes the store and opens another on the same data; called only where `capabilities.durable`. */
  reopen?(): Promise<ResultStore>;
  /** What other tools read after `publish`, by group in ascending order of UTF-8 bytes. */
  published(generation: string): Promise<readonly PublishedGroup[]>;
  /** Closes the store and takes away what it left. */
  destroy(): Promise<void>;
}
