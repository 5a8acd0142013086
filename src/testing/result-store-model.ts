import fc from 'fast-check';
import { expect } from 'vitest';
import type { Failure } from '../domain/failure.ts';
import type { LakeObject } from '../domain/lake-object.ts';
import type {
  ApplyOutcome,
  Binding,
  Effects,
  GroupState,
  PlanVerdict,
  ResultStore,
} from '../domain/ports/result-store.ts';
import type { Reach } from '../domain/reach.ts';
import { reconcileKeyed, reconcileObject } from '../domain/reconcile.ts';
import type { SectionRecord } from '../domain/section.ts';
import type { ResultStoreFixture } from './result-store-fixture.ts';

const signal = new AbortController().signal;
const GENERATION = 'model@1';
const BUILDS = ['A', 'B'];
const SOURCE = 'pipe';

/** Frames of each partition, by section, by object: what `transform` would send. Everything else follows from it. */
type World = readonly (readonly (readonly number[])[])[];

type Step =
  | {
      readonly do: 'plan';
      readonly object: number;
      readonly build: number;
      readonly knowsLast: boolean;
      readonly keepsBuilds: boolean;
    }
  | { readonly do: 'change'; readonly object: number }
  | {
      readonly do: 'frame';
      readonly at: Place;
      readonly partition: number;
      readonly number: number;
      readonly from: Sender;
      readonly digest: 'same' | 'other';
      readonly verdicts: Verdicts;
    }
  | {
      readonly do: 'record';
      readonly at: Place;
      readonly variant: RecordVariant;
      readonly verdicts: Verdicts;
    }
  | {
      readonly do: 'deliver';
      readonly object: number;
      readonly order: readonly number[];
      readonly verdicts: Verdicts;
    }
  | { readonly do: 'redrive'; readonly pick: number; readonly again: boolean }
  | { readonly do: 'open'; readonly object: number; readonly whole: boolean }
  | { readonly do: 'keyed'; readonly keys: readonly number[] }
  | { readonly do: 'purge' }
  | { readonly do: 'purge-keys'; readonly ago: number }
  | { readonly do: 'reopen' };

/**
 * Who sent a frame: who has its section; who has the sections of its object that are not begun; who had those before; nobody; or who has its section,
 * before a plan that raised the epoch.
 */
type Sender = 'bound' | 'planned' | 'overtaken' | 'nobody' | 'old-epoch';

interface PlannedBinding extends Binding {
  readonly version: number;
  last: number | null;
  /** What bound the object before. */
  readonly before: Binding | undefined;
}

type RecordVariant = 'true' | 'other-digest' | 'one-frame-less' | 'ends-here';

interface Place {
  readonly object: number;
  readonly section: number;
}

/** Rows of a section, counted from its start, that a try has verdicts on. */
type Verdicts = readonly number[];

/** Rows in the middle of what a section holds. */
const KILLERS: Verdicts = [100, 200];

interface Content {
  readonly groups: Readonly<Record<string, number>>;
  readonly failures: readonly Failure[];
}

/** A flat list of what was accepted; whatever the store answers is worked out from it anew each time. */
class Model {
  readonly world: World;
  versions: number[];
  planned: PlannedBinding[] = [];
  frames: {
    object: number;
    section: number;
    partition: number;
    number: number;
    digest: string;
    reach: Reach;
    content: Content;
    binding: Binding;
  }[] = [];
  records: { object: number; digest: string; record: SectionRecord; reach: Reach; binding: Binding }[] = [];
  redrives: { failure: Failure; groups: Readonly<Record<string, number>>; messages: number }[] = [];
  /** Every key as often as it was applied. */
  keys: string[] = [];
  /** When the keys that are not forgotten were applied. */
  remembered = new Map<string, number>();
  /** How many batches of keys came. */
  time = 0;
  failures: { failure: Failure; state: 'open' | 'closed' | 'settled'; attempts: number }[] = [];
  /** Whether records were accepted that are not the true ones: then nothing needs to balance. */
  misled = false;
  /** Whether a key was applied again: its failure stays one, so that nothing needs to balance. */
  hasRepeated = false;

  constructor(world: World) {
    this.world = world;
    this.versions = world.map(() => 1);
  }

  object(index: number, version = this.versions[index]): LakeObject {
    return { bucket: 'lake', key: `object-${index}`, version: `v${version}`, size: 100 };
  }

