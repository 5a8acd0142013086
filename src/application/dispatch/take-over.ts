import { isSluiceError } from '../../domain/errors.ts';
import type { LakeObject, ObjectName } from '../../domain/lake-object.ts';
import type { ObjectProgress } from '../../domain/ports/result-store.ts';
import { nothingPlanned, type PlanCounts } from './dispatch-summary.ts';
import {
  allSettled,
  ObjectDispatcher,
  OPEN_AT_ONCE,
  PLAN_BATCH,
  type DispatchContext,
  type DispatchPorts,
} from './object-dispatcher.ts';

export interface TakeOverRequest {
  readonly run: string;
  /** Only objects that come after this one: see `TakeOverSummary.rest`. */
  readonly after?: ObjectName;
  /** Asked before each step but the first: whether there is no time left for it. Default: there is. */
  readonly isLate?: () => boolean;
  /** Sections in one task at most. Default 4. */
  readonly sectionsPerTask?: number;
  /** Called before the first object is planned: a take-over of nothing leaves no run behind. */
  readonly begin: () => Promise<void>;
}

export interface TakeOverSummary extends PlanCounts {
  /** Not complete, and left as a whole to whoever began them. */
  begunObjects: number;
  /** Not in the lake any more: left to the tasks that are queued for them, which say so. */
  goneObjects: number;
  /** The last object that was looked at where it became late before the end: the `after` that goes on there. */
  rest: ObjectName | null;
}

/**
 * Plans anew, under this build, what is planned in a generation and not complete, and queues its tasks: a deployment's way to give a new build
 * what the old one had not come to, section by section.
 *
 *                                        sections 0 and 1 are begun, 2 and 3 are not
 *     old build:   plan, epoch 1 ── tasks ── frames of epoch 1 ─────────────▶ of 0 and 1: applied   of 2 and 3: stale, dropped
 *     this build:             plan, epoch 2 ── tasks ── frames of epoch 2 ──▶ of 2 and 3: applied
 *
 * Nobody is asked to let go: whose plan is the last one, that one's tasks count, and each queues its own after it has planned. Frames of the old build
 * that are applied first make their section begun, and it is left to the old build's bundle. It gets a task of that build again: whether the one that
 * it had is still there, nobody knows.
 *
 * What this build planned itself is planned again, under the same epoch: its tasks may never have been queued, because an earlier call was
 * killed in between. Tasks that are there twice do no harm.
 *
 * @param report called after every step
 */
export async function takeOver(
  request: TakeOverRequest,
  context: DispatchContext,
  ports: DispatchPorts,
  report: () => void = () => undefined,
): Promise<TakeOverSummary> {
  const { generation, signal } = context;
  const { after } = request;
  const summary: TakeOverSummary = { ...nothingPlanned(), begunObjects: 0, goneObjects: 0, rest: null };
  const refuse = () => void summary.begunObjects++;
  const dispatcher = new ObjectDispatcher({ ...request, counts: summary, refuse }, context, ports);
  const isLate = () => request.isLate?.() === true;
  const goesOn = () => {
    report();
    return !isLate();
  };
  let batch: ObjectName[] = [];
  let hasBegun = false;
  /** @returns the last object that was looked at, where it stopped before the end of the batch */
  const plan = async (): Promise<ObjectName | null> => {
    if (batch.length === 0) return null;
    if (!hasBegun) await request.begin();
    hasBegun = true;
    const objects = await current(batch, summary, context, ports);
    batch = [];
    const last = objects[(await dispatcher.take(objects, goesOn)) - 1];
    return last === undefined || last === objects.at(-1) ? null : nameOf(last);
  };
  let last: ObjectName | undefined;
  const query = { generation: generation.id, ...(after === undefined ? {} : { after }) };
  for await (const progress of ports.store.objects(query, signal)) {
    // The first is always taken, or the rest would be all there was.
    if (last !== undefined && isLate()) {
      summary.rest = (await plan()) ?? nameOf(last);
      return summary;
    }
    last = progress.object;
    if (progress.complete) continue;
    if (isBegunWhole(progress)) {
      summary.begunObjects++;
      continue;
    }
    batch.push(progress.object);
    if (batch.length < PLAN_BATCH) continue;
    summary.rest = await plan();
    if (summary.rest !== null) return summary;
  }
  summary.rest = await plan();
  return summary;
}

function nameOf({ bucket, key }: ObjectName): ObjectName {
  return { bucket, key };
}

/** Spares a plan that would give this build nothing. What a plan comes to is decided by the plan in any case. */
function isBegunWhole({ lastSection, frames, rows }: ObjectProgress): boolean {
  return lastSection === 0 && (frames > 0 || rows > 0);
}

/** As they are in the lake now: one that was replaced may have been planned anew since it was read here, and must not go back to what it was. */
async function current(
  names: readonly ObjectName[],
  summary: TakeOverSummary,
  { signal }: DispatchContext,
  { source, log }: DispatchPorts,
): Promise<readonly LakeObject[]> {
  const found: (LakeObject | undefined)[] = [];
  for (let at = 0; at < names.length; at += OPEN_AT_ONCE) {
    const stats = names.slice(at, at + OPEN_AT_ONCE).map(async ({ bucket, key }) => {
      try {
        return await source.stat({ bucket, key }, signal);
      } catch (thrown) {
        if (!isSluiceError(thrown) || thrown.code !== 'E_OBJECT_NOT_FOUND') throw thrown;
        summary.goneObjects++;
        log.warn({ object: key }, 'the object is gone: it is left to the tasks that are queued for it');
        return undefined;
      }
    });
    found.push(...(await allSettled(stats)));
  }
  // In the order of their names, by which a take-over that stops goes on.
  return found.filter((object) => object !== undefined);
}
