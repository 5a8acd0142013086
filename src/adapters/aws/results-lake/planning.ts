import { isObjectComplete } from '../../../domain/applying.ts';
import type { ObjectName } from '../../../domain/lake-object.ts';
import { decidePlan } from '../../../domain/planning.ts';
import type { ObjectPlan, PlannedObject, PlanRequest } from '../../../domain/ports/result-store.ts';
import { closeByPlan, dropOpen } from './failures.ts';
import { each, type LakeFolder } from './folder.ts';
import { objectId, settledMarkName } from './names.ts';
import { sharedBesides } from './object-sections.ts';
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
      plans[at] = await planObject(state, request, planned, runStartedAt, stop);
  });
  return plans;
}

async function planObject(
  state: LakeFolder,
  request: PlanRequest,
  { object, lastSection: toldLast }: PlannedObject,
  runStartedAt: number,
  signal: AbortSignal,
): Promise<ObjectPlan> {
  const known = await readPlan(state, object, signal);
  const wasPlanned = known !== undefined && known.epoch > 0;
  const found = wasPlanned ? await findSections(state, known, signal) : undefined;
  const isOther = known !== undefined && known.object.version !== object.version;
  const decision = decidePlan(
    !wasPlanned || found === undefined
      ? undefined
      : {
          ...known,
          complete: found.isComplete,
          sections: found.sections,
          settled: isOther && (await isSettled(state, object, signal)),
        },
    object,
    request,
  );
  const { verdict, epoch, complete } = decision;
  const { lastSection: knownLast = null } = found ?? {};
  if (verdict === 'other-build' || verdict === 'changed')
    return { object, ...decision, lastSection: knownLast };

  const failing = await closeByPlan(state, known?.failing ?? [], runStartedAt, signal);
  if (verdict === 'complete' && known !== undefined) {
    if (failing.length < known.failing.length) await writePlan(state, { ...known, failing }, signal);
    return { object, ...decision, lastSection: knownLast };
  }
  // Nothing of the old version was applied: what failed of its rows means nothing any more.
  if (isOther) await dropOpen(state, failing, signal);
  const lastSection = isOther ? toldLast : (knownLast ?? toldLast);
  const { build } = request;
  const shared = isOther ? [] : sharedBesides({ build, epoch }, found?.sections ?? []);
  const plan: Plan = {
    object: { ...object },
    epoch,
    build,
    ...(shared.length === 0 ? {} : { shared }),
    lastSection,
    failing: isOther ? [] : failing,
  };
  if (known === undefined || JSON.stringify(plan) !== JSON.stringify(known))
    await writePlan(state, plan, signal);
  // Sections may be waiting for nothing but to be told which is the last.
  const isComplete = isObjectComplete(lastSection, complete.length);
  const planned = { object, ...decision, lastSection };
  return isComplete ? { ...planned, verdict: 'complete', complete: [] } : planned;
}

async function isSettled(state: LakeFolder, object: ObjectName, signal: AbortSignal): Promise<boolean> {
  return (await state.read(settledMarkName(objectId(object)), signal)) !== undefined;
}