  isComplete(object: number, section: number): boolean {
    const found = this.records.find((one) => one.object === object && one.record.section === section);
    if (found === undefined) return false;
    const expected = found.record.frames.flatMap(([partition, count]) =>
      Array.from({ length: count }, (_, n) => `${partition}/${n}`),
    );
    const applied = this.framesOf(object, section).map(({ partition, number }) => `${partition}/${number}`);
    return expected.sort().join() === applied.sort().join();
  }

  framesOf(object: number, section: number) {
    return this.frames.filter((one) => one.object === object && one.section === section);
  }

  sectionsBegun(object: number): number[] {
    const sections = [
      ...this.frames,
      ...this.records.map((one) => ({ object: one.object, section: one.record.section })),
    ];
    return [...new Set(sections.filter((one) => one.object === object).map(({ section }) => section))].sort(
      (a, b) => a - b,
    );
  }

  /** What was accepted first of a section binds it; else its object's plan does. `undefined`: there is none. */
  bindingOf({ object, section }: Place): Binding | undefined {
    const begun =
      this.framesOf(object, section)[0] ??
      this.records.find((one) => one.object === object && one.record.section === section);
    // Of an object that is complete nothing is kept but that.
    const binding = this.isObjectComplete(object) ? undefined : begun?.binding;
    return binding ?? this.planned[object];
  }

  /** Whether nothing tells any more who had its sections: what comes is dropped, whichever way that is called. */
  isMixed(object: number): boolean {
    const planned = this.planned[object];
    return (
      this.isObjectComplete(object) &&
      [...this.frames, ...this.records].some(
        (one) => one.object === object && one.binding.epoch !== planned?.epoch,
      )
    );
  }

  /** What is to do, but not under what binds the object. */
  held(object: number) {
    const { build, epoch } = this.planned[object] as Binding;
    return this.sectionsBegun(object)
      .filter((section) => !this.isComplete(object, section))
      .map((section) => ({ section, ...(this.bindingOf({ object, section }) as Binding) }))
      .filter((one) => one.build !== build || one.epoch !== epoch);
  }

  completeSections(object: number): number[] {
    return this.sectionsBegun(object).filter((section) => this.isComplete(object, section));
  }

  isObjectComplete(object: number): boolean {
    const last = this.planned[object]?.last ?? null;
    return (
      last !== null &&
      Array.from({ length: last + 1 }, (_, i) => i).every((section) => this.isComplete(object, section))
    );
  }

  plan(
    object: number,
    build: string,
    knowsLast: boolean,
    keepsBuilds: boolean,
  ): { verdict: PlanVerdict; epoch: number } {
    const known = this.planned[object];
    const version = this.versions[object] as number;
    const last = knowsLast ? (this.world[object] as World[number]).length - 1 : null;
    if (known === undefined) {
      this.planned[object] = { epoch: 1, build, version, last, before: undefined };
      this.#closeWhole(object);
      return { verdict: 'process', epoch: 1 };
    }
    const sections = this.sectionsBegun(object);
    const begun = sections.length > 0;
    if (known.version !== version) {
      if (begun || this.redrives.some(({ failure }) => isOf(failure, object)))
        return { verdict: 'changed', epoch: known.epoch };
      this.failures = this.failures.filter(({ failure }) => !isOf(failure, object) || isWhole(failure));
      this.planned[object] = { epoch: known.epoch + 1, build, version, last, before: undefined };
    } else if (!this.isObjectComplete(object)) {
      const isOthers = sections.some((section) => this.bindingOf({ object, section })?.build !== build);
      if (isOthers && !keepsBuilds) return { verdict: 'other-build', epoch: known.epoch };
      const own =
        known.build === build
          ? { epoch: known.epoch, before: known.before }
          : { epoch: known.epoch + 1, before: { build: known.build, epoch: known.epoch } };
      this.planned[object] = { ...own, build, version, last: known.last ?? last };
    }
    this.#closeWhole(object);
    const { epoch } = this.planned[object] as { epoch: number };
    return { verdict: this.isObjectComplete(object) ? 'complete' : 'process', epoch };
  }

