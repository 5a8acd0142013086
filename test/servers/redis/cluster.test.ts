import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectRedis, type RedisConnectionOptions } from '../../../src/adapters/redis/client.ts';
import { RedisDedupStore, TAGS } from '../../../src/adapters/redis/dedup-store.ts';
import { dedupStoreContract } from '../../../src/testing/dedup-store-contract.ts';
import { thrownBy, unstopped } from '../../../src/testing/harness.ts';
import { agedHarness } from './aged.ts';
import { startCluster, type RedisCluster } from './cluster.ts';

let cluster: RedisCluster;
let direct: Redis[];
const open: RedisDedupStore[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  direct = cluster.nodes.map(({ url }) => new Redis(url));
});
afterAll(async () => {
  for (const node of direct) node.disconnect();
  await cluster.stop();
});
beforeEach(async () => void (await Promise.all(direct.map((node) => node.flushall()))));
afterEach(() => {
  for (const store of open.splice(0)) store.close();
});

function connect(url = cluster.url, connection: RedisConnectionOptions = {}): RedisDedupStore {
  const store = new RedisDedupStore({ client: connectRedis(url, connection) });
  open.push(store);
  return store;
}

const keys = Array.from({ length: 6_000 }, (_, at) => `key ${at}`);

describe('The contract', () => {
  let client: ReturnType<typeof connectRedis>;
  beforeAll(() => void (client = connectRedis(cluster.url)));
  afterAll(() => client.close());
  dedupStoreContract('Redis, a cluster', () => agedHarness(client, direct));
});

describe('Keys in a cluster', () => {
  it('lie in one slot for each tag, the slots evenly apart', async () => {
    const [node] = direct as [Redis];
    const slots = await Promise.all(TAGS.map((tag) => node.cluster('KEYSLOT', `sl:{${tag}}x`)));
    expect(slots.map((slot) => Math.floor(slot / (16_384 / TAGS.length)))).toEqual(
      TAGS.map((_, number) => number),
    );
  });

  it('share the nodes evenly, and take one script for each tag', async () => {
    const store = connect();
    const claimed = await store.claim(keys, 60_000, unstopped);
    const tokens = claimed.map((outcome) => (outcome.state === 'claimed' ? outcome.token : 0));
    expect(new Set(tokens).size).toBe(keys.length);
    expect(Math.min(...tokens)).toBeGreaterThan(0);
    await Promise.all(direct.map((node) => node.config('RESETSTAT')));
    const outcomes = await store.claim(keys, 1_000, unstopped);
    expect(new Set(outcomes.map(({ state }) => state))).toEqual(new Set(['busy']));
    let calls = 0;
    for (const node of direct) {
      const stats = await node.info('commandstats');
      calls += Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]);
      expect(stats).not.toContain('cmdstat_eval:');
      const size = await node.dbsize();
      expect(size).toBeGreaterThan(keys.length / 4);
      expect(size).toBeLessThan((keys.length * 5) / 12);
    }
    expect(calls).toBe(TAGS.length);
  });

  it('cannot be claimed by who takes it for a single node, and is told so', async () => {
    const store = connect(cluster.url.replace('?cluster=true', ''));
    const error = await thrownBy(() => store.claim(keys, 1_000, unstopped));
    expect(error).toMatchObject({ code: 'E_DEDUP_UNAVAILABLE', retryable: false });
    expect((error as Error).message).toContain('?cluster=true');
  });
});

/** How many keys can be claimed, or `undefined` where nobody can be asked. */
async function claimedNow(store: RedisDedupStore): Promise<number | undefined> {
  try {
    const outcomes = await store.claim(keys, 1, unstopped);
    return outcomes.filter(({ state }) => state === 'claimed').length;
  } catch {
    return undefined;
  }
}

describe('A node away', () => {
  it('fails the call in time, gives back what the others claimed, and is used again when it is back', async () => {
    const own = await startCluster();
    const others = own.nodes.slice(0, 2).map(({ url }) => new Redis(url));
    try {
      const store = connect(own.url, { timeoutMs: 800 });
      while ((await claimedNow(store)) === undefined) await sleep(50);
      await own.nodes[2]?.kill();
      const begun = performance.now();
      expect(await thrownBy(() => store.claim(keys, 60_000, unstopped))).toMatchObject({
        code: 'E_DEDUP_UNAVAILABLE',
        retryable: true,
      });
      expect(performance.now() - begun).toBeLessThan(5_000);
      for (const node of others) {
        const left = (await node.keys('*')).filter((name) => !name.endsWith('token'));
        expect(left.length).toBeLessThanOrEqual(1);
      }
      await own.nodes[2]?.restart();
      while ((await claimedNow(store)) !== keys.length) await sleep(50);
    } finally {
      for (const node of others) node.disconnect();
      await own.stop();
    }
  });
});
