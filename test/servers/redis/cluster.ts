import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '../redis-server.ts';

export interface RedisCluster {
  /** Of one of its nodes. */
  readonly url: string;
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

const SLOTS = 16_384;
const JOIN_TIMEOUT_MS = 20_000;

/** A cluster of three nodes, without replicas, that share the slots evenly. */
export async function startCluster(): Promise<RedisCluster> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '3000'];
  const nodes = await Promise.all([1, 2, 3].map(() => startRedis({ args })));
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const clients = nodes.map(({ url }) => new Redis(url));
  try {
    const [first] = nodes as [RedisServer];
    await Promise.all(
      clients.map(async (client, at) => {
        const from = Math.floor((at * SLOTS) / nodes.length);
        const to = Math.floor(((at + 1) * SLOTS) / nodes.length) - 1;
        // An epoch for each, or they have to find out whose word counts.
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', at + 1);
        await client.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
        if (at > 0) await client.call('CLUSTER', 'MEET', '127.0.0.1', first.port);
      }),
    );
    const deadline = Date.now() + JOIN_TIMEOUT_MS;
    while (!(await Promise.all(clients.map(isWhole))).every(Boolean)) {
      if (Date.now() > deadline) throw new Error('the nodes did not become a cluster');
      await sleep(50);
    }
    return { url: `${first.url}?cluster=true`, nodes, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    for (const client of clients) client.disconnect();
  }
}

async function isWhole(client: Redis): Promise<boolean> {
  const info = await client.cluster('INFO');
  return ['cluster_state:ok', 'cluster_known_nodes:3', `cluster_slots_ok:${SLOTS}`].every((line) =>
    info.includes(line),
  );
}
