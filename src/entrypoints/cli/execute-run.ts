import type { TransformWorkers } from '../../adapters/local/workers/transform-workers.ts';
import { decodeEffects } from '../../application/analyze/work-out.ts';
import type { DispatchSummary } from '../../application/dispatch/dispatch-summary.ts';
import { dispatch } from '../../application/dispatch/dispatch.ts';
import { generationOf } from '../../application/generation.ts';
import { readResults } from '../../application/results/read-results.ts';
import { DomainError } from '../../domain/errors.ts';
import { declaredMeasures, type Generation } from '../../domain/generation.ts';
import type { Finding } from '../../domain/pipeline.ts';
import type { Counter } from '../../domain/ports/ambient.ts';
import type { PublishedGroup } from '../../domain/ports/result-store.ts';
import type { Where } from '../../domain/where.ts';
import { GravestFindings } from './gravest-findings.ts';
import { ingestStdin, type Pipe } from './ingest-stdin.ts';
import { keepPublished } from './keep-published.ts';
import type { LoadedPipeline } from './load-pipeline.ts';
import { withPlatform, type PlatformContext } from './platform.ts';
import { balanceOf, openFailuresOf, type Scope } from './run-state.ts';
import type { BalanceLine, ProgressSample, RunReport } from './run-report.ts';
import type { Runtime } from './runtime.ts';
import { makeWorkers, type WorkerLimits } from './workers.ts';

export interface RunOptions {
  readonly locations: readonly string[];
  /** Messages from a pipe instead of objects. */
  readonly pipe: Pipe | null;
  /** The run's own predicate. */
  readonly where: Where | undefined;
  readonly concurrency: number;
  readonly workers: WorkerLimits;
  /** Forget what the generation has, first. */
  readonly fresh: boolean;
}

export interface RunOutcome {
  readonly report: RunReport;
  readonly generation: Generation;
  readonly startedAt: number;
  readonly balance: readonly BalanceLine[];
  readonly samples: readonly ProgressSample[];
  readonly refused: DispatchSummary['refused'];
  /** The gravest ones, of groups and of single messages. */
  readonly topFindings: readonly Finding[];
  /** What `findings` threw, by group. */
  readonly findingErrors: readonly DomainError[];
}

/** A task costs nothing here: small ones keep all threads at work until the end, also where there is a single object. */
export const SECTIONS_PER_TASK = 1;
/** Findings that stand at the end of a run. */
const TOP_FINDINGS = 5;
/** Errors of `findings` beyond these are counted and not kept. */
const MAX_FINDING_ERRORS = 100;
const SAMPLE_MS = 200;
/** More samples than a chart can show are thinned out. */
const MAX_SAMPLES = 2_000;

/** One run: plan, process, apply, publish. Whatever ends it, starting it again continues where it stopped. */
export async function executeRun(
  loaded: LoadedPipeline,
  options: RunOptions,
  runtime: Runtime,
  signal: AbortSignal,
  onSample: (sample: ProgressSample) => void,
): Promise<RunOutcome> {
  const { pipeline, build } = loaded;
  const { store, clock, metrics } = runtime;
  const generation = generationOf(pipeline, options.where);
  const run = runtime.random.id();
  const startedAt = clock.now();
  if (options.fresh) {
    if (options.pipe === null) await requireObjects(options.locations, runtime, signal);
    await store.purge(generation.id, signal);
  }
  await store.declare(generation, signal);
  const record = { id: run, generation: generation.id, build, startedAt };
  await store.saveRun({ ...record, finishedAt: null, report: null }, signal);

  const { where, concurrency } = options;
  const context = { pipeline, build, generation, where, concurrency };
  const workers = options.pipe === null ? makeWorkers(loaded, run, options.workers, runtime) : undefined;
  const sampler = new Sampler(runtime, startedAt, onSample);
  const stopSampling = sampler.start();
  const publishNow = (under: AbortSignal) => publishResults(loaded, generation, runtime, under);
  const stopPublishing =
    options.pipe === null
      ? async () => undefined
      : keepPublished(publishNow, () => metrics.total('framesApplied') + metrics.total('applied'), runtime);
  let plan: DispatchSummary;
  try {
    workers?.prepare();
    const platform = { ...context, ...(workers === undefined ? {} : elsewhere(workers)) };
    plan = await withPlatform(platform, runtime, signal, async (working) => {
      const { pipe } = options;
      if (pipe !== null) return ingestStdin(pipe, { ...context, run }, runtime, working);
      const request = { run, locations: options.locations, sectionsPerTask: SECTIONS_PER_TASK };
      const summary = await dispatch(request, { ...context, signal: working }, runtime, (so) =>
        sampler.plan(so, false),
      );
      if (summary.objects + summary.prunedObjects === 0) throw nothingToRead(options.locations);
      sampler.plan(summary, true);
      return summary;
    });
  } finally {
    // Whatever the one says, the others would keep the process alive.
    try {
      await workers?.close();
    } finally {
      try {
        await stopPublishing();
      } finally {
        await stopSampling();
      }
    }
  }

  const scope: Scope = {
    generation: generation.id,
    run,
    ...(options.pipe === null ? {} : { source: options.pipe.source }),
  };
  const published = await publishNow(signal);
  const failed = await openFailuresOf(scope, runtime.store, signal);
  const { balance, complete } = await balanceOf(scope, runtime.store, signal);
  const count = (counter: Counter) => metrics.total(counter);
  const report: RunReport = {
    run,
    pipeline: pipeline.name,
    version: pipeline.version,
    generation: generation.id,
    ...(options.pipe === null ? {} : { source: options.pipe.source }),
    objects: plan.objects,
    sections: count('sectionsSent'),
    tasks: plan.tasks,
    bytesRead: count('bytesRead'),
    bytesTotal: plan.bytes,
    rowsRead: count('rowsRead') - count('rowsPruned'),
    rowsPruned: count('rowsPruned'),
    rowsFiltered: count('rowsFiltered'),
    messages: count('messages'),
    frames: count('frames'),
    frameBytes: count('frameBytes'),
    applied: count('applied'),
    duplicates: count('duplicates'),
    failed,
    refused: { total: plan.refused.total, byCode: plan.refused.byCode },
    groups: published.groups,
    findings: published.findings,
    seconds: (clock.now() - startedAt) / 1000,
    complete: complete && plan.refused.total === 0,
  };
  await store.saveRun({ ...record, finishedAt: clock.now(), report: JSON.stringify(report) }, signal);
  return {
    report,
    generation,
    startedAt,
    balance,
    samples: sampler.samples,
    refused: plan.refused,
    topFindings: published.topFindings,
    findingErrors: published.errors,
  };
}

