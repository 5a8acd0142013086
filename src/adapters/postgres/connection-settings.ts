import { DomainError } from '../../domain/errors.ts';

export interface ConnectionSettings {
  /**
   * `postgres://user:password@host:5432/database`. `sslmode` in its query is `disable`, `require` (encrypted, whoever answers) or
   * `verify-full` (the certificate is the host's). Default: `disable` on loopback, else `verify-full`.
   */
  readonly url: string;
  /** Called for each new connection where the URL has no password: tokens that run out are passwords, too. */
  readonly password?: () => Promise<string>;
  /** Certificates that are trusted, in PEM format. Default: those of Node. */
  readonly certificates?: string;
  /** Connections at most. Default 2. */
  readonly maxConnections?: number;
  /** Waiting for a connection, in milliseconds. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** One statement, its waits included, in milliseconds. Default 30,000. */
  readonly statementTimeoutMs?: number;
  /** Waiting for a lock, in milliseconds; then `E_STORE_BUSY`. Default 10,000. */
  readonly lockTimeoutMs?: number;
}

export const defaultConnectionSettings = {
  maxConnections: 2,
  connectTimeoutMs: 10_000,
  statementTimeoutMs: 30_000,
  lockTimeoutMs: 10_000,
} as const;

/** What a URL tells. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly encryption: Encryption;
}

type Encryption = 'disable' | 'require' | 'verify-full';

/** @throws DomainError `E_USAGE` where the URL is none of a database */
export function parseDatabaseUrl(text: string): Server {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '')
    throw badUrl('has to be of the form postgres://user:password@host:5432/database');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const user = url.username === '' ? undefined : decodeURIComponent(url.username);
  return {
    host,
    port: url.port === '' ? 5432 : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)) || user || 'postgres',
    user,
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    encryption: encryptionOf(url.searchParams.get('sslmode'), host),
  };
}

function encryptionOf(mode: string | null, host: string): Encryption {
  switch (mode) {
    case 'disable':
    case 'require':
    case 'verify-full':
      return mode;
    case null:
      return /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host) ? 'disable' : 'verify-full';
    default:
      throw badUrl(`has sslmode=${mode}, which is none of disable, require and verify-full`);
  }
}

/** The URL itself stays out of it: it may hold a password. */
function badUrl(what: string): DomainError {
  return new DomainError(`the URL of the database ${what}`, { code: 'E_USAGE' });
}
