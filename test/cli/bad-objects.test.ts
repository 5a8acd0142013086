import { gzipSync } from 'node:zlib';
import { rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { Scratch } from './harness.ts';
import {
  asCsv,
  asJsonLines,
  asParquet,
  expectedResults,
  pipelineSource,
  shipments,
  writeObject,
} from './shipments.ts';

interface Listed {
  readonly failures: readonly {
    readonly code: string;
    readonly stage: string;
    readonly object: string;
    readonly coordinate: number | null;
    readonly rows: number;
    readonly message: string;
  }[];
}

test('bad objects are failures of their own and touch no other object', { timeout: 120_000 }, async () => {
  await using scratch = await Scratch.make();
  // Ragged rows have no `lane`, a message that has none would make a group of its own.
  await scratch.write(
    'shipments.ts',
    pipelineSource({ more: 'limits: { sectionBytes: 20_000, sectionRows: 500 },' }),
  );
  const lake = scratch.path('lake');
  const good = [shipments(1_000, 1), shipments(1_000, 2), shipments(1_000, 3)] as const;
  await writeObject(lake, 'good.csv', asCsv(good[0]));
  await writeObject(lake, 'good.parquet', asParquet(good[1]));
  await writeObject(lake, 'good.jsonl.gz', gzipSync(asJsonLines(good[2])));

  const text = asCsv(shipments(10, 4));
  const [header = '', first = '', second = ''] = text.split('\n');
  await writeObject(lake, 'empty.csv', '');
  await writeObject(lake, 'empty.parquet', '');
  await writeObject(lake, 'ragged.csv', `${header}\n1,FRA-JFK,1,1,\nonly,two\n2,FRA-JFK,2,2,\n`);
  await writeObject(
    lake,
    'not-utf8.csv',
    Buffer.concat([
      Buffer.from(`${header}\n1,FRA-JFK,3,3,\n2,FRA-JFK,4,4,`),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('\n3,FRA-JFK,5,5,\n'),
    ]),
  );
  await writeObject(
    lake,
    'broken.jsonl',
    '{"lane":"FRA-JFK","delay":6,"weight":6,"note":""}\n{"lane":\n[]\n',
  );
  await writeObject(lake, 'not-a-number.csv', `${header}\n1,FRA-JFK,soon,1,\n`);
  await writeObject(lake, 'proto.csv', `__proto__,${header}\nx,1,FRA-JFK,7,7,\n`);
  await writeObject(lake, 'twice.csv', `lane,lane,delay,weight,note,id\nFRA-JFK,other,8,8,,1\n`);
  await writeObject(lake, 'noise.bin', Buffer.from([0, 1, 2, 3, 0xfe, 0xff, 0, 9, 9]));
  const cut = gzipSync(asJsonLines(shipments(3_000, 5)), { level: 0 });
  await writeObject(lake, 'cut.jsonl.gz', cut.subarray(0, Math.floor(cut.length / 2)));
  const parquet = asParquet(shipments(2_000, 6), 500);
  await writeObject(lake, 'cut.parquet', parquet.subarray(0, parquet.length - 100));
  const damaged = parquet.slice();
  damaged.fill(0xa5, Math.floor(parquet.length * 0.3), Math.floor(parquet.length * 0.3) + 2_000);
  await writeObject(lake, 'damaged.parquet', damaged);
  expect([first, second]).not.toContain('');

  const { report, code, stderr } = await scratch.run('shipments.ts', 'lake');
  expect(code).toBe(2);
  expect(report.objects).toBe(15);
  expect(stderr).toMatch(/\d+ failures are open: sluice failures list/);

  const { answer } = await scratch.json<Listed>('failures', 'list', '--limit', '1000');
  const ofObject = (name: string) => answer.failures.filter(({ object }) => object.endsWith(`/lake/${name}`));
  const codes = (name: string) => ofObject(name).map((failure) => failure.code);
  for (const name of ['good.csv', 'good.parquet', 'good.jsonl.gz', 'proto.csv'])
    expect(codes(name), name).toEqual([]);
  expect(codes('ragged.csv')).toEqual(['E_CSV_FIELDS']);
  expect(ofObject('ragged.csv')[0]?.coordinate).toBe(`${header}\n1,FRA-JFK,1,1,\n`.length);
  expect(codes('not-utf8.csv')).toEqual(['E_UTF8']);
  expect(codes('broken.jsonl')).toEqual(['E_JSON', 'E_JSON']);
  expect(codes('not-a-number.csv')).toEqual(['E_VALUE_TYPE']);
  expect(codes('cut.jsonl.gz')).toEqual(['E_COMPRESSED_CORRUPT']);
  expect(codes('cut.parquet')).toEqual(['E_PARQUET']);
  expect(codes('empty.csv')).toEqual(['E_OBJECT_EMPTY']);
  expect(codes('empty.parquet')).toEqual(['E_OBJECT_EMPTY']);
  expect(codes('noise.bin')).toEqual(['E_FORMAT_UNKNOWN']);
  expect(new Set(codes('damaged.parquet'))).toEqual(new Set(['E_PARQUET']));
  for (const { message, object } of answer.failures) expect(message, object).not.toBe('');

  // What can be kept is kept: whatever was transformed is applied, and it all adds up.
  const { answer: reconciled } = await scratch.json('reconcile');
  expect(reconciled).toMatchObject({ balanced: true, unbalanced: [] });
  const { answer: csv } = await scratch.json<{ objects: { firstRows: Record<string, unknown>[] }[] }>(
    'inspect',
    'lake/proto.csv',
    'lake/twice.csv',
  );
  expect(Object.entries(csv.objects[0]?.firstRows[0] ?? {})).toContainEqual(['__proto__', 'x']);
  expect(Object.keys(csv.objects[1]?.firstRows[0] ?? {})).toHaveLength(6);

  // The good objects alone give what they must, and so does a run that has them all but for the bad ones.
  const alone = await scratch.run(
    'shipments.ts',
    'lake/good.csv',
    'lake/good.parquet',
    'lake/good.jsonl.gz',
    '--out',
    'good',
  );
  expect(alone.code).toBe(0);
  expect(scratch.results('shipments@1', 'good')).toEqual(expectedResults(good.flat()));

  // Once the bad objects are gone, what is left is complete and clean.
  for (const name of ['cut.parquet', 'noise.bin', 'empty.csv', 'empty.parquet'])
    await rm(scratch.path('lake', name));
  const inspected = await scratch.sluice('inspect', 'lake');
  expect(inspected.code).toBe(0);
  expect(inspected.stdout).toContain('good.parquet');
  // Data is shown as it stands.
  await writeObject(lake, 'yyyy=2024/year.csv', 'n,year\n1234567,2019\n');
  const year = await scratch.sluice('inspect', 'lake/yyyy=2024');
  expect(year.stdout).toMatch(/1234567 +2019 +2024/);
});
