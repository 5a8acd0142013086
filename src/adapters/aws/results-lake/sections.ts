import {
  isEndAgreed,
  isFrameCounted,
  isObjectComplete,
  isRecordOfFrames,
  isSectionComplete,
  isWithinObject,
  judgeFrame,
} from '../../../domain/applying.ts';
import type {
  ApplyOutcome,
  Effects,
  MergeStates,
  ObjectPlan,
  RowTotals,
  SectionFrameRef,
  SectionRecordRef,
} from '../../../domain/ports/result-store.ts';
import type { SectionRecord } from '../../../domain/section.ts';
import { openWith } from './failures.ts';
import { each, eachOf, type LakeFolder, together } from './folder.ts';
import { addGroup, effectLines, storedEffects, type StoredEffects } from './lines.ts';
import {
  endOfSection,
  frameName,
  framePlaceOf,
  type FramePlace,
  recordName,
  sectionFolder,
  sectionOf,
  sectionsFolder,
} from './names.ts';
import { type Plan, readPlan } from './plans.ts';

const END = 'end.jsonl.gz';
const COMPLETE = 'complete.jsonl.gz';
const MERGED = 'merged.jsonl.gz';

interface FrameHead {
  readonly run: string;
  readonly build: string;
  readonly digest: string;
  readonly at: number;
  /** Messages in its groups. */
  readonly applied: number;
}

interface RecordHead {
  readonly run: string;
  readonly digest: string;
  readonly record: SectionRecord;
}

/** What is applied of an object, under what binds it now. */
export interface SectionTotals extends RowTotals {
  readonly lastSection: number | null;
  readonly sectionsComplete: number;
  readonly frames: number;
  readonly applied: number;
}

/** Applies a frame: its failures first, then the frame itself, in one object. Killed in between, it comes again. */
export async function applyFrame(
  state: LakeFolder,
  frame: SectionFrameRef,
  effects: Effects,
  mergeStates: MergeStates,
  signal: AbortSignal,
): Promise<ApplyOutcome> {
  const bound = await boundBy(state, frame, signal);
  if (bound === undefined) return 'stale';
  const { plan, sections, binding } = bound;
  const name = frameName(frame);
  const appliedDigest = async (stop: AbortSignal) =>
    headOf<FrameHead>(await sections.read(name, stop))?.digest;
  const [applied, record, lastSection] = await together(
    signal,
    appliedDigest,
    (stop) => readRecord(sections, frame.section, stop),
    (stop) => lastSectionOf(plan, sections, stop),
  );
  const outcome = judgeFrame(binding, false, applied, frame);
  if (outcome === 'duplicate') return outcome;
  const isExpected =
    isFrameCounted(record?.record.frames, frame.partition, frame.number) &&
    isWithinObject(frame.section, lastSection);
  if (outcome !== 'applied' || !isExpected)
    return (await isDone(sections, frame.section, lastSection, signal)) ? 'duplicate' : 'not-deterministic';

  const { run, build, digest, at } = frame;
  const head: FrameHead = { run, build, digest, at, applied: effects.applied };
  const lines = [head, ...effectLines(effects, mergeStates)];
  await openWith(state, effects.failures, frame, `${sectionsFolder(plan)}${name}`, signal);
  if (await sections.create(name, lines, signal)) return 'applied';
  return judgeFrame(binding, false, await appliedDigest(signal), frame);
}

export async function applySectionRecord(
  state: LakeFolder,
  frame: SectionRecordRef,
  signal: AbortSignal,
): Promise<ApplyOutcome> {
  const bound = await boundBy(state, frame, signal);
  if (bound === undefined) return 'stale';
  const { plan, sections, binding } = bound;
  const { record, digest, run } = frame;
  const appliedDigest = async (stop: AbortSignal) =>
    (await readRecord(sections, record.section, stop))?.digest;
  const [applied, lastSection, names, beyond] = await together(
    signal,
    appliedDigest,
    (stop) => lastSectionOf(plan, sections, stop),
    (stop) => sections.names(sectionFolder(record.section), stop),
    async (stop) => (record.last ? sections.first(stop, endOfSection(record.section)) : undefined),
  );
  const outcome = judgeFrame(binding, false, applied, frame);
  if (outcome === 'duplicate') return outcome;
  const furthest = beyond === undefined ? null : sectionOf(beyond);
  const isExpected =
    isEndAgreed(record, lastSection, furthest) &&
    isRecordOfFrames(record, highestNumbers(names.map(framePlaceOf)));
  if (outcome !== 'applied' || !isExpected)
    return (await isDone(sections, record.section, lastSection, signal)) ? 'duplicate' : 'not-deterministic';

  if (record.last && lastSection === null && !(await sections.create(END, [record.section], signal))) {
    // Somebody else has just told another end.
    if ((await lastSectionOf(plan, sections, signal)) !== record.section) return 'not-deterministic';
  }
  const head: RecordHead = { run, digest, record };
  if (await sections.create(recordName(record.section), [head], signal)) return 'applied';
  return judgeFrame(binding, false, await appliedDigest(signal), frame);
}

/** What is known of the sections of an object before its frames are read. */
export interface SectionsFound {
  readonly lastSection: number | null;
  readonly isBegun: boolean;
  readonly isComplete: boolean;
  /** None of an object that is complete. */
  readonly complete: ObjectPlan['complete'];
}

export async function findSections(
  state: LakeFolder,
  plan: Plan,
  signal: AbortSignal,
): Promise<SectionsFound> {
  const sections = state.at(sectionsFolder(plan));
  const mark = await readMark(sections, signal);
  if (mark !== undefined)
    return { lastSection: mark.lastSection, isBegun: true, isComplete: true, complete: [] };
  const found = await lookAt(sections, plan, signal);
  const complete = found.isComplete ? [] : found.complete.map(({ section, next }) => ({ section, next }));
  return { ...found, isBegun: found.frames.length + found.records.length > 0, complete };
}

