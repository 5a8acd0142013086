import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeValue } from '../../../src/application/values/value-reader.ts';
import type { ResultStore } from '../../../src/domain/ports/result-store.ts';
import type { RowPosition } from '../../../src/domain/position.ts';
import { reconcileObject } from '../../../src/domain/reconcile.ts';
import { loadPipeline } from '../../../src/entrypoints/cli/load-pipeline.ts';
import { repository } from '../../cli/harness.ts';
import { measuresOf, openResults } from '../stack/results.ts';
import { LAKE_BUCKET, startStack, type Stack } from '../stack/stack.ts';
import { csvOf, lanesOf, shipments, type Shipment } from './shipments.ts';

const run = promisify(execFile);

const GENERATION = 'poison@1';
const ROW_TIMEOUT_S = 2;
const never = new AbortController().signal;

/** What a row does to its process, whenever it is transformed, by its id; and what its failure says. */
const POISONS: Readonly<Record<number, { readonly poison: string; readonly says: RegExp }>> = {
  1_000: { poison: 'for (;;);', says: /it did not come to an end within 2 s/ },
  2_000: {
    poison: 'const all = []; for (;;) all.push(Array.from({ length: 100_000 }, (_, at) => ({ at })));',
    // A heap that is nearly full may first stand still for long.
    says: /ended by SIGABRT|grow over \d+ MiB|did not come to an end/,
  },
  2_001: {
    poison: 'const all = []; for (;;) all.push(Buffer.alloc(4_000_000, 1));',
    says: /grow over \d+ MiB|did not come to an end/,
  },
  3_000: { poison: 'process.exit(0);', says: /ended with exit code 0/ },
};
const isPoison = ({ id }: Shipment) => id in POISONS;

function pipelineSource(poisons: typeof POISONS): string {
  const cases = Object.entries(poisons).map(([id, { poison }]) => `if (row.id === ${id}) { ${poison} }`);
  return `
import { definePipeline } from ${JSON.stringify(path.join(repository, 'src/index.ts'))};
export default definePipeline({
  name: 'poison',
  version: 1,
  source: { columns: { id: 'integer', lane: 'string', value: 'number' } },
  transform: (row) => {
    ${cases.join('\n    ')}
    return { lane: row.lane, value: row.value };
  },
  partitionBy: (message) => message.lane,
  analyze: {
    groupBy: (message) => message.lane,
    measures: ({ count, sum }) => ({ messages: count(), value: sum((message) => message.value) }),
  },
  partitions: 8,
  limits: { sectionBytes: 20_000 },
});
`;
}

describe('rows that hang, take all memory and end their process, on AWS', () => {
  let folder: string;
  let stack: Stack;
  let store: ResultStore;
  let file: string;
  const log: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'sluice-killed-rows-'));
    file = await built('poisoned', POISONS);
    stack = await startStack({
      build: path.join(folder, 'poisoned'),
      memoryMb: 512,
      timeoutMs: 20_000,
      visibilitySeconds: 24,
      environment: { SLUICE_ROW_TIMEOUT: `${ROW_TIMEOUT_S}` },
      log: ({ line }) => void log.push(line),
    });
    store = await openResults(stack.peers.postgres.url);
  });

  afterAll(async () => {
    await store?.close();
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function built(name: string, poisons: typeof POISONS): Promise<string> {
    const source = path.join(folder, `${name}.mjs`);
    await writeFile(source, pipelineSource(poisons));
    // By the command: in a process of its own, each build is told from the other by its code.
    await run(process.execPath, [
      path.join(repository, 'bin/sluice.js'),
      'build',
      source,
      '--out',
      path.join(folder, name),
    ]);
    return source;
  }

  async function lanes(): Promise<unknown> {
    const { pipeline } = await loadPipeline(file);
    return measuresOf(store, GENERATION, pipeline);
  }

  it('are failures with their rows; the others are processed, and a build that is mended redrives them', async () => {
    const rows = shipments(0, 8_000);
    const text = csvOf(rows);
    await stack.put('shipments.csv', Buffer.from(text));
    await stack.twin.invoke('dispatch', { objects: [`s3://${LAKE_BUCKET}/shipments.csv`] });
    await stack.twin.idle(AbortSignal.timeout(240_000));

    const { timeouts, exits } = stack.functions.transform.counts;
    // The function itself met the first of them only, and that once.
    expect(timeouts + exits, log.join('\n')).toBe(1);
    const [object] = await Array.fromAsync(store.objects({ generation: GENERATION }, never));
    const bad = rows.filter(isPoison);
    expect(object, log.join('\n')).toMatchObject({ complete: true, rows: rows.length, failed: bad.length });
    expect(reconcileObject(object!).balances).toBe(true);
    expect(await lanes()).toEqual(lanesOf(rows.filter((row) => !isPoison(row))));

    const failures = await Array.fromAsync(store.failures({ generation: GENERATION }, never));
    const inOrder = failures.toSorted(
      (a, b) =>
        (a.failure.position as RowPosition).coordinate! - (b.failure.position as RowPosition).coordinate!,
    );
    expect(inOrder.map(({ state, failure }) => [state, failure.code])).toEqual(
      bad.map(() => ['open', 'E_KILLED']),
    );
    for (const [index, { failure }] of inOrder.entries()) {
      const row = bad[index]!;
      const { coordinate } = failure.position as RowPosition;
      expect(text.slice(coordinate!).startsWith(`${row.id},`)).toBe(true);
      expect(decodeValue(failure.payload!)).toEqual(row);
      expect(failure.message).toMatch(POISONS[row.id]!.says);
    }

    // The build that they killed leaves them alone; one that is mended redrives them.
    const selected = { code: 'E_KILLED' };
    expect(await stack.twin.invoke('reprocess', selected)).toMatchObject({
      redriven: 0,
      notRedrivable: { total: bad.length },
    });
    await built('mended', {});
    const mended = await stack.deployBeside(path.join(folder, 'mended'));
    expect(await mended.reprocess.invoke(selected)).toMatchObject({
      redriven: bad.length,
      notRedrivable: { total: 0, examples: [] },
    });
    await stack.twin.idle(AbortSignal.timeout(60_000));
    expect(await lanes()).toEqual(lanesOf(rows));
    expect(await store.countOpenFailures({ generation: GENERATION }, never)).toEqual({});
  }, 400_000);
});
