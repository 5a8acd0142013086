import type { ObjectName } from '../../../domain/lake-object.ts';
import type {
  Counts,
  Flag,
  GroupState,
  KeyedTotals,
  MergeStates,
  ObjectProgress,
  ObjectQuery,
} from '../../../domain/ports/result-store.ts';
import type { Position } from '../../../domain/position.ts';
import { type MutableCounts, noCounts, weightOfFailure } from '../../../domain/reconcile.ts';
import { compareUtf8 } from '../../../domain/text-order.ts';
import { type KnownFailure, objectIdOf, readFailures, readSettledEffects } from './failures.ts';
import { eachOf, type LakeFolder } from './folder.ts';
import { readBatches } from './keyed.ts';
import { addGroup, type StoredEffects } from './lines.ts';
import { objectId } from './names.ts';
import { type Plan, readMembers, readPlans } from './plans.ts';
import { readSectionEffects, readTotals } from './sections.ts';

/** Everything that counts: of the frames of what binds each object now, of redrives, of messages from elsewhere. */
async function* readEffects(state: LakeFolder, signal: AbortSignal): AsyncGenerator<StoredEffects> {
  for await (const plan of readPlans(state, signal))
    if (plan.epoch > 0) yield* readSectionEffects(state, plan, signal);
  yield* readSettledEffects(state, signal);
  for await (const { effects } of readBatches(state, signal)) yield effects;
}

/** The merged groups, in order: all of them are in memory. */
export async function* readGroups(
  state: LakeFolder,
  mergeStates: MergeStates,
  signal: AbortSignal,
): AsyncGenerator<GroupState> {
  const merged = new Map<string, Uint8Array>();
  for await (const { groups } of readEffects(state, signal))
    for (const group of groups) addGroup(merged, group, mergeStates);
  for (const group of [...merged.keys()].sort(compareUtf8)) {
    signal.throwIfAborted();
    yield { group, state: new Uint8Array(merged.get(group) as Uint8Array) };
  }
}

/** The flags, one per message, in order: all of them are in memory. */
export async function* readFlags(state: LakeFolder, signal: AbortSignal): AsyncGenerator<Flag> {
  const known = new Map<string, Flag>();
  for await (const { flags } of readEffects(state, signal))
    for (const flag of flags) known.set(messageOf(flag.position), flag);
  for (const flag of [...known.values()].sort((a, b) => comparePositions(a.position, b.position))) {
    signal.throwIfAborted();
    yield flag;
  }
}

/** Objects by bucket and key: what is planned of them all is in memory. */
export async function* readObjects(
  state: LakeFolder,
  query: ObjectQuery,
  mergeStates: MergeStates,
  signal: AbortSignal,
): AsyncGenerator<ObjectProgress> {
  const members = query.run === undefined ? undefined : await readMembers(state, query.run, signal);
  const { after } = query;
  const plans: Plan[] = [];
  for await (const plan of readPlans(state, signal)) {
    if (members !== undefined && !members.has(objectId(plan.object))) continue;
    if (after === undefined || compareNames(plan.object, after) > 0) plans.push(plan);
  }
  if (plans.length === 0) return;
  plans.sort((a, b) => compareNames(a.object, b.object));
  const counts = new Map<string, MutableCounts>();
  for await (const failure of readFailures(state, query.generation, signal)) {
    const id = objectIdOf(failure.record.failure.position);
    if (id !== undefined) countFailure(countsOf(counts, id), failure);
  }
  const totals = eachOf(plans, signal, (plan, stop) =>
    plan.epoch === 0 ? nothingApplied() : readTotals(state, plan, mergeStates, stop),
  );
  let next = 0;
  for await (const { applied, ...progress } of totals) {
    const { object, epoch, build } = plans[next++] as Plan;
    const failed = counts.get(objectId(object)) ?? noCounts();
    yield { ...failed, ...progress, applied: applied + failed.applied, object, epoch, build };
  }
}

function compareNames(a: ObjectName, b: ObjectName): number {
  return compareUtf8(a.bucket, b.bucket) || compareUtf8(a.key, b.key);
}

async function nothingApplied() {
  const { applied, rows, pruned, filtered, failed, transformed, messages } = noCounts();
  const totals = { applied, rows, pruned, filtered, failed, transformed, messages };
  return { ...totals, lastSection: null, sectionsComplete: 0, frames: 0, complete: false };
}

export async function readKeyedTotals(
  state: LakeFolder,
  generation: string,
  signal: AbortSignal,
): Promise<readonly KeyedTotals[]> {
  const counts = new Map<string, MutableCounts>();
  for await (const { head } of readBatches(state, signal)) {
    const of = countsOf(counts, head.source);
    for (const name of Object.keys(head.totals) as (keyof Counts)[])
      of[name] += head.totals[name as keyof typeof head.totals];
    of.applied += head.applied;
  }
  for await (const failure of readFailures(state, generation, signal)) {
    const { position } = failure.record.failure;
    if (position.kind === 'key') countFailure(countsOf(counts, position.source), failure);
  }
  return [...counts]
    .map(([source, of]) => ({ source, ...of }))
    .sort((a, b) => compareUtf8(a.source, b.source));
}

export async function countOpenFailures(
  state: LakeFolder,
  query: { readonly generation: string; readonly run?: string; readonly source?: string },
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  const { generation, run, source } = query;
  const members = run === undefined ? undefined : await readMembers(state, run, signal);
  const isAskedFor = (position: Position) =>
    (run === undefined && source === undefined) ||
    (position.kind === 'row' ? members?.has(objectId(position.object)) === true : position.source === source);
  const counts = new Map<string, number>();
  for await (const { record } of readFailures(state, generation, signal)) {
    const { code, position } = record.failure;
    if (record.state === 'open' && isAskedFor(position)) counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([a], [b]) => compareUtf8(a, b)));
}

function countsOf(counts: Map<string, MutableCounts>, owner: string): MutableCounts {
  const known = counts.get(owner) ?? noCounts();
  counts.set(owner, known);
  return known;
}

function countFailure(counts: MutableCounts, { record, settled }: KnownFailure): void {
  const weight = weightOfFailure(record.failure);
  if (settled !== undefined) {
    counts.closedRowFailures += weight.rowFailures;
    counts.closedMessageFailures += weight.messageFailures;
    counts.closedFailedRows += weight.rows;
    counts.redriven += settled.messages;
    counts.applied += settled.applied;
  } else if (record.state === 'open') {
    counts.openRowFailures += weight.rowFailures;
    counts.openMessageFailures += weight.messageFailures;
    counts.openFailedRows += weight.rows;
  }
}

/** One text for one message, whatever the version of its object. */
function messageOf(position: Position): string {
  return position.kind === 'row'
    ? JSON.stringify([position.object.bucket, position.object.key, position.coordinate, position.output])
    : JSON.stringify([position.source, position.key, position.output, 'key']);
}

/** By bucket, key, coordinate and output; messages from elsewhere last, by source, key and output. */
function comparePositions(a: Position, b: Position): number {
  if (a.kind === 'row' && b.kind === 'row') {
    return (
      compareUtf8(a.object.bucket, b.object.bucket) ||
      compareUtf8(a.object.key, b.object.key) ||
      (a.coordinate ?? -1) - (b.coordinate ?? -1) ||
      (a.output ?? -1) - (b.output ?? -1)
    );
  }
  if (a.kind === 'key' && b.kind === 'key') {
    return (
      compareUtf8(a.source, b.source) || compareUtf8(a.key, b.key) || (a.output ?? -1) - (b.output ?? -1)
    );
  }
  return a.kind === 'row' ? -1 : 1;
}
