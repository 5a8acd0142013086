import {
  isEndAgreed,
  isFrameCounted,
  isObjectComplete,
  isRecordOfFrames,
  isSectionComplete,
  isWithinObject,
  judgeFrame,
  nothingApplied,
} from '../../domain/applying.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Failure } from '../../domain/failure.ts';
import type { Generation } from '../../domain/generation.ts';
import type { ObjectName } from '../../domain/lake-object.ts';
import { decidePlan, type BegunSection } from '../../domain/planning.ts';
import type {
  ApplyOutcome,
  Counts,
  Effects,
  FailureQuery,
  FailureRecord,
  Flag,
  GroupState,
  KeyedBatch,
  KeyedOutcome,
  KeyedTotals,
  MergeStates,
  ObjectPlan,
  ObjectProgress,
  ObjectQuery,
  PlannedObject,
  PlanRequest,
  PublishedGroup,
  RedriveRef,
  ResultStore,
  ResultStoreCapabilities,
  RowTotals,
  RunRecord,
  SectionFrameRef,
  SectionRecordRef,
} from '../../domain/ports/result-store.ts';
import type { Position } from '../../domain/position.ts';
import { extendReach } from '../../domain/reach.ts';
import { noCounts, weightOfFailure } from '../../domain/reconcile.ts';
import { compareUtf8 } from '../../domain/text-order.ts';
import {
  addOpen,
  comparePositions,
  flagId,
  isOfWholeObject,
  isUntouched,
  objectId,
  type FailureData,
  type GenerationData,
  type ObjectData,
  type Owner,
  type SectionData,
} from './result-store-data.ts';

interface Attempt {
  readonly run: string;
  readonly build: string;
  readonly at: number;
}

/**
 * A result store in maps. A call changes nothing before everything that can throw (merging, `fold`) is done, and
 * awaits nothing: that makes it one transaction.
 */
export class InMemoryResultStore implements ResultStore {
  readonly capabilities: ResultStoreCapabilities = { durable: false };
  readonly #mergeStates: MergeStates;
  readonly #generations = new Map<string, GenerationData>();
  readonly #runs = new Map<string, RunRecord>();
  #failuresOpened = 0;

  constructor(mergeStates: MergeStates) {
    this.#mergeStates = mergeStates;
  }

