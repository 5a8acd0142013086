import fc from 'fast-check';
import { vi } from 'vitest';
import { InMemoryDedupStore } from '../../src/adapters/inmemory/dedup-store.ts';
import { InMemoryErrorRouter } from '../../src/adapters/inmemory/error-router.ts';
import { InMemoryKilledRows } from '../../src/adapters/inmemory/killed-rows.ts';
import { silentLog } from '../../src/adapters/inmemory/log.ts';
import { InMemoryMetrics } from '../../src/adapters/inmemory/metrics.ts';
import { InMemoryObjectSource } from '../../src/adapters/inmemory/object-source.ts';
import { SeededRandom } from '../../src/adapters/inmemory/random.ts';
import { InMemoryResultStore } from '../../src/adapters/inmemory/result-store.ts';
import { InMemoryStream } from '../../src/adapters/inmemory/stream.ts';
import { InMemoryTaskQueue } from '../../src/adapters/inmemory/task-queue.ts';
import { analyzeRecord } from '../../src/application/analyze/analyze.ts';
import type { DispatchSummary } from '../../src/application/dispatch/dispatch-summary.ts';
import { dispatch } from '../../src/application/dispatch/dispatch.ts';
import { readFrameHeader } from '../../src/application/frames/frame-codec.ts';
import { generationOf } from '../../src/application/generation.ts';
import { ingest, type ArrivedMessage, type IngestOutcome } from '../../src/application/ingest/ingest.ts';
import { mergeStates } from '../../src/application/measures/state.ts';
import { redrive, type RedriveSummary } from '../../src/application/reprocess/redrive.ts';
import { transformTask } from '../../src/application/transform/transform.ts';
import { isSluiceError } from '../../src/domain/errors.ts';
import type { AnyPipeline } from '../../src/domain/pipeline.ts';
import type { Clock } from '../../src/domain/ports/ambient.ts';
import type { KilledRows } from '../../src/domain/ports/killed-rows.ts';
import type { RecordSink } from '../../src/domain/ports/record-sink.ts';
import type { FailureQuery, ResultStore } from '../../src/domain/ports/result-store.ts';
import { reconcileKeyed, reconcileObject } from '../../src/domain/reconcile.ts';
import type { Task } from '../../src/domain/section.ts';
import { collect } from '../../src/testing/harness.ts';
import { BUCKET } from './lakes.ts';

// Shrinking a history takes long: what is found in time is shown, instead of a test that was too slow.
// A machine that is busy with other things takes several times as long.
fc.installGlobalPlugin(fc.interruptAfterTimeLimit(60_000, { failOnInterrupt: true }));
vi.setConfig({ testTimeout: 90_000 });

/** Time that goes on as soon as somebody waits; who waits for very long only waits to be stopped. */
export class EagerClock implements Clock {
  #now = 1_700_000_000_000;
  static readonly FOREVER_MS = 1_000_000_000;

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => reject(signal.reason as Error);
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      if (ms >= EagerClock.FOREVER_MS) return;
      setImmediate(() => {
        signal.removeEventListener('abort', stop);
        this.#now += ms;
        resolve();
      });
    });
  }
}

/** What outlives a process: the lake, the results, the verdicts on rows, the copies of failures. */
export interface World {
  readonly clock: Clock;
  readonly source: InMemoryObjectSource;
  readonly store: ResultStore;
  readonly killed: KilledRows;
  readonly router: InMemoryErrorRouter;
}

export function newWorld({ chunkBytes = 97 }: { readonly chunkBytes?: number } = {}): World {
  return {
    clock: new EagerClock(),
    source: new InMemoryObjectSource({ chunkBytes }),
    store: new InMemoryResultStore(mergeStates),
    killed: new InMemoryKilledRows(),
    router: new InMemoryErrorRouter(),
  };
}

/** How a process misbehaves; everything follows from `seed`. */
export interface Chaos {
  readonly seed: number;
  /** How likely a task or a record is delivered once more. */
  readonly duplicates: number;
  /** Whether records come in any order, instead of in the order in which they were put. */
  readonly shuffle: boolean;
  /** After so many calls of ports the process is killed, as if in the middle of one; `null`: never. */
  readonly killAt: number | null;
  readonly sectionsPerTask: number;
  /** How likely a task is told to stop after its next section. */
  readonly handOn: number;
}

export const calm: Chaos = {
  seed: 1,
  duplicates: 0,
  shuffle: false,
  killAt: null,
  sectionsPerTask: 4,
  handOn: 0,
};

