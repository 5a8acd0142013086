import { isDomainError, type DomainError } from '../../domain/errors.ts';
import type { Generation } from '../../domain/generation.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Clock, Log, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { ErrorRouter } from '../../domain/ports/error-router.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { ObjectPlan, PlannedObject, PlanRequest, ResultStore } from '../../domain/ports/result-store.ts';
import type { TaskQueue } from '../../domain/ports/task-queue.ts';
import { andWhere } from '../../domain/predicate.ts';
import { routeOf } from '../../domain/routing.ts';
import type { ObjectLayout, Task } from '../../domain/section.ts';
import type { Where } from '../../domain/where.ts';
import { failureOfObject } from '../failures/describe-failure.ts';
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
  /** The run's own predicate, beside the pipeline's: JSON data, because it travels in the tasks. */
  readonly where: Where | undefined;
  readonly signal: AbortSignal;
}

/** An object that was not taken on, and why. */
export interface RefusedObject {
  readonly object: LakeObject;
  readonly code: 'E_OTHER_BUILD' | 'E_OBJECT_CHANGED';
}

/** What planning came to. */
export interface PlanCounts {
  /** Objects that were to be planned. */
  objects: number;
  /** Of these, complete already. */
  completeObjects: number;
  /** Of these, could not be opened; each is an open failure. */
  failedObjects: number;
  tasks: number;
  /** Stored bytes of the objects. */
  bytes: number;
  /** Stored bytes of the objects that have sections to do. */
  bytesToRead: number;
}

export function nothingPlanned(): PlanCounts {
  return { objects: 0, completeObjects: 0, failedObjects: 0, tasks: 0, bytes: 0, bytesToRead: 0 };
}

export interface DispatcherOptions {
  readonly run: string;
  /** Sections in one task at most. Default 4. */
  readonly sectionsPerTask?: number;
  /** What was planned is added here. */
  readonly counts: PlanCounts;
  /** Told of every object that is left as it is. */
  readonly refuse: (refused: RefusedObject) => void;
}

/** Objects are planned in transactions of this many. */
export const PLAN_BATCH = 100;
/** Objects that are opened at once: of a store in a network, each costs a round trip or two. */
export const OPEN_AT_ONCE = 8;
const DEFAULT_SECTIONS_PER_TASK = 4;

/** An object whose layout is known: its plan can be made whole. */
interface LaidOut {
  readonly object: LakeObject;
  readonly opened: OpenedObject;
  readonly layout: ObjectLayout;
}

/**
 * Records the plan of objects, wherever they were found, and queues their tasks. An object's plan is recorded before its first task
 * is queued: a crash in between is made good by whoever plans it next.
 */
export class Dispatcher {
  readonly #plan: PlanRequest;
  readonly #where: Where | null;
  readonly #sectionsPerTask: number;
  readonly #context: DispatchContext;
  readonly #ports: DispatchPorts;
  readonly #counts: PlanCounts;
  readonly #refuse: DispatcherOptions['refuse'];

  constructor(options: DispatcherOptions, context: DispatchContext, ports: DispatchPorts) {
    this.#plan = { run: options.run, generation: context.generation.id, build: context.build };
    this.#where = context.where ?? null;
    this.#sectionsPerTask = options.sectionsPerTask ?? DEFAULT_SECTIONS_PER_TASK;
    this.#context = context;
    this.#ports = ports;
    this.#counts = options.counts;
    this.#refuse = options.refuse;
  }

