import type { Failure } from '../../../src/domain/failure.ts';
import type { Generation } from '../../../src/domain/generation.ts';
import type { Effects, Flag, MergeStates, ResultStore } from '../../../src/domain/ports/result-store.ts';

/** What analyzers do on the same groups, as a list: whatever of it happens twice or not at all shows in the sums. */
export const GENERATION = 'lanes@1';
const OBJECTS = 4;
const SECTIONS = 3;
const PARTITIONS = 4;
const FRAMES = 3;
const GROUPS = 100;
const KEY_BATCHES = 12;

export const signal = new AbortController().signal;
export type Delivery = (store: ResultStore) => Promise<unknown>;

export const addCounters: MergeStates = (stored, added) =>
  counter(Number(Buffer.from(stored).readBigUInt64LE() + Buffer.from(added).readBigUInt64LE()));

export function counter(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return new Uint8Array(bytes);
}

const objects = Array.from({ length: OBJECTS }, (_, i) => ({
  bucket: 'lake',
  key: `${i}.csv`,
  version: 'v1',
  size: 1,
}));
const ref = { generation: GENERATION, run: 'r', build: 'A', at: 1 } as const;
const reach = { reach: null, killed: [] } as const;

function effectsOf(place: number, failures: readonly Failure[], flags: readonly Flag[]): Effects {
  // Every frame has every group, and each of them in another order.
  const groups = Array.from({ length: GROUPS }, (_, i) => ({
    group: `g${(i * 37 + place * 11) % GROUPS}`,
    state: counter(1 + (i % 3)),
  }));
  return { groups, failures, flags, applied: GROUPS };
}

function failureOf(object: (typeof objects)[number], coordinate: number): Failure {
  return {
    id: `${object.key}@${coordinate}`,
    position: { kind: 'row', object, coordinate, output: null },
    stage: 'transform',
    code: 'E_TRANSFORM',
    message: '',
    rows: 1,
    payload: null,
  };
}

export const lanes: Generation = {
  id: GENERATION,
  pipeline: 'lanes',
  version: 1,
  fingerprint: 'f',
  declared: '{}',
};

export async function prepare(store: ResultStore): Promise<void> {
  await store.declare(lanes, signal);
  await planAll(store);
}

const planAll: Delivery = (store) =>
  store.plan(
    ref,
    objects.toReversed().map((object) => ({ object, lastSection: SECTIONS - 1 })),
    signal,
  );

/** Frames, section records, batches of keys that overlap, and dispatches of the same objects. */
export function firstDeliveries(): Delivery[] {
  const deliveries: Delivery[] = [];
  for (const [o, object] of objects.entries()) {
    for (let section = 0; section < SECTIONS; section++) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        for (let number = 0; number < FRAMES; number++) {
          const coordinate = 1_000 * section + 10 * partition + number;
          const place = 1_000 * o + coordinate;
          const frame = {
            ...ref,
            ...reach,
            object,
            epoch: 1,
            section,
            partition,
            number,
            digest: `${place}`,
          };
          const position = { kind: 'row', object, coordinate, output: 0 } as const;
          const effects = effectsOf(
            place,
            [failureOf(object, coordinate)],
            [{ position, finding: { kind: 'late', message: '' } }],
          );
          deliveries.push((store) => store.applyFrame(frame, effects, signal));
        }
      }
      const messages = PARTITIONS * FRAMES * GROUPS;
      const failed = PARTITIONS * FRAMES;
      const record = {
        section,
        last: section === SECTIONS - 1,
        next: 100 * section,
        frames: Array.from({ length: PARTITIONS }, (_, partition) => [partition, FRAMES] as const),
        rows: messages + failed,
        pruned: 0,
        filtered: 0,
        failed,
        transformed: messages,
        messages,
      };
      deliveries.push((store) =>
        store.applySectionRecord(
          { ...ref, ...reach, object, epoch: 1, record, digest: `${section}` },
          signal,
        ),
      );
    }
    deliveries.push(planAll);
  }
  return [...deliveries, ...keyDeliveries(0)];
}

/** Redrives of every failure, and more keys. */
export function secondDeliveries(): Delivery[] {
  const redrives = objects.flatMap((object, o) =>
    Array.from({ length: SECTIONS * PARTITIONS * FRAMES }, (_, i): Delivery => {
      const section = Math.floor(i / (PARTITIONS * FRAMES));
      const coordinate = 1_000 * section + 10 * (Math.floor(i / FRAMES) % PARTITIONS) + (i % FRAMES);
      const redrive = { ...ref, failure: failureOf(object, coordinate).id, again: null, messages: GROUPS };
      return (store) => store.applyRedrive(redrive, effectsOf(1_000 * o + coordinate, [], []), signal);
    }),
  );
  return [...redrives, ...keyDeliveries(KEY_BATCHES)];
}

function keyDeliveries(first: number): Delivery[] {
  return Array.from({ length: KEY_BATCHES }, (_, i): Delivery => {
    // Half of each batch is in the one after it as well, and each batch is in an order of its own.
    const keys = Array.from({ length: 8 }, (_unused, k) => `k${(first + i) * 4 + ((k * 3 + i) % 8)}`);
    return (store) =>
      store.applyKeyed(
        {
          ...ref,
          source: 'pipe',
          keys,
          fold: (isNew) => {
            const fresh = isNew.filter(Boolean).length;
            const groups = Array.from({ length: GROUPS }, (_unused, g) => ({
              group: `g${(g * 13 + i) % GROUPS}`,
              state: counter(fresh),
            }));
            const none = { pruned: 0, filtered: 0, failed: 0 };
            return {
              effects: { groups, flags: [], failures: [], applied: fresh * GROUPS },
              totals: { ...none, rows: fresh, transformed: fresh, messages: fresh * GROUPS },
            };
          },
        },
        signal,
      );
  });
}

/** Everything that a reader sees, but for the order in which failures were opened. */
export async function seen(store: ResultStore): Promise<unknown> {
  const failures = await Array.fromAsync(store.failures({ generation: GENERATION }, signal));
  return {
    groups: (await Array.fromAsync(store.groups(GENERATION, signal))).map(({ group, state }) => [
      group,
      Number(Buffer.from(state).readBigUInt64LE()),
    ]),
    objects: await Array.fromAsync(store.objects({ generation: GENERATION }, signal)),
    flags: await Array.fromAsync(store.flags(GENERATION, signal)),
    failures: failures
      .map(({ failure, state, attempts }) => `${failure.id} ${state} ${attempts}`)
      .toSorted((a, b) => (a < b ? -1 : 1)),
    sources: await store.keyedSources(GENERATION, signal),
  };
}

/** In an order that follows from the seed alone. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  let state = seed;
  const next = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  return items
    .map((item) => ({ item, rank: next() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
