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
import type { PlanCounts, RefusedObject } from './dispatch-summary.ts';
import { splitTasks, wholeTasks, type SectionsToDo, type TaskRange } from './split-tasks.ts';

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
  /** Whether whoever transforms and analyzes has the code of other builds, too: see `PlanRequest`. Default false. */
  readonly keepsBuilds?: boolean;
  readonly signal: AbortSignal;
}

export interface ObjectDispatcherOptions {
  readonly run: string;
  /** Sections in one task at most, but for those of a row group, which stay together up to four. Default 4. */
  readonly sectionsPerTask?: number;
  /** What was planned is added here. */
  readonly counts: PlanCounts;
  /** Told of every object that is left as it is. */
  readonly refuse: (refused: RefusedObject) => void;
}

/** Objects are planned in transactions of this many. */
export const PLAN_BATCH = 500;
/** Objects that are opened at once: of a store in a network, each costs a round trip or two. */
export const OPEN_AT_ONCE = 8;
/**
 * Objects of so many stored bytes are one task, whatever they hold: opening them would tell nothing that dispatch needs, and cost a
 * request each. Where they end, and whether they can be read at all, shows when they are transformed.
 */
const UNOPENED_BYTES = 1024 * 1024;
const DEFAULT_SECTIONS_PER_TASK = 4;

/** An object whose layout is known: its plan can be made whole. */
interface LaidOut {
  readonly object: LakeObject;
  readonly opened: OpenedObject;
  readonly layout: ObjectLayout;
}

/** A step of the work, after which it can stop. */
interface Step {
  readonly plans: ObjectPlan[];
  /** Of these, to be queued without being opened. */
  readonly unopened: ObjectPlan[];
  /** Of these, to be opened. */
  readonly toOpen: LakeObject[];
}

/**
 * Records the plan of objects, wherever they were found, and queues their tasks. An object's plan is recorded before its first task
 * is queued: a crash in between is made good by whoever plans it next.
 */
export class ObjectDispatcher {
  readonly #plan: PlanRequest;
  readonly #where: Where | null;
  readonly #sectionsPerTask: number;
  readonly #context: DispatchContext;
  readonly #ports: DispatchPorts;
  readonly #counts: PlanCounts;
  readonly #refuse: ObjectDispatcherOptions['refuse'];

  constructor(
    { run, sectionsPerTask, counts, refuse }: ObjectDispatcherOptions,
    context: DispatchContext,
    ports: DispatchPorts,
  ) {
    const { generation, build, keepsBuilds = false } = context;
    this.#plan = { run, generation: generation.id, build, keepsBuilds };
    this.#where = context.where ?? null;
    this.#sectionsPerTask = sectionsPerTask ?? DEFAULT_SECTIONS_PER_TASK;
    this.#context = context;
    this.#ports = ports;
    this.#counts = counts;
    this.#refuse = refuse;
  }

  /**
   * Takes on objects in their order, step by step; the first step always.
   *
   * @param goesOn called after each step: whether to begin another one
   * @returns how many were taken on
   */
  async take(objects: readonly LakeObject[], goesOn: () => boolean): Promise<number> {
    if (objects.length === 0) return 0;
    // What is complete need not even be opened: the first plan asks for nothing that only the content tells.
    const plans = await this.#record(objects.map((object) => ({ object, lastSection: null })));
    let taken = 0;
    for (const step of this.#stepsOf(plans)) {
      await this.#dispatchStep(step);
      taken += step.plans.length;
      if (!goesOn()) break;
    }
    return taken;
  }

  /** A step ends with the objects that can be opened at once. */
  *#stepsOf(plans: readonly ObjectPlan[]): Generator<Step> {
    const newStep = (): Step => ({ plans: [], unopened: [], toOpen: [] });
    let step = newStep();
    for (const plan of plans) {
      step.plans.push(plan);
      if (plan.verdict !== 'process') continue;
      if (this.#isUnopened(plan.object)) step.unopened.push(plan);
      else if (step.toOpen.push(plan.object) === OPEN_AT_ONCE) {
        yield step;
        step = newStep();
      }
    }
    if (step.plans.length > 0) yield step;
  }

