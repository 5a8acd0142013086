import type { LakeObject } from '../../domain/lake-object.ts';
import { knownByPath } from '../../domain/path-columns.ts';
import { andWhere, whereMayMatch } from '../../domain/predicate.ts';
import {
  nothingDispatched,
  type DispatchSummary,
  type RefusedObject,
  type Rest,
} from './dispatch-summary.ts';
import {
  ObjectDispatcher,
  PLAN_BATCH,
  type DispatchContext,
  type DispatchPorts,
} from './object-dispatcher.ts';

export interface DispatchRequest {
  readonly run: string;
  readonly locations: readonly string[];
  /** A few objects besides, as they are: nothing is listed for them, and nothing in their keys is a pattern. */
  readonly objects?: readonly LakeObject[];
  /** Only keys of the first location that come after this one: see `DispatchSummary.rest`. */
  readonly after?: string;
  /**
   * Asked before each step but the first (some objects to open, or many that need not be): whether there is no time left for it. Default:
   * there is.
   */
  readonly isLate?: () => boolean;
  /** As `ObjectDispatcherOptions` has it. */
  readonly sectionsPerTask?: number;
}

/** An object, and which of the request's locations it is at. */
interface Listed {
  readonly object: LakeObject;
  readonly location: number;
}

/**
 * Records what is to be done, object by object, and queues tasks for what is not done yet. An object's plan is
 * recorded before its first task is queued: a crash in between is made good by the next dispatch.
 *
 * @param report called after every step, so that long listings show progress
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
  const refuse = (refused: RefusedObject) => {
    summary.refused.add(refused);
    ports.log.error({ code: refused.code, object: refused.object.key }, 'the object is left as it is');
  };
  const dispatcher = new ObjectDispatcher({ ...request, counts: summary, refuse }, context, ports);
  const isLate = () => request.isLate?.() === true;
  const goesOn = () => {
    report(summary);
    return !isLate();
  };
  let batch: Listed[] = [];
  /** @returns where it stopped, if it did */
  const takeBatch = async (): Promise<Rest | null> => {
    const listedObjects = batch.map(({ object }) => object);
    const last = batch[(await dispatcher.take(listedObjects, goesOn)) - 1];
    const stopped = last !== undefined && last !== batch.at(-1);
    batch = [];
    return stopped ? { locations: request.locations.slice(last.location), after: last.object.key } : null;
  };
  const where = andWhere(context.pipeline.source.where, context.where);
  const isRuledOut = ({ key }: LakeObject) =>
    where !== undefined && !whereMayMatch(where, knownByPath(key, context.pipeline.source.columns));
  const { objects = [] } = request;
  const wanted = objects.filter((object) => !isRuledOut(object));
  summary.prunedObjects += objects.length - wanted.length;
  // All of them: they are few, and no listing would go on with them.
  await dispatcher.take(wanted, () => {
    report(summary);
    return true;
  });
  let listed = 0;
  // One location names an object once; several may overlap.
  const seen = request.locations.length > 1 ? new Set<string>() : null;
  for (const [index, location] of request.locations.entries()) {
    const after = index === 0 ? request.after : undefined;
    let reached = after;
    for await (const object of ports.source.list(location, context.signal, after)) {
      // The first is always taken, or the rest would be all there was.
      if (listed > 0 && isLate()) {
        const locations = request.locations.slice(index);
        const here = reached === undefined ? { locations } : { locations, after: reached };
        summary.rest = (await takeBatch()) ?? here;
        return summary;
      }
      reached = object.key;
      listed++;
      if (seen?.has(nameOf(object)) === true) continue;
      seen?.add(nameOf(object));
      if (isRuledOut(object)) {
        summary.prunedObjects++;
        // Else all that is passed over would seem to be part of the next step, and to take so long.
        if (summary.prunedObjects % PLAN_BATCH === 0) report(summary);
        continue;
      }
      batch.push({ object, location: index });
      if (batch.length < PLAN_BATCH) continue;
      summary.rest = await takeBatch();
      if (summary.rest !== null) return summary;
    }
  }
  summary.rest = await takeBatch();
  report(summary);
  return summary;
}

function nameOf({ bucket, key }: LakeObject): string {
  return JSON.stringify([bucket, key]);
}
