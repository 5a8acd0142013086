import { Container } from 'inversify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { migrate } from '../../../src/adapters/postgres/migrate.ts';
import { postgresResultsModule } from '../../../src/adapters/postgres/module.ts';
import { PgDatabase } from '../../../src/adapters/postgres/pg-database.ts';
import { openPostgresResultStore } from '../../../src/adapters/postgres/result-store.ts';
import { identifier, lockNumber } from '../../../src/adapters/postgres/transaction.ts';
import { viewName } from '../../../src/adapters/postgres/view.ts';
import { tokens } from '../../../src/adapters/tokens.ts';
import type { Generation } from '../../../src/domain/generation.ts';
import type { PublishedGroup, ResultStore } from '../../../src/domain/ports/result-store.ts';
import { ambient, readRows, runAlone, signal } from '../../adapters/postgres/stores.ts';
import { Scratch } from '../../cli/harness.ts';
import { startPostgres, type PostgresServer } from '../postgres-server.ts';

const lanes: Generation = { id: 'lanes@1', pipeline: 'lanes', version: 1, fingerprint: 'f', declared: '{}' };
const object = { bucket: 'lake', key: 'a.csv', version: 'v1', size: 1 };
const mergeStates = (stored: Uint8Array) => stored;

let server: PostgresServer;
let tool: PgDatabase;
let store: ResultStore;

beforeAll(async () => {
  server = await startPostgres();
  tool = new PgDatabase({ url: server.url });
});

afterAll(async () => {
  await tool.close();
  await server.stop();
});

beforeEach(async () => {
  await migrate(tool, {}, signal);
  store = await open();
  await store.declare(lanes, signal);
});

afterEach(async () => {
  await store.close();
  await runAlone(tool, 'DROP SCHEMA sluice CASCADE');
});

function open(
  settings: { maxConnections?: number; lockTimeoutMs?: number; statementTimeoutMs?: number } = {},
): Promise<ResultStore> {
  const database = new PgDatabase({ url: server.url, ...settings });
  return openPostgresResultStore(database, { mergeStates, ...ambient, ...settings });
}

async function* published(...groups: PublishedGroup[]): AsyncGenerator<PublishedGroup> {
  yield* groups;
}

