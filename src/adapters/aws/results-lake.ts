import { DomainError } from '../../domain/errors.ts';
import type { Failure } from '../../domain/failure.ts';
import type { Generation } from '../../domain/generation.ts';
import type {
  ApplyOutcome,
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
  RunRecord,
  SectionFrameRef,
  SectionRecordRef,
} from '../../domain/ports/result-store.ts';
import { defaultRetry, type RetryPolicy } from '../../domain/retry.ts';
import { compareUtf8 } from '../../domain/text-order.ts';
import { applyRedrive, findFailures, openAlone } from './results-lake/failures.ts';
import { eachOf, type FolderPorts, LakeFolder } from './results-lake/folder.ts';
import { applyKeyed } from './results-lake/keyed.ts';
import {
  declarationName,
  declarations,
  keyedBatches,
  plans,
  resultsName,
  runName,
  runs,
  sections,
  settledMarks,
  stateFolder,
} from './results-lake/names.ts';
import { planObjects } from './results-lake/planning.ts';
import {
  countOpenFailures,
  readFlags,
  readGroups,
  readKeyedTotals,
  readObjects,
} from './results-lake/reading.ts';
import { applyFrame, applySectionRecord } from './results-lake/sections.ts';

export interface ResultsLakeOptions {
  readonly bucket: string;
  /** Where in the bucket: empty, or ends with `/`. */
  readonly prefix: string;
  readonly mergeStates: MergeStates;
  readonly retry?: RetryPolicy;
}

/**
 * Results in objects, for pipelines without a database. What a frame does is one object, written once under the frame's own name; what
 * many of them come to is worked out when it is read. There are no transactions: docs/result-store.md tells what that costs.
 */
export class ResultsLake implements ResultStore {
  readonly capabilities: ResultStoreCapabilities = { durable: true, exactlyOnce: false };
  readonly #folder: LakeFolder;
  readonly #mergeStates: MergeStates;

  constructor(ports: FolderPorts, { bucket, prefix, mergeStates, retry }: ResultsLakeOptions) {
    this.#folder = new LakeFolder(ports, { bucket, prefix, retry: retry ?? defaultRetry });
    this.#mergeStates = mergeStates;
  }

