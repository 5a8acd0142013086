import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A PostgreSQL server of a test's own: on loopback, without a password, in a temporary folder. */
export interface PostgresServer {
  /** `postgres://…`, of a superuser; the same after a restart. */
  readonly url: string;
  /** Ends it and takes away its folder. */
  stop(): Promise<void>;
  /** Ends it as a crash does. */
  kill(): Promise<void>;
  /** Starts it again on its data and port, running or killed. `immediate`: without winding up, so that it recovers from its log. */
  restart(mode?: 'fast' | 'immediate'): Promise<void>;
}

const START_ATTEMPTS = 40;
const runFile = promisify(execFile);

/**
 * Starts a server of the PostgreSQL that is installed (the newest under `/usr/lib/postgresql`, or what `pg_config` tells of).
 *
 * @param settings more of `postgresql.conf`, by name
 * @throws Error where none is installed
 */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  const binaries = binariesFolder();
  const identity = await unprivilegedUser();
  const folder = await mkdtemp(join(tmpdir(), 'sluice-postgres-'));
  const data = join(folder, 'data');
  try {
    if (identity !== undefined) await chown(folder, identity.uid, identity.gid);
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=icu', '--icu-locale=en-US'];
    // An order of its own, as many databases have: what has to be ordered by bytes must say so.
    const flags = ['-D', data, '-U', 'sluice', '--auth=trust', '--no-sync', '--no-instructions', ...locale];
    await runFile(join(binaries, 'initdb'), flags, { ...identity, cwd: folder });
    const server = new Server(binaries, folder, data, identity, await freePort(), {
      // The machine does not crash with the server, so that nothing has to be forced to its disk.
      fsync: 'off',
      max_connections: '200',
      ...settings,
    });
    await server.start();
    return server;
  } catch (thrown) {
    await rm(folder, { recursive: true, force: true });
    throw thrown;
  }
}

interface Identity {
  readonly uid: number;
  readonly gid: number;
}

class Server implements PostgresServer {
  readonly url: string;
  readonly #program: string;
  readonly #folder: string;
  readonly #flags: readonly string[];
  readonly #identity: Identity | undefined;
  #child: ChildProcess | undefined;

  constructor(
    binaries: string,
    folder: string,
    data: string,
    identity: Identity | undefined,
    port: number,
    settings: Readonly<Record<string, string>>,
  ) {
    this.url = `postgres://sluice@127.0.0.1:${port}/postgres`;
    this.#program = join(binaries, 'postgres');
    this.#folder = folder;
    this.#identity = identity;
    const all = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings };
    this.#flags = [
      '-D',
      data,
      '-p',
      String(port),
      ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ];
  }

  /** A server that was killed may keep its memory for a moment longer, in which no other can start. */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const said = await this.#tryToStart();
      if (said === undefined) return;
      if (attempt === START_ATTEMPTS) throw new Error(`PostgreSQL does not start: ${said}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async stop(): Promise<void> {
    await this.#end('SIGQUIT');
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async restart(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await this.start();
  }

  /** @returns what it said, where it ended instead */
  async #tryToStart(): Promise<string | undefined> {
    const child = spawn(this.#program, this.#flags, {
      ...this.#identity,
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const endWithThis = (): boolean => child.kill('SIGQUIT');
    process.once('exit', endWithThis);
    child.once('exit', () => process.off('exit', endWithThis));
    let said = '';
    const isReady = await new Promise<boolean>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => resolve(false));
      // It is read to its end: a pipe that is full would stop the server.
      child.stderr?.on('data', (bytes: Buffer) => {
        said = `${said}${bytes.toString()}`.slice(-4_000);
        if (said.includes('ready to accept connections')) resolve(true);
      });
    });
    if (isReady) this.#child = child;
    return isReady ? undefined : said;
  }

  async #end(how: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(how);
    await ended;
  }
}

function binariesFolder(): string {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map(Number).filter(Number.isInteger) : [];
  if (versions.length > 0) return join(debian, String(Math.max(...versions)), 'bin');
  try {
    return execFileSync('pg_config', ['--bindir'], { encoding: 'utf8' }).trim();
  } catch (cause) {
    throw new Error('PostgreSQL is not installed (Debian: apt-get install postgresql)', { cause });
  }
}

/** PostgreSQL refuses to run as root. */
async function unprivilegedUser(): Promise<Identity | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = async (flag: string): Promise<number> =>
    Number((await runFile('id', [flag, 'postgres'])).stdout);
  return { uid: await idOf('-u'), gid: await idOf('-g') };
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  listener.close();
  await once(listener, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
