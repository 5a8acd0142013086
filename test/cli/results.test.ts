import { readFile } from 'node:fs/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { parse } from 'csv-parse/sync';
import { parquetReadObjects } from 'hyparquet';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { repository, Scratch, type Results } from './harness.ts';
import { asCsv, expectedResults, pipelineSource, shipments } from './shipments.ts';

test(
  'sluice results: every format tells the same, sorted and cut as asked',
  { timeout: 120_000 },
  async () => {
    await using scratch = await Scratch.make();
    const rows = shipments(1_500);
    const source = {
      measures:
        'delay: quantiles((message: any) => message.delay), firstId: min((message: any) => message.id),',
      analyze:
        "findings: (lane: string, measures: any) => measures.shipments > 300 ? { kind: 'busy', message: lane } : null, flag: (message: any) => message.delay > 170 ? { kind: 'lost', severity: 'critical', message: message.id } : null,",
    };
    await scratch.write('lake.csv', asCsv(rows));
    await scratch.write('shipments.ts', pipelineSource(source));
    const { report, code } = await scratch.run('shipments.ts', 'lake.csv');
    expect(code).toBe(0);
    const expected = expectedResults(rows);
    const byLane = Object.entries(expected) as [string, { shipments: number; weight: number }][];
    const busy = byLane.filter(([, measures]) => measures.shipments > 300).map(([lane]) => lane);
    const flagged = rows.filter(({ delay }) => delay > 170).length;
    expect(flagged).toBeGreaterThan(0);
    expect(report).toMatchObject({ groups: 5, findings: busy.length + flagged });

    const plain = (results: Iterable<[string, Record<string, unknown>]>): Results =>
      Object.fromEntries(
        [...results].map(([group, { shipments: count, late, weight, meanWeight, earliest, notes }]) => [
          group,
          { shipments: count, late, weight, meanWeight, earliest, notes },
        ]),
      );
    const show = async (...args: string[]) => {
      const { stdout, stderr, code: exit } = await scratch.sluice('results', 'shipments.ts', ...args);
      expect(stderr).toBe('');
      expect(exit).toBe(0);
      return stdout;
    };

    const json = JSON.parse(await show('--format', 'json')) as {
      group: string;
      measures: Record<string, unknown>;
      findings: { kind: string }[];
    }[];
    expect(plain(json.map(({ group, measures }) => [group, measures]))).toEqual(expected);
    expect(json.filter(({ findings }) => findings.length > 0).map(({ group }) => group)).toEqual(busy);

    const csv = parse(await show('--format', 'csv'), { columns: true }) as Record<string, string>[];
    const numbers = ({ group, ...measures }: Record<string, string>): [string, Record<string, unknown>] => [
      group as string,
      Object.fromEntries(Object.entries(measures).map(([name, value]) => [name, Number(value)])),
    ];
    expect(plain(csv.map(numbers))).toEqual(expected);
    expect(csv.map((row) => row['delay.count'])).toEqual(
      byLane.map(([, { shipments: count }]) => String(count)),
    );
    expect(csv.filter(({ findings }) => findings !== '[]').map(({ group }) => group)).toEqual(busy);

    await show('--format', 'parquet', '--to', 'made/results.parquet');
    const bytes = await readFile(scratch.path('made/results.parquet'));
    const parquet = await parquetReadObjects({
      file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength),
    });
    const withNumbers = (row: Record<string, unknown>): [string, Record<string, unknown>] => [
      row['group'] as string,
      { ...row, earliest: Number(row['earliest']) },
    ];
    expect(plain(parquet.map(withNumbers))).toEqual(expected);
    const duck = await (await DuckDBInstance.create(':memory:')).connect();
    const reader = await duck.runAndReadAll(
      `SELECT "group", shipments, weight, "delay.p95" AS p95, "firstId" FROM '${scratch.path('made/results.parquet')}' ORDER BY "group"`,
    );
    expect(reader.getRowObjects()).toEqual(
      json.map(({ group, measures }) => ({
        group,
        shipments: measures['shipments'],
        weight: measures['weight'],
        p95: (measures['delay'] as { p95: number }).p95,
        firstId: measures['firstId'],
      })),
    );
    duck.closeSync();

    // By id, by name; sorted, cut.
    for (const name of ['shipments', 'shipments@1']) {
      const { stdout } = await scratch.sluice(
        'results',
        name,
        '--format',
        'csv',
        '--by',
        'weight',
        '--top',
        '2',
      );
      const heaviest = [...byLane].sort(([, x], [, y]) => y.weight - x.weight).map(([lane]) => lane);
      expect(parse<{ group: string }>(stdout, { columns: true }).map(({ group }) => group)).toEqual(
        heaviest.slice(0, 2),
      );
    }
    const slowest = JSON.parse(
      await show('--format', 'json', '--by', 'delay.p95', '--top', '1'),
    ) as typeof json;
    const p95 = json.map(({ measures }) => (measures['delay'] as { p95: number }).p95);
    expect(slowest.map(({ measures }) => (measures['delay'] as { p95: number }).p95)).toEqual([
      Math.max(...p95),
    ]);
    expect(await show('--top', '1')).toMatch(/^group\s+shipments/);

    const refused = async (...args: string[]) => {
      const { code: exit, stderr, stdout } = await scratch.sluice('results', ...args);
      expect(exit).toBe(1);
      expect(stdout).toBe('');
      return stderr;
    };
    expect(await refused('shipments', '--by', 'nothing')).toMatch(
      /E_USAGE: there is no measure nothing: .*weight/,
    );
    expect(await refused('shipments', '--by', 'delay')).toContain('delay.p95');
    expect(await refused('shipments', '--by', 'delay.p97')).toMatch(/E_USAGE.*p95/);
    expect(await refused('shipments', '--by', 'weight.p95')).toContain('E_USAGE');
    expect(await refused('nobody')).toMatch(/E_NOT_FOUND: .*shipments@1/);

    // Any SQLite tool reads the results: a table for all, a view for each generation.
    const database = new DatabaseSync(scratch.path('sluice-out/results.sqlite'), { readOnly: true });
    expect(
      database
        .prepare('SELECT "group", shipments, weight, delay_p95 FROM "shipments@1" ORDER BY "group"')
        .all(),
    ).toEqual(
      json.map(({ group, measures }) => ({
        group,
        shipments: measures['shipments'],
        weight: measures['weight'],
        delay_p95: (measures['delay'] as { p95: number }).p95,
      })),
    );
    expect(plain(Object.entries(scratch.results('shipments@1')))).toEqual(expected);
    // What docs/result-store.md names is there, and what it says one can ask.
    // What is behind that heading is of other stores.
    const [doc = ''] = (await readFile(join(repository, 'docs/result-store.md'), 'utf8')).split(
      '## PostgreSQL',
    );
    const documented = [...doc.matchAll(/^\| `(\w+)` /gm)].map(([, table]) => table);

    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    expect(new Set(tables.map(({ name }) => name))).toEqual(new Set(documented));
    const queries = [...doc.matchAll(/```sql\n([^]*?)```/g)].flatMap(([, sql]) =>
      (sql as string).split(';').filter((query) => /SELECT/.test(query)),
    );
    expect(queries.length).toBeGreaterThan(1);
    for (const query of queries) expect(database.prepare(query).all()).toEqual([]);
    expect(database.prepare("SELECT count(*) AS n FROM flags WHERE kind = 'lost'").get()).toEqual({
      n: flagged,
    });
    database.close();
  },
);
