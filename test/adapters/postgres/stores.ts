import type { Database } from '../../../src/adapters/postgres/database.ts';
import { migrate } from '../../../src/adapters/postgres/migrate.ts';
import { openPostgresResultStore } from '../../../src/adapters/postgres/result-store.ts';
import { identifier } from '../../../src/adapters/postgres/transaction.ts';
import type { MergeStates, PublishedGroup, ResultStore } from '../../../src/domain/ports/result-store.ts';
import type { ResultStoreFixture } from '../../../src/testing/result-store-fixture.ts';
import { fromStored } from '../../../src/adapters/postgres/text.ts';

export const signal = new AbortController().signal;

/** Waits for nothing: who waits for a lock waits in the database. */
export const ambient = {
  clock: { sleep: async () => {} },
  random: { next: () => 0.5 },
};

export function openStore(
  database: Database,
  schema: string,
  mergeStates: MergeStates,
): Promise<ResultStore> {
  return openPostgresResultStore(database, { mergeStates, schema, ...ambient });
}

/** An empty store, as the contract wants it: one schema serves one after the other, as making tables takes longer than most tests. */
export async function createFixture(
  connect: () => Database,
  schema: string,
  mergeStates: MergeStates,
): Promise<ResultStoreFixture> {
  const tool = connect();
  await migrate(tool, { schema }, signal);
  await empty(tool, schema);
  let store = await openStore(connect(), schema, mergeStates);
  return {
    store,
    reopen: async () => {
      await store.close();
      return (store = await openStore(connect(), schema, mergeStates));
    },
    published: (generation) => readResults(tool, schema, generation),
    destroy: async () => {
      await store.close();
      await tool.close();
    },
  };
}

/** Tables lose their rows, and generations their views. */
async function empty(database: Database, schema: string): Promise<void> {
  const there = await readRows(
    database,
    `SELECT relname::text AS name, relkind = 'v' AS is_view FROM pg_class
     WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'v') AND relname NOT IN ('migrations', 'results')`,
    schema,
  );
  const statements = there.map(({ name, is_view }) => {
    const full = `${identifier(schema)}.${identifier(String(name))}`;
    return is_view === true ? `DROP VIEW ${full}` : `DELETE FROM ${full}`;
  });
  await runAlone(database, statements.join(';'));
}

/** As any other program would. */
export async function readRows(
  database: Database,
  sql: string,
  ...values: (string | number)[]
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const session = await database.connect(signal);
  try {
    return (await session.query(sql, values, 0)).rows;
  } finally {
    await session.release(true);
  }
}

export async function runAlone(database: Database, script: string): Promise<void> {
  const session = await database.connect(signal);
  try {
    await session.execute(script, 0);
  } finally {
    await session.release(true);
  }
}

async function readResults(
  database: Database,
  schema: string,
  generation: string,
): Promise<PublishedGroup[]> {
  const rows = await readRows(
    database,
    `SELECT "group", measures, findings FROM ${identifier(schema)}.results WHERE generation = $1 ORDER BY "group"`,
    generation,
  );
  return rows.map(({ group, measures, findings }) => ({
    group: fromStored(String(group)),
    measures: measures as PublishedGroup['measures'],
    findings: findings as PublishedGroup['findings'],
  }));
}
