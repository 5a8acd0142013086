/**
 * What the result store keeps so that everything counts once: bytes of its rows for objects, sections and frames, keys of indexes included, while frames are applied and when
 * the object is complete. The worst order: every frame of messages before the first record of a section, at which its frames' ids go.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SystemClock } from '../../src/adapters/inmemory/clock.ts';
import { InMemoryErrorRouter } from '../../src/adapters/inmemory/error-router.ts';
import { silentLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { openSqliteResultStore } from '../../src/adapters/local/sqlite/result-store.ts';
import { analyzeRecord } from '../../src/application/analyze/analyze.ts';
import { unpackFrame } from '../../src/application/frames/frame-codec.ts';
import { mergeStates } from '../../src/application/measures/state.ts';
import { loadPipeline } from '../../src/entrypoints/cli/load-pipeline.ts';
import { CollectingSink } from '../harness/collecting-sink.ts';
import type { Counts } from '../harness/contender.ts';
import { transformLake } from './sluice-in-process.ts';

const STATE = ['objects', 'run_objects', 'sections', 'frames'];
/** Frames between two looks. */
const LOOK_EVERY = 16;

export default async function exactlyOnceState({
  pipeline: file,
  location,
}: {
  readonly pipeline: string;
  readonly location: string;
}): Promise<Counts> {
  const { pipeline } = await loadPipeline(file);
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-bench-'));
  try {
    const results = path.join(folder, 'results.sqlite');
    const store = await openSqliteResultStore(results, { mergeStates });
    const sink = new CollectingSink(true);
    const { messages = 0 } = await transformLake(pipeline, { location, sink, store });
    const kinds = new Map<Uint8Array, string>();
    for (const record of sink.records) kinds.set(record, (await unpackFrame(record)).body.kind);
    const inWorstOrder = sink.records.toSorted(
      (a, b) => Number(kinds.get(a) === 'section') - Number(kinds.get(b) === 'section'),
    );
    const metrics = new InMemoryMetrics();
    const ports = {
      store,
      router: new InMemoryErrorRouter(),
      clock: new SystemClock(),
      log: silentLog,
      metrics,
    };
    const { signal } = new AbortController();
    const database = new DatabaseSync(results, { readOnly: true });
    let peak = 0;
    for (const [index, record] of inWorstOrder.entries()) {
      await analyzeRecord(record, { pipeline, build: 'bench', signal }, ports);
      const next = inWorstOrder[index + 1];
      if (index % LOOK_EVERY === 0 || (next !== undefined && kinds.get(next) === 'section'))
        peak = Math.max(peak, stateBytes(database));
    }
    const done = stateBytes(database);
    database.close();
    await store.close();
    return {
      messages,
      applied: metrics.total('applied'),
      frames: sink.records.length,
      peakBytes: peak,
      doneBytes: done,
      peakBitsPerMessage: (peak * 8) / messages,
      doneBitsPerMessage: (done * 8) / messages,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function stateBytes(database: DatabaseSync): number {
  const names = STATE.map((name) => `'${name}'`).join(', ');
  const row = database
    .prepare(
      `SELECT sum(payload) AS bytes FROM dbstat WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name IN (${names}))`,
    )
    .get();
  return Number(row?.['bytes'] ?? 0);
}
