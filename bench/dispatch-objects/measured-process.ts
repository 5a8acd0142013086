/**
 * What is measured, in a process of its own: the function `dispatch` as Lambda would call it, and the reading of what it planned. Its
 * environment is the function's; messages tell it what to do.
 */
import process from 'node:process';
import { SystemClock } from '../../src/adapters/inmemory/clock.ts';
import { SystemRandom } from '../../src/adapters/inmemory/random.ts';
import { PgDatabase } from '../../src/adapters/postgres/pg-database.ts';
import { openPostgresResultStore } from '../../src/adapters/postgres/result-store.ts';
import { mergeStates } from '../../src/application/measures/state.ts';
import { count, sum } from '../../src/domain/measure.ts';
import { definePipeline } from '../../src/domain/pipeline.ts';
import { balanceOf, openFailuresOf, scopeOf } from '../../src/entrypoints/cli/run-state.ts';
import { createHandler } from '../../src/entrypoints/lambda/dispatch.ts';

export type Work =
  | { readonly kind: 'dispatch'; readonly event: unknown; readonly timeoutMs: number }
  | { readonly kind: 'reconcile'; readonly run: string };

export interface Measured {
  readonly result: unknown;
  readonly ms: number;
  /** CPU time of the process, in milliseconds. */
  readonly cpuMs: number;
  /** Most that the process has held until now, in bytes. */
  readonly peakBytes: number;
  readonly error?: string;
}

interface Shipment {
  readonly lane: string;
  readonly delay: number;
}

const pipeline = definePipeline({
  name: 'shipments',
  version: 1,
  source: { columns: { lane: 'string', delay: 'integer' } },
  transform: ({ lane, delay }): Shipment => ({ lane: lane ?? '', delay: delay ?? 0 }),
  partitionBy: ({ lane }) => lane,
  analyze: {
    groupBy: ({ lane }) => lane,
    measures: { shipments: count(), delay: sum(({ delay }) => delay) },
  },
});

const dispatch = createHandler(pipeline, { build: 'bench' });
let calls = 0;

async function work(task: Work): Promise<unknown> {
  if (task.kind === 'reconcile') return reconcile(task.run);
  const endsAt = Date.now() + task.timeoutMs;
  return dispatch(task.event, {
    awsRequestId: `call-${++calls}`,
    getRemainingTimeInMillis: () => endsAt - Date.now(),
  });
}

/** What `sluice reconcile` reads. */
async function reconcile(run: string): Promise<unknown> {
  const clock = new SystemClock();
  const database = new PgDatabase({ url: process.env['SLUICE_DATABASE_URL'] ?? '' });
  const store = await openPostgresResultStore(database, {
    mergeStates,
    clock,
    random: new SystemRandom({ clock }),
  });
  const { signal } = new AbortController();
  try {
    const record = await store.run(run, signal);
    if (record === undefined) throw new Error(`there is no run ${run}`);
    const { complete, unbalanced } = await balanceOf(scopeOf(record), store, signal);
    const { total } = await openFailuresOf(scopeOf(record), store, signal);
    return { complete, unbalanced: unbalanced.total, openFailures: total };
  } finally {
    await store.close();
  }
}

async function measure(task: Work): Promise<Measured> {
  const begunAt = performance.now();
  const cpu = process.cpuUsage();
  const told = await work(task).then(
    (result) => ({ result }),
    (thrown: unknown) => ({ result: null, error: String(thrown) }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const ms = performance.now() - begunAt;
  return {
    ...told,
    ms,
    cpuMs: (user + system) / 1_000,
    peakBytes: process.resourceUsage().maxRSS * 1_024,
  };
}

process.on('message', (task: Work) => {
  void measure(task).then((measured) => process.send?.(measured));
});
process.on('disconnect', () => process.exit());
