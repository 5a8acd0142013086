import {
  isEndAgreed,
  isFrameCounted,
  isObjectComplete,
  isRecordOfFrames,
  isSectionComplete,
  isWithinObject,
  judgeFrame,
  nothingApplied,
  type AppliedOfSection,
} from '../../../domain/applying.ts';
import type { BegunSection } from '../../../domain/planning.ts';
import type {
  ApplyOutcome,
  Effects,
  MergeStates,
  RowTotals,
  SectionFrameRef,
  SectionRecordRef,
} from '../../../domain/ports/result-store.ts';
import { extendReach, judgeReach, type Reach } from '../../../domain/reach.ts';
import type { SectionRecord } from '../../../domain/section.ts';
import { openWith } from './failures.ts';
import { each, eachOf, type LakeFolder, together } from './folder.ts';
import { addGroup, effectLines, storedEffects, type StoredEffects } from './lines.ts';
import {
  frameName,
  framePlaceOf,
  type FramePlace,
  hasVerdicts,
  recordName,
  sectionOf,
  verdictsPart,
} from './names.ts';
import { ObjectSections } from './object-sections.ts';
import { type Plan, readPlan } from './plans.ts';

const COMPLETE = 'complete.jsonl.gz';
const MERGED = 'merged.jsonl.gz';

interface FrameHead extends Reach {
  readonly run: string;
  readonly build: string;
  readonly digest: string;
  readonly at: number;
  /** Messages in its groups. */
  readonly applied: number;
}

interface RecordHead extends Reach {
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
  const bound = await boundBy(state, frame, frame.section, signal);
  if (bound === undefined) return 'stale';
  const { plan, sections, binding } = bound;
  const name = frameName({ ...frame, verdicts: verdictsPart(frame.killed) });
  const [{ applied, record }, lastSection] = await together(
    signal,
    (stop) => findApplied(sections, frame, name, stop),
    (stop) => lastSectionOf(plan, sections, stop),
  );
  const outcome = judgeFrame(binding, applied, frame);
  if (outcome === 'duplicate') return outcome;
  const isExpected =
    isFrameCounted(record?.frames, frame.partition, frame.number) &&
    isWithinObject(frame.section, lastSection);
  if (outcome !== 'applied' || !isExpected)
    return refusal(outcome, await isDone(sections, frame.section, lastSection, signal));

  const { run, build, digest, at, reach, killed } = frame;
  const head: FrameHead = { run, build, digest, at, reach, killed, applied: effects.applied };
  const lines = [head, ...effectLines(effects, mergeStates)];
  await openWith(state, effects.failures, frame, sections.pathOf(name), signal);
  if (await sections.create(name, lines, signal)) return 'applied';
  return judgeFrame(binding, await appliedUnder(sections, name, signal), frame);
}

/** What is complete needs nothing more, whatever else there is to say of what comes. */
function refusal(outcome: ApplyOutcome, isComplete: boolean): ApplyOutcome {
  if (isComplete) return 'duplicate';
  return outcome === 'stale' ? 'stale' : 'not-deterministic';
}

/**
 * What a frame is held against. One without a verdict is taken as it comes: whether it is from before a verdict that was adopted is found when
 * it is read. One with verdicts is rare enough to look at the whole section.
 */
async function findApplied(
  sections: ObjectSections,
  frame: SectionFrameRef,
  name: string,
  signal: AbortSignal,
): Promise<{ readonly applied: AppliedOfSection; readonly record: SectionRecord | undefined }> {
  const { section, partition, number } = frame;
  if (frame.killed.length === 0) {
    const [applied, record] = await together(
      signal,
      (stop) => appliedUnder(sections, name, stop),
      (stop) => readRecord(sections, recordName(section), stop),
    );
    return { applied, record: record?.record };
  }
  const names = await sections.namesOf(section, signal);
  const { counting, reach } = await findAgreeing(sections, names, signal);
  const same = counting.find(({ place }) => place?.partition === partition && place.number === number);
  const recorded = counting.find(({ place }) => place === null)?.head as RecordHead | undefined;
  return { applied: { complete: false, digest: same?.head.digest, reach }, record: recorded?.record };
}

