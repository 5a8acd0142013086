import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Ends it and removes its folder. Twice is harmless. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash would: what it knew is lost. */
  kill(): Promise<void>;
  /** Starts it again on the same port, empty; kills it first where it runs. */
  restart(): Promise<void>;
}

export interface RedisServerOptions {
  /** More of `redis-server`'s own, such as `['--cluster-enabled', 'yes']`. */
  readonly args?: readonly string[];
  /** Files of a certificate and its key: it speaks TLS, and nothing else. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** How often a free port may turn out to be taken by the time that the server asks for it. */
const PORT_ATTEMPTS = 5;
const START_TIMEOUT_MS = 10_000;

/** A `redis-server` of the machine's on a free loopback port, which keeps nothing on disk. */
export async function startRedis({ args = [], tls }: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-redis-'));
  try {
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      try {
        const all = [...listening(port, tls), '--dir', folder, ...args];
        const url = `${tls === undefined ? 'redis' : 'rediss'}://127.0.0.1:${port}`;
        return running({ url, port, folder, args: all }, await start(port, all));
      } catch (error) {
        if (attempt === PORT_ATTEMPTS) throw error;
      }
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

interface Running {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly args: readonly string[];
}

function running({ url, port, folder, args }: Running, started: ChildProcess): RedisServer {
  let server = started;
  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  };
  return {
    url,
    port,
    kill,
    restart: async () => {
      await kill();
      server = await start(port, args);
    },
    stop: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function listening(port: number, tls: RedisServerOptions['tls']): readonly string[] {
  if (tls === undefined) return ['--port', `${port}`];
  const files = ['--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-auth-clients', 'no'];
  return ['--port', '0', '--tls-port', `${port}`, ...files];
}

async function start(port: number, args: readonly string[]): Promise<ChildProcess> {
  const server = spawn('redis-server', ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const listen = (chunk: Buffer) => void (said = (said + chunk.toString()).slice(-2_000));
  server.stdout.on('data', listen);
  server.stderr.on('data', listen);
  let failure: Error | undefined;
  server.once('error', (error) => (failure = error));
  server.once('exit', (code, signal) => (failure ??= new Error(`redis-server ended (${code ?? signal})`)));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (failure === undefined && Date.now() < deadline) {
    // Somebody else may listen on the port already; then ours ends by itself.
    if (said.includes('Ready to accept connections') && (await answers(port))) return server;
    await sleep(5);
  }
  server.kill('SIGKILL');
  throw new Error(`${failure?.message ?? 'redis-server did not start'}: ${said}`);
}

/** Whether something accepts connections there. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  // A node of a cluster listens on the port 10,000 above its own, too.
  return port < 55_000 ? port : freePort();
}
