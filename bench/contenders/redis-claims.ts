/** Keys of messages from elsewhere, claimed, and committed where told to, in a `redis-server` of the machine's on loopback. */
import { connectRedis } from '../../src/adapters/redis/client.ts';
import { RedisDedupStore } from '../../src/adapters/redis/dedup-store.ts';
import { startRedis } from '../../test/servers/redis-server.ts';
import type { Counts } from '../harness/contender.ts';

const LEASE_MS = 60_000;
/** Functions claim at once: Redis works while another one makes its next batch. */
const CALLERS = 2;

export interface ClaimOptions {
  readonly keys: number;
  readonly commit: boolean;
}

export function prepare(): ReturnType<typeof startRedis> {
  return startRedis();
}

export default async function claims(
  { keys, commit }: ClaimOptions,
  server: Awaited<ReturnType<typeof startRedis>>,
): Promise<Counts> {
  const store = new RedisDedupStore({ client: connectRedis(server.url) });
  const { maxBatchKeys } = store.capabilities;
  const { signal } = new AbortController();
  let next = 0;
  const total = { claimed: 0, committed: 0 };
  const caller = async (): Promise<void> => {
    while (next < keys) {
      const first = next;
      next += Math.min(maxBatchKeys, keys - first);
      const names = Array.from({ length: next - first }, (_, index) => `2026-11-28-orders-${first + index}`);
      const outcomes = await store.claim(names, LEASE_MS, signal);
      const claimed = outcomes.flatMap((outcome, index) =>
        outcome.state === 'claimed' ? [{ key: names[index] as string, token: outcome.token }] : [],
      );
      total.claimed += claimed.length;
      const changed = commit ? await store.commit(claimed, signal) : [];
      total.committed += changed.filter(Boolean).length;
    }
  };
  try {
    await Promise.all(Array.from({ length: CALLERS }, caller));
    return total;
  } finally {
    store.close();
    await server.stop();
  }
}