  async declare(generation: Generation, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const data = this.#generations.get(generation.id);
    const changed = data !== undefined && data.generation.fingerprint !== generation.fingerprint;
    const replaces = changed && isUntouched(data);
    if (replaces) await this.purge(generation.id, signal);
    if (data === undefined || replaces) {
      this.#generations.set(generation.id, {
        generation: { ...generation },
        objects: new Map(),
        sources: new Map(),
        groups: new Map(),
        flags: new Map(),
        failures: new Map(),
        published: [],
      });
    } else if (changed) {
      throw new DomainError(
        `${generation.id} was declared with other data: raise its version, or drop its results`,
        {
          code: 'E_PIPELINE_CHANGED',
        },
      );
    }
  }

  async purge(generation: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#generations.delete(generation);
    for (const run of this.#runs.values()) if (run.generation === generation) this.#runs.delete(run.id);
  }

  async purgeKeys(generation: string, appliedBefore: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    let forgotten = 0;
    for (const { keys } of this.#generations.get(generation)?.sources.values() ?? []) {
      for (const [key, appliedAt] of keys) if (appliedAt < appliedBefore && keys.delete(key)) forgotten += 1;
    }
    return forgotten;
  }

  async saveRun(run: RunRecord, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#runs.set(run.id, { ...run });
  }

  async plan(
    request: PlanRequest,
    objects: readonly PlannedObject[],
    signal: AbortSignal,
  ): Promise<readonly ObjectPlan[]> {
    signal.throwIfAborted();
    const data = this.#require(request.generation);
    return objects.map((planned) => this.#planObject(data, request, planned));
  }

  #planObject(data: GenerationData, request: PlanRequest, planned: PlannedObject): ObjectPlan {
    const { object } = planned;
    const known = data.objects.get(objectId(object));
    const decision = decidePlan(
      known === undefined || known.epoch === 0
        ? undefined
        : {
            ...known,
            sections: begunSections(known),
            settled: known.counts.closedRowFailures + known.counts.closedMessageFailures > 0,
          },
      object,
      request,
    );
    const { verdict, epoch } = decision;
    if (known !== undefined && (verdict === 'other-build' || verdict === 'changed')) {
      known.runs.add(request.run);
      return { object, ...decision, lastSection: known.lastSection };
    }

    const kept = known ?? newObject(object);
    data.objects.set(objectId(object), kept);
    kept.runs.add(request.run);
    this.#closeObjectFailures(data, kept, request.run);
    if (verdict === 'complete') return { object, ...decision, lastSection: kept.lastSection };

    if (kept.object.version === object.version) {
      kept.lastSection ??= planned.lastSection;
    } else {
      // Nothing of the old version was applied: what failed of its rows means nothing any more.
      const { openRowFailures, openMessageFailures } = kept.counts;
      for (const [id, { owner, record }] of openRowFailures + openMessageFailures > 0 ? data.failures : []) {
        if (owner === kept && record.state === 'open') data.failures.delete(id);
      }
      kept.counts = { ...kept.counts, openRowFailures: 0, openMessageFailures: 0, openFailedRows: 0 };
      kept.lastSection = planned.lastSection;
    }
    kept.object = { ...object };
    kept.epoch = epoch;
    kept.build = request.build;
    // Sections may be waiting for nothing but to be told which is the last.
    completeObjectIfDone(kept);
    const { lastSection, complete } = kept;
    const plan = { object, ...decision, lastSection };
    return complete ? { ...plan, verdict: 'complete', complete: [] } : plan;
  }

  #closeObjectFailures(data: GenerationData, object: ObjectData, run: string): void {
    if (object.counts.openRowFailures === 0) return;
    const startedAt = this.#runs.get(run)?.startedAt ?? 0;
    for (const failure of data.failures.values()) {
      const { record } = failure;
      if (failure.owner !== object || record.state === 'closed' || !isOfWholeObject(record.failure)) continue;
      failure.record = { ...record, state: 'closed', closedAt: Math.max(record.triedAt, startedAt) };
      failure.closedBy = 'plan';
      addOpen(object, weightOfFailure(record.failure), -1);
    }
  }

  async applyFrame(frame: SectionFrameRef, effects: Effects, signal: AbortSignal): Promise<ApplyOutcome> {
    signal.throwIfAborted();
    const { data, object, section } = this.#find(frame, frame.section);
    const applied = section?.frames.get(frame.partition)?.get(frame.number);
    const outcome = judge(object, section, applied, frame);
    if (outcome !== 'applied' || data === undefined || object === undefined) return outcome;
    const expected = section?.record?.record.frames;
    if (
      !isFrameCounted(expected, frame.partition, frame.number) ||
      !isWithinObject(frame.section, object.lastSection)
    ) {
      return 'not-deterministic';
    }

    const apply = this.#prepare(data, effects);
    const begun = begin(object, frame.section, frame);
    const partition = begun.frames.get(frame.partition) ?? new Map<number, string>();
    begun.frames.set(frame.partition, partition.set(frame.number, frame.digest));
    object.frames += 1;
    apply(object, frame);
    completeSectionIfDone(object, begun);
    return 'applied';
  }

  async applySectionRecord(frame: SectionRecordRef, signal: AbortSignal): Promise<ApplyOutcome> {
    signal.throwIfAborted();
    const { record, digest } = frame;
    const { object, section } = this.#find(frame, record.section);
    const outcome = judge(object, section, section?.record?.digest, frame);
    if (outcome !== 'applied' || object === undefined) return outcome;
    const furthest = object.sections.size === 0 ? null : Math.max(...object.sections.keys());
    if (!isEndAgreed(record, object.lastSection, furthest)) return 'not-deterministic';
    const highest = new Map(
      [...(section?.frames ?? [])].map(([partition, frames]) => [partition, Math.max(...frames.keys())]),
    );
    if (!isRecordOfFrames(record, highest)) return 'not-deterministic';

    const begun = begin(object, record.section, frame);
    begun.record = { digest, record };
    if (record.last) object.lastSection = record.section;
    addTotals(object, record);
    completeSectionIfDone(object, begun);
    return 'applied';
  }

  async applyKeyed(batch: KeyedBatch, signal: AbortSignal): Promise<KeyedOutcome> {
    signal.throwIfAborted();
    const data = this.#require(batch.generation);
    const keys = data.sources.get(batch.source)?.keys;
    const seen = new Set<string>();
    const isNew = batch.keys.map((key) => {
      const fresh = keys?.has(key.toWellFormed()) !== true && !seen.has(key.toWellFormed());
      seen.add(key.toWellFormed());
      return fresh;
    });
    const { effects, totals } = batch.fold(isNew);
    const apply = this.#prepare(data, effects);
    const source = sourceOf(data, batch.source);
    for (const key of seen) if (!source.keys.has(key)) source.keys.set(key, batch.at);
    apply(source, batch);
    addTotals(source, totals);
    return { isNew, effects, totals };
  }

  async applyRedrive(
    redrive: RedriveRef,
    effects: Effects,
    signal: AbortSignal,
  ): Promise<'applied' | 'failed-again' | 'closed'> {
    signal.throwIfAborted();
    const data = this.#generations.get(redrive.generation);
    const known = data?.failures.get(redrive.failure);
    if (data === undefined || known === undefined || known.record.state === 'closed') return 'closed';
    if (redrive.again !== null) {
      tryAgain(known, redrive.again, redrive);
      return 'failed-again';
    }
    const apply = this.#prepare(data, effects);
    const { owner } = known;
    apply(owner, redrive);
    const weight = weightOfFailure(known.record.failure);
    addOpen(owner, weight, -1);
    owner.counts.redriven += redrive.messages;
    owner.counts.closedRowFailures += weight.rowFailures;
    owner.counts.closedMessageFailures += weight.messageFailures;
    owner.counts.closedFailedRows += weight.rows;
    const { run, build, at } = redrive;
    known.record = { ...known.record, state: 'closed', run, build, triedAt: at, closedAt: at };
    known.closedBy = 'redrive';
    return 'applied';
  }

  async openFailures(
    generation: string,
    run: string,
    failures: readonly Failure[],
    at: number,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const data = this.#require(generation);
    const attempt = { run, build: this.#runs.get(run)?.build ?? '', at };
    for (const failure of failures) {
      const known = data.failures.get(failure.id);
      if (known === undefined) {
        this.#openFailure(data, failure, attempt);
      } else if (known.record.state === 'open') {
        tryAgain(known, failure, attempt);
      } else if (known.closedBy === 'plan') {
        tryAgain(known, failure, attempt);
        addOpen(known.owner, weightOfFailure(known.record.failure), 1);
      }
    }
  }

  async run(id: string, signal: AbortSignal): Promise<RunRecord | undefined> {
    signal.throwIfAborted();
    return this.#runs.get(id);
  }

  async runs(signal: AbortSignal): Promise<readonly RunRecord[]> {
    signal.throwIfAborted();
    return [...this.#runs.values()].sort((a, b) => a.startedAt - b.startedAt || compareUtf8(a.id, b.id));
  }

  async generations(signal: AbortSignal): Promise<readonly Generation[]> {
    signal.throwIfAborted();
    return [...this.#generations.values()]
      .map(({ generation }) => generation)
      .sort((a, b) => compareUtf8(a.id, b.id));
  }

  async *objects(query: ObjectQuery, signal: AbortSignal): AsyncGenerator<ObjectProgress> {
    const { generation, run, after } = query;
    const compare = (a: ObjectName, b: ObjectName) =>
      compareUtf8(a.bucket, b.bucket) || compareUtf8(a.key, b.key);
    const all = [...(this.#generations.get(generation)?.objects.values() ?? [])]
      .filter(({ runs }) => run === undefined || runs.has(run))
      .filter(({ object }) => after === undefined || compare(object, after) > 0)
      .sort((a, b) => compare(a.object, b.object));
    for (const { object, epoch, build, lastSection, sectionsComplete, complete, frames, counts } of all) {
      signal.throwIfAborted();
      yield { object, epoch, build, lastSection, sectionsComplete, complete, frames, ...counts };
    }
    signal.throwIfAborted();
  }

  async keyedSources(generation: string, signal: AbortSignal): Promise<readonly KeyedTotals[]> {
    signal.throwIfAborted();
    return [...(this.#generations.get(generation)?.sources.values() ?? [])]
      .map(({ source, counts }) => ({ source, ...counts }))
      .sort((a, b) => compareUtf8(a.source, b.source));
  }

  async *groups(generation: string, signal: AbortSignal): AsyncGenerator<GroupState> {
    const all = this.#generations.get(generation)?.groups ?? new Map<string, Uint8Array>();
    for (const group of [...all.keys()].sort(compareUtf8)) {
      signal.throwIfAborted();
      yield { group, state: copyOf(all.get(group) as Uint8Array) };
    }
    signal.throwIfAborted();
  }

  async *flags(generation: string, signal: AbortSignal): AsyncGenerator<Flag> {
    const all = [...(this.#generations.get(generation)?.flags.values() ?? [])];
    for (const flag of all.sort((a, b) => comparePositions(a.position, b.position))) {
      signal.throwIfAborted();
      yield flag;
    }
    signal.throwIfAborted();
  }

  async *failures(query: FailureQuery, signal: AbortSignal): AsyncGenerator<FailureRecord> {
    let left = query.limit ?? Infinity;
    const all = [...this.#generations.values()].flatMap(({ failures }) => [...failures.values()]);
    for (const { record } of all.sort((a, b) => a.sequence - b.sequence)) {
      signal.throwIfAborted();
      if (left <= 0) return;
      if (!isAskedFor(record, query)) continue;
      left -= 1;
      yield record;
    }
    signal.throwIfAborted();
  }

  async countOpenFailures(
    query: { readonly generation: string; readonly run?: string; readonly source?: string },
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, number>>> {
    signal.throwIfAborted();
    const counts = new Map<string, number>();
    for (const { owner, record } of this.#generations.get(query.generation)?.failures.values() ?? []) {
      if (record.state !== 'open' || !isOwnerAskedFor(owner, query)) continue;
      counts.set(record.failure.code, (counts.get(record.failure.code) ?? 0) + 1);
    }
    return Object.fromEntries([...counts].sort(([a], [b]) => compareUtf8(a, b)));
  }

  async publish(
    generation: string,
    results: AsyncIterable<PublishedGroup>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    this.#require(generation);
    const published: PublishedGroup[] = [];
    for await (const group of results) {
      signal.throwIfAborted();
      published.push(group);
    }
    signal.throwIfAborted();
    this.#require(generation).published = published.sort((a, b) => compareUtf8(a.group, b.group));
  }

  /** What `publish` put there last. */
  published(generation: string): readonly PublishedGroup[] {
    return this.#generations.get(generation)?.published ?? [];
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  #require(generation: string): GenerationData {
    const data = this.#generations.get(generation);
    if (data === undefined)
      throw new DomainError(`${generation} is not declared in this store`, { code: 'E_NOT_FOUND' });
    return data;
  }

  #find(ref: SectionFrameRef | SectionRecordRef, section: number) {
    const data = this.#generations.get(ref.generation);
    const object = data?.objects.get(objectId(ref.object));
    return { data, object, section: object?.sections.get(section) };
  }

  /** Does what can throw, and returns what does the rest. */
  #prepare(data: GenerationData, effects: Effects): (owner: Owner, attempt: Attempt) => void {
    const merged = new Map<string, Uint8Array>();
    for (const { group, state } of effects.groups) {
      const name = group.toWellFormed();
      const stored = merged.get(name) ?? data.groups.get(name);
      // A state may be a view of the frame that it came in, and merging may return one of its arguments.
      merged.set(name, copyOf(stored === undefined ? state : this.#mergeStates(stored, state)));
    }
    return (owner, attempt) => {
      for (const [group, state] of merged) data.groups.set(group, state);
      for (const flag of effects.flags) data.flags.set(flagId(flag.position), flag);
      for (const failure of effects.failures) {
        if (!data.failures.has(failure.id)) this.#openFailure(data, failure, attempt);
      }
      owner.counts.applied += effects.applied;
    };
  }

  #openFailure(data: GenerationData, failure: Failure, { run, build, at }: Attempt): void {
    const owner = ownerOf(data, failure.position, run, build);
    const record: FailureRecord = {
      generation: data.generation.id,
      run,
      build,
      failure: keptFailure(failure),
      state: 'open',
      attempts: 1,
      openedAt: at,
      triedAt: at,
      closedAt: null,
    };
    data.failures.set(failure.id, { sequence: this.#failuresOpened++, owner, record, closedBy: null });
    addOpen(owner, weightOfFailure(failure), 1);
  }
}

function newObject(object: ObjectData['object']): ObjectData {
  return {
    object: { ...object },
    epoch: 0,
    build: '',
    lastSection: null,
    sectionsComplete: 0,
    complete: false,
    frames: 0,
    runs: new Set(),
    counts: noCounts(),
    sections: new Map(),
  };
}

function sourceOf(data: GenerationData, source: string) {
  let known = data.sources.get(source);
  if (known === undefined)
    data.sources.set(source, (known = { source, keys: new Map(), counts: noCounts() }));
  return known;
}

/** An object that was never planned (it could not be opened) becomes known by its failure, with epoch 0. */
function ownerOf(data: GenerationData, position: Position, run: string, build: string): Owner {
  if (position.kind === 'key') return sourceOf(data, position.source);
  const known = data.objects.get(objectId(position.object));
  if (known !== undefined) return known;
  const added = { ...newObject(position.object), build, runs: new Set([run]) };
  data.objects.set(objectId(position.object), added);
  return added;
}

function judge(
  object: ObjectData | undefined,
  section: SectionData | undefined,
  appliedDigest: string | undefined,
  ref: SectionFrameRef | SectionRecordRef,
): ApplyOutcome {
  if (object === undefined || object.epoch === 0) return judgeFrame(undefined, nothingApplied, ref);
  const { build, epoch } = section ?? object;
  const complete = object.complete || section?.complete === true;
  const applied = { complete, digest: appliedDigest, reach: section?.reach };
  return judgeFrame({ version: object.object.version, build, epoch }, applied, ref);
}

function begin(object: ObjectData, section: number, ref: SectionFrameRef | SectionRecordRef): SectionData {
  const known = object.sections.get(section);
  const reach = extendReach(known?.reach, ref);
  if (known !== undefined) {
    known.reach = reach;
    return known;
  }
  const { build, epoch } = ref;
  const begun = { build, epoch, complete: false, reach, record: undefined, frames: new Map() };
  object.sections.set(section, begun);
  return begun;
}

/** Shrinks a section to one mark if its frames are all there, and then its object if its sections are. */
function completeSectionIfDone(object: ObjectData, section: SectionData): void {
  const applied = new Map([...section.frames].map(([partition, frames]) => [partition, frames.size]));
  if (!isSectionComplete(section.record?.record, applied)) return;
  section.frames.clear();
  section.complete = true;
  object.sectionsComplete += 1;
  completeObjectIfDone(object);
}

function completeObjectIfDone(object: ObjectData): void {
  if (!isObjectComplete(object.lastSection, object.sectionsComplete)) return;
  object.sections.clear();
  object.complete = true;
}

function begunSections({ sections }: ObjectData): readonly BegunSection[] {
  return [...sections]
    .map(([section, { build, epoch, complete, record }]) => {
      const next = record?.record.next ?? null;
      return { section, build, epoch, complete, next };
    })
    .sort((a, b) => a.section - b.section);
}

function addTotals(owner: Owner, totals: RowTotals): void {
  for (const name of [
    'rows',
    'pruned',
    'filtered',
    'failed',
    'transformed',
    'messages',
  ] as const satisfies (keyof Counts)[]) {
    owner.counts[name] += totals[name];
  }
}

function tryAgain(known: FailureData, failure: Failure, { run, build, at }: Attempt): void {
  const { record } = known;
  const { stage, code, message, payload } = keptFailure(failure);
  known.closedBy = null;
  known.record = {
    ...record,
    run,
    build,
    failure: { ...record.failure, stage, code, message, payload },
    state: 'open',
    attempts: record.attempts + 1,
    triedAt: at,
    closedAt: null,
  };
}

function keptFailure(failure: Failure): Failure {
  return { ...failure, payload: failure.payload === null ? null : copyOf(failure.payload) };
}

function isOwnerAskedFor(
  owner: Owner,
  { run, source }: { readonly run?: string; readonly source?: string },
): boolean {
  if (run === undefined && source === undefined) return true;
  return 'runs' in owner ? run !== undefined && owner.runs.has(run) : owner.source === source;
}

function isAskedFor({ generation, failure, state, triedAt }: FailureRecord, query: FailureQuery): boolean {
  const { position } = failure;
  const object = position.kind === 'row' ? position.object : undefined;
  return (
    (query.generation === undefined || query.generation === generation) &&
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

/** A plain copy: slicing a `Buffer` would share its bytes. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