describe('what other tools read', () => {
  const publish = (generation: string, ...measures: Record<string, unknown>[]) =>
    store.publish(
      generation,
      published(...measures.map((one, i) => ({ group: `g${i}`, measures: one, findings: [] }))),
      signal,
    );
  const columnsOf = async (view: string) => {
    const rows = await readRows(
      tool,
      `SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns
       WHERE table_schema = 'sluice' AND table_name = $1 ORDER BY ordinal_position`,
      view,
    );
    return rows.map(({ name, type }) => `${String(name)} ${String(type)}`);
  };

  it('is a view for each generation, with a typed column for each measure', async () => {
    await publish(
      lanes.id,
      {
        n: 3n,
        big: 2n ** 60n,
        delay: { p50: 1.5, p99: null },
        first: "o'clock\0",
        ok: true,
        list: [1],
        mixed: 1,
      },
      { n: NaN, big: 0, delay: { p50: 2, p99: 7 }, first: null, ok: false, list: null, mixed: 'x' },
    );
    expect(await columnsOf('lanes@1')).toEqual([
      'group text',
      'n numeric',
      'big numeric',
      'delay_p50 numeric',
      'delay_p99 numeric',
      'first text',
      'ok boolean',
      'list jsonb',
      'mixed text',
      'findings jsonb',
    ]);
    const rows = await readRows(tool, `SELECT * FROM sluice."lanes@1" ORDER BY delay_p50 DESC`);
    expect(rows).toMatchObject([
      { group: 'g1', n: null, big: '0', delay_p99: '7', first: null, ok: false, mixed: 'x' },
      {
        group: 'g0',
        n: '3',
        big: '1152921504606846976',
        first: "o'clock\u0001\u0001",
        ok: true,
        list: [1],
        mixed: '1',
      },
    ]);
  });

  it('has names that PostgreSQL takes, and no two the same', async () => {
    const long = { ...lanes, id: `${'x'.repeat(64)}@1` };
    const longer = { ...lanes, id: `${'x'.repeat(64)}@12` };
    const name = 'ü'.repeat(40);
    for (const generation of [long, longer]) {
      await store.declare(generation, signal);
      await publish(generation.id, {
        group: 1,
        [`${name}1`]: 2,
        [`${name}2`]: 3,
        a_b: 4,
        a: { b: 5 },
        '': 6,
      });
    }
    expect(viewName(long.id)).not.toBe(viewName(longer.id));
    const columns = await columnsOf(viewName(long.id));
    expect(columns).toHaveLength(8);
    expect(new Set(columns).size).toBe(8);
    expect(columns).toContain('a_b_2 numeric');
    const [row = {}] = await readRows(tool, `SELECT * FROM sluice.${identifier(viewName(longer.id))}`);
    expect(Object.values(row)).toEqual(['g0', '1', '2', '3', '4', '5', '6', []]);
  });

  it('keeps what somebody has built on it', async () => {
    await publish(lanes.id, { n: 1 });
    await runAlone(tool, 'CREATE VIEW sluice.mine AS SELECT n FROM sluice."lanes@1"');
    await publish(lanes.id, { n: 2 });
    await publish(lanes.id, { n: 3, more: 1 });
    expect(await readRows(tool, 'SELECT n FROM sluice.mine')).toEqual([{ n: '3' }]);
    await store.purge(lanes.id, signal);
    expect(await columnsOf('lanes@1')).toEqual([]);
  });

  it('takes no more room than what is shown: broken publications and old ones go', async () => {
    const countRows = async () =>
      (await readRows(tool, 'SELECT count(*) AS rows FROM sluice.published'))[0]?.['rows'];
    const broken = async function* (): AsyncGenerator<PublishedGroup> {
      for (let i = 0; i < 1_200; i++) yield { group: `g${i}`, measures: {}, findings: [] };
      throw new Error('broken off');
    };
    await publish(lanes.id, { n: 1 });
    await expect(store.publish(lanes.id, broken(), signal)).rejects.toThrow('broken off');
    await publish(lanes.id, { n: 1 }, { n: 2 });
    expect(await countRows()).toBe(2);
    // A process that died while it published.
    await runAlone(
      tool,
      `INSERT INTO sluice.publications (generation_id, begun_at) SELECT id, now() - interval '2 days' FROM sluice.generations;
       INSERT INTO sluice.published SELECT max(id), 'g', '{}', '[]' FROM sluice.publications`,
    );
    expect(await countRows()).toBe(3);
    await publish(lanes.id, { n: 1 });
    expect(await countRows()).toBe(1);
  });
});

describe('two tries of a section, of which one has a verdict on a row', () => {
  const SECTIONS = 30;
  const nothing = { groups: [], flags: [], failures: [], applied: 0 };
  const base = { generation: lanes.id, run: 'r', build: 'A', object, epoch: 1, at: 1 };

  it('never both count past the row, however their frames race', async () => {
    const request = { run: 'r', generation: lanes.id, build: 'A' };
    await store.plan(request, [{ object, lastSection: SECTIONS - 1 }], signal);
    const stores = await Promise.all(Array.from({ length: 6 }, () => open()));
    const outcomes = new Set<string>();
    for (let section = 0; section < SECTIONS; section++) {
      const frames = [50, 100, 150, null].flatMap((reach, number) => {
        const isPast = reach === null || reach >= 100;
        const of = { ...base, section, partition: 0, number, reach };
        const killed = { ...of, killed: isPast ? [100] : [], digest: isPast ? 'killed' : 'early' };
        return [{ ...of, killed: [], digest: isPast ? 'alive' : 'early' }, killed];
      });
      const racing = frames
        .map((frame, i) => ({ frame, rank: (i * 37 + section * 11) % 13 }))
        .sort((a, b) => a.rank - b.rank);
      const answers = await Promise.all(
        racing.map(({ frame }, i) => stores[i % stores.length]!.applyFrame(frame, nothing, signal)),
      );
      for (const answer of answers) outcomes.add(answer);
    }
    const rows = await readRows(tool, 'SELECT section, digest FROM sluice.frames ORDER BY section, number');
    const bySection = Map.groupBy(rows, (row) => row['section']);
    const worlds = [...bySection.values()].map((of) => of.map((row) => row['digest']).join(' '));
    expect(worlds).toHaveLength(SECTIONS);
    for (const world of worlds)
      expect(['early alive alive alive', 'early killed killed killed']).toContain(world);
    expect(new Set(worlds).size).toBe(2);
    expect([...outcomes].sort()).toEqual(['applied', 'duplicate', 'not-deterministic', 'stale']);
    await Promise.all(stores.map((one) => one.close()));
  });
});