/** Totals of an object. One that turns out to be complete is kept as one object from then on: its frames are not read again. */
export async function readTotals(
  state: LakeFolder,
  plan: Plan,
  mergeStates: MergeStates,
  signal: AbortSignal,
): Promise<SectionTotals & { readonly complete: boolean }> {
  const sections = state.at(sectionsFolder(plan));
  const mark = await readMark(sections, signal);
  if (mark !== undefined) return { ...mark, complete: true };
  const { frames, records, complete, lastSection, isComplete } = await lookAt(sections, plan, signal);
  const rows = { rows: 0, pruned: 0, filtered: 0, failed: 0, transformed: 0, messages: 0 };
  for (const { record } of records)
    for (const name of Object.keys(rows) as (keyof RowTotals)[]) rows[name] += record[name];
  const merged = new Map<string, Uint8Array>();
  const flags: StoredEffects['flags'][number][] = [];
  let applied = 0;
  for await (const { head, effects } of readFrames(sections, frames, signal)) {
    applied += head.applied;
    if (!isComplete) continue;
    for (const group of effects.groups) addGroup(merged, group, mergeStates);
    flags.push(...effects.flags);
  }
  const totals = { ...rows, lastSection, sectionsComplete: complete.length, frames: frames.length, applied };
  if (isComplete) {
    const groups = [...merged].map(([group, bytes]) => ({ group, state: bytes }));
    await sections.write(MERGED, effectLines({ groups, flags }, mergeStates), signal);
    await sections.write(COMPLETE, [totals satisfies SectionTotals], signal);
  }
  return { ...totals, complete: isComplete };
}

/** What the frames of an object add to the results, in their order. */
export async function* readSectionEffects(
  state: LakeFolder,
  plan: Plan,
  signal: AbortSignal,
): AsyncGenerator<StoredEffects> {
  const sections = state.at(sectionsFolder(plan));
  if ((await readMark(sections, signal)) !== undefined) {
    yield storedEffects((await sections.read(MERGED, signal)) ?? []);
    return;
  }
  const places = (await sections.names('s=', signal)).map(framePlaceOf).filter((place) => place !== null);
  for await (const { effects } of readFrames(sections, places, signal)) yield effects;
}

/** What a frame or record is held against; `undefined`: it belongs to nothing that counts now. */
async function boundBy(state: LakeFolder, frame: SectionFrameRef | SectionRecordRef, signal: AbortSignal) {
  const plan = await readPlan(state, frame.object, signal);
  if (plan === undefined || plan.epoch === 0) return undefined;
  const binding = { version: plan.object.version, build: plan.build, epoch: plan.epoch };
  if (judgeFrame(binding, false, undefined, frame) === 'stale') return undefined;
  return { plan, binding, sections: state.at(sectionsFolder(plan)) };
}

async function isDone(
  sections: LakeFolder,
  section: number,
  lastSection: number | null,
  signal: AbortSignal,
): Promise<boolean> {
  const { complete, isComplete } = await lookAt(sections, { lastSection }, signal);
  return isComplete || complete.some((one) => one.section === section);
}

async function lookAt(sections: LakeFolder, plan: Pick<Plan, 'lastSection'>, signal: AbortSignal) {
  const lastSection = await lastSectionOf(plan, sections, signal);
  const names = await sections.names('s=', signal);
  const frames = names.map(framePlaceOf).filter((place) => place !== null);
  const bySection = Map.groupBy(frames, ({ section }) => section);
  const recorded = names.filter((name) => framePlaceOf(name) === null).map(sectionOf) as number[];
  const records = await each(
    recorded,
    signal,
    async (section, stop) => (await readRecord(sections, section, stop)) as RecordHead,
  );
  const complete = records
    .map(({ record }) => record)
    .filter((record) => isSectionComplete(record, framesByPartition(bySection.get(record.section) ?? [])));
  return {
    lastSection,
    frames,
    records,
    complete,
    isComplete: isObjectComplete(lastSection, complete.length),
  };
}

async function* readFrames(sections: LakeFolder, places: readonly FramePlace[], signal: AbortSignal) {
  const read = eachOf(places, signal, (place, stop) => sections.read(frameName(place), stop));
  for await (const lines of read) {
    // Purged meanwhile.
    if (lines === undefined) continue;
    const [head, ...effects] = lines;
    yield { head: head as FrameHead, effects: storedEffects(effects) };
  }
}

async function lastSectionOf(
  { lastSection }: Pick<Plan, 'lastSection'>,
  sections: LakeFolder,
  signal: AbortSignal,
): Promise<number | null> {
  return lastSection ?? headOf<number>(await sections.read(END, signal)) ?? null;
}

async function readRecord(sections: LakeFolder, section: number, signal: AbortSignal) {
  return headOf<RecordHead>(await sections.read(recordName(section), signal));
}

async function readMark(sections: LakeFolder, signal: AbortSignal) {
  return headOf<SectionTotals>(await sections.read(COMPLETE, signal));
}

function headOf<Head>(lines: readonly unknown[] | undefined): Head | undefined {
  return lines?.[0] as Head | undefined;
}

function framesByPartition(frames: readonly FramePlace[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { partition } of frames) counts.set(partition, (counts.get(partition) ?? 0) + 1);
  return counts;
}

function highestNumbers(frames: readonly (FramePlace | null)[]): Map<number, number> {
  const highest = new Map<number, number>();
  for (const frame of frames) {
    if (frame === null) continue;
    highest.set(frame.partition, Math.max(frame.number, highest.get(frame.partition) ?? 0));
  }
  return highest;
}
