import { ContainerModule } from 'inversify';
import { token, tokens } from '../tokens.ts';
import { connectRedis, type RedisConnectionOptions } from './client.ts';
import { RedisDedupStore, type RedisDedupStoreOptions } from './dedup-store.ts';

/** For who has to close it: the same instance as behind `tokens.dedupStore`. */
export const redisTokens = { dedupStore: token<RedisDedupStore>('redis.dedupStore') } as const;

export interface RedisDedupOptions {
  /** `redis[s]://[user[:password]@]host[:port][/database][?cluster=true]` */
  readonly url: string;
  readonly connection?: RedisConnectionOptions;
  readonly dedup?: RedisDedupStoreOptions;
}

/** Binds `dedupStore` and `redisTokens`. Connecting begins when it is asked for first. */
export function redisDedupModule({ url, connection, dedup }: RedisDedupOptions): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(redisTokens.dedupStore)
      .toResolvedValue(() => new RedisDedupStore({ client: connectRedis(url, connection) }, dedup))
      .inSingletonScope();
    bind(tokens.dedupStore).toService(redisTokens.dedupStore);
  });
}
