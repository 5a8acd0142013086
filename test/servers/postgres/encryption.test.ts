import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { readRows } from '../../adapters/postgres/stores.ts';
import { startPostgres, type PostgresServer } from '../postgres-server.ts';

const runFile = promisify(execFile);

let folder: string;
let certificates: string;
let server: PostgresServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-tls-'));
  const [certificate, key] = [join(folder, 'server.crt'), join(folder, 'server.key')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const files = ['-keyout', key, '-out', certificate];
  await runFile('openssl', ['req', '-x509', '-nodes', '-days', '2', ...curve, ...subject, ...files]);
  certificates = await readFile(certificate, 'utf8');
  // The server insists on a key that others cannot read, and may run as somebody else.
  if (process.getuid?.() === 0) {
    const { stdout } = await runFile('id', ['-g', 'postgres']);
    for (const path of [folder, key]) await chown(path, 0, Number(stdout));
    await chmod(folder, 0o750);
    await chmod(key, 0o640);
  }
  expect((await stat(key)).mode & 0o007).toBe(0);
  server = await startPostgres({ ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key });
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

async function isEncrypted(
  host: string,
  mode: string,
  settings: { certificates?: string } = {},
): Promise<unknown> {
  const url = new URL(server.url);
  url.hostname = host;
  url.searchParams.set('sslmode', mode);
  const database = new PgDatabase({ url: url.href, ...settings });
  try {
    const rows = await readRows(database, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    return rows[0]?.['ssl'];
  } finally {
    await database.close();
  }
}

describe('a connection to PostgreSQL', () => {
  it('is encrypted as sslmode says', async () => {
    expect(await isEncrypted('localhost', 'disable')).toBe(false);
    expect(await isEncrypted('localhost', 'require')).toBe(true);
    expect(await isEncrypted('localhost', 'verify-full', { certificates })).toBe(true);
  });

  it('is not made to a server whose certificate is unknown, or is of another host', async () => {
    await expect(isEncrypted('localhost', 'verify-full')).rejects.toThrow(/self-signed/);
    await expect(isEncrypted('127.0.0.1', 'verify-full', { certificates })).rejects.toThrow(/127\.0\.0\.1/);
  });
});