/** Where each copy of a task hands on its rest as a task of its own, copies of copies would grow without end. */
const MAX_REPEATED_TASKS = 50;

export class Killed extends Error {}

/**
 * One process: a stream, a queue and a store of keys of its own. It takes tasks and records one at a time, in an order that
 * its seed chooses, also in the middle of a task, so that every history can be told again.
 */
export class Process {
  readonly metrics = new InMemoryMetrics();
  readonly dedup: InMemoryDedupStore;
  readonly stream: InMemoryStream;
  readonly queue: InMemoryTaskQueue;
  readonly random: SeededRandom;
  /** Every record that was put, in that order. */
  readonly put: Uint8Array[] = [];
  readonly #world: World;
  readonly #pipeline: AnyPipeline;
  readonly #build: string;
  readonly #chaos: Chaos;
  readonly #kill = new AbortController();
  readonly #kept = new Map<string, AnyPipeline>();
  /** Records that are still to be delivered. */
  #pending: Uint8Array[] = [];
  #repeatedTasks = 0;
  #calls = 0;

  constructor(world: World, pipeline: AnyPipeline, build = 'build-1', chaos: Chaos = calm) {
    const { clock } = world;
    this.#world = world;
    this.#pipeline = pipeline;
    this.#build = build;
    this.#chaos = chaos;
    this.random = new SeededRandom({ clock }, chaos.seed);
    this.stream = new InMemoryStream({ clock, random: this.random }, { partitions: pipeline.partitions });
    this.queue = new InMemoryTaskQueue({ clock });
    this.dedup = new InMemoryDedupStore({ clock });
  }

  /** Keeps the code of another build: it transforms and analyzes what that one planned. */
  keep(build: string, pipeline: AnyPipeline): this {
    this.#kept.set(build, pipeline);
    return this;
  }

  get generation() {
    return generationOf(this.#pipeline, undefined);
  }

  get signal(): AbortSignal {
    return this.#kill.signal;
  }

  get ports() {
    return {
      source: this.#killing(this.#world.source),
      store: this.#killing<ResultStore>(this.#world.store),
      killed: this.#killing(this.#world.killed),
      router: this.#killing(this.#world.router),
      sink: this.#killing(this.#sink()),
      tasks: this.#killing(this.queue),
      dedup: this.#killing(this.dedup),
      clock: this.#world.clock,
      random: this.random,
      metrics: this.metrics,
      log: silentLog,
    };
  }

  get context() {
    return {
      pipeline: this.#pipeline,
      build: this.#build,
      generation: this.generation,
      where: undefined,
      keepsBuilds: this.#kept.size > 0,
      signal: this.signal,
    };
  }

  #contextOf(build: string) {
    const kept = this.#kept.get(build);
    return kept === undefined ? this.context : { ...this.context, pipeline: kept, build };
  }

  /** Dispatches the lake and works until nothing is left to do. @throws Killed */
  async run(run = 'run-1'): Promise<DispatchSummary> {
    const summary = await this.dispatch(run);
    await this.drain();
    return summary;
  }