  #closeWhole(object: number): void {
    for (const one of this.failures)
      if (isOf(one.failure, object) && isWhole(one.failure) && one.state === 'open') one.state = 'closed';
  }

  judge(at: Place, version: number, build: string, epoch: number): 'stale' | 'duplicate' | undefined {
    const binding = this.bindingOf(at);
    if (binding === undefined || this.planned[at.object]?.version !== version) return 'stale';
    if (binding.build !== build || binding.epoch !== epoch) return 'stale';
    if (this.isObjectComplete(at.object) || this.isComplete(at.object, at.section)) return 'duplicate';
    return undefined;
  }

  /** How far each thing reaches that was accepted of a section. */
  reachesOf({ object, section }: Place): readonly Reach[] {
    const records = this.records.filter((one) => one.object === object && one.record.section === section);
    return [...this.framesOf(object, section), ...records].map(({ reach }) => reach);
  }

  /** Held against everything that was accepted, one by one. */
  judgeReach(at: Place, incoming: Reach): 'stale' | 'not-deterministic' | undefined {
    const applied = this.reachesOf(at);
    const isReached = (row: number, { reach }: Reach): boolean => row <= (reach ?? Infinity);
    const lacks = (row: number, { killed }: Reach): boolean => !killed.includes(row);
    if (applied.some((one) => one.killed.some((row) => isReached(row, incoming) && lacks(row, incoming))))
      return 'stale';
    const isPassed = (row: number): boolean => applied.some((one) => isReached(row, one) && lacks(row, one));
    return incoming.killed.some(isPassed) ? 'not-deterministic' : undefined;
  }

  applyFrame(
    at: Place,
    partition: number,
    number: number,
    digest: string,
    reach: Reach,
    content: Content,
    binding: Binding,
  ): ApplyOutcome {
    const before = this.framesOf(at.object, at.section).find(
      (one) => one.partition === partition && one.number === number,
    );
    if (before?.digest === digest) return 'duplicate';
    const disagrees = this.judgeReach(at, reach);
    if (disagrees !== undefined) return disagrees;
    if (before !== undefined) return 'not-deterministic';
    const found = this.records.find((one) => one.object === at.object && one.record.section === at.section);
    if (found?.record.frames.some(([p, count]) => p === partition && number < count) === false)
      return 'not-deterministic';
    const last = this.planned[at.object]?.last ?? Infinity;
    if (at.section > last) return 'not-deterministic';
    this.frames.push({ ...at, partition, number, digest, reach, content, binding });
    for (const failure of content.failures) this.open(failure);
    return 'applied';
  }

  applyRecord(
    object: number,
    digest: string,
    record: SectionRecord,
    reach: Reach,
    binding: Binding,
  ): ApplyOutcome {
    const before = this.records.find((one) => one.object === object && one.record.section === record.section);
    if (before?.digest === digest) return 'duplicate';
    const disagrees = this.judgeReach({ object, section: record.section }, reach);
    if (disagrees !== undefined) return disagrees;
    if (before !== undefined) return 'not-deterministic';
    const known = this.planned[object] as PlannedBinding;
    const uncounted = this.framesOf(object, record.section).filter(
      ({ partition, number }) => !record.frames.some(([p, count]) => p === partition && number < count),
    );
    if (uncounted.length > 0 || record.section > (known.last ?? Infinity)) return 'not-deterministic';
    if (record.last) {
      if (known.last !== null && known.last !== record.section) return 'not-deterministic';
      if (this.sectionsBegun(object).some((section) => section > record.section)) return 'not-deterministic';
      known.last = record.section;
    }
    this.records.push({ object, digest, record, reach, binding });
    return 'applied';
  }

  open(failure: Failure): void {
    if (!this.failures.some((one) => one.failure.id === failure.id))
      this.failures.push({ failure, state: 'open', attempts: 1 });
  }

  openWithoutFrame(failure: Failure): void {
    const known = this.failures.find((one) => one.failure.id === failure.id);
    if (known === undefined) return this.open(failure);
    if (known.state === 'settled' || (known.state === 'closed' && !isWhole(failure))) return;
    known.state = 'open';
    known.attempts += 1;
  }

  counts(isOwn: (failure: Failure) => boolean, applied: number) {
    const own = this.failures.filter(({ failure }) => isOwn(failure));
    const open = own.filter(({ state }) => state === 'open').map(({ failure }) => failure);
    const settled = own.filter(({ state }) => state === 'settled').map(({ failure }) => failure);
    const redriven = this.redrives.filter(({ failure }) => isOwn(failure));
    const ofRows = (failures: Failure[]): Failure[] =>
      failures.filter(({ position }) => position.output === null);
    const rows = (failures: Failure[]): number => sum(ofRows(failures).map((one) => one.rows));
    return {
      applied: applied + sum(redriven.map(({ groups }) => sum(Object.values(groups)))),
      redriven: sum(redriven.map(({ messages }) => messages)),
      openRowFailures: ofRows(open).length,
      openMessageFailures: open.length - ofRows(open).length,
      closedRowFailures: ofRows(settled).length,
      closedMessageFailures: settled.length - ofRows(settled).length,
      openFailedRows: rows(open),
      closedFailedRows: rows(settled),
    };
  }

  progress(object: number) {
    const known = this.planned[object];
    const frames = this.frames.filter((one) => one.object === object);
    const records = this.records.filter((one) => one.object === object).map(({ record }) => record);
    const applied = sum(frames.map(({ content }) => sum(Object.values(content.groups))));
    return {
      epoch: known?.epoch ?? 0,
      build: known?.build ?? '',
      lastSection: known?.last ?? null,
      sectionsComplete: this.completeSections(object).length,
      complete: known !== undefined && this.isObjectComplete(object),
      frames: frames.length,
      ...totalsOf(records),
      ...this.counts((failure) => isOf(failure, object), applied),
    };
  }

  groups(): Record<string, number> {
    const groups: Record<string, number> = {};
    const parts = [
      ...this.frames.map(({ content }) => content.groups),
      ...this.redrives.map((one) => one.groups),
      ...this.keys.map(keyedGroups),
    ];
    for (const part of parts)
      for (const [group, value] of Object.entries(part)) groups[group] = (groups[group] ?? 0) + value;
    return groups;
  }

  /** How many keys are forgotten. What was forgotten can be applied again. */
  purgeKeys(before: number): number {
    const old = [...this.remembered].filter(([, at]) => at < before);
    for (const [key] of old) this.remembered.delete(key);
    return old.length;
  }

  forget(): void {
    this.planned = [];
    this.frames = [];
    this.records = [];
    this.redrives = [];
    this.keys = [];
    this.remembered.clear();
    this.failures = [];
    this.misled = false;
    this.hasRepeated = false;
  }
}

