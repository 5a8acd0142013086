import type { MergeStates, ResultStore, SectionFrameRef } from '../../../src/domain/ports/result-store.ts';

/** The same work for every process that opens a file: what of it is applied twice shows in the sums. */
export const GENERATION = 'crash@1';
export const SECTIONS = 12;
export const PARTITIONS = 3;
const FRAMES = 3;
const GROUPS = 40;

const signal = new AbortController().signal;
const object = { bucket: 'lake', key: 'a.csv', version: 'v1', size: 1 };

export const addCounters: MergeStates = (stored, added) => {
  const sum = Buffer.alloc(8);
  sum.writeBigUInt64LE(Buffer.from(stored).readBigUInt64LE() + Buffer.from(added).readBigUInt64LE());
  return sum;
};

export function counter(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Declares, plans and sends every frame and record that a run without interruption would send; tells of each that was applied. */
export async function doAll(store: ResultStore, onApplied: () => void = () => {}): Promise<void> {
  await store.declare(
    { id: GENERATION, pipeline: 'crash', version: 1, fingerprint: 'f', declared: '{}' },
    signal,
  );
  await store.plan(
    { run: 'r', generation: GENERATION, build: 'A' },
    [{ object, lastSection: SECTIONS - 1 }],
    signal,
  );
  const base = {
    generation: GENERATION,
    run: 'r',
    build: 'A',
    object,
    epoch: 1,
    at: 1,
    reach: null,
    killed: [],
  };
  for (let section = 0; section < SECTIONS; section++) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (let number = 0; number < FRAMES; number++) {
        const frame: SectionFrameRef = {
          ...base,
          section,
          partition,
          number,
          digest: `${section}/${partition}/${number}`,
        };
        const groups = Array.from({ length: GROUPS }, (_, i) => ({
          group: `g${(i * 7 + section) % 60}`,
          state: counter(1 + number),
        }));
        const coordinate = 100 * section + 10 * partition + number;
        const position = { kind: 'row', object, coordinate, output: null } as const;
        const failure = {
          id: `f${coordinate}`,
          position,
          stage: 'transform',
          code: 'E_TRANSFORM',
          message: '',
          rows: 1,
          payload: null,
        } as const;
        const flags = [{ position: { ...position, output: 0 }, finding: { kind: 'late', message: '' } }];
        const outcome = await store.applyFrame(
          frame,
          { groups, flags, failures: [failure], applied: GROUPS * (1 + number) },
          signal,
        );
        if (outcome === 'applied') onApplied();
      }
    }
    const messages = PARTITIONS * GROUPS * 6;
    const failed = PARTITIONS * FRAMES;
    const totals = {
      rows: messages + failed,
      pruned: 0,
      filtered: 0,
      failed,
      transformed: messages,
      messages,
    };
    const frames = Array.from({ length: PARTITIONS }, (_, partition) => [partition, FRAMES] as const);
    const record = { section, last: section === SECTIONS - 1, next: 100 * section, frames, ...totals };
    await store.applySectionRecord({ ...base, record, digest: `${section}` }, signal);
    const keys = Array.from({ length: 5 }, (_, i) => `${section}/${i}`);
    const fold = (isNew: readonly boolean[]) => {
      const fresh = isNew.filter(Boolean).length;
      const none = { pruned: 0, filtered: 0, failed: 0 };
      const groups = fresh === 0 ? [] : [{ group: 'keyed', state: counter(fresh) }];
      return {
        effects: { groups, flags: [], failures: [], applied: fresh },
        totals: { ...none, rows: fresh, transformed: fresh, messages: fresh },
      };
    };
    await store.applyKeyed(
      { generation: GENERATION, run: 'r', build: 'A', source: 'pipe', keys, at: 1, fold },
      signal,
    );
  }
}

/** Everything that a reader sees. */
export async function seen(store: ResultStore): Promise<unknown> {
  const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
    const list: T[] = [];
    for await (const item of items) list.push(item);
    return list;
  };
  const failures = await all(store.failures({ generation: GENERATION }, signal));
  return {
    groups: (await all(store.groups(GENERATION, signal))).map(({ group, state }) => [
      group,
      Buffer.from(state).toString('hex'),
    ]),
    objects: await all(store.objects({ generation: GENERATION }, signal)),
    flags: await all(store.flags(GENERATION, signal)),
    failures: failures.map(({ failure }) => failure.id).sort(),
    sources: await store.keyedSources(GENERATION, signal),
  };
}
