import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { InMemoryResultStore } from '../../src/adapters/inmemory/result-store.ts';
import { openSqliteResultStore } from '../../src/adapters/local/sqlite/result-store.ts';
import type { PublishedGroup } from '../../src/domain/ports/result-store.ts';
import { resultStoreContract } from '../../src/testing/result-store-contract.ts';

resultStoreContract({
  name: 'InMemoryResultStore',
  histories: 300,
  create: async (mergeStates) => {
    const store = new InMemoryResultStore(mergeStates);
    return {
      store,
      published: async (generation) => store.published(generation),
      destroy: () => store.close(),
    };
  },
});

resultStoreContract({
  name: 'SqliteResultStore',
  histories: 40,
  create: async (mergeStates) => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-store-'));
    const path = join(folder, 'results.db');
    const open = () => openSqliteResultStore(path, { mergeStates });
    let store = await open();
    const reopen = async () => {
      await store.close();
      return (store = await open());
    };
    const destroy = async () => {
      await store.close();
      await rm(folder, { recursive: true });
    };
    return { store, reopen, destroy, published: async (generation) => readResults(path, generation) };
  },
});

/** As any other program would. */
function readResults(path: string, generation: string): PublishedGroup[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const rows = database
      .prepare('SELECT "group", measures, findings FROM results WHERE generation = ? ORDER BY "group"')
      .all(generation);
    return rows.map(({ group, measures, findings }) => ({
      group: String(group),
      measures: JSON.parse(String(measures)),
      findings: JSON.parse(String(findings)),
    }));
  } finally {
    database.close();
  }
}
