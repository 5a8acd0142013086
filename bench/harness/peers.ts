import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const PEERS = path.join(import.meta.dirname, '..', 'peers');

/** Peers are a package of their own, so that nobody installs them who does not measure. */
export function installPeers(progress: (text: string) => void): void {
  if (existsSync(path.join(PEERS, 'node_modules', '.package-lock.json'))) return;
  progress('installing the peers: npm run peers:install');
  const { status } = spawnSync('npm', ['run', '--silent', 'peers:install'], { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the peers cannot be installed: npm run peers:install failed');
}
