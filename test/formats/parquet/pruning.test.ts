import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileWhere } from '../../../src/domain/predicate.ts';
import type { Operand, Where } from '../../../src/domain/where.ts';
import { DuckFiles, MemoryObject, optionsWith, readAll } from './parquet-files.ts';

let duck: DuckFiles;
/** The same kind of rows by two writers: statistics, dictionaries, bloom filters and pages differ. */
let objects: MemoryObject[];

/**
 * Rows in groups whose values lie apart, so that there is something to prune: each group has its own stretch of each
 * type, some have nulls, some nothing but nulls, one has NaN.
 */
beforeAll(async () => {
  duck = await DuckFiles.create();
  const query = `
    SELECT i, (i // 2048)::INTEGER AS g,
      CASE WHEN i % 7 > 0 AND i // 2048 <> 2 THEN (i // 100) * 9007199254740993 END AS huge,
      (18446744073709551615 - i)::UBIGINT AS unsigned,
      CASE WHEN i // 2048 = 3 AND i % 5 = 0 THEN 'NaN'::DOUBLE ELSE (i // 512 - 4) / 2.0 END AS ratio,
      ((i // 512 - 4) / 4.0)::FLOAT AS single,
      ((i // 512 - 4) * 0.3)::DECIMAL(9, 1) AS price,
      CASE WHEN i // 2048 <> 1 THEN chr(CAST([65, 233, 65374, 128512][1 + i // 2048] AS INTEGER)) || (i // 512) END AS text,
      DATE '1970-01-01' + (i // 512 - 4)::INTEGER AS day,
      TIMESTAMP '1970-01-01' + to_microseconds((i // 512 - 4) * 1500) AS moment,
      CASE WHEN i % 5 > 0 THEN i // 2048 END AS steady, i // 4096 = 0 AS flag, [i // 2048] AS list
    FROM range(8192) t(i)`;
  const ids = Array.from({ length: 8192 }, (_, i) => i);
  const step = (i: number) => Math.floor(i / 512) - 4;
  const group = (i: number) => Math.floor(i / 2048);
  const writer = parquetWriteBuffer({
    rowGroupSize: 2048,
    pageSize: 2000,
    columnData: [
      { name: 'i', type: 'INT64', data: ids.map(BigInt), bloomFilter: true },
      { name: 'g', type: 'INT32', data: ids.map(group), bloomFilter: true, columnIndex: true },
      {
        name: 'huge',
        type: 'INT64',
        data: ids.map((i) =>
          i % 7 > 0 && group(i) !== 2 ? BigInt(Math.floor(i / 100)) * 9007199254740993n : null,
        ),
        bloomFilter: true,
      },
      {
        name: 'ratio',
        type: 'DOUBLE',
        data: ids.map((i) => (group(i) === 3 && i % 5 === 0 ? Number.NaN : step(i) === 0 ? -0 : step(i) / 2)),
        bloomFilter: true,
      },
      { name: 'single', type: 'FLOAT', data: ids.map((i) => step(i) / 4), bloomFilter: true },
      {
        name: 'text',
        type: 'STRING',
        data: ids.map((i) =>
          group(i) === 1
            ? null
            : `${['A', 'é', '～', '😀'][group(i)]}${'long'.repeat(8)}${Math.floor(i / 512)}`,
        ),
        bloomFilter: true,
      },
      { name: 'steady', type: 'INT32', data: ids.map((i) => (i % 5 > 0 ? group(i) : null)) },
      { name: 'moment', type: 'TIMESTAMP', data: ids.map((i) => new Date(step(i))) },
      { name: 'flag', type: 'BOOLEAN', data: ids.map((i) => i < 4096) },
    ],
  });
  objects = [
    new MemoryObject(await duck.parquet(query, 'ROW_GROUP_SIZE 2048')),
    new MemoryObject(await duck.parquet(query, `ROW_GROUP_SIZE 2048, CODEC 'zstd', PARQUET_VERSION v2`)),
    new MemoryObject(new Uint8Array(writer)),
  ];
});
afterAll(() => duck[Symbol.asyncDispose]());