  #isUnopened({ size }: LakeObject): boolean {
    // That an object is empty shows without opening it.
    return size > 0 && size <= Math.min(UNOPENED_BYTES, this.#context.pipeline.limits.sectionBytes);
  }

  async #dispatchStep({ plans, unopened, toOpen }: Step): Promise<void> {
    for (const { object, verdict, held } of plans) {
      this.#counts.objects++;
      this.#counts.bytes += object.size;
      if (verdict === 'complete') this.#counts.completeObjects++;
      else if (verdict !== 'process')
        this.#refuse({ object, code: verdict === 'changed' ? 'E_OBJECT_CHANGED' : 'E_OTHER_BUILD' });
      else if (held.some(({ build }) => build !== this.#plan.build)) this.#counts.sharedObjects++;
    }
    for (const { object } of unopened) this.#counts.bytesToRead += object.size;
    await this.#send(
      unopened.flatMap((plan) => this.#tasksOf(plan, wholeTasks(this.#toDo(plan), plan.lastSection))),
    );
    await this.#dispatchOpened(toOpen);
  }

  #record(objects: readonly PlannedObject[]): Promise<readonly ObjectPlan[]> {
    return this.#ports.store.plan(this.#plan, objects, this.#context.signal);
  }

  async #dispatchOpened(objects: readonly LakeObject[]): Promise<void> {
    const laidOut = (await allSettled(objects.map((object) => this.#layOut(object)))).filter(
      (one) => one !== undefined,
    );
    if (laidOut.length === 0) return;
    const plans = await this.#record(
      laidOut.map(({ object, layout }) => ({ object, lastSection: layout.lastSection })),
    );
    const tasks: Task[] = [];
    const searches: (() => Promise<unknown>)[] = [];
    for (const [index, plan] of plans.entries()) {
      if (plan.verdict !== 'process') continue;
      const { opened, layout } = laidOut[index] as LaidOut;
      this.#counts.bytesToRead += plan.object.size;
      const { splittable, lastSection, groupStarts } = layout;
      const ranges =
        splittable && lastSection !== null
          ? splitTasks(this.#toDo(plan), { lastSection, groupStarts }, this.#sectionsPerTask)
          : wholeTasks(this.#toDo(plan), plan.lastSection);
      const unknown = ranges.filter(({ start }) => start === null);
      tasks.push(
        ...this.#tasksOf(
          plan,
          ranges.filter(({ start }) => start !== null),
        ),
      );
      if (unknown.length > 0)
        searches.push(() => this.#orFail(plan.object, () => this.#queueFound(plan, opened, unknown)));
    }
    await this.#send(tasks);
    await allSettled(searches.map((search) => search()));
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

  /** Queues ranges as soon as it is found where each starts: whoever transforms need not wait until the whole object has been searched. */
  async #queueFound(
    plan: ObjectPlan,
    { decoder, bytes, options }: OpenedObject,
    ranges: readonly TaskRange[],
  ): Promise<void> {
    const byFirst = new Map(ranges.map((range) => [range.sections.from, range]));
    const { signal } = this.#context;
    for await (const { section, start } of decoder.findStarts(bytes, [...byFirst.keys()], options, signal)) {
      const range = byFirst.get(section);
      if (range !== undefined) await this.#send(this.#tasksOf(plan, [{ ...range, start }]));
    }
  }

  #toDo({ complete, held, epoch }: ObjectPlan): SectionsToDo {
    return { complete, held, own: { build: this.#plan.build, epoch } };
  }

  #tasksOf({ object }: ObjectPlan, ranges: readonly TaskRange[]): Task[] {
    const { run, generation } = this.#plan;
    const where = this.#where;
    return ranges.map((range) => ({ id: this.#ports.random.id(), run, generation, where, object, ...range }));
  }

  async #send(tasks: readonly Task[]): Promise<void> {
    if (tasks.length === 0) return;
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
    this.#ports.metrics.add('failuresOpened', 1);
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
