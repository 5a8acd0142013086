import { afterAll, beforeAll } from 'vitest';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { resultStoreContract } from '../../../src/testing/result-store-contract.ts';
import { createFixture } from '../../adapters/postgres/stores.ts';
import { startPostgres, type PostgresServer } from '../postgres-server.ts';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});

afterAll(() => server.stop());

resultStoreContract({
  name: 'PostgresResultStore',
  histories: 30,
  create: (mergeStates) => createFixture(() => new PgDatabase({ url: server.url }), 'contract', mergeStates),
});