  async declare(generation: Generation, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const name = declarationName(generation.id);
    let known = await this.#declared(generation.id, signal);
    if (known === undefined) {
      if (await this.#folder.create(name, [generation], signal)) return;
      known = await this.#declared(generation.id, signal);
    }
    if (known?.fingerprint === generation.fingerprint) return;
    if (await this.#isTouched(generation.id, signal)) {
      throw new DomainError(
        `${generation.id} was declared with other data: raise its version, or drop its results`,
        { code: 'E_PIPELINE_CHANGED' },
      );
    }
    await this.purge(generation.id, signal);
    await this.#folder.write(name, [generation], signal);
  }

  async purge(generation: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const declared = await this.#declared(generation, signal);
    const state = this.#state(generation);
    // Without its plan, nothing that is still on its way counts.
    await state.at(plans).removeAll(signal);
    await state.removeAll(signal);
    for (const run of await this.runs(signal))
      if (run.generation === generation) await this.#folder.remove(runName(run.id), signal);
    if (declared === undefined) return;
    await this.#folder.remove(resultsName(declared), signal);
    // Last, so that a purge that breaks off leaves something to purge.
    await this.#folder.remove(declarationName(generation), signal);
  }

  /** No keys are kept, so none are forgotten. */
  async purgeKeys(_generation: string, _appliedBefore: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    return 0;
  }

  async saveRun(run: RunRecord, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#folder.write(runName(run.id), [run], signal);
  }

  async plan(
    request: PlanRequest,
    objects: readonly PlannedObject[],
    signal: AbortSignal,
  ): Promise<readonly ObjectPlan[]> {
    signal.throwIfAborted();
    await this.#require(request.generation, signal);
    const startedAt = (await this.run(request.run, signal))?.startedAt ?? 0;
    return planObjects(this.#state(request.generation), request, objects, startedAt, signal);
  }

  async applyFrame(frame: SectionFrameRef, effects: Effects, signal: AbortSignal): Promise<ApplyOutcome> {
    signal.throwIfAborted();
    return applyFrame(this.#state(frame.generation), frame, effects, this.#mergeStates, signal);
  }

  async applySectionRecord(frame: SectionRecordRef, signal: AbortSignal): Promise<ApplyOutcome> {
    signal.throwIfAborted();
    return applySectionRecord(this.#state(frame.generation), frame, signal);
  }

  async applyKeyed(batch: KeyedBatch, signal: AbortSignal): Promise<KeyedOutcome> {
    signal.throwIfAborted();
    await this.#require(batch.generation, signal);
    return applyKeyed(this.#state(batch.generation), batch, this.#mergeStates, signal);
  }

  async applyRedrive(
    redrive: RedriveRef,
    effects: Effects,
    signal: AbortSignal,
  ): Promise<'applied' | 'failed-again' | 'closed'> {
    signal.throwIfAborted();
    return applyRedrive(this.#state(redrive.generation), redrive, effects, this.#mergeStates, signal);
  }

  async openFailures(
    generation: string,
    run: string,
    failures: readonly Failure[],
    at: number,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    await this.#require(generation, signal);
    const build = (await this.run(run, signal))?.build ?? '';
    await openAlone(this.#state(generation), failures, { run, build, at }, signal);
  }

  async run(id: string, signal: AbortSignal): Promise<RunRecord | undefined> {
    signal.throwIfAborted();
    return (await this.#folder.read(runName(id), signal))?.[0] as RunRecord | undefined;
  }

  async runs(signal: AbortSignal): Promise<readonly RunRecord[]> {
    const all = await this.#readAll<RunRecord>(runs, signal);
    return all.sort((a, b) => a.startedAt - b.startedAt || compareUtf8(a.id, b.id));
  }

  async generations(signal: AbortSignal): Promise<readonly Generation[]> {
    const all = await this.#readAll<Generation>(declarations, signal);
    return all.sort((a, b) => compareUtf8(a.id, b.id));
  }

  async *objects(query: ObjectQuery, signal: AbortSignal): AsyncGenerator<ObjectProgress> {
    signal.throwIfAborted();
    yield* readObjects(this.#state(query.generation), query, this.#mergeStates, signal);
  }

  async keyedSources(generation: string, signal: AbortSignal): Promise<readonly KeyedTotals[]> {
    signal.throwIfAborted();
    return readKeyedTotals(this.#state(generation), generation, signal);
  }

  async *groups(generation: string, signal: AbortSignal): AsyncGenerator<GroupState> {
    signal.throwIfAborted();
    yield* readGroups(this.#state(generation), this.#mergeStates, signal);
  }

  async *flags(generation: string, signal: AbortSignal): AsyncGenerator<Flag> {
    signal.throwIfAborted();
    yield* readFlags(this.#state(generation), signal);
  }

  async *failures(query: FailureQuery, signal: AbortSignal): AsyncGenerator<FailureRecord> {
    signal.throwIfAborted();
    const generations =
      query.generation === undefined
        ? (await this.generations(signal)).map(({ id }) => id)
        : [query.generation];
    const folders = new Map(generations.map((id) => [id, this.#state(id)]));
    yield* findFailures(folders, query, signal);
  }

  async countOpenFailures(
    query: { readonly generation: string; readonly run?: string; readonly source?: string },
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, number>>> {
    signal.throwIfAborted();
    return countOpenFailures(this.#state(query.generation), query, signal);
  }

  /** One object, which is replaced as a whole: all groups are in memory meanwhile. */
  async publish(
    generation: string,
    results: AsyncIterable<PublishedGroup>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    await this.#require(generation, signal);
    const groups: PublishedGroup[] = [];
    for await (const { group, measures, findings } of results) {
      signal.throwIfAborted();
      groups.push({ group: group.toWellFormed(), measures, findings });
    }
    const declared = await this.#require(generation, signal);
    groups.sort((a, b) => compareUtf8(a.group, b.group));
    await this.#folder.write(resultsName(declared), groups, signal);
  }

  async close(): Promise<void> {
    // The client is not this store's own.
  }

  #state(generation: string): LakeFolder {
    return this.#folder.at(stateFolder(generation));
  }

  async #declared(generation: string, signal: AbortSignal): Promise<Generation | undefined> {
    const lines = await this.#folder.read(declarationName(generation), signal);
    return lines?.[0] as Generation | undefined;
  }

  async #require(generation: string, signal: AbortSignal): Promise<Generation> {
    const declared = await this.#declared(generation, signal);
    if (declared === undefined)
      throw new DomainError(`${generation} is not declared in this store`, { code: 'E_NOT_FOUND' });
    return declared;
  }

  async #isTouched(generation: string, signal: AbortSignal): Promise<boolean> {
    const state = this.#state(generation);
    for (const folder of [sections, settledMarks, keyedBatches])
      if ((await state.at(folder).first(signal)) !== undefined) return true;
    return false;
  }

  async #readAll<T>(prefix: string, signal: AbortSignal): Promise<T[]> {
    signal.throwIfAborted();
    const names = await this.#folder.names(prefix, signal);
    const all: T[] = [];
    for await (const lines of eachOf(names, signal, (name, stop) => this.#folder.read(name, stop)))
      if (lines !== undefined) all.push(lines[0] as T);
    return all;
  }
}
