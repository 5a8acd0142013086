import { readResults } from '../../application/results/read-results.ts';
import { declaredMeasures, type Generation } from '../../domain/generation.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Clock, Log } from '../../domain/ports/ambient.ts';
import type { Counts, PublishedGroup, ResultStore, RunRecord } from '../../domain/ports/result-store.ts';
import { noCounts } from '../../domain/reconcile.ts';
import { ownGenerations } from './own-generations.ts';
import { dailyRun, isDayOver, type RunKind } from './runs.ts';

export interface PublishPorts {
  readonly store: ResultStore;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

export interface PublishReply {
  /** Generations whose results were made anew: something was applied since. */
  readonly published: readonly {
    readonly generation: string;
    readonly groups: number;
    readonly findings: number;
  }[];
  /** Runs that are over. */
  readonly finished: readonly string[];
  /** Keys of messages from elsewhere that were forgotten. */
  readonly purgedKeys: number;
}

/** A run whose objects are not complete so long after it began is over, and says so; in milliseconds. */
const LONGEST_RUN_MS = 7 * 24 * 60 * 60 * 1000;

/** What a run comes to: of its objects, or of its source. */
interface RunTotals {
  readonly objects: number;
  readonly completeObjects: number;
  readonly counts: Readonly<Counts>;
}

/** Makes readable what was applied meanwhile, and ends what is over. */
export class Publisher {
  readonly #pipeline: AnyPipeline;
  /** What each generation came to when this container published it last: a hint that spares work, and no more. */
  readonly #published = new Map<string, string>();

  constructor(pipeline: AnyPipeline) {
    this.#pipeline = pipeline;
  }

  async publish(ports: PublishPorts, signal: AbortSignal): Promise<PublishReply> {
    const published: PublishReply['published'][number][] = [];
    const finished: string[] = [];
    let purgedKeys = 0;
    const runs = await ports.store.runs(signal);
    for (const { generation } of await ownGenerations(this.#pipeline, ports.store, signal)) {
      const ofGeneration = runs.filter((run) => run.generation === generation.id);
      const state = await this.#lookAt(generation, ofGeneration, finished, ports, signal);
      if (this.#published.get(generation.id) !== state) {
        published.push({ generation: generation.id, ...(await this.#make(generation, ports, signal)) });
        this.#published.set(generation.id, state);
      }
      purgedKeys += await this.#purgeKeys(generation, ports, signal);
    }
    const reply = { published, finished, purgedKeys };
    ports.log.info({ ...reply }, 'published');
    return reply;
  }

  /** What changes whenever something is applied. */
  async #lookAt(
    generation: Generation,
    runs: readonly RunRecord[],
    finished: string[],
    ports: PublishPorts,
    signal: AbortSignal,
  ): Promise<string> {
    const { store } = ports;
    const open: unknown[] = [];
    for (const run of runs.filter(({ finishedAt }) => finishedAt === null)) {
      const totals = await totalsOfRun(run, store, signal);
      open.push([run.id, totals]);
      if (await this.#finish(run, totals, ports, signal)) finished.push(run.id);
    }
    const sources = await store.keyedSources(generation.id, signal);
    for (const { source, ...counts } of sources)
      await this.#recordMessages(generation, source, counts, runs, ports, signal);
    const failures = await store.countOpenFailures({ generation: generation.id }, signal);
    return JSON.stringify([runs.length, open, sources, failures]);
  }

  async #finish(
    run: RunRecord,
    totals: RunTotals,
    { store, clock }: PublishPorts,
    signal: AbortSignal,
  ): Promise<boolean> {
    const now = clock.now();
    const { kind } = JSON.parse(run.report ?? '{}') as { kind?: RunKind };
    const complete = totals.completeObjects === totals.objects;
    // A run that does not say yet what it is may list more objects.
    const isWhole = kind === 'order' || (kind !== undefined && isDayOver(run.startedAt, now));
    if (!(complete && isWhole) && now - run.startedAt < LONGEST_RUN_MS) return false;
    const failed = await store.countOpenFailures({ generation: run.generation, run: run.id }, signal);
    const { objects, counts } = totals;
    const report = JSON.stringify({
      run: run.id,
      ...this.#named(run),
      kind,
      objects,
      counts,
      failed,
      complete,
    });
    await store.saveRun({ ...run, finishedAt: now, report }, signal);
    return true;
  }

  /** Messages from elsewhere are taken in by a function that has no result store: their runs show here, once a day and source. */
  async #recordMessages(
    generation: Generation,
    source: string,
    counts: Counts,
    runs: readonly RunRecord[],
    { store, clock }: PublishPorts,
    signal: AbortSignal,
  ): Promise<void> {
    const ofSource = runs.filter(({ report }) => sourceOf(report)?.source === source);
    const last = ofSource.at(-1);
    if (sourceOf(last?.report ?? null)?.counts?.rows === counts.rows) return;
    const now = clock.now();
    const id = dailyRun(generation.id, 'messages', now, source);
    const startedAt = ofSource.find((run) => run.id === id)?.startedAt ?? now;
    const record = { id, generation: generation.id, build: last?.build ?? '', startedAt, finishedAt: now };
    const report = JSON.stringify({ run: id, ...this.#named(record), kind: 'messages', source, counts });
    await store.saveRun({ ...record, report }, signal);
  }

  async #make(
    generation: Generation,
    { store, log }: PublishPorts,
    signal: AbortSignal,
  ): Promise<{ groups: number; findings: number }> {
    let groups = 0;
    let findings = 0;
    let failed = 0;
    const pipeline = this.#pipeline;
    const results = async function* (): AsyncGenerator<PublishedGroup> {
      const measures = declaredMeasures(generation);
      for await (const { error, ...group } of readResults(store, generation.id, pipeline, measures, signal)) {
        groups++;
        findings += group.findings.length;
        if (error !== null) failed++;
        yield group;
      }
    };
    await store.publish(generation.id, results(), signal);
    // Neither the group nor what was thrown: both may hold what stands in rows.
    if (failed > 0)
      log.error(
        { code: 'E_FINDING', generation: generation.id, groups: failed },
        'findings threw for some groups',
      );
    return { groups, findings };
  }

  /** Keys without a horizon are kept: what is told apart by an id alone may come again at any time. */
  async #purgeKeys(
    generation: Generation,
    { store, clock }: PublishPorts,
    signal: AbortSignal,
  ): Promise<number> {
    const { source, limits } = this.#pipeline;
    if (source.id !== undefined && source.time === undefined) return 0;
    return store.purgeKeys(generation.id, clock.now() - limits.keyHorizonMs, signal);
  }

  #named({ generation }: Pick<RunRecord, 'generation'>) {
    const { name, version } = this.#pipeline;
    return { pipeline: name, version, generation };
  }
}

async function totalsOfRun(run: RunRecord, store: ResultStore, signal: AbortSignal): Promise<RunTotals> {
  const counts = noCounts();
  const names = Object.keys(counts) as (keyof Counts)[];
  let objects = 0;
  let completeObjects = 0;
  for await (const object of store.objects({ generation: run.generation, run: run.id }, signal)) {
    objects++;
    if (object.complete) completeObjects++;
    for (const name of names) counts[name] += object[name];
  }
  return { objects, completeObjects, counts };
}

function sourceOf(
  report: string | null,
): { readonly source?: string; readonly counts?: { readonly rows?: number } } | null {
  return report === null ? null : (JSON.parse(report) as object);
}