async function appliedUnder(
  sections: ObjectSections,
  name: string,
  signal: AbortSignal,
): Promise<AppliedOfSection> {
  const digest = headOf<FrameHead | RecordHead>(await sections.read(name, signal))?.digest;
  return { ...nothingApplied, digest };
}

export async function applySectionRecord(
  state: LakeFolder,
  frame: SectionRecordRef,
  signal: AbortSignal,
): Promise<ApplyOutcome> {
  const bound = await boundBy(state, frame, frame.record.section, signal);
  if (bound === undefined) return 'stale';
  const { plan, sections, binding } = bound;
  const { record, digest, run, reach, killed } = frame;
  const name = recordName(record.section, verdictsPart(killed));
  const [applied, lastSection, names, furthest] = await together(
    signal,
    (stop) => appliedUnder(sections, name, stop),
    (stop) => lastSectionOf(plan, sections, stop),
    (stop) => sections.namesOf(record.section, stop),
    async (stop) => (record.last ? sections.oneAfter(record.section, stop) : null),
  );
  const agreeing =
    killed.length > 0 || names.some(hasVerdicts)
      ? await findAgreeing(sections, names, signal)
      : { counting: names.map((one) => ({ place: framePlaceOf(one) })), reach: undefined };
  const outcome = judgeFrame(binding, { ...applied, reach: agreeing.reach }, frame);
  if (outcome === 'duplicate') return outcome;
  const isExpected =
    isEndAgreed(record, lastSection, furthest) &&
    isRecordOfFrames(record, highestNumbers(agreeing.counting.map(({ place }) => place)));
  if (outcome !== 'applied' || !isExpected)
    return refusal(outcome, await isDone(sections, record.section, lastSection, signal));

  if (record.last && lastSection === null && !(await sections.tellEnd(record.section, signal))) {
    // Somebody else has just told another end.
    if ((await lastSectionOf(plan, sections, signal)) !== record.section) return 'not-deterministic';
  }
  const head: RecordHead = { run, digest, record, reach, killed };
  if (await sections.create(name, [head], signal)) return 'applied';
  return judgeFrame(binding, await appliedUnder(sections, name, signal), frame);
}

/** What is known of the sections of an object before its frames are read. */
export interface SectionsFound {
  readonly lastSection: number | null;
  readonly isComplete: boolean;
  /** Those of which something is applied; none of an object that is complete. */
  readonly sections: readonly BegunSection[];
}

export async function findSections(
  state: LakeFolder,
  plan: Plan,
  signal: AbortSignal,
): Promise<SectionsFound> {
  const sections = new ObjectSections(state, plan);
  const mark = await readMark(sections, signal);
  if (mark !== undefined) return { lastSection: mark.lastSection, isComplete: true, sections: [] };
  const { lastSection, isComplete, frames, records, complete } = await lookAt(sections, plan, signal);
  if (isComplete) return { lastSection, isComplete, sections: [] };
  const nextOf = new Map(records.map(({ record }) => [record.section, record.next]));
  const done = new Set(complete.map(({ section }) => section));
  const numbers = new Set([...frames.map(({ section }) => section), ...nextOf.keys()]);
  const begun = [...numbers]
    .sort((a, b) => a - b)
    .map((section) => ({
      section,
      ...sections.bindingOf(section),
      complete: done.has(section),
      next: nextOf.get(section) ?? null,
    }));
  return { lastSection, isComplete, sections: begun };
}