describe('a take-over, while both builds send', () => {
  const SECTIONS = 8;
  const nothing = { groups: [], flags: [], failures: [], applied: 0 };

  it('leaves each section to one of them, and tells the new one of all that the old one has', async () => {
    const stores = await Promise.all(Array.from({ length: 6 }, () => open()));
    const pick = (i: number) => stores[i % stores.length] as ResultStore;
    const owners = new Set<string>();
    for (let round = 0; round < 25; round++) {
      const raced = { ...object, key: `${round}.csv` };
      const plan = async (build: string, at: number) => {
        const request = { run: 'r', generation: lanes.id, build, keepsBuilds: true };
        const [made] = await pick(at).plan(request, [{ object: raced, lastSection: SECTIONS }], signal);
        return made!;
      };
      await plan('A', round);
      const send = (section: number, build: string, epoch: number, number: number) => {
        const ref = {
          generation: lanes.id,
          run: 'r',
          object: raced,
          at: 1,
          reach: null,
          killed: [],
          partition: 0,
        };
        return pick(section + number).applyFrame(
          { ...ref, build, epoch, section, number, digest: build },
          nothing,
          signal,
        );
      };
      const all = Array.from({ length: SECTIONS }, (_, section) => section);
      const [taken] = await Promise.all([
        plan('B', round + 1),
        ...all.flatMap((section) => [
          send(section, 'A', 1, 0),
          send(section, 'B', 2, 0),
          send(section, 'A', 1, 1),
          send(section, 'B', 2, 1),
        ]),
      ]);
      // What was told in the transaction of the plan holds, whatever comes later.
      const held = new Set(taken.held.map(({ section }) => section));
      for (const section of all) {
        const [owner, other] = held.has(section) ? (['A', 'B'] as const) : (['B', 'A'] as const);
        expect(await send(section, other, other === 'A' ? 1 : 2, 2)).toBe('stale');
        expect(await send(section, owner, owner === 'A' ? 1 : 2, 2)).toBe('applied');
        owners.add(owner);
      }
      const again = await plan('B', round);
      expect(again).toMatchObject({ epoch: 2, held: taken.held });
      const rows = await readRows(
        tool,
        `SELECT DISTINCT section, digest FROM sluice.frames f JOIN sluice.objects o ON o.id = f.object_id WHERE o.key = '${raced.key}'`,
      );
      expect(rows).toHaveLength(SECTIONS);
    }
    expect([...owners].sort()).toEqual(['A', 'B']);
    await Promise.all(stores.map((one) => one.close()));
  });
});