const operands: Readonly<Record<string, fc.Arbitrary<Operand>>> = {
  i: fc.oneof(fc.integer({ min: -10, max: 8200 }), fc.bigInt({ min: 0n, max: 8200n })),
  g: fc.oneof(fc.integer({ min: -1, max: 5 }), fc.constantFrom<Operand>(2 ** 32 + 1, 0.5, 1n, -0)),
  huge: fc
    .integer({ min: 0, max: 82 })
    .chain((n) =>
      fc.constantFrom<Operand>(
        BigInt(n) * 9007199254740993n,
        n * 9007199254740992,
        BigInt(n) * 9007199254740993n + 1n,
      ),
    ),
  unsigned: fc.integer({ min: -3, max: 8200 }).map((n) => 18446744073709551615n - BigInt(n)),
  ratio: fc.oneof(
    fc.integer({ min: -10, max: 26 }).map((n) => n / 4),
    fc.constantFrom<Operand>(Number.NaN, -0, 0, Infinity),
  ),
  single: fc.oneof(
    fc.integer({ min: -10, max: 50 }).map((n) => n / 8),
    fc.constantFrom<Operand>(0, -0),
  ),
  price: fc.integer({ min: -6, max: 13 }).map((n) => (n * 3) / 10),
  text: fc.constantFrom<Operand>(
    '',
    'A',
    'A0',
    'A3',
    'é',
    'é9',
    '～',
    '～4',
    '～9',
    '😀',
    '😀12',
    '😀15',
    '\ud83d',
    '\uffff',
    `A${'long'.repeat(8)}1`,
    `😀${'long'.repeat(8)}13`,
  ),
  day: fc
    .integer({ min: -6, max: 13 })
    .chain((n) =>
      fc.constantFrom<Operand>(
        new Date(n * 86_400_000),
        n * 86_400_000,
        new Date(n * 86_400_000).toISOString(),
      ),
    ),
  moment: fc
    .integer({ min: -10, max: 20 })
    .chain((n) => fc.constantFrom<Operand>(new Date(n), n, n + 0.5, new Date(n).toISOString())),
  steady: fc.integer({ min: -1, max: 4 }),
  flag: fc.boolean(),
  list: fc.integer({ min: 0, max: 3 }),
  missing: fc.integer({ min: 0, max: 3 }),
  yyyy: fc.constantFrom<Operand>(2018, 2019, '2019'),
};
const strange: fc.Arbitrary<Operand> = fc.constantFrom<Operand>(
  null,
  Number.NaN,
  '1',
  'x',
  5,
  5n,
  true,
  new Date(5),
);
const columnTest = fc.constantFrom(...Object.keys(operands)).chain((column) => {
  const operand = fc.oneof({ weight: 8, arbitrary: operands[column]! }, { weight: 1, arbitrary: strange });
  const operators = fc.oneof(
    operand,
    fc
      .constantFrom('$eq', '$ne', '$lt', '$lte', '$gt', '$gte')
      .chain((operator) => operand.map((each) => ({ [operator]: each }))),
    fc
      .constantFrom('$in', '$nin')
      .chain((operator) => fc.array(operand, { maxLength: 3 }).map((each) => ({ [operator]: each }))),
    fc.boolean().map(($exists) => ({ $exists })),
    fc.tuple(operand, operand).map(([$gte, $lt]) => ({ $gte, $lt })),
    fc.tuple(operand, operand).map(([$gte, $lt]) => ({ $not: { $gte, $lt } })),
  );
  return operators.map((each): Where => ({ [column]: each as Operand }));
});
const where = fc.letrec<{ where: Where }>((tie) => ({
  where: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    columnTest,
    fc.array(tie('where'), { maxLength: 3 }).map(($and) => ({ $and })),
    fc.array(tie('where'), { maxLength: 3 }).map(($or) => ({ $or })),
    fc.array(tie('where'), { minLength: 1, maxLength: 2 }).map(($nor) => ({ $nor })),
    tie('where').map(($not) => ({ $not })),
  ),
})).where;