/** Totals of an object. One that turns out to be complete is kept as one object from then on: its frames are not read again. */
export async function readTotals(
  state: LakeFolder,
  plan: Plan,
  mergeStates: MergeStates,
  signal: AbortSignal,
): Promise<SectionTotals & { readonly complete: boolean }> {
  const sections = new ObjectSections(state, plan);
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
  const sections = new ObjectSections(state, plan);
  if ((await readMark(sections, signal)) !== undefined) {
    yield storedEffects((await sections.read(MERGED, signal)) ?? []);
    return;
  }
  const { frames: places } = await findCounting(sections, signal);
  for await (const { effects } of readFrames(sections, places, signal)) yield effects;
}

/** What a frame or record is held against; `undefined`: it belongs to nothing that counts now. */
async function boundBy(
  state: LakeFolder,
  frame: SectionFrameRef | SectionRecordRef,
  section: number,
  signal: AbortSignal,
) {
  const plan = await readPlan(state, frame.object, signal);
  if (plan === undefined || plan.epoch === 0) return undefined;
  const sections = new ObjectSections(state, plan);
  const binding = { version: plan.object.version, ...sections.bindingOf(section) };
  if (judgeFrame(binding, nothingApplied, frame) === 'stale') return undefined;
  return { plan, binding, sections };
}

async function isDone(
  sections: ObjectSections,
  section: number,
  lastSection: number | null,
  signal: AbortSignal,
): Promise<boolean> {
  const { complete, isComplete } = await lookAt(sections, { lastSection }, signal);
  return isComplete || complete.some((one) => one.section === section);
}

async function lookAt(sections: ObjectSections, plan: Pick<Plan, 'lastSection'>, signal: AbortSignal) {
  const lastSection = await lastSectionOf(plan, sections, signal);
  const { frames, records: recorded } = await findCounting(sections, signal);
  const bySection = Map.groupBy(frames, ({ section }) => section);
  const records = await each(
    recorded,
    signal,
    async (name, stop) => (await readRecord(sections, name, stop)) as RecordHead,
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

/** Frames of an object, and names of its section records, as far as they count. Names tell, where there are no verdicts. */
async function findCounting(sections: ObjectSections, signal: AbortSignal) {
  const bySection = Map.groupBy(await sections.names(signal), sectionOf);
  const frames: FramePlace[] = [];
  const records: string[] = [];
  for (const names of bySection.values()) {
    const counting = names.some(hasVerdicts)
      ? (await findAgreeing(sections, names, signal)).counting
      : names.map((name) => ({ name, place: framePlaceOf(name) }));
    for (const { name, place } of counting) {
      if (place === null) records.push(name);
      else frames.push(place);
    }
  }
  return { frames, records };
}

/**
 * What counts of a section in which tries with verdicts and without lie side by side: what agrees with all verdicts. Nobody decides
 * between two that are written at the same moment, so that whoever reads does, and always the same way.
 */
async function findAgreeing(sections: ObjectSections, names: readonly string[], signal: AbortSignal) {
  const all = await each(names, signal, async (name, stop) => {
    const head = headOf<FrameHead | RecordHead>(await sections.read(name, stop));
    return head === undefined ? undefined : { name, place: framePlaceOf(name), head };
  });
  // Purged meanwhile, where there is none.
  const found = all.filter((one) => one !== undefined);
  const killed = [...new Set(found.flatMap(({ head }) => head.killed))].sort((a, b) => a - b);
  const counting = found.filter(({ head }) => judgeReach({ reach: null, killed }, head) === 'agrees');
  const reach = counting.reduce<Reach | undefined>((far, { head }) => extendReach(far, head), undefined);
  return { counting, reach };
}

async function* readFrames(sections: ObjectSections, places: readonly FramePlace[], signal: AbortSignal) {
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
  sections: ObjectSections,
  signal: AbortSignal,
): Promise<number | null> {
  return lastSection ?? sections.end(signal);
}

async function readRecord(sections: ObjectSections, name: string, signal: AbortSignal) {
  return headOf<RecordHead>(await sections.read(name, signal));
}

async function readMark(sections: ObjectSections, signal: AbortSignal) {
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
