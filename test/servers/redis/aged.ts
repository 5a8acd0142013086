import type { Redis } from 'ioredis';
import { RedisDedupStore } from '../../../src/adapters/redis/dedup-store.ts';
import { TOKEN_DIGITS } from '../../../src/adapters/redis/scripts.ts';
import type { DedupStore } from '../../../src/domain/ports/dedup-store.ts';
import type { DedupStoreHarness } from '../../../src/testing/dedup-store-contract.ts';

/**
 * A millisecond of the contract lasts so long here: the clock of Redis goes on while the contract's stands still, and a
 * machine that is busy must not end a lease.
 */
const MS = 200;

/** How long done keys are remembered, in milliseconds of the contract. */
export const RETENTION_MS = 3_000;

/**
 * Redis' clock cannot be moved. Instead all that lies in it is made older: every end of a lease and every time at which something is
 * forgotten comes nearer.
 */
const AGE = `
local cursor = '0'
repeat
  local found = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = found[1]
  for _, key in ipairs(found[2]) do
    local held, left = redis.call('GET', key), redis.call('PTTL', key)
    if string.sub(key, -5) == 'token' then
      -- Tokens do not grow old.
    elseif left <= tonumber(ARGV[1]) then
      redis.call('DEL', key)
    else
      if #held > ${TOKEN_DIGITS} then
        local until_ = tonumber(string.sub(held, ${TOKEN_DIGITS + 1})) - ARGV[1]
        held = string.sub(held, 1, ${TOKEN_DIGITS}) .. string.format('%.0f', until_)
      end
      redis.call('SET', key, held, 'PX', left - ARGV[1])
    end
  end
until cursor == '0'
`;

/** An empty store for a contract. @param nodes every node that keys lie on */
export async function agedHarness(
  client: ConstructorParameters<typeof RedisDedupStore>[0]['client'],
  nodes: readonly Redis[],
): Promise<DedupStoreHarness> {
  await Promise.all(nodes.map((node) => node.flushall()));
  const store = new RedisDedupStore({ client }, { retentionMs: RETENTION_MS * MS });
  const slowed: DedupStore = {
    capabilities: { ...store.capabilities, retentionMs: RETENTION_MS },
    claim: (keys, leaseMs, signal) => store.claim(keys, leaseMs * MS, signal),
    commit: (claims, signal) => store.commit(claims, signal),
    release: (claims, signal) => store.release(claims, signal),
  };
  return {
    store: slowed,
    advance: async (ms) => void (await Promise.all(nodes.map((node) => node.eval(AGE, 0, ms * MS)))),
    dispose: async () => {},
  };
}
