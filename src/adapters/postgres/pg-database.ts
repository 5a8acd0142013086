import pg from 'pg';
import { InfrastructureError, messageOf } from '../../domain/errors.ts';
import {
  defaultConnectionSettings,
  parseDatabaseUrl,
  type ConnectionSettings,
} from './connection-settings.ts';
import { ConnectionLost, type Answer, type Database, type Session, type Value } from './database.ts';
import { codeOf } from './errors.ts';

/** Before a connection that nobody uses is closed, in milliseconds. */
const IDLE_MS = 60_000;

/** Before the system asks whether the server is still there, in milliseconds. */
const KEEP_ALIVE_MS = 10_000;

const INT8: number = pg.types.builtins.INT8;

/** PostgreSQL by node-postgres. Nothing is connected before the first transaction. */
export class PgDatabase implements Database {
  readonly name: string;
  readonly #pool: pg.Pool;
  #closing: Promise<void> | undefined;

  constructor(settings: ConnectionSettings) {
    const { host, port, database, user, password, encryption } = parseDatabaseUrl(settings.url);
    const { certificates } = settings;
    const { maxConnections, connectTimeoutMs } = { ...defaultConnectionSettings, ...settings };
    this.name = `${host}:${port}/${database}`;
    this.#pool = new pg.Pool({
      host,
      port,
      database,
      user,
      password: password ?? settings.password,
      ssl: encryption !== 'disable' && {
        rejectUnauthorized: encryption === 'verify-full',
        ...(certificates === undefined ? {} : { ca: certificates }),
      },
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      idleTimeoutMillis: IDLE_MS,
      // A process that has nothing else to do may end.
      allowExitOnIdle: true,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      application_name: 'sluice',
      types: {
        getTypeParser: ((type: number, format: 'text') =>
          type === INT8 ? Number : pg.types.getTypeParser(type, format)) as never,
      },
    });
    // A connection that breaks while it lies idle leaves the pool by itself.
    this.#pool.on('error', ignore);
    // One that breaks between two statements, or while it changes hands, would end the process if nobody listened; its next statement
    // tells of it.
    this.#pool.on('connect', (client) => client.on('error', ignore));
  }

  async connect(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    if (this.#closing !== undefined)
      throw new InfrastructureError(`the store on ${this.name} was closed`, { code: 'E_INTERNAL' });
    const connecting = this.#pool.connect();
    const client = await new Promise<pg.PoolClient>((resolve, reject) => {
      let isLate = false;
      const stop = (): void => {
        isLate = true;
        reject(signal.reason as unknown);
      };
      signal.addEventListener('abort', stop, { once: true });
      connecting.then(
        (one) => {
          signal.removeEventListener('abort', stop);
          if (isLate) one.release();
          else resolve(one);
        },
        (thrown: unknown) => {
          signal.removeEventListener('abort', stop);
          reject(driverError(thrown));
        },
      );
    });
    return new PgSession(client);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#pool.end());
  }
}

class PgSession implements Session {
  readonly #client: pg.PoolClient;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  async execute(script: string, timeoutMs: number): Promise<void> {
    await this.#ask({ text: script }, timeoutMs);
  }

  async query(sql: string, values: readonly Value[], timeoutMs: number): Promise<Answer> {
    const { rows, rowCount } = await this.#ask({ text: sql, values: [...values] }, timeoutMs);
    return { rows, count: rowCount ?? 0 };
  }

  async release(isClean: boolean): Promise<void> {
    this.#client.release(!isClean);
  }

  async #ask(query: pg.QueryConfig, timeoutMs: number): Promise<pg.QueryResult<Record<string, unknown>>> {
    // Not among its types, but among its documented settings of a query.
    const timed: pg.QueryConfig & { query_timeout: number } = { ...query, query_timeout: timeoutMs };
    try {
      return await this.#client.query<Record<string, unknown>>(timed);
    } catch (thrown) {
      throw driverError(thrown);
    }
  }
}

function ignore(): void {
  // See where it is given.
}

/** What has no code of the server's happened on the way to it. */
function driverError(thrown: unknown): unknown {
  return codeOf(thrown) === undefined ? new ConnectionLost(messageOf(thrown), { cause: thrown }) : thrown;
}
