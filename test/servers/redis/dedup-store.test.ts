import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { inspect, promisify } from 'node:util';
import fc from 'fast-check';
import { Container } from 'inversify';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectRedis, type RedisConnectionOptions } from '../../../src/adapters/redis/client.ts';
import { RedisDedupStore, type RedisDedupStoreOptions } from '../../../src/adapters/redis/dedup-store.ts';
import { redisDedupModule, redisTokens } from '../../../src/adapters/redis/module.ts';
import { tokens } from '../../../src/adapters/tokens.ts';
import type { Claim, ClaimOutcome } from '../../../src/domain/ports/dedup-store.ts';
import { dedupStoreContract } from '../../../src/testing/dedup-store-contract.ts';
import { thrownBy, unstopped } from '../../../src/testing/harness.ts';
import { startRedis, type RedisServer } from '../redis-server.ts';
import { agedHarness } from './aged.ts';

let server: RedisServer;
let direct: Redis;
const open: RedisDedupStore[] = [];

beforeAll(async () => {
  server = await startRedis();
  direct = new Redis(server.url);
});
afterAll(async () => {
  direct.disconnect();
  await server.stop();
});
beforeEach(async () => void (await direct.flushall()));
afterEach(() => {
  for (const store of open.splice(0)) store.close();
});

function connect(
  options: RedisDedupStoreOptions = {},
  connection: RedisConnectionOptions = {},
  url = server.url,
): RedisDedupStore {
  const store = new RedisDedupStore({ client: connectRedis(url, connection) }, options);
  open.push(store);
  return store;
}

const keysOf = (count: number, prefix = 'k') => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

function tokenOf(outcome: ClaimOutcome | undefined): number {
  if (outcome?.state !== 'claimed') throw new Error(`not claimed but ${outcome?.state}`);
  return outcome.token;
}

function claimsOf(keys: readonly string[], outcomes: readonly ClaimOutcome[]): Claim[] {
  return keys.map((key, at) => ({ key, token: tokenOf(outcomes[at]) }));
}

async function claimAll(store: RedisDedupStore, keys: readonly string[], leaseMs = 60_000): Promise<Claim[]> {
  return claimsOf(keys, await store.claim(keys, leaseMs, unstopped));
}

/** Scripts that were run since the counts were reset. */
async function calls(): Promise<Record<string, number>> {
  const stats = (await direct.info('commandstats')).matchAll(/cmdstat_(eval|evalsha):calls=(\d+)/g);
  return Object.fromEntries([...stats].map(([, name, count]) => [name, Number(count)]));
}

const unavailable = (retryable: boolean) => ({
  kind: 'infrastructure',
  code: 'E_DEDUP_UNAVAILABLE',
  retryable,
});

it('calls a key what it always called it: else nothing that was done would be found again', async () => {
  const store = connect();
  const [claim] = await claimAll(store, ['2026-11-28-orders-1', 'ü']);
  const names = ['sl:{ly}ycrVwaVqctj-2S7bt5ildw', 'sl:{uv}7Z9wqWGhMmAFk2owbn3Wri'];
  expect(await direct.exists(...names)).toBe(names.length);
  expect(String(await direct.get(names[0] as string)).slice(0, 16)).toBe(String(claim?.token));
});

describe('The contract', () => {
  let client: ReturnType<typeof connectRedis>;
  beforeAll(() => void (client = connectRedis(server.url)));
  afterAll(() => client.close());
  dedupStoreContract('Redis', () => agedHarness(client, [direct]));
});

