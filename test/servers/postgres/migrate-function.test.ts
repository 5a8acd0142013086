import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { SCHEMA_VERSION } from '../../../src/adapters/postgres/schema-steps.ts';
import { createHandler } from '../../../src/entrypoints/lambda/analyze.ts';
import { readRows, runAlone } from '../../adapters/postgres/stores.ts';
import { testPipeline } from '../../entrypoints-lambda/harness.ts';
import { startPostgres, type PostgresServer } from '../postgres-server.ts';

let server: PostgresServer;
let database: PgDatabase;

beforeAll(async () => {
  server = await startPostgres();
  database = new PgDatabase({ url: server.url });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

beforeEach(async () => {
  await runAlone(database, 'DROP SCHEMA IF EXISTS sluice CASCADE');
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

/** The function, in a container of its own, as a user of the database. */
function call(user: string): Promise<unknown> {
  const url = new URL(server.url);
  url.username = user;
  url.password = 'any';
  vi.stubEnv('SLUICE_DATABASE_URL', url.href);
  const handler = createHandler(testPipeline(), { build: 'build-1' });
  const endsAt = Date.now() + 60_000;
  const context = { awsRequestId: user, getRemainingTimeInMillis: () => endsAt - Date.now() };
  return handler({ migrate: true }, context);
}

it('analyze makes the tables of an empty database, with nothing of its other settings, once for all that ask at the same time', async () => {
  const replies = await Promise.all(Array.from({ length: 5 }, () => call('sluice')));
  const from = replies.map((reply) => (reply as { from: number }).from);
  expect(from.toSorted((a, b) => a - b)).toEqual([0, ...Array.from({ length: 4 }, () => SCHEMA_VERSION)]);
  expect(await readRows(database, 'SELECT version FROM sluice.migrations')).toHaveLength(SCHEMA_VERSION);
  // Nobody keeps a connection of the budget; the server takes a moment to notice.
  const kept = () =>
    readRows(
      database,
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice' AND pid <> pg_backend_pid()`,
    );
  await vi.waitFor(async () => expect(await kept()).toEqual([]), { timeout: 10_000 });
});

it('a user that may not make tables is told what to do, and is let in once somebody else made them', async () => {
  await runAlone(database, 'CREATE ROLE narrow LOGIN');
  expect(await call('narrow')).toEqual({
    denied: expect.stringMatching(/permission denied for database.*sluice migrate --database/) as unknown,
  });
  await call('sluice');
  await runAlone(
    database,
    'GRANT USAGE ON SCHEMA sluice TO narrow; GRANT ALL ON ALL TABLES IN SCHEMA sluice TO narrow',
  );
  expect(await call('narrow')).toMatchObject({ from: SCHEMA_VERSION, steps: [] });
});