  async take(objects: readonly LakeObject[]): Promise<void> {
    if (objects.length === 0) return;
    // What is complete need not even be opened: the first plan asks for nothing that only the content tells.
    const plans = await this.#record(objects.map((object) => ({ object, lastSection: null })));
    const process: LakeObject[] = [];
    for (const plan of plans) {
      this.#counts.objects++;
      this.#counts.bytes += plan.object.size;
      if (plan.verdict === 'complete') this.#counts.completeObjects++;
      else if (plan.verdict === 'process') process.push(plan.object);
      else
        this.#refuse({
          object: plan.object,
          code: plan.verdict === 'changed' ? 'E_OBJECT_CHANGED' : 'E_OTHER_BUILD',
        });
    }
    for (let at = 0; at < process.length; at += OPEN_AT_ONCE)
      await this.#dispatchObjects(process.slice(at, at + OPEN_AT_ONCE));
  }

  #record(objects: readonly PlannedObject[]): Promise<readonly ObjectPlan[]> {
    return this.#ports.store.plan(this.#plan, objects, this.#context.signal);
  }

  async #dispatchObjects(objects: readonly LakeObject[]): Promise<void> {
    const laidOut = (await allSettled(objects.map((object) => this.#layOut(object)))).filter(
      (one) => one !== undefined,
    );
    if (laidOut.length === 0) return;
    const plans = await this.#record(
      laidOut.map(({ object, layout }) => ({ object, lastSection: layout.lastSection })),
    );
    await allSettled(plans.map((plan, index) => this.#queueObject(plan, laidOut[index] as LaidOut)));
  }

  /** `undefined`: it cannot be read, which is an open failure now. */
  async #layOut(object: LakeObject): Promise<LaidOut | undefined> {
    const { signal, pipeline, where } = this.#context;
    return this.#orFail(object, async () => {
      const both = andWhere(pipeline.source.where, where);
      const opened = await openObject(object, { pipeline, where: both }, this.#ports, signal);
      return { object, opened, layout: await opened.decoder.layout(opened.bytes, opened.options, signal) };
    });
  }

  async #queueObject(plan: ObjectPlan, { object, opened, layout }: LaidOut): Promise<void> {
    if (plan.verdict !== 'process') return;
    this.#counts.bytesToRead += object.size;
    await this.#orFail(object, async () => {
      if (layout.splittable && layout.lastSection !== null)
        await this.#queueSections(opened, plan, layout.lastSection);
      else await this.#queueWhole(plan);
    });
  }

  /** What can only be read from its start is one task; complete sections are read past. */
  async #queueWhole(plan: ObjectPlan): Promise<void> {
    const done = plan.complete.map(({ section }) => section);
    await this.#queue(plan, [{ sections: { from: 0, to: plan.lastSection }, start: 0, done }]);
  }

  async #queueSections(opened: OpenedObject, plan: ObjectPlan, lastSection: number): Promise<void> {
    const ranges = splitTasks(lastSection, plan.complete, this.#sectionsPerTask);
    await this.#queue(
      plan,
      ranges.filter((range) => range.start !== null),
    );
    const unknown = ranges.filter((range) => range.start === null).map((range) => range.sections.from);
    if (unknown.length === 0) return;
    const byFirst = new Map(ranges.map((range) => [range.sections.from, range]));
    // One by one: whoever transforms need not wait until the whole object has been searched.
    for await (const { section, start } of opened.decoder.findStarts(
      opened.bytes,
      unknown,
      opened.options,
      this.#context.signal,
    )) {
      const range = byFirst.get(section);
      if (range !== undefined) await this.#queue(plan, [{ ...range, start }]);
    }
  }

  async #queue(plan: ObjectPlan, ranges: readonly TaskRange[]): Promise<void> {
    if (ranges.length === 0) return;
    const tasks = ranges.map((range): Task => ({
      id: this.#ports.random.id(),
      ...this.#plan,
      epoch: plan.epoch,
      where: this.#where,
      object: plan.object,
      ...range,
    }));
    await this.#ports.tasks.send(tasks, this.#context.signal);
    this.#counts.tasks += tasks.length;
  }

  /** An object that cannot be read (or not be searched to its end) is an open failure; the next dispatch takes it up again. */
  async #orFail<T>(object: LakeObject, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (thrown) {
      if (!isDomainError(thrown)) throw thrown;
      this.#counts.failedObjects++;
      await this.#openFailure(object, thrown);
      return undefined;
    }
  }

  async #openFailure(object: LakeObject, thrown: DomainError): Promise<void> {
    const { generation, pipeline, build, signal } = this.#context;
    const { run } = this.#plan;
    const failure = failureOfObject(generation.id, object, thrown);
    this.#ports.log.error({ code: failure.code, object: object.key }, thrown.message);
    const at = this.#ports.clock.now();
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
    await this.#ports.router.route([copy], signal);
    await this.#ports.store.openFailures(generation.id, run, [failure], at, signal);
  }
}

/** All of them, also where one fails: nothing is under way any more when it does. */
export async function allSettled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(work);
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}
