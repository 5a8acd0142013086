import { readFileSync } from 'node:fs';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, test } from 'vitest';
import { Scratch } from './harness.ts';
import { asJsonLines, pipelineSource, shipments, writeObject } from './shipments.ts';

const MIB = 1024 * 1024;
/** What a run may take, whatever its objects hold. It starts with about 150 MiB, and each of four tasks may hold a row group. */
const MAX_RESIDENT = 1024 * MIB;

interface Listed {
  readonly failures: readonly {
    readonly code: string;
    readonly message: string;
    readonly payload?: unknown;
  }[];
}

describe('objects made to do harm', { timeout: 240_000 }, () => {
  test('bombs, huge rows, wide and deep ones: failures of their own, in bounded memory', async () => {
    await using scratch = await Scratch.make();
    const lake = scratch.path('lake');
    await scratch.write(
      'shipments.ts',
      pipelineSource({
        source: '',
        transform: 'return { lane: row.lane ?? "none", note: Object.keys(row).length, deep: row.deep };',
        more: `limits: { maxRowGroupBytes: ${32 * MIB} },`,
      }),
    );
    const zeros = Buffer.alloc(MIB, '0');
    const many = (piece: Uint8Array) => Buffer.concat(Array.from({ length: 300 }, () => piece));
    await writeObject(lake, 'bomb.csv.gz', Buffer.concat([gzipSync('lane,b\n'), many(gzipSync(zeros))]));
    await writeObject(lake, 'bomb.jsonl.zst', many(zstdCompressSync(zeros)));
    await writeObject(lake, 'bomb.parquet', parquetBomb(64 * MIB));
    await writeObject(
      lake,
      'huge.jsonl',
      `{"lane":"x","note":"${'y'.repeat(50 * MIB)}"}\n{"lane":"after"}\n`,
    );
    const names = Array.from({ length: 100_000 }, (_, i) => `c${i}`);
    await writeObject(lake, 'wide.csv', `lane,${names.join()}\nwide,${names.join()}\n`);
    await writeObject(
      lake,
      'deep.jsonl',
      `{"lane":"deep","deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}\n{"lane":"after"}\n`,
    );
    await writeObject(lake, 'good.jsonl', asJsonLines(shipments(10)));

    const running = scratch.start(['run', 'shipments.ts', 'lake', '--json']);
    const peak = peakOf(running.child.pid as number, running.ended);
    const { code, stdout, stderr } = await running.ended;
    expect(code, stderr).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      failed: {
        byCode: { E_ROW_TOO_LARGE: 3, E_ROW_GROUP_TOO_LARGE: 1, E_MESSAGE_UNSUPPORTED: 1 },
      },
    });
    const bytes = await peak;
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(MAX_RESIDENT);
    const results = scratch.results('shipments@1');
    expect(results['after']).toMatchObject({ shipments: 2 });
    expect(results['wide']).toMatchObject({ shipments: 1 });
  });

  test('names: of fields that objects inherit, of objects with newlines and dots; a log line is one JSON object', async () => {
    await using scratch = await Scratch.make();
    const lake = scratch.path('lake');
    await scratch.write(
      'p.ts',
      `import { count, definePipeline } from 'sluice';
export default definePipeline({
  name: 'names', version: 1, source: {},
  transform: (row: any) => {
    if (row.fails) throw new Error('{"level":"error"}\\n{"level":"fatal","msg":' + JSON.stringify(row.fails) + '}');
    return row;
  },
  analyze: { groupBy: (message: any) => String(message.__proto__?.polluted ?? message.constructor), measures: { rows: count() } },
});
`,
    );
    await writeObject(
      lake,
      'a\n{"level":"error"}.jsonl',
      '{"__proto__":{"polluted":"own"},"constructor":"c","toString":1,"then":2}\n',
    );
    await writeObject(
      lake,
      'x..y/b...jsonl',
      '{"constructor":"plain","hasOwnProperty":0,"valueOf":null,"toJSON":"z"}\n',
    );
    await writeObject(lake, 'c.jsonl', '{"fails":"kanarie-55\\n"}\n{"kanarie-55\n');
    await writeObject(lake, 'd.csv', 'fails\nkanarie-55\n"kanarie-55" x\n"kanarie-55\n');
    const { report, code, stderr } = await scratch.run('p.ts', 'lake');
    expect(code).toBe(2);
    expect(report.objects).toBe(4);
    expect(Object.keys(scratch.results('names@1')).sort()).toEqual(['own', 'plain']);
    expect(JSON.stringify(report)).not.toContain('kanarie-55');
    expect(stderr).not.toContain('kanarie-55');
    for (const line of stderr.split('\n').filter((text) => text.startsWith('{')))
      expect(() => JSON.parse(line), line).not.toThrow();
    // What failed is kept, for whoever asks for it.
    const { answer } = await scratch.json<Listed>('failures', 'list', '--payload');
    expect(JSON.stringify(answer.failures.map(({ payload }) => payload))).toContain('kanarie-55');
    for (const { code: failed, message } of answer.failures.filter((each) => each.code !== 'E_TRANSFORM'))
      expect(message, failed).not.toContain('kanarie-55');
  });
});

/** One value that decompresses to more than a row group may hold. */
function parquetBomb(bytes: number): Uint8Array {
  const data = ['z'.repeat(bytes)];
  return new Uint8Array(
    parquetWriteBuffer({
      codec: 'GZIP',
      compressors: { GZIP: (page: Uint8Array) => new Uint8Array(gzipSync(page)) },
      columnData: [{ name: 'lane', data, type: 'STRING' }],
      statistics: false,
    }),
  );
}

/** The largest resident memory that a process is seen with, as the system counts it, in bytes. */
async function peakOf(pid: number, ended: Promise<unknown>): Promise<number> {
  let peak = 0;
  let isOver = false;
  void ended.then(() => (isOver = true));
  while (!isOver) {
    try {
      const [, kib = '0'] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      peak = Math.max(peak, Number(kib) * 1024);
    } catch {
      // It ends between two looks.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return peak;
}