describe('waiting', () => {
  const frame = {
    generation: lanes.id,
    run: 'r',
    build: 'A',
    object,
    epoch: 1,
    section: 0,
    partition: 0,
    number: 0,
    digest: 'd',
    at: 1,
    reach: null,
    killed: [],
  };
  const effects = { groups: [], flags: [], failures: [], applied: 0 };

  /** Holds the generation for itself while `work` is under way, as who purges it does. */
  async function whileHeld(work: () => Promise<void>): Promise<void> {
    const holder = await tool.connect(signal);
    await holder.execute(
      `BEGIN; SELECT pg_advisory_xact_lock(${lockNumber('sluice', 'generation', lanes.id)})`,
      0,
    );
    try {
      await work();
    } finally {
      await holder.execute('ROLLBACK', 0);
      await holder.release(true);
    }
  }

  beforeEach(async () => {
    await store.plan({ run: 'r', generation: lanes.id, build: 'A' }, [{ object, lastSection: 0 }], signal);
  });

  it('for a lock ends with E_STORE_BUSY, and then the same goes through', async () => {
    const hasty = await open({ lockTimeoutMs: 50 });
    await whileHeld(async () => {
      await expect(hasty.applyFrame(frame, effects, signal)).rejects.toMatchObject({
        code: 'E_STORE_BUSY',
        retryable: true,
      });
    });
    expect(await hasty.applyFrame(frame, effects, signal)).toBe('applied');
    await hasty.close();
  });

  it('ends when the signal says so, for a lock and for a connection, and leaves nothing behind', async () => {
    const single = await open({ maxConnections: 1 });
    await whileHeld(async () => {
      const controller = new AbortController();
      const reason = new Error('no time left');
      const waiting = [
        single.applyFrame(frame, effects, controller.signal),
        single.applyFrame({ ...frame, number: 1 }, effects, controller.signal),
      ].map((one) => expect(one).rejects.toBe(reason));
      setTimeout(() => controller.abort(reason), 100);
      await Promise.all(waiting);
    });
    const [progress] = await Array.fromAsync(single.objects({ generation: lanes.id }, signal));
    expect(progress?.frames).toBe(0);
    expect(await single.applyFrame(frame, effects, signal)).toBe('applied');
    await single.close();
  });

  it('is not needed by who reads: a stream holds no connection between two pages', async () => {
    const single = await open({ maxConnections: 1 });
    const groups = Array.from({ length: 1_200 }, (_, i) => ({ group: `g${i}`, state: new Uint8Array([1]) }));
    await single.applyFrame(frame, { ...effects, groups }, signal);
    let read = 0;
    for await (const _ of single.groups(lanes.id, signal)) {
      if (++read % 600 === 0)
        expect(await single.applyFrame({ ...frame, number: read }, effects, signal)).toBe('applied');
    }
    for await (const _ of single.groups(lanes.id, signal)) break;
    expect(await single.applyFrame({ ...frame, number: 1 }, effects, signal)).toBe('applied');
    expect(read).toBe(1_200);
    await single.close();
    await expect(single.runs(signal)).rejects.toMatchObject({ code: 'E_INTERNAL' });
  });
});

describe('the objects of a run', () => {
  it('are found among many others, also where the planner knows nothing of the run', async () => {
    // As it is in practice: statistics are made when a tenth of a table has changed, and a new run is less of it.
    await runAlone(
      tool,
      `SET search_path TO sluice;
       INSERT INTO objects (generation_id, bucket, key, version, size, epoch, build)
         SELECT generations.id, 'lake', lpad(n::text, 6, '0'), 'v', 1, 1, 'A' FROM generations, generate_series(1, 40000) n;
       INSERT INTO run_objects SELECT 'old', id FROM objects;
       INSERT INTO run_objects SELECT 'tiny', id FROM objects LIMIT 1;
       ANALYZE;
       INSERT INTO run_objects SELECT 'new', id FROM objects WHERE key <= '004000';
       RESET search_path`,
    );
    const hasty = await open({ statementTimeoutMs: 2_000 });
    onTestFinished(() => hasty.close());
    const found = await Array.fromAsync(hasty.objects({ generation: lanes.id, run: 'new' }, signal));
    expect(found).toHaveLength(4_000);
    expect(found.at(-1)?.object.key).toBe('004000');
  }, 60_000);
});

describe('around the store', () => {
  it('bindings open it with what it needs', async () => {
    const container = new Container();
    container.bind(tokens.mergeStates).toConstantValue(mergeStates);
    container.bind(tokens.clock).toConstantValue(new SystemClock());
    container.bind(tokens.random).toConstantValue({ next: Math.random, id: () => 'id' });
    container.load(postgresResultsModule({ url: server.url }));
    const bound = await container.getAsync(tokens.resultStore);
    expect(await bound.generations(signal)).toEqual([lanes]);
    await bound.close();
  });

  it('`sluice migrate` says what it does', async () => {
    const scratch = await Scratch.make();
    onTestFinished(() => scratch[Symbol.asyncDispose]());
    const migrateBy = async (...args: string[]) => {
      const { code, stdout, stderr } = await scratch.start(['migrate', '--database', server.url, ...args])
        .ended;
      expect(stderr).toBe('');
      expect(code).toBe(0);
      return stdout;
    };
    expect(await migrateBy('--schema', 'other', '--dry-run')).toMatch(
      /^schema other would go from version 0 to \d+:\n {2}1 {2}\w/,
    );
    expect(await migrateBy('--schema', 'other')).toMatch(/^schema other went from version 0 to \d+:\n/);
    expect(JSON.parse(await migrateBy('--schema', 'other', '--json'))).toMatchObject({
      schema: 'other',
      steps: [],
    });
    expect(await migrateBy()).toMatch(/^schema sluice is up to date/);
    await runAlone(tool, 'DROP SCHEMA other CASCADE');
  });
});