function hasVerdicts(reaches: readonly Reach[]): boolean {
  return reaches.some(({ killed }) => killed.length > 0);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function totalsOf(parts: readonly Omit<SectionRecord, 'section' | 'last' | 'next' | 'frames'>[]) {
  const names = ['rows', 'pruned', 'filtered', 'failed', 'transformed', 'messages'] as const;
  return Object.fromEntries(names.map((name) => [name, sum(parts.map((part) => part[name]))]));
}

function isOf({ position }: Failure, object: number): boolean {
  return position.kind === 'row' && position.object.key === `object-${object}`;
}

function isWhole({ position }: Failure): boolean {
  return position.kind === 'row' && position.coordinate === null;
}

function failureOf(
  object: LakeObject,
  coordinate: number | null,
  output: number | null,
  rows: number,
): Failure {
  return {
    id: `${object.key}/${coordinate === null ? '' : object.version}/${coordinate}/${output}`,
    position: { kind: 'row', object, coordinate, output },
    stage: output === null ? 'transform' : 'analyze',
    code: 'E_MODEL',
    message: 'as the model wants it',
    rows,
    payload: null,
  };
}

/** What a frame holds follows from its place alone, as it does for a `transform` that is deterministic. */
function contentOf(
  object: LakeObject,
  { object: o, section }: Place,
  partition: number,
  number: number,
): Content {
  const seed = o + 2 * section + 3 * partition + 5 * number;
  const coordinate = 1_000 * section + 100 * partition + 10 * number;
  const failures: Failure[] = [];
  if (seed % 3 === 0) failures.push(failureOf(object, coordinate, 0, 0));
  if (partition === 0) failures.push(failureOf(object, coordinate + 1, null, 1 + (seed % 2)));
  return { groups: { [`g${seed % 4}`]: 1 + (seed % 2), shared: 1 }, failures };
}

function recordOf(model: Model, { object, section }: Place): SectionRecord {
  const sections = model.world[object] as World[number];
  const frames = (sections[section] as readonly number[]).flatMap((count, partition) =>
    count === 0 ? [] : [[partition, count] as const],
  );
  const contents = frames.flatMap(([partition, count]) =>
    Array.from({ length: count }, (_, number) =>
      contentOf(model.object(object), { object, section }, partition, number),
    ),
  );
  const failures = contents.flatMap((content) => content.failures);
  const failed = sum(failures.map(({ rows }) => rows));
  const messages =
    sum(contents.map(({ groups }) => sum(Object.values(groups)))) +
    failures.filter(({ position }) => position.output !== null).length;
  const [pruned, filtered] = [section, 2 * section];
  const last = section === sections.length - 1;
  const rows = pruned + filtered + failed + messages;
  return {
    section,
    last,
    next: 10 * section + 10,
    rows,
    pruned,
    filtered,
    failed,
    transformed: messages,
    messages,
    frames,
  };
}

function varied(record: SectionRecord, variant: RecordVariant): { record: SectionRecord; digest: string } {
  if (variant === 'one-frame-less' && record.frames.length > 0)
    return { record: { ...record, frames: record.frames.slice(1) }, digest: variant };
  if (variant === 'ends-here' && !record.last) return { record: { ...record, last: true }, digest: variant };
  return { record, digest: variant === 'other-digest' ? variant : 'true' };
}

function keyedGroups(key: string): Record<string, number> {
  return key.endsWith('3') ? {} : { [key]: 1, shared: 1 };
}

function keyedFailures(key: string): Failure[] {
  const failure = {
    ...failureOf({ bucket: '', key: '', version: '', size: 0 }, 0, null, 1),
    id: `key/${key}`,
  };
  return key.endsWith('3')
    ? [{ ...failure, position: { kind: 'key', source: SOURCE, key, output: null } }]
    : [];
}

function keyedTotals(keys: readonly string[]) {
  const failed = sum(keys.map((key) => keyedFailures(key).length));
  const messages = sum(keys.map((key) => sum(Object.values(keyedGroups(key)))));
  return { rows: keys.length, pruned: 0, filtered: 0, failed, transformed: keys.length - failed, messages };
}

/** A frame reaches the row after which it was cut, a record (`null`) all of them; the digest is another one where rows have verdicts. */
function reachOf({ section }: Place, row: number | null, verdicts: Verdicts): Reach {
  const start = 1_000 * section;
  const killed = verdicts.filter((killer) => killer <= (row ?? Infinity)).map((killer) => start + killer);
  return { reach: row === null ? null : start + row, killed };
}

function digestOf(digest: string, { killed }: Reach): string {
  return killed.length === 0 ? digest : `${digest} without ${killed.join()}`;
}

const places = { object: fc.nat(1), section: fc.nat(2) };

const arbitraryVerdicts: fc.Arbitrary<Verdicts> = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.subarray([...KILLERS]) },
);

const arbitraryStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('plan' as const),
      object: fc.nat(1),
      build: fc.constantFrom(0, 0, 0, 1),
      knowsLast: fc.boolean(),
      keepsBuilds: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('change' as const), object: fc.nat(1) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('frame' as const),
      at: fc.record(places),
      partition: fc.nat(2),
      number: fc.nat(2),
      from: fc.constantFrom<Sender>(
        'bound',
        'bound',
        'bound',
        'bound',
        'planned',
        'overtaken',
        'nobody',
        'old-epoch',
      ),
      digest: fc.constantFrom('same' as const, 'same' as const, 'same' as const, 'other' as const),
      verdicts: arbitraryVerdicts,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('record' as const),
      at: fc.record(places),
      variant: fc.constantFrom<RecordVariant>(
        'true',
        'true',
        'true',
        'true',
        'other-digest',
        'one-frame-less',
        'ends-here',
      ),
      verdicts: arbitraryVerdicts,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      object: fc.nat(1),
      order: fc.array(fc.nat(99), { maxLength: 30 }),
      verdicts: arbitraryVerdicts,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('redrive' as const), pick: fc.nat(20), again: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('open' as const), object: fc.nat(1), whole: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('keyed' as const), keys: fc.array(fc.nat(7), { maxLength: 5 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('purge-keys' as const), ago: fc.integer({ min: -1, max: 2 }) }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ do: 'purge' }, { do: 'reopen' }, { do: 'reopen' }) },
);

