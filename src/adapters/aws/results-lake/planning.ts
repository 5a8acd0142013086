import type { ObjectName } from '../../../domain/lake-object.ts';
import { decidePlan } from '../../../domain/planning.ts';
import type { ObjectPlan, PlannedObject, PlanRequest } from '../../../domain/ports/result-store.ts';
import { closeByPlan, dropOpen } from './failures.ts';
import { each, type LakeFolder } from './folder.ts';
import { objectId, settledMarkName } from './names.ts';
import { addMembers, type Plan, readPlan, writePlan } from './plans.ts';
import { findSections } from './sections.ts';

/**
 * @param runStartedAt when failures of whole objects are closed at the earliest, in milliseconds since 1970
 */
export async function planObjects(
  state: LakeFolder,
  request: PlanRequest,
  objects: readonly PlannedObject[],
  runStartedAt: number,
  signal: AbortSignal,
): Promise<readonly ObjectPlan[]> {
  await addMembers(
    state,
    request.run,
    objects.map(({ object }) => object),
    signal,
  );
  const plans: ObjectPlan[] = [];
  // The same object twice is planned twice, one after the other.
  const entries = Map.groupBy(objects.entries(), ([, { object }]) => objectId(object));
  await each([...entries.values()], signal, async (same, stop) => {
    for (const [at, planned] of same)
      plans[at] = await planObject(state, request.build, planned, runStartedAt, stop);
  });
  return plans;
}

async function planObject(
  state: LakeFolder,
  build: string,
  { object, lastSection: toldLast }: PlannedObject,
  runStartedAt: number,
  signal: AbortSignal,
): Promise<ObjectPlan> {
  const known = await readPlan(state, object, signal);
  const wasPlanned = known !== undefined && known.epoch > 0;
  const found = wasPlanned ? await findSections(state, known, signal) : undefined;
  const isOther = known !== undefined && known.object.version !== object.version;
  const { verdict, epoch } = decidePlan(
    !wasPlanned || found === undefined
      ? undefined
      : {
          ...known,
          complete: found.isComplete,
          begunBy: found.isBegun ? [known.build] : [],
          settled: isOther && (await isSettled(state, object, signal)),
        },
    object,
    build,
  );
  const { lastSection: knownLast = null, complete = [] } = found ?? {};
  if (verdict === 'other-build' || verdict === 'changed')
    return { object, verdict, epoch, lastSection: knownLast, complete };

  const failing = await closeByPlan(state, known?.failing ?? [], runStartedAt, signal);
  if (verdict === 'complete' && known !== undefined) {
    if (failing.length < known.failing.length) await writePlan(state, { ...known, failing }, signal);
    return { object, verdict, epoch, lastSection: knownLast, complete: [] };
  }
  // Nothing of the old version was applied: what failed of its rows means nothing any more.
  if (isOther) await dropOpen(state, failing, signal);
  const lastSection = isOther ? toldLast : (knownLast ?? toldLast);
  const plan: Plan = { object: { ...object }, epoch, build, lastSection, failing: isOther ? [] : failing };
  if (known === undefined || JSON.stringify(plan) !== JSON.stringify(known))
    await writePlan(state, plan, signal);
  if (!wasPlanned || isOther) return { object, verdict: 'process', epoch, lastSection, complete: [] };
  // Sections may be waiting for nothing but to be told which is the last.
  const isComplete = lastSection !== null && complete.length === lastSection + 1;
  return {
    object,
    verdict: isComplete ? 'complete' : 'process',
    epoch,
    lastSection,
    complete: isComplete ? [] : complete,
  };
}

async function isSettled(state: LakeFolder, object: ObjectName, signal: AbortSignal): Promise<boolean> {
  return (await state.read(settledMarkName(objectId(object)), signal)) !== undefined;
}
