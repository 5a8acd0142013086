import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connection } from '../../../src/adapters/local/sqlite/connection.ts';
import { storeError } from '../../../src/adapters/local/sqlite/errors.ts';
import { openSqliteResultStore } from '../../../src/adapters/local/sqlite/result-store.ts';
import { addCounters, doAll, GENERATION } from './work.ts';

const signal = new AbortController().signal;
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-file-'));
  path = join(folder, 'results.db');
});

afterEach(() => rm(folder, { recursive: true }));

const open = (file = path, options: { busyTimeoutMs?: number; create?: boolean } = {}) =>
  openSqliteResultStore(file, { mergeStates: addCounters, ...options });

/** Runs `work` on the file as any other program would. */
function withDatabase<T>(work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path);
  try {
    return work(database);
  } finally {
    database.close();
  }
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

const generation = { id: 'lanes@1', pipeline: 'lanes', version: 1, fingerprint: 'f', declared: '{}' };

describe('a results file', () => {
  it('is made with its folder, and only where that is wanted', async () => {
    await expect(open(path, { create: false })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    const deep = join(folder, 'a', 'b', 'results.db');
    await (await open(deep)).close();
    await (await open(deep, { create: false })).close();
  });

  it('is refused where it cannot be: the error says what to do', async () => {
    await writeFile(join(folder, 'file'), 'x');
    await expect(open(join(folder, 'file', 'results.db'))).rejects.toMatchObject({
      code: 'E_OUTPUT',
      retryable: false,
    });
    await mkdir(join(folder, 'directory'));
    await expect(open(join(folder, 'directory'))).rejects.toMatchObject({ code: 'E_OUTPUT' });
  });

  it('is refused, and left as it is, where it is no database, of another program, or of a newer Sluice', async () => {
    await writeFile(path, 'not a database, but long enough to be one: '.repeat(50));
    await expect(open()).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: expect.stringContaining('not a SQLite database'),
    });
    await rm(path);

    withDatabase((database) => database.exec('CREATE TABLE theirs (a)'));
    const before = await readFile(path);
    await expect(open()).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: expect.stringContaining('another program'),
    });
    expect(await readFile(path)).toEqual(before);
    await rm(path);

    await (await open()).close();
    withDatabase((database) => database.exec('PRAGMA user_version = 99'));
    await expect(open()).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: expect.stringContaining('newer Sluice'),
    });
  });

  it('of version 1 is brought up to date: what was begun in it goes on, and no verdict comes behind it', async () => {
    const object = { bucket: 'lake', key: 'a.csv', version: 'v1', size: 1 };
    const ref = {
      generation: generation.id,
      run: 'r',
      build: 'A',
      object,
      epoch: 1,
      section: 0,
      partition: 0,
    };
    const frame = { ...ref, at: 1, digest: 'd', reach: 10, killed: [] };
    const nothing = { groups: [], flags: [], failures: [], applied: 0 };
    const first = await open();
    await first.declare(generation, signal);
    const request = { run: 'r', generation: generation.id, build: 'A' };
    await first.plan(request, [{ object, lastSection: 1 }], signal);
    await first.applyFrame({ ...frame, number: 0 }, nothing, signal);
    await first.close();
    withDatabase((database) =>
      database.exec(`ALTER TABLE sections DROP COLUMN reach; ALTER TABLE sections DROP COLUMN killed;
        PRAGMA user_version = 1`),
    );

    const store = await open();
    expect(withDatabase((database) => database.prepare('PRAGMA user_version').get())).toEqual({
      user_version: 2,
    });
    expect(await store.applyFrame({ ...frame, number: 0 }, nothing, signal)).toBe('duplicate');
    expect(await store.applyFrame({ ...frame, number: 1 }, nothing, signal)).toBe('applied');
    // Nobody knows how far the first frame reached.
    const killed = { ...frame, number: 2, reach: 30, killed: [20] };
    expect(await store.applyFrame(killed, nothing, signal)).toBe('not-deterministic');
    expect(await store.applyFrame({ ...killed, section: 1 }, nothing, signal)).toBe('applied');
    await store.close();
  });

  it('is refused where it is damaged', async () => {
    const store = await open();
    await doAll(store);
    await store.close();
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(0x55, 4096));
    const damaged = async () => {
      const again = await open();
      try {
        await doAll(again);
      } finally {
        await again.close();
      }
    };
    await expect(damaged()).rejects.toMatchObject({
      code: 'E_OUTPUT',
      message: expect.stringContaining('damaged'),
    });
  });

  it('says E_STORE_BUSY, which is worth a retry, while another process holds it', async () => {
    const store = await open(path, { busyTimeoutMs: 20 });
    const holder = new DatabaseSync(path);
    holder.exec('BEGIN IMMEDIATE');
    await expect(store.declare(generation, signal)).rejects.toMatchObject({
      code: 'E_STORE_BUSY',
      retryable: true,
    });
    // Readers are not held up, in this process or when they open the file.
    expect(await store.generations(signal)).toEqual([]);
    await (await open(path, { busyTimeoutMs: 20 })).close();
    holder.exec('ROLLBACK');
    holder.close();
    await store.declare(generation, signal);
    expect(await store.generations(signal)).toEqual([generation]);
    await store.close();
  });

  it('says E_OUTPUT when the disk is full, keeps nothing of the call, and goes on when there is space again', async () => {
    await (await open()).close();
    const database = new DatabaseSync(path);
    const connection = new Connection(database, path);
    const pages = (connection.get<{ page_count: number }>('PRAGMA page_count') as { page_count: number })
      .page_count;
    const save = () =>
      connection.write(() => {
        connection.run(`INSERT INTO results VALUES ('g', 'small', '{}', '[]')`);
        connection.run(
          `INSERT INTO results VALUES ('g', 'big', ?, '[]')`,
          JSON.stringify('x'.repeat(100_000)),
        );
      });
    connection.exec(`PRAGMA max_page_count = ${pages + 2}`);
    const full = { code: 'E_OUTPUT', retryable: false, message: expect.stringContaining('disk is full') };
    expect(thrownBy(save)).toMatchObject(full);
    expect(database.isTransaction).toBe(false);
    expect(connection.all('SELECT * FROM results')).toEqual([]);
    connection.exec('PRAGMA max_page_count = 100000');
    save();
    expect(connection.all('SELECT * FROM results')).toHaveLength(2);
    connection.close();
  });

  it('tells faults of the disk from defects of its own', () => {
    const fault = (errcode: number) =>
      storeError(Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode }), path);
    // Read-only folder, disk fault, damage of an index; a violated constraint.
    expect(
      [8, 10 | (3 << 8), 11 | (3 << 8), 19].map((code) => (fault(code) as { code: string }).code),
    ).toEqual(['E_OUTPUT', 'E_OUTPUT', 'E_OUTPUT', 'E_INTERNAL']);
    const mine = new Error('of a pipeline');
    expect(storeError(mine, path)).toBe(mine);
  });

  it('rejects calls after it was closed', async () => {
    const store = await open();
    await store.close();
    await expect(store.declare(generation, signal)).rejects.toMatchObject({ code: 'E_INTERNAL' });
    const nothing = (async function* () {})();
    await expect(store.publish('lanes@1', nothing, signal)).rejects.toMatchObject({ code: 'E_INTERNAL' });
    await expect(store.groups('lanes@1', signal)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'E_INTERNAL',
    });
  });
});