const arbitraryWorld: fc.Arbitrary<World> = fc.array(
  fc.array(fc.array(fc.nat(2), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  { minLength: 2, maxLength: 2 },
);

export interface ModelCheck {
  readonly create: () => Promise<ResultStoreFixture>;
  readonly reopen: (fixture: ResultStoreFixture) => Promise<ResultStore>;
  readonly counter: (value: number) => Uint8Array;
  readonly valueOf: (state: Uint8Array) => number;
  readonly histories: number;
}

/** Runs random histories against the store and the model, compares all that can be read after every step, and tells how many agreed. */
export async function checkAgainstModel({
  create,
  reopen,
  counter,
  valueOf,
  histories,
}: ModelCheck): Promise<number> {
  const property = fc.asyncProperty(
    arbitraryWorld,
    fc.array(arbitraryStep, { maxLength: 40, size: 'max' }),
    async (world, steps) => {
      const fixture = await create();
      try {
        const history = new History(fixture, new Model(world), counter, valueOf);
        await history.declare();
        for (const step of steps) {
          if (step.do === 'reopen' && fixture.store.capabilities.durable)
            history.store = await reopen(fixture);
          else await history.take(step);
          await history.compare();
        }
      } finally {
        await fixture.destroy();
      }
    },
  );
  await fc.assert(property, { numRuns: histories });
  return histories;
}

class History {
  store: ResultStore;
  readonly #model: Model;
  readonly #counter: (value: number) => Uint8Array;
  readonly #valueOf: (state: Uint8Array) => number;

  constructor(
    fixture: ResultStoreFixture,
    model: Model,
    counter: (value: number) => Uint8Array,
    valueOf: (state: Uint8Array) => number,
  ) {
    this.store = fixture.store;
    this.#model = model;
    this.#counter = counter;
    this.#valueOf = valueOf;
  }

  async declare(): Promise<void> {
    await this.store.declare(
      { id: GENERATION, pipeline: 'model', version: 1, fingerprint: 'f', declared: '{}' },
      signal,
    );
  }

  async take(step: Step): Promise<void> {
    const model = this.#model;
    switch (step.do) {
      case 'plan':
        return this.#plan(step.object, BUILDS[step.build] as string, step.knowsLast, step.keepsBuilds);
      case 'change':
        model.versions[step.object] = (model.versions[step.object] as number) + 1;
        return;
      case 'frame':
        return this.#frame(step.at, step.partition, step.number, step.from, step.digest, step.verdicts);
      case 'record':
        return this.#record(step.at, step.variant, step.verdicts);
      case 'deliver':
        return this.#deliver(step.object, step.order, step.verdicts);
      case 'redrive':
        return this.#redrive(step.pick, step.again);
      case 'open':
        return this.#open(step.object, step.whole);
      case 'keyed':
        return this.#keyed(step.keys.map((key) => `k${key}`));
      case 'purge':
        await this.store.purge(GENERATION, signal);
        await this.declare();
        return model.forget();
      case 'purge-keys': {
        const before = model.time - step.ago;
        const purged = this.#isExactlyOnce ? model.purgeKeys(before) : 0;
        expect(await this.store.purgeKeys(GENERATION, before, signal)).toBe(purged);
        return;
      }
      case 'reopen':
        return;
    }
  }

  /** Everything that can be read is as the model has it. */
  async compare(): Promise<void> {
    const model = this.#model;
    const groups: Record<string, number> = {};
    for await (const { group, state } of this.store.groups(GENERATION, signal))
      groups[group] = this.#valueOf(state);
    expect(groups).toEqual(model.groups());

    let known = 0;
    for await (const { object, ...progress } of this.store.objects({ generation: GENERATION }, signal)) {
      known += 1;
      const index = Number(object.key.slice('object-'.length));
      expect(progress).toEqual(model.progress(index));
      if (progress.complete && !model.misled) {
        const { balances } = reconcileObject({ object, ...progress });
        expect(balances, `${object.key} balances`).toBe(true);
      }
    }
    const expected = model.world.filter(
      (_, i) => model.planned[i] !== undefined || model.failures.some(({ failure }) => isOf(failure, i)),
    );
    expect(known).toBe(expected.length);

    const failures = [];
    for await (const { failure, state, attempts } of this.store.failures(
      { generation: GENERATION },
      signal,
    )) {
      failures.push({ failure, state, attempts });
    }
    expect(this.#ordered(failures)).toEqual(
      this.#ordered(
        model.failures.map((one) => ({ ...one, state: one.state === 'open' ? 'open' : 'closed' })),
      ),
    );

    const sources = await this.store.keyedSources(GENERATION, signal);
    const applied = sum(model.keys.map((key) => sum(Object.values(keyedGroups(key)))));
    const totals = {
      source: SOURCE,
      ...keyedTotals(model.keys),
      ...model.counts(({ position }) => position.kind === 'key', applied),
    };
    if (sources.length > 0 || model.keys.length > 0) expect(sources).toEqual([totals]);
    if (!model.hasRepeated) expect(sources.every((source) => reconcileKeyed(source).balances)).toBe(true);
  }

  get #isExactlyOnce(): boolean {
    return this.store.capabilities.exactlyOnce !== false;
  }

  /** Many of the model's failures are opened at the same time. */
  #ordered<T extends { readonly failure: Failure }>(failures: readonly T[]): readonly T[] {
    return this.#isExactlyOnce
      ? failures
      : failures.toSorted((a, b) => (a.failure.id < b.failure.id ? -1 : 1));
  }

  #effects({ groups, failures }: Content): Effects {
    const states: GroupState[] = Object.entries(groups).map(([group, value]) => ({
      group,
      state: this.#counter(value),
    }));
    return { groups: states, flags: [], failures, applied: sum(Object.values(groups)) };
  }

  async #plan(object: number, build: string, knowsLast: boolean, keepsBuilds: boolean): Promise<void> {
    const model = this.#model;
    const expected = model.plan(object, build, knowsLast, keepsBuilds);
    const lastSection = knowsLast ? (model.world[object] as World[number]).length - 1 : null;
    const request = { run: 'run', generation: GENERATION, build, keepsBuilds };
    const [plan] = await this.store.plan(request, [{ object: model.object(object), lastSection }], signal);
    expect(plan).toMatchObject(expected);
    const complete = model.isObjectComplete(object) ? [] : model.completeSections(object);
    expect(plan?.complete).toEqual(complete.map((section) => ({ section, next: 10 * section + 10 })));
    expect(plan?.held).toEqual(expected.verdict === 'process' ? model.held(object) : []);
    expect(plan?.lastSection).toBe(model.planned[object]?.last);
  }

  async #frame(
    at: Place,
    partition: number,
    number: number,
    from: Sender,
    kind: 'same' | 'other',
    verdicts: Verdicts,
  ): Promise<void> {
    const model = this.#model;
    const reach = reachOf(at, 100 * partition + 10 * number, verdicts);
    const digest = digestOf(kind, reach);
    const version = model.versions[at.object] as number;
    const object = model.object(at.object);
    const { build, epoch } = this.#binding(at, from);
    const content = contentOf(object, at, partition, number);
    const isMixed = model.isMixed(at.object);
    const expected =
      model.judge(at, version, build, epoch) ??
      model.applyFrame(at, partition, number, digest, reach, content, { build, epoch });
    // Without transactions one that must not count because of a verdict is found when it is read; the contract looks at that by itself.
    const isJudgedLater = reach.killed.length === 0 && hasVerdicts(model.reachesOf(at));
    if (!this.#isExactlyOnce && isJudgedLater && expected !== 'applied') return;
    // A frame that no true record counts spoils the balance of its section.
    if (expected === 'applied' && !(number < (model.world[at.object]?.[at.section]?.[partition] ?? 0)))
      model.misled = true;
    const ref = {
      generation: GENERATION,
      run: 'run',
      build,
      object,
      epoch,
      section: at.section,
      partition,
      number,
      digest,
      at: 1,
      ...reach,
    };
    const outcome = await this.store.applyFrame(ref, this.#effects(content), signal);
    expect(isMixed ? ['stale', 'duplicate'] : [expected]).toContain(outcome);
  }

  #binding(at: Place, from: Sender): Binding {
    const planned = this.#model.planned[at.object];
    const bound = this.#model.bindingOf(at) ?? { build: 'A', epoch: 1 };
    switch (from) {
      case 'bound':
        return bound;
      case 'planned':
        return planned ?? bound;
      case 'overtaken':
        return planned?.before ?? bound;
      case 'nobody':
        return { ...bound, build: `not ${bound.build}` };
      case 'old-epoch':
        return { ...bound, epoch: bound.epoch - 1 };
    }
  }

  async #record(at: Place, variant: RecordVariant, verdicts: Verdicts): Promise<void> {
    const model = this.#model;
    if (model.world[at.object]?.[at.section] === undefined) return;
    const { record, digest: kind } = varied(recordOf(model, at), variant);
    const reach = reachOf(at, null, verdicts);
    const digest = digestOf(kind, reach);
    const { build, epoch } = this.#binding(at, 'bound');
    const version = model.versions[at.object] as number;
    const isMixed = model.isMixed(at.object);
    const expected =
      model.judge(at, version, build, epoch) ??
      model.applyRecord(at.object, digest, record, reach, { build, epoch });
    if (expected === 'applied' && variant !== 'true') model.misled = true;
    const ref = {
      generation: GENERATION,
      run: 'run',
      build,
      object: model.object(at.object),
      epoch,
      record,
      digest,
      ...reach,
    };
    const outcome = await this.store.applySectionRecord(ref, signal);
    expect(isMixed ? ['stale', 'duplicate'] : [expected]).toContain(outcome);
  }

  /** All frames and records of a try of an object, in some order. */
  async #deliver(object: number, order: readonly number[], verdicts: Verdicts): Promise<void> {
    const sections = this.#model.world[object] as World[number];
    const sends = sections.flatMap((partitions, section) => [
      () => this.#record({ object, section }, 'true', verdicts),
      ...partitions.flatMap((count, partition) =>
        Array.from(
          { length: count },
          (_, number) => () => this.#frame({ object, section }, partition, number, 'bound', 'same', verdicts),
        ),
      ),
    ]);
    const ordered = sends.map((send, i) => ({ send, rank: order[i] ?? i })).sort((a, b) => a.rank - b.rank);
    for (const { send } of ordered) await send();
  }

  async #redrive(pick: number, again: boolean): Promise<void> {
    const { failures, redrives } = this.#model;
    const known = failures[pick % Math.max(1, failures.length)];
    const failure = known?.failure ?? failureOf(this.#model.object(0), 7, null, 1);
    const groups = { redriven: 1 + (pick % 2) };
    const expected = known?.state !== 'open' ? 'closed' : again ? 'failed-again' : 'applied';
    if (known !== undefined && expected === 'failed-again') known.attempts += 1;
    if (known !== undefined && expected === 'applied') {
      known.state = 'settled';
      redrives.push({ failure, groups, messages: sum(Object.values(groups)) });
    }
    const ref = {
      generation: GENERATION,
      run: 'run',
      build: 'B',
      failure: failure.id,
      again: again ? failure : null,
      at: 2,
    };
    const effects = this.#effects({ groups, failures: [] });
    expect(await this.store.applyRedrive({ ...ref, messages: effects.applied }, effects, signal)).toBe(
      expected,
    );
  }

  async #open(object: number, whole: boolean): Promise<void> {
    const model = this.#model;
    const { version = model.versions[object] } = model.planned[object] ?? {};
    const failure = whole
      ? failureOf(model.object(object, version), null, null, 0)
      : (contentOf(model.object(object, version), { object, section: 0 }, 0, 0).failures.at(-1) as Failure);
    // The verdict on a row is stored only where its object is planned and no frame that was applied reaches the row.
    if (!whole && model.planned[object] === undefined) return;
    if (!whole && !(0 < (model.world[object]?.[0]?.[0] ?? 0))) model.misled = true;
    model.openWithoutFrame(failure);
    await this.store.openFailures(GENERATION, 'run', [failure], 1, signal);
  }

  async #keyed(keys: readonly string[]): Promise<void> {
    const { model, effectsOf } = {
      model: this.#model,
      effectsOf: (content: Content) => this.#effects(content),
    };
    // At least once: what is remembered is the batch as a whole.
    const batchKey = keys.join();
    const isKnown = (key: string) => model.remembered.has(this.#isExactlyOnce ? key : batchKey);
    const fresh = keys.map((key, i) => !isKnown(key) && keys.indexOf(key) === i);
    const added = keys.filter((_, i) => fresh[i]);
    const fold = (isNew: readonly boolean[]) => {
      const news = keys.filter((_, i) => isNew[i]);
      const groups: Record<string, number> = {};
      for (const key of news)
        for (const [group, n] of Object.entries(keyedGroups(key))) groups[group] = (groups[group] ?? 0) + n;
      return {
        effects: effectsOf({ groups, failures: news.flatMap(keyedFailures) }),
        totals: keyedTotals(news),
      };
    };
    const at = model.time++;
    const batch = { generation: GENERATION, run: 'run', build: 'A', source: SOURCE, keys, at, fold };
    expect((await this.store.applyKeyed(batch, signal)).isNew).toEqual(fresh);
    if (added.some((key) => model.keys.includes(key))) model.hasRepeated = true;
    model.keys.push(...added);
    for (const key of this.#isExactlyOnce ? added : [batchKey]) model.remembered.set(key, at);
    for (const failure of added.flatMap(keyedFailures)) model.open(failure);
  }
}
