import { afterAll, beforeAll } from 'vitest';
import type { PGlite } from '@electric-sql/pglite';
import { resultStoreContract } from '../../../src/testing/result-store-contract.ts';
import { PgliteDatabase, startPglite } from './pglite-database.ts';
import { createFixture } from './stores.ts';

let engine: PGlite;

beforeAll(async () => {
  engine = await startPglite();
});

afterAll(() => engine.close());

// One engine has one connection: every store of it is put behind the same one.
let database: PgliteDatabase | undefined;

resultStoreContract({
  name: 'PostgresResultStore on PGlite',
  histories: 3,
  create: (mergeStates) => {
    const only = (database ??= new PgliteDatabase(engine));
    return createFixture(() => only, 'contract', mergeStates);
  },
});
