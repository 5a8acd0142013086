import type { Failure } from '../../../domain/failure.ts';
import type {
  Effects,
  FailureQuery,
  FailureRecord,
  MergeStates,
  RedriveRef,
} from '../../../domain/ports/result-store.ts';
import type { Position } from '../../../domain/position.ts';
import { compareUtf8 } from '../../../domain/text-order.ts';
import { each, eachOf, type LakeFolder } from './folder.ts';
import {
  effectLines,
  failureOf,
  storedEffects,
  type StoredEffects,
  type StoredFailure,
  storedFailure,
} from './lines.ts';
import { failureFolder, failures as failuresFolder, objectId, settledMarkName } from './names.ts';
import { addMembers, readPlan, writePlan } from './plans.ts';

const STATE = 'state.jsonl.gz';
const SETTLED = 'settled.jsonl.gz';

export interface Attempt {
  readonly run: string;
  readonly build: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

interface FailureState extends Omit<FailureRecord, 'failure' | 'generation'> {
  readonly failure: StoredFailure;
  /** What opened it first, and which of its failures it was: an order among those of one time. */
  readonly openedBy: string;
  readonly index: number;
}

interface SettledHead extends Attempt {
  readonly messages: number;
  readonly applied: number;
}

/** A failure as it stands, with what a redrive did of it. */
export interface KnownFailure {
  readonly record: FailureRecord;
  readonly settled: SettledHead | undefined;
}

/** Opens failures that something applied brings; one that is known already stays as it is. */
export async function openWith(
  state: LakeFolder,
  failures: readonly Failure[],
  attempt: Attempt,
  openedBy: string,
  signal: AbortSignal,
): Promise<void> {
  const unique = [...new Map(failures.map((failure) => [failure.id, failure])).values()];
  await each([...unique.entries()], signal, async ([index, failure], stop) => {
    const folder = state.at(failureFolder(failure.id));
    if ((await readState(folder, stop)) !== undefined) return;
    await folder.create(STATE, [opened(failure, attempt, openedBy, index)], stop);
  });
}

/** Opens failures that no frame carries: open ones are tried again, and those of whole objects that planning closed. */
export async function openAlone(
  state: LakeFolder,
  failures: readonly Failure[],
  attempt: Attempt,
  signal: AbortSignal,
): Promise<void> {
  const ofObjects = failures.filter(({ position }) => position.kind === 'row');
  const byObject = Map.groupBy(ofObjects, ({ position }) => objectIdOf(position) as string);
  await each([...byObject.values()], signal, (same, stop) => rememberFailing(state, same, attempt, stop));
  const byId = Map.groupBy(failures.entries(), ([, { id }]) => id);
  await each([...byId.values()], signal, async (same, stop) => {
    for (const [index, failure] of same) {
      const folder = state.at(failureFolder(failure.id));
      const known = await readState(folder, stop);
      if (known === undefined) await folder.write(STATE, [opened(failure, attempt, '', index)], stop);
      else if ((await readSettled(folder, stop)) === undefined)
        await folder.write(STATE, [triedAgain(known, failure, attempt)], stop);
    }
  });
}

/** Their objects are known from now on, and say what planning has to close. */
async function rememberFailing(
  state: LakeFolder,
  failures: readonly Failure[],
  { run, build }: Attempt,
  signal: AbortSignal,
): Promise<void> {
  const { position } = failures[0] as Failure;
  if (position.kind !== 'row') return;
  const known = await readPlan(state, position.object, signal);
  const before = known?.failing ?? [];
  const failing = [...new Set([...before, ...failures.map(({ id }) => id)])];
  if (known === undefined) await addMembers(state, run, [position.object], signal);
  else if (failing.length === before.length) return;
  const added = { object: position.object, epoch: 0, build, lastSection: null };
  await writePlan(state, { ...(known ?? added), failing }, signal);
}

/** Closes those that are of an object as a whole, and gives back the others. */
export async function closeByPlan(
  state: LakeFolder,
  ids: readonly string[],
  runStartedAt: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const left = await each(ids, signal, async (id, stop) => {
    const folder = state.at(failureFolder(id));
    const known = await readState(folder, stop);
    if (known === undefined || !isOfWholeObject(known.failure)) return id;
    if (known.state === 'open' && (await readSettled(folder, stop)) === undefined) {
      const closedAt = Math.max(known.triedAt, runStartedAt);
      await folder.write(STATE, [{ ...known, state: 'closed', closedAt }], stop);
    }
    return undefined;
  });
  return left.filter((id) => id !== undefined);
}

/** Forgets failures that are open. */
export async function dropOpen(
  state: LakeFolder,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await each(ids, signal, async (id, stop) => {
    const folder = state.at(failureFolder(id));
    if ((await readSettled(folder, stop)) === undefined) await folder.remove(STATE, stop);
  });
}

/** What a redrive does is one object by the failure's name: the first one stays. */
export async function applyRedrive(
  state: LakeFolder,
  redrive: RedriveRef,
  effects: Effects,
  mergeStates: MergeStates,
  signal: AbortSignal,
): Promise<'applied' | 'failed-again' | 'closed'> {
  const folder = state.at(failureFolder(redrive.failure));
  const known = await readState(folder, signal);
  if (known === undefined || known.state === 'closed') return 'closed';
  if ((await readSettled(folder, signal)) !== undefined) return 'closed';
  if (redrive.again !== null) {
    await folder.write(STATE, [triedAgain(known, redrive.again, redrive)], signal);
    return 'failed-again';
  }
  const { run, build, at, messages } = redrive;
  const head: SettledHead = { run, build, at, messages, applied: effects.applied };
  const lines = [head, ...effectLines(effects, mergeStates)];
  const object = objectIdOf(known.failure.position);
  if (object !== undefined) await state.write(settledMarkName(object), [], signal);
  await openWith(state, effects.failures, redrive, `redrive ${redrive.failure}`, signal);
  return (await folder.create(SETTLED, lines, signal)) ? 'applied' : 'closed';
}

/** What redrives add to the results. */
export async function* readSettledEffects(
  state: LakeFolder,
  signal: AbortSignal,
): AsyncGenerator<StoredEffects> {
  for await (const names of state.pages(failuresFolder, signal)) {
    const settled = names.filter((name) => name.endsWith(`/${SETTLED}`));
    for await (const lines of eachOf(settled, signal, (name, stop) => state.read(name, stop)))
      yield storedEffects((lines ?? []).slice(1));
  }
}

/** All that are known, in no order. */
export async function* readFailures(
  state: LakeFolder,
  generation: string,
  signal: AbortSignal,
): AsyncGenerator<KnownFailure> {
  let settled: string | undefined;
  for await (const names of state.pages(failuresFolder, signal)) {
    const folders: { readonly name: string; readonly isSettled: boolean }[] = [];
    for (const name of names) {
      // In the order of names, what settled a failure stands before its state.
      if (name.endsWith(`/${SETTLED}`)) settled = name.slice(0, -SETTLED.length);
      else
        folders.push({
          name: name.slice(0, -STATE.length),
          isSettled: settled === name.slice(0, -STATE.length),
        });
    }
    const read = eachOf(folders, signal, ({ name, isSettled }, stop) =>
      readKnown(state.at(name), generation, isSettled, stop),
    );
    for await (const known of read) if (known !== undefined) yield known;
  }
}

export async function readFailure(
  state: LakeFolder,
  generation: string,
  id: string,
  signal: AbortSignal,
): Promise<KnownFailure | undefined> {
  return readKnown(state.at(failureFolder(id)), generation, true, signal);
}

async function readKnown(
  folder: LakeFolder,
  generation: string,
  isSettled: boolean,
  signal: AbortSignal,
): Promise<(KnownFailure & Ordered) | undefined> {
  const known = await readState(folder, signal);
  if (known === undefined) return undefined;
  const settled = isSettled ? await readSettled(folder, signal) : undefined;
  const { openedBy, index, ...stored } = known;
  const record = { generation, ...stored, failure: failureOf(stored.failure) };
  if (settled === undefined) return { record, settled, openedBy, index };
  const { run, build, at } = settled;
  return {
    record: { ...record, run, build, state: 'closed', triedAt: at, closedAt: at },
    settled,
    openedBy,
    index,
  };
}

interface Ordered {
  readonly openedBy: string;
  readonly index: number;
}

/** Payloads of more bytes than this, together, are read again when their turn comes. */
const HELD_PAYLOAD_BYTES = 16 * 1024 * 1024;

/** Those that are asked for, in the order in which they were opened, as far as clocks tell. */
export async function* findFailures(
  folders: ReadonlyMap<string, LakeFolder>,
  query: FailureQuery,
  signal: AbortSignal,
): AsyncGenerator<FailureRecord> {
  const found: { record: FailureRecord; isLeft: boolean; openedBy: string; index: number }[] = [];
  let held = 0;
  for (const [generation, state] of folders) {
    const known =
      query.id === undefined
        ? readFailures(state, generation, signal)
        : [await readFailure(state, generation, query.id, signal)];
    for await (const one of known as AsyncIterable<(KnownFailure & Ordered) | undefined>) {
      if (one === undefined || !isAskedFor(one.record, query)) continue;
      const { record, openedBy, index } = one;
      held += record.failure.payload?.length ?? 0;
      const isLeft = held > HELD_PAYLOAD_BYTES && record.failure.payload !== null;
      const kept = isLeft ? { ...record, failure: { ...record.failure, payload: null } } : record;
      found.push({ record: kept, isLeft, openedBy, index });
    }
  }
  found.sort(
    (a, b) =>
      a.record.openedAt - b.record.openedAt ||
      compareUtf8(a.openedBy, b.openedBy) ||
      a.index - b.index ||
      compareUtf8(a.record.failure.id, b.record.failure.id),
  );
  for (const { record, isLeft } of found.slice(0, query.limit)) {
    signal.throwIfAborted();
    if (!isLeft) yield record;
    else {
      const state = folders.get(record.generation) as LakeFolder;
      yield (await readFailure(state, record.generation, record.failure.id, signal))?.record ?? record;
    }
  }
}

function isAskedFor({ failure, state, triedAt }: FailureRecord, query: FailureQuery): boolean {
  const { position } = failure;
  const object = position.kind === 'row' ? position.object : undefined;
  return (
    (query.id === undefined || query.id === failure.id) &&
    (query.state === undefined || query.state === state) &&
    (query.code === undefined || query.code === failure.code) &&
    (query.stage === undefined || query.stage === failure.stage) &&
    (query.object?.bucket === undefined || query.object.bucket === object?.bucket) &&
    (query.object?.key === undefined || query.object.key === object?.key) &&
    (query.since === undefined || triedAt >= query.since) &&
    (query.until === undefined || triedAt < query.until)
  );
}

function opened(
  failure: Failure,
  { run, build, at }: Attempt,
  openedBy: string,
  index: number,
): FailureState {
  const times = { openedAt: at, triedAt: at, closedAt: null };
  return {
    failure: storedFailure(failure),
    run,
    build,
    state: 'open',
    attempts: 1,
    ...times,
    openedBy,
    index,
  };
}

function triedAgain(known: FailureState, failure: Failure, { run, build, at }: Attempt): FailureState {
  const { stage, code, message, payload } = storedFailure(failure);
  return {
    ...known,
    run,
    build,
    failure: { ...known.failure, stage, code, message, payload },
    state: 'open',
    attempts: known.attempts + 1,
    triedAt: at,
    closedAt: null,
  };
}

async function readState(folder: LakeFolder, signal: AbortSignal): Promise<FailureState | undefined> {
  return (await folder.read(STATE, signal))?.[0] as FailureState | undefined;
}

async function readSettled(folder: LakeFolder, signal: AbortSignal): Promise<SettledHead | undefined> {
  return (await folder.read(SETTLED, signal))?.[0] as SettledHead | undefined;
}

function isOfWholeObject({ position }: StoredFailure): boolean {
  return position.kind === 'row' && position.coordinate === null;
}

/** `undefined` of a message from elsewhere. */
export function objectIdOf(position: Position): string | undefined {
  return position.kind === 'row' ? objectId(position.object) : undefined;
}