describe('Keys in Redis', () => {
  it('are claimed, committed and released by one script each, however many', async () => {
    const store = connect();
    await claimAll(store, ['connected']);
    const keys = keysOf(5_000);
    await direct.script('FLUSH');
    await direct.config('RESETSTAT');
    const claims = await claimAll(store, keys);
    await store.commit(claims.slice(0, 3_000), unstopped);
    await store.release(claims.slice(3_000), unstopped);
    // Redis does not know the scripts: it answers NOSCRIPT, does nothing, and gets their texts.
    expect(await calls()).toEqual({ evalsha: 3, eval: 3 });
    const states = (await store.claim(keys, 1_000, unstopped)).map(({ state }) => state);
    expect(await calls()).toEqual({ evalsha: 4, eval: 3 });
    expect(new Set(states.slice(0, 3_000))).toEqual(new Set(['done']));
    expect(new Set(states.slice(3_000))).toEqual(new Set(['claimed']));
  });

  it('take little memory when they are done, and are all forgotten in the end', async () => {
    const store = connect();
    const keys = keysOf(
      1_000,
      '["lane-performance@1","orders","2026-11-23-orders-shardId-000000000003-4959"]',
    );
    await store.commit(await claimAll(store, keys), unstopped);
    await claimAll(store, ['held']);
    const names = await direct.keys('*');
    expect(names.length).toBe(1_000 + 1 + 1);
    for (const name of names) {
      expect(await direct.pttl(name)).toBeGreaterThan(0);
      const claimed = (await direct.strlen(name)) > 16;
      if (!claimed) expect(await direct.memory('USAGE', name)).toBeLessThanOrEqual(72);
    }
  });

  it('are told apart, whatever they are made of', async () => {
    const store = connect();
    const odd = [
      '',
      '\0',
      '\ud800',
      '\udfff',
      '\ufffd',
      'a'.repeat(100_000),
      'a'.repeat(100_001),
      '{18}',
      '{18',
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...odd)), { maxLength: 50 }),
        async (keys) => {
          await direct.flushall();
          expect(new Set((await claimAll(store, keys)).map(({ token }) => token)).size).toBe(keys.length);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('have one owner each, however many ask at once', async () => {
    const stores = Array.from({ length: 5 }, () => connect());
    const keys = keysOf(500);
    const outcomes = await Promise.all(
      stores.flatMap((store) => [
        store.claim(keys, 60_000, unstopped),
        store.claim(keys.toReversed(), 60_000, unstopped).then((reversed) => reversed.toReversed()),
      ]),
    );
    keys.forEach((_, at) => {
      const states = outcomes.map((all) => all[at]?.state);
      expect(states.filter((state) => state === 'claimed')).toHaveLength(1);
      expect(states.filter((state) => state === 'busy')).toHaveLength(9);
    });
  });

  it('are free again when the lease ends by the clock of Redis', async () => {
    const store = connect({ retentionMs: 300 });
    const [first] = await claimAll(store, ['a'], 300);
    expect(await store.claim(['a'], 300, unstopped)).toEqual([{ state: 'busy' }]);
    await sleep(310);
    const [second] = await claimAll(store, ['a']);
    expect(second?.token).toBeGreaterThan(first?.token as number);
    expect(await store.commit([first as Claim], unstopped)).toEqual([false]);
    expect(await store.release([first as Claim], unstopped)).toEqual([false]);
    expect(await store.commit([second as Claim], unstopped)).toEqual([true]);
    expect(await store.claim(['a'], 300, unstopped)).toEqual([{ state: 'done' }]);
    await sleep(310);
    expect((await store.claim(['a'], 30, unstopped))[0]?.state).toBe('claimed');
  });

  it('have a zombie change nothing, when their claim was forgotten too', async () => {
    const store = connect({ abandonedMs: 1 });
    const [zombie] = (await claimAll(store, ['a'], 1)) as [Claim];
    await sleep(10);
    expect(await direct.keys('*')).toHaveLength(1);
    expect(await store.commit([zombie], unstopped)).toEqual([false]);
    expect(await store.release([zombie], unstopped)).toEqual([false]);
    expect((await store.claim(['a'], 1_000, unstopped))[0]?.state).toBe('claimed');
  });

  it('know no tokens that Redis cannot have given', async () => {
    const store = connect();
    const [claim] = (await claimAll(store, ['a', 'b'])) as [Claim];
    const odd = [Number.NaN, 0, -1, 0.5, Infinity, 1e21, claim.token + 1, claim.token - 1, claim.token * 10];
    const claims = odd.map((token) => ({ key: 'a', token }));
    expect(await store.commit(claims, unstopped)).toEqual(odd.map(() => false));
    expect(await store.release(claims, unstopped)).toEqual(odd.map(() => false));
    expect(await store.commit([claim], unstopped)).toEqual([true]);
  });
});

describe('Fencing tokens rise', () => {
  it('within a call, between calls, and where all is flushed or restarted in between', async () => {
    const store = connect();
    let last = 0;
    const rise = async (keys: readonly string[]) => {
      for (const { token } of await claimAll(store, keys)) {
        expect(token).toBeGreaterThan(last);
        expect(Number.isSafeInteger(token)).toBe(true);
        last = token;
      }
    };
    await rise(keysOf(2_000));
    await rise(['x']);
    await direct.flushall();
    await rise(keysOf(10));
    await direct.script('FLUSH');
    await rise(['y']);
    await server.restart();
    await readyAgain(store);
    await rise(['x', 'y']);
  });

  it('where the clock of Redis is set back', async () => {
    const store = connect();
    await claimAll(store, ['a']);
    const [counter] = await direct.keys('*token');
    const ahead = Number(await direct.get(counter as string)) + 3_600_000_000;
    await direct.set(counter as string, String(ahead));
    expect((await claimAll(store, ['b']))[0]?.token).toBe(ahead + 1);
  });
});

/** Waits until calls get through again. */
async function readyAgain(store: RedisDedupStore): Promise<void> {
  for (;;) {
    try {
      return void (await store.claim(['is it there?'], 1, unstopped));
    } catch {
      await sleep(10);
    }
  }
}

describe('Redis away', () => {
  it('fails calls at once, those under way too, and is used again when it is back', async () => {
    const own = await startRedis();
    try {
      const store = connect({}, { maxReconnectMs: 200 }, own.url);
      await claimAll(store, ['a']);
      const pause = new Redis(own.url);
      await pause.call('CLIENT', 'PAUSE', '10000', 'WRITE');
      const under = thrownBy(() => store.claim(['b'], 1_000, unstopped));
      await sleep(20);
      pause.disconnect();
      await own.kill();
      expect(await under).toMatchObject(unavailable(true));
      const begun = performance.now();
      for (let call = 0; call < 50; call++) {
        const error = await thrownBy(() => store.claim(['b'], 1_000, unstopped));
        expect(error).toMatchObject(unavailable(true));
        await expect(store.commit([{ key: 'a', token: 1 }], unstopped)).rejects.toMatchObject(
          unavailable(true),
        );
      }
      expect(performance.now() - begun).toBeLessThan(5_000);
      await own.restart();
      await readyAgain(store);
      // What failed was not kept back and sent now.
      expect((await store.claim(['a', 'b'], 1_000, unstopped)).map(({ state }) => state)).toEqual([
        'claimed',
        'claimed',
      ]);
    } finally {
      await own.stop();
    }
  });

  it('fails a first call, where it was never there', async () => {
    const own = await startRedis();
    await own.stop();
    const error = await thrownBy(() => connect({}, {}, own.url).claim(['a'], 1_000, unstopped));
    expect(error).toMatchObject(unavailable(true));
    expect((error as Error).message).toContain('ECONNREFUSED');
  });

  it('fails calls within the timeout where it does not answer, and connects anew', async () => {
    const store = connect({}, { timeoutMs: 400 });
    await claimAll(store, ['a']);
    await direct.call('CLIENT', 'PAUSE', '10000', 'WRITE');
    const begun = performance.now();
    await expect(store.claim(['b'], 1_000, unstopped)).rejects.toMatchObject(unavailable(true));
    expect(performance.now() - begun).toBeLessThan(2_000);
    await direct.call('CLIENT', 'UNPAUSE');
    await readyAgain(store);
    expect(await store.claim(['a'], 1_000, unstopped)).toEqual([{ state: 'busy' }]);
  });

  it('fails calls within the timeout where nobody speaks behind the port', async () => {
    const mute = createServer(() => {});
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    try {
      const url = `redis://127.0.0.1:${(mute.address() as AddressInfo).port}`;
      const store = connect({}, { timeoutMs: 60 }, url);
      await expect(store.claim(['a'], 1_000, unstopped)).rejects.toMatchObject(unavailable(true));
      store.close();
    } finally {
      mute.close();
    }
  });

  it('lets go of a call that is stopped, while it waits for an answer or a connection', async () => {
    const reason = new Error('deadline');
    const stopped = async (store: RedisDedupStore) => {
      const stopping = new AbortController();
      const call = thrownBy(() => store.claim(['a'], 1_000, stopping.signal));
      await sleep(5);
      stopping.abort(reason);
      const begun = performance.now();
      expect(await call).toBe(reason);
      expect(performance.now() - begun).toBeLessThan(1_000);
    };
    const store = connect();
    await claimAll(store, ['x']);
    await direct.call('CLIENT', 'PAUSE', '10000', 'WRITE');
    await stopped(store);
    await stopped(connect());
    await direct.call('CLIENT', 'UNPAUSE');
  });

  it('out of memory, or read-only, is unavailable and not lost', async () => {
    const store = connect();
    await claimAll(store, ['a']);
    await direct.config('SET', 'maxmemory', '1');
    try {
      await expect(store.claim(['b'], 1_000, unstopped)).rejects.toMatchObject(unavailable(true));
    } finally {
      await direct.config('SET', 'maxmemory', '0');
    }
    await direct.replicaof('127.0.0.1', '1');
    try {
      await expect(store.claim(['b'], 1_000, unstopped)).rejects.toMatchObject(unavailable(true));
    } finally {
      await direct.replicaof('NO', 'ONE');
    }
    await readyAgain(store);
    await claimAll(store, ['b']);
  });
});

describe('A password', () => {
  const password = 'p:a/s@s%20 word';
  let guarded: RedisServer;
  beforeAll(async () => void (guarded = await startRedis({ args: ['--requirepass', password] })));
  afterAll(() => guarded.stop());
  const urlWith = (secret: string) => guarded.url.replace('//', `//default:${encodeURIComponent(secret)}@`);

  it('goes with the database that the URL names', async () => {
    const store = connect({}, {}, `${urlWith(password)}/3`);
    expect(await claimAll(store, ['in the third'])).toHaveLength(1);
    const other = new Redis(`${urlWith(password)}/3`);
    expect(await other.dbsize()).toBe(2);
    other.disconnect();
  });

  it('of any letters is taken from the URL', async () => {
    expect(await claimAll(connect({}, {}, urlWith(password)), ['a'])).toHaveLength(1);
  });

  it('that is wrong is refused for good, and shows up nowhere', async () => {
    const store = connect({}, {}, urlWith('other-secret'));
    const error = await thrownBy(() => store.claim(['a'], 1_000, unstopped));
    expect(error).toMatchObject(unavailable(false));
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('other-secret');
  });

  it('stays out of what is said of a URL that is none', () => {
    for (const url of [
      'http://u:secret@h',
      'redis://u:secret@/0',
      'redis://u:secret@h:0x/',
      'redis://u:secret%@h',
      'secret',
      'redis://h/x',
    ]) {
      let said: unknown;
      try {
        connectRedis(url);
      } catch (thrown) {
        said = thrown;
      }
      expect(said).toMatchObject({ kind: 'domain', code: 'E_USAGE' });
      expect(inspect(said)).not.toContain('secret');
    }
  });
});

describe('rediss://', () => {
  let folder: string;
  let secured: RedisServer;
  let authorities: readonly string[];
  beforeAll(async () => {
    authorities = getCACertificates();
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-redis-tls-'));
    const [cert, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const named = ['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1'];
    await promisify(execFile)('openssl', [...request, ...named, '-keyout', key, '-out', cert]);
    secured = await startRedis({ tls: { cert, key } });
  });
  afterAll(async () => {
    setDefaultCACertificates(authorities);
    await secured.stop();
    await rm(folder, { recursive: true });
  });

  it('is TLS, with a certificate that somebody known has signed', async () => {
    const claim = (store: RedisDedupStore) => store.claim(['a'], 1_000, unstopped);
    const error = await thrownBy(() => claim(connect({}, {}, secured.url)));
    expect(error).toMatchObject(unavailable(true));
    expect((error as Error).message).toContain('self-signed');
    setDefaultCACertificates([...authorities, await readFile(path.join(folder, 'cert.pem'), 'utf8')]);
    expect((await claim(connect({}, {}, secured.url)))[0]?.state).toBe('claimed');
  });
});

describe('The bindings', () => {
  it('of Redis fill the port, once, and give it to who closes it', async () => {
    const container = new Container();
    container.load(redisDedupModule({ url: server.url, dedup: { retentionMs: 5_000 } }));
    const store = container.get(tokens.dedupStore);
    expect(store).toBe(container.get(redisTokens.dedupStore));
    expect(store.capabilities.retentionMs).toBe(5_000);
    expect((await store.claim(['a'], 1_000, unstopped))[0]?.state).toBe('claimed');
    container.get(redisTokens.dedupStore).close();
    container.get(redisTokens.dedupStore).close();
    await expect(store.claim(['b'], 1_000, unstopped)).rejects.toMatchObject(unavailable(true));
  });
});
