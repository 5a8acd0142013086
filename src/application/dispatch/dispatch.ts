import { isDomainError, messageOf } from '../../domain/errors.ts';
import type { Generation } from '../../domain/generation.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import { knownByPath } from '../../domain/path-columns.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Clock, Log, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { ErrorRouter } from '../../domain/ports/error-router.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { ObjectPlan, PlanRequest, ResultStore } from '../../domain/ports/result-store.ts';
import type { TaskQueue } from '../../domain/ports/task-queue.ts';
import { whereMayMatch } from '../../domain/predicate.ts';
import { routeOf } from '../../domain/routing.ts';
import type { Task } from '../../domain/section.ts';
import type { Where } from '../../domain/where.ts';
import { failureOf } from '../failures/describe-failure.ts';
import { openObject, type OpenedObject } from '../reading/open-object.ts';
import { splitTasks, type TaskRange } from './split-tasks.ts';

export interface DispatchPorts {
  readonly source: ObjectSource;
  readonly store: ResultStore;
  readonly tasks: TaskQueue;
  readonly router: ErrorRouter;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface DispatchContext {
  readonly pipeline: AnyPipeline;
  readonly generation: Generation;
  readonly build: string;
  /** The pipeline's predicate together with the run's own. */
  readonly where: Where | undefined;
  readonly signal: AbortSignal;
}

export interface DispatchRequest {
  readonly run: string;
  readonly locations: readonly string[];
  /** Sections in one task at most. Default 4. */
  readonly sectionsPerTask?: number;
}

/** An object that was not taken on, and why. */
export interface RefusedObject {
  readonly object: LakeObject;
  readonly code: 'E_OTHER_BUILD' | 'E_OBJECT_CHANGED';
}

export interface DispatchSummary {
  /** Objects at the locations that `where` does not rule out by their path. */
  objects: number;
  prunedObjects: number;
  /** Of these, complete already. */
  completeObjects: number;
  /** Of these, could not be opened; each is an open failure. */
  failedObjects: number;
  refused: RefusedObject[];
  tasks: number;
  /** Stored bytes of the objects. */
  bytes: number;
  /** Stored bytes of the objects that have sections to do. */
  bytesToRead: number;
}

/** What a run plans that reads no objects, and what every other one starts from. */
export function nothingDispatched(): DispatchSummary {
  return {
    objects: 0,
    prunedObjects: 0,
    completeObjects: 0,
    failedObjects: 0,
    refused: [],
    tasks: 0,
    bytes: 0,
    bytesToRead: 0,
  };
}

/** Objects are planned in transactions of this many. */
const PLAN_BATCH = 100;
const DEFAULT_SECTIONS_PER_TASK = 4;

/**
 * Records what is to be done, object by object, and queues tasks for what is not done yet. An object's plan is
 * recorded before its first task is queued: a crash in between is made good by the next dispatch.
 *
 * @param report called after every batch of objects, so that long listings show progress
 * @throws DomainError `E_PIPELINE_CHANGED`
 */
export async function dispatch(
  request: DispatchRequest,
  context: DispatchContext,
  ports: DispatchPorts,
  report: (summary: Readonly<DispatchSummary>) => void = () => undefined,
): Promise<DispatchSummary> {
  const summary = nothingDispatched();
  await ports.store.declare(context.generation, context.signal);
  const dispatcher = new Dispatcher(request, context, ports, summary);
  let batch: LakeObject[] = [];
  // One location names an object once; several may overlap.
  const seen = request.locations.length > 1 ? new Set<string>() : null;
  for (const location of request.locations) {
    for await (const object of ports.source.list(location, context.signal)) {
      if (seen?.has(nameOf(object)) === true) continue;
      seen?.add(nameOf(object));
      if (
        context.where !== undefined &&
        !whereMayMatch(context.where, knownByPath(object.key, context.pipeline.source.columns))
      ) {
        summary.prunedObjects++;
        continue;
      }
      batch.push(object);
      if (batch.length < PLAN_BATCH) continue;
      await dispatcher.take(batch);
      report(summary);
      batch = [];
    }
  }
  await dispatcher.take(batch);
  report(summary);
  return summary;
}

function nameOf({ bucket, key }: LakeObject): string {
  return JSON.stringify([bucket, key]);
}

class Dispatcher {
  readonly #plan: PlanRequest;
  readonly #sectionsPerTask: number;
  readonly #run: string;
  readonly #context: DispatchContext;
  readonly #ports: DispatchPorts;
  readonly #summary: DispatchSummary;