/** The pipeline's own code runs in threads. */
function elsewhere(workers: TransformWorkers): Pick<PlatformContext, 'transform' | 'workOut'> {
  return {
    transform: (task, attempt) => workers.transform(task, attempt.signal),
    workOut: async (record, signal) => {
      const worked = await workers.workOut(record, signal);
      return worked && { header: worked.header, effects: decodeEffects(worked.effects) };
    },
  };
}

/** A mistyped path must not cost the results. */
async function requireObjects(
  locations: readonly string[],
  { source }: Runtime,
  signal: AbortSignal,
): Promise<void> {
  for (const location of locations) {
    for await (const _object of source.list(location, signal)) return;
  }
  throw nothingToRead(locations);
}

function nothingToRead(locations: readonly string[]): DomainError {
  return new DomainError(`there is nothing to read at ${locations.join(', ')}`, {
    code: 'E_OBJECT_NOT_FOUND',
  });
}

interface Published {
  readonly groups: number;
  readonly findings: number;
  readonly topFindings: readonly Finding[];
  readonly errors: readonly DomainError[];
}

/** Makes the readable results anew from the merged measures. */
export async function publishResults(
  { pipeline }: LoadedPipeline,
  generation: Generation,
  { store }: Pick<Runtime, 'store'>,
  signal: AbortSignal,
): Promise<Published> {
  let groups = 0;
  const gravest = new GravestFindings(TOP_FINDINGS);
  const errors: DomainError[] = [];
  const results = async function* (): AsyncGenerator<PublishedGroup> {
    for await (const { error, ...group } of readResults(
      store,
      generation.id,
      pipeline,
      declaredMeasures(generation),
      signal,
    )) {
      groups++;
      for (const finding of group.findings) gravest.add(finding);
      if (error !== null && errors.length < MAX_FINDING_ERRORS) errors.push(error);
      yield group;
    }
  };
  await store.publish(generation.id, results(), signal);
  for await (const { finding } of store.flags(generation.id, signal)) gravest.add(finding);
  return { groups, findings: gravest.total, topFindings: gravest.list(), errors };
}

/** Looks at the counters now and then: for the progress line, and for the throughput chart. */
class Sampler {
  samples: ProgressSample[] = [];
  readonly #runtime: Runtime;
  readonly #startedAt: number;
  readonly #onSample: (sample: ProgressSample) => void;
  #objects = 0;
  #bytesToRead = 0;
  #listed = false;
  #every = 1;
  #taken = 0;

  constructor(runtime: Runtime, startedAt: number, onSample: (sample: ProgressSample) => void) {
    this.#runtime = runtime;
    this.#startedAt = startedAt;
    this.#onSample = onSample;
  }

  plan({ objects, bytesToRead }: Pick<DispatchSummary, 'objects' | 'bytesToRead'>, listed: boolean): void {
    this.#objects = objects;
    this.#bytesToRead = bytesToRead;
    this.#listed = listed;
  }

  /** Returns what ends the sampling, with one last sample. */
  start(): () => Promise<void> {
    const stop = new AbortController();
    const loop = this.#loop(stop.signal);
    return async () => {
      stop.abort();
      await loop;
      this.#take();
    };
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { clock } = this.#runtime;
    try {
      for (;;) {
        await clock.sleep(SAMPLE_MS, signal);
        this.#take();
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }

  #take(): void {
    const { clock, metrics } = this.#runtime;
    const sample: ProgressSample = {
      seconds: (clock.now() - this.#startedAt) / 1000,
      counters: metrics.snapshot(),
      objects: this.#objects,
      bytesToRead: this.#bytesToRead,
      listed: this.#listed,
    };
    this.#onSample(sample);
    if (this.#taken++ % this.#every === 0) this.samples.push(sample);
    if (this.samples.length < MAX_SAMPLES) return;
    this.samples = this.samples.filter((_, index) => index % 2 === 0);
    this.#every *= 2;
  }
}
