import type { LakeObject, ObjectName } from '../../../domain/lake-object.ts';
import type { Binding } from '../../../domain/ports/result-store.ts';
import { eachOf, type LakeFolder } from './folder.ts';
import { digestOf, membersFolder, objectId, planName, plans } from './names.ts';

/** Sections that were begun by another build, or under an older epoch, and count under that. */
export interface SharedSections extends Binding {
  /** Both ends are in. */
  readonly ranges: readonly (readonly [from: number, to: number])[];
}

/** What is known of an object beside its sections. */
export interface Plan {
  readonly object: LakeObject;
  /** 0: known by a failure, never planned. With the build it binds the sections that are not `shared`. */
  readonly epoch: number;
  readonly build: string;
  /** Not there: none are. */
  readonly shared?: readonly SharedSections[];
  /** `null` where only reading to the end tells. */
  readonly lastSection: number | null;
  /** Failures that no frame opened, by id: planning closes or forgets them. */
  readonly failing: readonly string[];
}

export async function readPlan(
  state: LakeFolder,
  object: ObjectName,
  signal: AbortSignal,
): Promise<Plan | undefined> {
  return planOf(await state.read(planName(objectId(object)), signal));
}

export async function writePlan(state: LakeFolder, plan: Plan, signal: AbortSignal): Promise<void> {
  await state.write(planName(objectId(plan.object)), [plan], signal);
}

/** All that are known, in no order. */
export async function* readPlans(state: LakeFolder, signal: AbortSignal): AsyncGenerator<Plan> {
  for await (const names of state.pages(plans, signal)) {
    for await (const lines of eachOf(names, signal, (name, stop) => state.read(name, stop))) {
      const plan = planOf(lines);
      if (plan !== undefined) yield plan;
    }
  }
}

/** Remembers that objects belong to a run, in one object. */
export async function addMembers(
  state: LakeFolder,
  run: string,
  objects: readonly ObjectName[],
  signal: AbortSignal,
): Promise<void> {
  if (objects.length === 0) return;
  const ids = [...new Set(objects.map(objectId))].sort();
  await state.at(membersFolder(run)).write(`${digestOf(...ids)}.jsonl.gz`, ids, signal);
}

/** Objects of a run, by id. */
export async function readMembers(
  state: LakeFolder,
  run: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const members = state.at(membersFolder(run));
  const ids = new Set<string>();
  const names = await members.names('', signal);
  for await (const lines of eachOf(names, signal, (name, stop) => members.read(name, stop)))
    for (const id of (lines ?? []) as readonly string[]) ids.add(id);
  return ids;
}

function planOf(lines: readonly unknown[] | undefined): Plan | undefined {
  return lines?.[0] as Plan | undefined;
}
