import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { DomainError, InfrastructureError, messageOf } from '../../domain/errors.ts';
import type { Script } from './scripts.ts';

/** All that the store needs of Redis. */
export interface RedisClient {
  /** Whether the keys of one call have to lie in one slot. */
  readonly cluster: boolean;

  /**
   * Runs a script that answers with integers.
   *
   * @throws InfrastructureError `E_DEDUP_UNAVAILABLE` at once while the connection is lost, else within the timeout; what was
   *   asked for may have happened
   */
  run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    signal: AbortSignal,
  ): Promise<readonly number[]>;

  close(): void;
}

export interface RedisConnectionOptions {
  /** How long a call may take in all, connecting too, in milliseconds. Default 2,000. */
  readonly timeoutMs?: number;
  /** How long connecting may take, in milliseconds. Default 1,000. */
  readonly connectTimeoutMs?: number;
  /** The longest time between two attempts to connect again, in milliseconds. Default 2,000. */
  readonly maxReconnectMs?: number;
}

type Connection = Redis | Cluster;

/** Where Redis refuses what it was asked for and would do so again. */
const REFUSALS = /^(MOVED|CROSSSLOT|NOAUTH|WRONGPASS|NOPERM|WRONGTYPE|ERR invalid password)/;

/**
 * Connects in the background; the first call waits for it. `rediss://` is TLS; `?cluster=true` in the URL is for a
 * cluster, of which the URL names any node.
 *
 * @param url `redis[s]://[user[:password]@]host[:port][/database][?cluster=true]`
 * @throws DomainError `E_USAGE` where it is no such URL
 */
export function connectRedis(url: string, options: RedisConnectionOptions = {}): RedisClient {
  const { timeoutMs = 2_000, connectTimeoutMs = 1_000, maxReconnectMs = 2_000 } = options;
  const { cluster, host, port, db, ...access } = serverOf(url);
  const retryStrategy = (attempt: number) => Math.min(maxReconnectMs, 50 * 2 ** Math.min(attempt, 10));
  const settings = {
    ...access,
    connectTimeout: connectTimeoutMs,
    // A container that was frozen may hold a dead connection, which only silence tells of.
    socketTimeout: timeoutMs,
    // What was under way when the connection broke fails there and then: the caller decides what then.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A primary that became a replica: connect anew, to whoever is the primary now.
    reconnectOnError: (error: Error) => error.message.includes('READONLY'),
  } satisfies RedisOptions;
  const connection: Connection = cluster
    ? new Cluster([{ host, port }], {
        redisOptions: settings,
        clusterRetryStrategy: retryStrategy,
        enableOfflineQueue: false,
        slotsRefreshTimeout: connectTimeoutMs,
        // A certificate is for a name, not for the address that it stands for.
        dnsLookup: (name, callback) => callback(null, name),
      })
    : new Redis({ ...settings, host, port, db, retryStrategy, enableOfflineQueue: false });
  return new IoredisClient(connection, cluster, timeoutMs);
}

class IoredisClient implements RedisClient {
  readonly cluster: boolean;
  readonly #connection: Connection;
  readonly #timeoutMs: number;
  /** Why the connection was lost, or could not be made. */
  #lastError: unknown;
  /** What all calls wait for while it is being made. */
  #connecting: Promise<void> | undefined;

  constructor(connection: Connection, cluster: boolean, timeoutMs: number) {
    this.#connection = connection;
    this.cluster = cluster;
    this.#timeoutMs = timeoutMs;
    connection.on('error', (error: unknown) => (this.#lastError = error));
    connection.on('ready', () => (this.#lastError = undefined));
  }

  async run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    signal: AbortSignal,
  ): Promise<readonly number[]> {
    signal.throwIfAborted();
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    try {
      const either = AbortSignal.any([signal, timeout]);
      await unless(either, this.#whenReady());
      return await unless(either, this.#evaluate(script, keys, args));
    } catch (thrown) {
      signal.throwIfAborted();
      throw timeout.aborted
        ? unavailable(`Redis did not answer within ${this.#timeoutMs} ms`, this.#lastError)
        : told(thrown);
    }
  }

  close(): void {
    this.#connection.disconnect();
  }

  /** Nothing waits inside the connection: what nobody waits for any more must not be sent when it is there again. */
  async #whenReady(): Promise<void> {
    const { status } = this.#connection;
    if (status === 'ready') return;
    if (status === 'reconnecting' || status === 'end') throw this.#away();
    this.#connecting ??= this.#attempt().finally(() => (this.#connecting = undefined));
    await this.#connecting;
  }

  /** How the attempt to connect that is under way ends. */
  #attempt(): Promise<void> {
    const connection = this.#connection;
    return new Promise((resolve, reject) => {
      const stop = () => void connection.off('ready', ready).off('close', closed).off('end', closed);
      const ready = () => {
        stop();
        resolve();
      };
      const closed = () => {
        stop();
        reject(this.#away());
      };
      connection.on('ready', ready).on('close', closed).on('end', closed);
    });
  }

  async #evaluate(
    { lua, sha1 }: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<readonly number[]> {
    const parameters = [...keys, ...args];
    try {
      return (await this.#connection.evalsha(sha1, keys.length, ...parameters)) as number[];
    } catch (thrown) {
      // A server that is new, was restarted, or took over from another one, does not know the script yet.
      if (!messageOf(thrown).startsWith('NOSCRIPT')) throw thrown;
      return (await this.#connection.eval(lua, keys.length, ...parameters)) as number[];
    }
  }

  #away(): InfrastructureError {
    const why = this.#lastError === undefined ? '' : `: ${messageOf(this.#lastError)}`;
    return unavailable(`there is no connection to Redis${why}`, this.#lastError);
  }
}

/** The promise, unless the signal is aborted before; who comes second is not heard. */
function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function told(thrown: unknown): InfrastructureError {
  if (thrown instanceof InfrastructureError) return thrown;
  const message = messageOf(thrown);
  const hint = /^(MOVED|CROSSSLOT)/.test(message) ? ' (it is a cluster: add ?cluster=true to its URL)' : '';
  return unavailable(`Redis: ${message}${hint}`, thrown);
}

function unavailable(message: string, cause: unknown): InfrastructureError {
  const retryable = !REFUSALS.test(messageOf(cause ?? ''));
  // It names all that was sent: thousands of keys, or a password.
  if (typeof cause === 'object' && cause !== null) delete (cause as { command?: unknown }).command;
  return new InfrastructureError(message, { code: 'E_DEDUP_UNAVAILABLE', retryable, cause });
}

interface Server {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: object;
  readonly cluster: boolean;
}

function serverOf(text: string): Server {
  try {
    const url = new URL(text);
    const [, database] = /^\/?(\d*)$/.exec(url.pathname) ?? [];
    if (/^rediss?:$/.test(url.protocol) && url.hostname !== '' && database !== undefined) {
      return {
        host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: url.port === '' ? 6379 : Number(url.port),
        db: Number(database),
        ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
        ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
        ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
        cluster: url.searchParams.get('cluster') === 'true',
      };
    }
  } catch {
    // What is said of it comes below, and without the text: a URL that is nearly right has a password that is.
  }
  throw new DomainError('not a URL of Redis: redis[s]://[user[:password]@]host[:port][/database]', {
    code: 'E_USAGE',
  });
}
