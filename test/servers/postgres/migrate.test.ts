import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../../src/adapters/postgres/migrate.ts';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { SCHEMA_VERSION, steps } from '../../../src/adapters/postgres/schema-steps.ts';
import { openStore, readRows, runAlone, signal } from '../../adapters/postgres/stores.ts';
import { startPostgres, type PostgresServer } from '../postgres-server.ts';

let server: PostgresServer;
let database: PgDatabase;
let schema: string;
let schemas = 0;
const mergeStates = (stored: Uint8Array) => stored;

beforeAll(async () => {
  server = await startPostgres();
  database = new PgDatabase({ url: server.url });
});

afterAll(async () => {
  await database.close();
  await server.stop();
});

function newSchema(): string {
  return (schema = `s${++schemas}`);
}

const open = () => openStore(new PgDatabase({ url: server.url }), schema, mergeStates);

describe('migrations', () => {
  it('make the tables, and then nothing more', async () => {
    newSchema();
    const all = steps.map(({ description }) => description);
    expect(await migrate(database, { schema }, signal)).toEqual({
      schema,
      from: 0,
      to: SCHEMA_VERSION,
      steps: all,
    });
    expect(await migrate(database, { schema }, signal)).toEqual({
      schema,
      from: SCHEMA_VERSION,
      to: SCHEMA_VERSION,
      steps: [],
    });
    const store = await open();
    expect(await store.generations(signal)).toEqual([]);
    await store.close();
  });

  it('wait for each other: of several at once one makes the tables', async () => {
    newSchema();
    const databases = Array.from({ length: 8 }, () => new PgDatabase({ url: server.url }));
    const reports = await Promise.all(databases.map((one) => migrate(one, { schema }, signal)));
    expect(reports.map(({ from }) => from).toSorted((a, b) => a - b)).toEqual([
      0,
      ...Array.from({ length: 7 }, () => SCHEMA_VERSION),
    ]);
    expect(await readRows(database, `SELECT version FROM ${schema}.migrations`)).toHaveLength(SCHEMA_VERSION);
    await Promise.all(databases.map((one) => one.close()));
  });

  it('only tell what they would do in a dry run', async () => {
    newSchema();
    const report = await migrate(database, { schema, dryRun: true }, signal);
    expect(report).toMatchObject({ from: 0, to: SCHEMA_VERSION });
    expect(report.steps).toHaveLength(SCHEMA_VERSION);
    await expect(open()).rejects.toMatchObject({ code: 'E_STORE_SCHEMA' });
  });

  it('are asked for where tables are missing or too old', async () => {
    newSchema();
    await expect(open()).rejects.toMatchObject({
      code: 'E_STORE_SCHEMA',
      retryable: false,
      message: expect.stringMatching(/sluice migrate --database .* --schema s\d/),
    });
    await migrate(database, { schema }, signal);
    await runAlone(database, `UPDATE ${schema}.migrations SET version = version - 1`);
    await expect(open()).rejects.toMatchObject({ code: 'E_STORE_SCHEMA' });
  });

  it('lets code go on that is older than the tables, as long as it may be', async () => {
    newSchema();
    await migrate(database, { schema }, signal);
    const next = SCHEMA_VERSION + 1;
    const add = (version: number, oldestCode: number) =>
      runAlone(
        database,
        `INSERT INTO ${schema}.migrations (version, description, oldest_code) VALUES (${version}, '', ${oldestCode})`,
      );
    await add(next, SCHEMA_VERSION);
    await (await open()).close();
    expect(await migrate(database, { schema }, signal)).toMatchObject({ from: next, to: next, steps: [] });
    await add(next + 1, next);
    await expect(open()).rejects.toMatchObject({
      code: 'E_STORE_SCHEMA',
      message: expect.stringContaining('newer'),
    });
  });

  it('take no name for a schema that would have to be quoted', async () => {
    await expect(migrate(database, { schema: 'a"b' }, signal)).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});

describe('a database that does not let us in', () => {
  it('is told without its password', async () => {
    const url = new URL(server.url);
    url.password = 'secret';
    url.pathname = '/nowhere';
    const nowhere = new PgDatabase({ url: url.href });
    const failed = migrate(nowhere, {}, signal);
    await expect(failed).rejects.toMatchObject({ code: 'E_RESOURCE_MISSING' });
    await expect(failed).rejects.toThrow(/127\.0\.0\.1:\d+\/nowhere is not there: .*nowhere/);
    await expect(failed).rejects.not.toThrow(/secret/);
    await nowhere.close();
  });

  it('is asked with a password of the moment for each connection', async () => {
    const [{ hba_file: rules } = {}] = await readRows(database, 'SHOW hba_file');
    await runAlone(
      database,
      `CREATE ROLE token LOGIN PASSWORD 'right';
       COPY (VALUES ('host all token 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 trust')) TO '${String(rules)}';
       SELECT pg_reload_conf()`,
    );
    const url = new URL(server.url);
    url.username = 'token';
    let asked = 0;
    const password = async () => (++asked < 3 ? 'right' : 'wrong');
    for (const expected of [1, 2]) {
      const admitted = new PgDatabase({ url: url.href, password, maxConnections: 1 });
      for (let i = 0; i < 3; i++)
        expect(await readRows(admitted, 'SELECT current_user AS name')).toEqual([{ name: 'token' }]);
      await admitted.close();
      expect(asked).toBe(expected);
    }
    const refused = new PgDatabase({ url: url.href, password });
    await expect(migrate(refused, {}, signal)).rejects.toMatchObject({
      code: 'E_ACCESS_DENIED',
      message: expect.stringContaining('refuses'),
    });
    await refused.close();
  });
});