describe('its tables, for other tools', () => {
  it('show results as a view with a column for each value of each measure', async () => {
    const store = await open();
    await store.declare(generation, signal);
    const delay = { count: 2, p50: 1.5, p99: null };
    const measures = {
      flights: 12,
      Flights: 1n,
      delay,
      delay_p50: 7,
      'it\'s "late"': true,
      group: 'x',
      first: new Date(0),
      'π.$[0]': 3,
    };
    const results = async function* () {
      yield { group: 'ANC-SEA', measures, findings: [{ kind: 'late-lane', message: 'late' }] };
      yield { group: 'none', measures: { ...measures, flights: 2n ** 60n, delay: null }, findings: [] };
    };
    await store.publish('lanes@1', results(), signal);
    const rows = withDatabase((database) =>
      database.prepare('SELECT * FROM "lanes@1" ORDER BY "group"').all(),
    );
    expect(rows[0]).toEqual({
      group: 'ANC-SEA',
      flights: 12,
      Flights_2: 1,
      delay_count: 2,
      delay_p50: 1.5,
      delay_p99: null,
      delay_p50_2: 7,
      'it\'s "late"': 1,
      group_2: 'x',
      first: '1970-01-01T00:00:00.000Z',
      'π.$[0]': 3,
      findings: '[{"kind":"late-lane","message":"late"}]',
    });
    expect(rows[1]).toMatchObject({ group: 'none', flights: String(2n ** 60n), delay_p50: null });
    await store.purge('lanes@1', signal);
    expect(
      withDatabase((database) =>
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'view'").all(),
      ),
    ).toEqual([]);
    await store.close();
  });

  it('keep one row of an object that is complete, and nothing of its frames', async () => {
    const store = await open();
    await doAll(store);
    await store.close();
    const count = (table: string) =>
      withDatabase((database) => database.prepare(`SELECT count(*) AS n FROM ${table}`).get());
    expect(count('frames')).toEqual({ n: 0 });
    expect(count('sections')).toEqual({ n: 0 });
    expect(count('objects')).toEqual({ n: 1 });
  });

  it('leave nothing behind when a generation is purged', async () => {
    const store = await open();
    await doAll(store);
    await store.purge(GENERATION, signal);
    await store.close();
    withDatabase((database) => {
      const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
      for (const { name } of tables) {
        expect([name, database.prepare(`SELECT count(*) AS n FROM "${String(name)}"`).get()]).toEqual([
          name,
          { n: 0 },
        ]);
      }
      expect(tables.length).toBeGreaterThan(10);
    });
  });
});