  constructor(
    request: DispatchRequest,
    context: DispatchContext,
    ports: DispatchPorts,
    summary: DispatchSummary,
  ) {
    this.#run = request.run;
    this.#plan = { run: request.run, generation: context.generation.id, build: context.build };
    this.#sectionsPerTask = request.sectionsPerTask ?? DEFAULT_SECTIONS_PER_TASK;
    this.#context = context;
    this.#ports = ports;
    this.#summary = summary;
  }

  async take(objects: readonly LakeObject[]): Promise<void> {
    if (objects.length === 0) return;
    const { store } = this.#ports;
    // What is complete need not even be opened: the first plan asks for nothing that only the content tells.
    const plans = await store.plan(
      this.#plan,
      objects.map((object) => ({ object, lastSection: null })),
      this.#context.signal,
    );
    for (const plan of plans) {
      this.#summary.objects++;
      this.#summary.bytes += plan.object.size;
      if (plan.verdict === 'complete') this.#summary.completeObjects++;
      else if (plan.verdict === 'process') await this.#dispatchObject(plan.object);
      else this.#refuse(plan);
    }
  }

  #refuse({ object, verdict }: ObjectPlan): void {
    const code = verdict === 'changed' ? 'E_OBJECT_CHANGED' : 'E_OTHER_BUILD';
    this.#summary.refused.push({ object, code });
    this.#ports.log.error({ code, object: object.key }, 'the object is left as it is');
  }

  async #dispatchObject(object: LakeObject): Promise<void> {
    const { signal, pipeline, where } = this.#context;
    try {
      const opened = await openObject(object, { pipeline, where }, this.#ports, signal);
      const layout = await opened.decoder.layout(opened.bytes, opened.options, signal);
      const [plan] = await this.#ports.store.plan(
        this.#plan,
        [{ object, lastSection: layout.lastSection }],
        signal,
      );
      if (plan === undefined || plan.verdict !== 'process') return;
      this.#summary.bytesToRead += object.size;
      if (layout.splittable && layout.lastSection !== null)
        await this.#queueSections(opened, plan, layout.lastSection);
      else await this.#queueWhole(plan);
    } catch (thrown) {
      if (!isDomainError(thrown)) throw thrown;
      this.#summary.failedObjects++;
      await reportObjectFailure(object, thrown, this.#run, this.#context, this.#ports);
    }
  }

  /** What can only be read from its start is one task; complete sections are read past. */
  async #queueWhole(plan: ObjectPlan): Promise<void> {
    const done = plan.complete.map(({ section }) => section);
    await this.#queue(plan, { sections: { from: 0, to: plan.lastSection }, start: 0, done });
  }

  async #queueSections(opened: OpenedObject, plan: ObjectPlan, lastSection: number): Promise<void> {
    const ranges = splitTasks(lastSection, plan.complete, this.#sectionsPerTask);
    const unknown = ranges.filter((range) => range.start === null).map((range) => range.sections.from);
    for (const range of ranges) if (range.start !== null) await this.#queue(plan, range);
    if (unknown.length === 0) return;
    const byFirst = new Map(ranges.map((range) => [range.sections.from, range]));
    for await (const { section, start } of opened.decoder.findStarts(
      opened.bytes,
      unknown,
      opened.options,
      this.#context.signal,
    )) {
      const range = byFirst.get(section);
      if (range !== undefined) await this.#queue(plan, { ...range, start });
    }
  }

  async #queue(plan: ObjectPlan, range: TaskRange): Promise<void> {
    const task: Task = {
      id: this.#ports.random.id(),
      ...this.#plan,
      epoch: plan.epoch,
      object: plan.object,
      ...range,
    };
    await this.#ports.tasks.send([task], this.#context.signal);
    this.#summary.tasks++;
  }
}

/** An object (or the rest of one) that cannot be read is an open failure; the next dispatch takes it up again. */
export async function reportObjectFailure(
  object: LakeObject,
  thrown: unknown,
  run: string,
  context: Pick<DispatchContext, 'generation' | 'pipeline' | 'build' | 'signal'>,
  ports: Pick<DispatchPorts, 'store' | 'router' | 'clock' | 'log'>,
): Promise<void> {
  const { generation, pipeline, build, signal } = context;
  const failure = failureOf(
    generation.id,
    { kind: 'row', object, coordinate: null, output: null },
    'open',
    thrown,
    'E_INTERNAL',
    null,
    0,
  );
  ports.log.error({ code: failure.code, object: object.key }, messageOf(thrown));
  const at = ports.clock.now();
  const copy = {
    generation: generation.id,
    pipeline: pipeline.name,
    version: pipeline.version,
    run,
    build,
    failure,
    route: routeOf(failure),
    at,
  };
  await ports.router.route([copy], signal);
  await ports.store.openFailures(generation.id, run, [failure], at, signal);
}