  async dispatch(run = 'run-1', locations: readonly string[] = [BUCKET]): Promise<DispatchSummary> {
    return dispatch(
      { run, locations, sectionsPerTask: this.#chaos.sectionsPerTask },
      this.context,
      this.ports,
    );
  }

  /** Takes tasks and records until there are none. */
  async drain(): Promise<void> {
    for (;;) {
      const tasks = this.queue.size.waiting > 0;
      if (!tasks && this.#pending.length === 0) return;
      if (tasks && (this.#pending.length === 0 || this.random.next() < 0.5)) await this.#takeTask();
      else await this.#deliver();
    }
  }

  async ingest(
    source: string,
    messages: readonly ArrivedMessage[],
    run = 'run-1',
  ): Promise<readonly IngestOutcome[]> {
    const { generation, ...context } = this.context;
    return ingest(messages, { ...context, generation: generation.id, run, source }, this.ports);
  }

  /** Redrives what is open, or what is asked for, and applies it. */
  async redrive(query: Partial<FailureQuery> = {}, run = 'redrive-1'): Promise<RedriveSummary> {
    const failures = this.#world.store.failures({ state: 'open', ...query }, this.signal);
    const summary = await redrive(failures, { ...this.context, run }, this.ports);
    await this.drain();
    return summary;
  }

  /** Delivers a record, whoever put it. */
  async analyze(record: Uint8Array): Promise<void> {
    const { build } = await readFrameHeader(record);
    await analyzeRecord(record, this.#contextOf(build), this.ports);
  }

  async transform(task: Task, isLate = false): Promise<void> {
    await transformTask(task, { ...this.#contextOf(task.build), isLate: () => isLate }, this.ports);
  }

  async #takeTask(): Promise<void> {
    const [received] = await this.queue.receive(1, EagerClock.FOREVER_MS, this.signal);
    if (received === undefined) return;
    const { task, receipt } = received;
    if (this.random.next() < this.#chaos.duplicates && this.#repeatedTasks++ < MAX_REPEATED_TASKS)
      await this.queue.send([task], this.signal);
    await this.transform(task, this.random.next() < this.#chaos.handOn);
    await this.queue.delete(receipt, this.signal);
  }

  async #deliver(): Promise<void> {
    const at = this.#chaos.shuffle ? Math.floor(this.random.next() * this.#pending.length) : 0;
    const record = this.#pending[at] as Uint8Array;
    try {
      await this.analyze(record);
    } catch (thrown) {
      // It comes again.
      if (this.signal.aborted || !isSluiceError(thrown) || !thrown.retryable) throw thrown;
      return;
    }
    if (this.random.next() >= this.#chaos.duplicates) this.#pending.splice(at, 1);
  }

  /** Keeps what the stream accepted, and now and then delivers some of it while the sender still waits. */
  #sink(): RecordSink {
    return {
      capabilities: this.stream.capabilities,
      put: async (records, signal) => {
        const outcomes = await this.stream.put(records, signal);
        for (const [index, { data }] of records.entries()) {
          if (outcomes[index]?.accepted !== true) continue;
          const kept = Uint8Array.from(data);
          this.put.push(kept);
          this.#pending.push(kept);
        }
        while (this.#pending.length > 0 && this.random.next() < 0.3) await this.#deliver();
        return outcomes;
      },
    };
  }

  /** Kills the process at the planned call: before it is made, or when it is made and its answer is on its way. */
  #killing<T extends object>(port: T): T {
    const { killAt } = this.#chaos;
    if (killAt === null) return port;
    const count = () => {
      if (++this.#calls === killAt) this.#kill.abort(new Killed());
      this.signal.throwIfAborted();
    };
    return new Proxy(port, {
      get: (target, name) => {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member !== 'function') return member;
        return (...parameters: unknown[]) => {
          count();
          const answer: unknown = (member as (...all: unknown[]) => unknown).apply(target, parameters);
          if (!(answer instanceof Promise)) return answer;
          return answer.then((value: unknown) => {
            count();
            return value;
          });
        };
      },
    });
  }
}

/** Runs a process until it is through or killed. `true`: it came to its end. */
export async function survives(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (thrown) {
    if (thrown instanceof Killed) return false;
    throw thrown;
  }
}

const never = new AbortController().signal;

/** Everything that the results show, whatever way it came about: no times, no runs, no builds, no order of arrival. */
export async function resultsOf({ store }: Pick<World, 'store'>, generation: string) {
  const groups: Record<string, string> = {};
  for await (const { group, state } of store.groups(generation, never))
    groups[group] = Buffer.from(state).toString('hex');
  const flags = await collect(store.flags(generation, never));
  const objects = (await collect(store.objects({ generation }, never))).map(
    ({ epoch: _epoch, build: _build, ...progress }) => progress,
  );
  const sources = await store.keyedSources(generation, never);
  return { groups, flags, failures: await failuresOf({ store }, generation), objects, sources };
}

export async function failuresOf({ store }: Pick<World, 'store'>, generation: string) {
  const records = await collect(store.failures({ generation }, never));
  return records
    .map(({ failure, state }) => ({
      ...failure,
      state,
      payload: failure.payload === null ? null : Buffer.from(failure.payload).toString('hex'),
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** What does not add up; empty where every row and every message came to exactly one end. */
export async function imbalances(
  { store }: Pick<World, 'store'>,
  generation: string,
): Promise<readonly unknown[]> {
  const wrong: unknown[] = [];
  for await (const progress of store.objects({ generation }, never)) {
    const balance = reconcileObject(progress);
    if (!progress.complete || !balance.balances) wrong.push({ progress, balance });
  }
  for (const totals of await store.keyedSources(generation, never)) {
    const balance = reconcileKeyed(totals);
    if (!balance.balances) wrong.push({ totals, balance });
  }
  return wrong;
}
