import type { LakeObject } from '../../domain/lake-object.ts';
import { knownByPath } from '../../domain/path-columns.ts';
import { andWhere, whereMayMatch } from '../../domain/predicate.ts';
import {
  Dispatcher,
  nothingPlanned,
  PLAN_BATCH,
  type DispatchContext,
  type DispatchPorts,
  type PlanCounts,
  type RefusedObject,
} from './dispatcher.ts';

export interface DispatchRequest {
  readonly run: string;
  readonly locations: readonly string[];
  /** Only keys of the first location that come after this one: see `DispatchSummary.rest`. */
  readonly after?: string;
  /** Milliseconds since 1970 after which no further objects are planned; default: none. */
  readonly stopAt?: number;
  /** Sections in one task at most. Default 4. */
  readonly sectionsPerTask?: number;
}

export interface DispatchSummary extends PlanCounts {
  /** Objects at the locations that `where` rules out by their path. */
  prunedObjects: number;
  refused: RefusedObject[];
  /** What is left where `stopAt` came before the listing's end: the request that goes on there. */
  rest: Pick<DispatchRequest, 'locations' | 'after'> | null;
}

/** What a run plans that reads no objects, and what every other one starts from. */
export function nothingDispatched(): DispatchSummary {
  return { ...nothingPlanned(), prunedObjects: 0, refused: [], rest: null };
}

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
  const refuse = (refused: RefusedObject) => {
    summary.refused.push(refused);
    ports.log.error({ code: refused.code, object: refused.object.key }, 'the object is left as it is');
  };
  const dispatcher = new Dispatcher({ ...request, counts: summary, refuse }, context, ports);
  const where = andWhere(context.pipeline.source.where, context.where);
  let batch: LakeObject[] = [];
  let last: string | undefined;
  let listed = 0;
  // One location names an object once; several may overlap.
  const seen = request.locations.length > 1 ? new Set<string>() : null;
  for (const [index, location] of request.locations.entries()) {
    const after = index === 0 ? request.after : undefined;
    for await (const object of ports.source.list(location, context.signal, after)) {
      // The first is always taken, or the rest would be all there was.
      if (request.stopAt !== undefined && listed > 0 && ports.clock.now() >= request.stopAt) {
        await dispatcher.take(batch);
        const locations = request.locations.slice(index);
        summary.rest = last === undefined ? { locations } : { locations, after: last };
        report(summary);
        return summary;
      }
      last = object.key;
      listed++;
      if (seen?.has(nameOf(object)) === true) continue;
      seen?.add(nameOf(object));
      if (
        where !== undefined &&
        !whereMayMatch(where, knownByPath(object.key, context.pipeline.source.columns))
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
    last = undefined;
  }
  await dispatcher.take(batch);
  report(summary);
  return summary;
}

function nameOf({ bucket, key }: LakeObject): string {
  return JSON.stringify([bucket, key]);
}