describe('pruning', () => {
  test.each([0, 1, 2])('gives what filtering after a full read gives (file %i)', async (file) => {
    const object = objects[file]!;
    const pathColumns = { yyyy: 2019 };
    const columns = ['i'];
    const full = await readAll(object, optionsWith({ pathColumns }));
    expect(full.rows).toHaveLength(8192);
    let prunedOnce = 0;
    await fc.assert(
      fc.asyncProperty(where, async (predicate) => {
        const keeps = compileWhere(predicate);
        const expected = full.coordinates.filter((_, i) => keeps(full.rows[i]!));
        const read = await readAll(object, optionsWith({ columns, where: predicate, pathColumns }));
        expect(read.faults).toEqual([]);
        expect(read.coordinates).toEqual(expected);
        expect(read.accounted).toBe(8192);
        if (read.pruned > 0) prunedOnce++;
      }),
      { numRuns: 120 },
    );
    // The property would hold without any pruning too.
    expect(prunedOnce).toBeGreaterThan(20);
  });

  test.each<[Where, readonly number[]]>([
    [{ i: { $lt: 100 } }, [6144, 6144, 6144]],
    [{ i: 5000 }, [6144, 6144, 6144]],
    [{ g: { $in: [0, 3] } }, [4096, 4096, 4096]],
    [{ g: { $ne: 1 } }, [2048, 2048, 2048]],
    [{ $nor: [{ g: 1 }, { g: 2 }] }, [4096, 4096, 4096]],
    [{ steady: { $ne: 1 } }, [0, 0, 0]],
    [{ huge: { $exists: true } }, [2048, 2048, 2048]],
    [{ huge: null, g: 2 }, [6144, 6144, 6144]],
    [{ text: { $gte: '😀' } }, [6144, 6144, 6144]],
    [{ moment: { $gt: '1970-01-01T00:00:00.004Z' } }, [4096, 4096, 4096]],
    [{ flag: true }, [4096, 4096, 4096]],
    [{ flag: 'yes' }, [8192, 8192, 8192]],
    [{ missing: { $exists: true } }, [8192, 8192, 8192]],
    [{ yyyy: 2018 }, [8192, 8192, 8192]],
    [{ $or: [{ yyyy: 2019, i: 0 }, { i: 8191 }] }, [4096, 4096, 4096]],
  ])('%o leaves out whole row groups', async (predicate, expected) => {
    const pruned = [];
    for (const object of objects)
      pruned.push(
        (await readAll(object, optionsWith({ where: predicate, pathColumns: { yyyy: 2019 } }))).pruned,
      );
    expect(pruned).toEqual(expected);
  });

  test('bloom filters leave out what lies between the bounds', async () => {
    // Within the bounds of every group, and in one of them alone.
    const query = `SELECT 'k' || ((i * 7919) % 200) * 4 + i // 2048 AS k, ((i * 7919) % 200) * 4 + i // 2048 AS n, sha256(i::VARCHAR) AS x FROM range(8192) t(i)`;
    const object = new MemoryObject(await duck.parquet(query, 'ROW_GROUP_SIZE 2048'));
    for (const predicate of [
      { k: 'k401' },
      { n: 401 },
      { n: 401n },
      { k: { $in: ['k401', 'k405'] } },
    ] as Where[]) {
      const before = object.bytesRead;
      const { rows, pruned } = await readAll(object, optionsWith({ where: predicate }));
      expect({ pruned, found: rows.length > 0 }).toEqual({ pruned: 6144, found: true });
      expect(object.bytesRead - before).toBeLessThan(object.size / 2);
    }
    expect((await readAll(object, optionsWith({ where: { k: 'k5000' } }))).rows).toEqual([]);
  });

  test('what is pruned is not read', async () => {
    const object = new MemoryObject(
      await duck.parquet(`SELECT i, hash(i) AS h FROM range(200000) t(i)`, 'ROW_GROUP_SIZE 20480'),
    );
    await readAll(object, optionsWith({ where: { i: { $lt: 10 } } }));
    expect(object.bytesRead).toBeLessThan(object.size * 0.15);
  });

  test('casts that change what values mean do not prune', async () => {
    const object = objects[0]!;
    const read = await readAll(object, optionsWith({ columns: { i: 'string' }, where: { i: { $gt: '9' } } }));
    expect(read.rows).toHaveLength(110);
    // Rows hold the nearest number, which is above the greatest stored value of their group.
    const rounded = await readAll(
      object,
      optionsWith({ columns: { huge: 'number' }, where: { huge: Number(20n * 9007199254740993n) } }),
    );
    expect(rounded.rows).toHaveLength(86);
  });
});
