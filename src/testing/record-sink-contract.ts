import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PutOutcome, RecordSink, SinkRecord } from '../domain/ports/record-sink.ts';
import { expectAborted, expectDefect } from './expectations.ts';
import { unstopped, withHarness, type ContractHarness } from './harness.ts';

export interface RecordSinkHarness extends ContractHarness {
  /** A sink that has taken nothing yet, with at least four partitions. */
  readonly sink: RecordSink;
  /** Takes out what was accepted since the last call, in the order of each partition; makes room in a sink that is full. */
  takeAccepted(): Promise<readonly SinkRecord[]>;
}

/** Above it limits are not tried out: the contract has to be quick. */
const MAX_TRIED_BYTES = 16 * 1024 * 1024;
const MAX_TRIED_RECORDS = 2_000;
const PARTITIONS = 4;
const MAX_TRIES = 1_000;

/** Checks every sentence of the port's description, within the limits that the sink declares. */
export function recordSinkContract(name: string, make: () => Promise<RecordSinkHarness>): void {
  describe(`RecordSink: ${name}`, () => {
    it('answers for each record, in order, and keeps what it accepted', () =>
      withHarness(make, async ({ sink, takeAccepted }) => {
        const tooLarge = sink.capabilities.maxRecordBytes + 1;
        const records = [record(0, 1), record(1, 2), record(0, 3), record(3, 4)];
        if (tooLarge <= MAX_TRIED_BYTES)
          records.splice(2, 0, { partition: 0, data: new Uint8Array(tooLarge) });
        const outcomes = await sink.put(records, unstopped);
        expect(outcomes.map((outcome) => (outcome.accepted ? 'accepted' : outcome.reason))).toEqual(
          records.map(({ data }) => (data.length === tooLarge ? 'too-large' : 'accepted')),
        );
        for (const outcome of outcomes) {
          if (outcome.accepted) continue;
          expect(outcome.retryable).toBe(false);
          expect(outcome.message).not.toBe('');
        }
        expectSame(sink, await takeAccepted(), [records.filter(({ data }) => data.length < tooLarge)]);
      }));

    it('takes no records at all', () =>
      withHarness(make, async ({ sink, takeAccepted }) => {
        expect(await sink.put([], unstopped)).toEqual([]);
        expect(await takeAccepted()).toEqual([]);
      }));

    it('takes what its limits allow, and refuses a batch that is over them', () =>
      withHarness(make, async ({ sink, takeAccepted }) => {
        const { maxRecordBytes, maxBatchRecords, maxBatchBytes } = sink.capabilities;
        const batches: SinkRecord[][] = [];
        if (maxRecordBytes <= MAX_TRIED_BYTES)
          batches.push([{ partition: 1, data: filled(maxRecordBytes, 7) }]);
        if (maxBatchRecords <= MAX_TRIED_RECORDS) {
          batches.push(Array.from({ length: maxBatchRecords }, (_, at) => record(at % PARTITIONS, at)));
          await expectDefect(() =>
            sink.put(
              Array.from({ length: maxBatchRecords + 1 }, (_, at) => record(0, at)),
              unstopped,
            ),
          );
        }
        if (maxBatchBytes <= MAX_TRIED_BYTES) {
          const fullBatch = batchOfBytes(maxBatchBytes, Math.min(maxRecordBytes, maxBatchBytes));
          if (fullBatch.length < maxBatchRecords) {
            batches.push(fullBatch);
            await expectDefect(() => sink.put([...fullBatch, record(0, 1)], unstopped));
          }
        }
        const everything: SinkRecord[] = [];
        for (const batch of batches) {
          await putAll(sink, batch, async () => void everything.push(...(await takeAccepted())));
          everything.push(...(await takeAccepted()));
        }
        expectSame(sink, everything, batches);
      }));

    it('keeps the order of a partition from batch to batch, also where part of a batch has to be put again', () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.array(fc.tuple(fc.nat({ max: PARTITIONS - 1 }), fc.integer({ min: 1, max: 300 })), {
              maxLength: 20,
            }),
            { maxLength: 8 },
          ),
          (shape) =>
            withHarness(make, async ({ sink, takeAccepted }) => {
              let value = 0;
              const { maxRecordBytes } = sink.capabilities;
              const batches = shape.map((batch) =>
                withinLimits(
                  sink,
                  batch.map(([partition, length]) => ({
                    partition,
                    data: filled(Math.min(length, maxRecordBytes), value++),
                  })),
                ),
              );
              const kept: SinkRecord[] = [];
              for (const batch of batches)
                await putAll(sink, batch, async () => void kept.push(...(await takeAccepted())));
              kept.push(...(await takeAccepted()));
              expectSame(sink, kept, batches);
            }),
        ),
        { numRuns: 30 },
      ));

    it('keeps its own copy: the sender may use its buffer again', () =>
      withHarness(make, async ({ sink, takeAccepted }) => {
        const data = filled(10, 5);
        await sink.put([{ partition: 2, data }], unstopped);
        data.fill(0);
        expect((await takeAccepted()).map((kept) => [...kept.data])).toEqual([[...filled(10, 5)]]);
      }));

    it('does nothing for a signal that is aborted already', () =>
      withHarness(make, async ({ sink, takeAccepted }) => {
        await expectAborted((signal) => sink.put([record(0, 1)], signal));
        expect(await takeAccepted()).toEqual([]);
      }));
  });
}

/** Puts a batch until all of it is accepted, as a sender does: what follows a rejected record of its partition waits for it. */
async function putAll(
  sink: RecordSink,
  batch: readonly SinkRecord[],
  makeRoom: () => Promise<void>,
): Promise<void> {
  let left = batch;
  for (let tries = 0; left.length > 0; tries++) {
    expect(tries, 'a sink that accepts nothing').toBeLessThan(MAX_TRIES);
    const outcomes: readonly PutOutcome[] = await sink.put(left, unstopped);
    expect(outcomes.length).toBe(left.length);
    for (const outcome of outcomes) if (!outcome.accepted) expect(outcome).toMatchObject({ retryable: true });
    const rejected = left.filter((_, at) => outcomes[at]?.accepted === false);
    if (rejected.length > 0) await makeRoom();
    left = rejected;
  }
}

/** The same records; in the same order, as far as the sink promises one. */
function expectSame(
  sink: RecordSink,
  actual: readonly SinkRecord[],
  batches: readonly (readonly SinkRecord[])[],
): void {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const here = (records: readonly SinkRecord[]) =>
      records
        .filter((candidate) => candidate.partition === partition)
        .map(({ data }) => `${data.length}:${data.slice(0, 8).join(',')}`);
    const inOrder = (texts: string[]) => (sink.capabilities.ordered ? texts : texts.toSorted());
    const kept = here(actual);
    let at = 0;
    // Without order inside a batch there still is one from batch to batch.
    for (const batch of batches) {
      const expected = here(batch);
      expect(inOrder(kept.slice(at, at + expected.length))).toEqual(inOrder(expected));
      at += expected.length;
    }
    expect(kept.length).toBe(at);
  }
}

function withinLimits({ capabilities }: RecordSink, records: readonly SinkRecord[]): readonly SinkRecord[] {
  let bytes = 0;
  return records
    .slice(0, capabilities.maxBatchRecords)
    .filter(({ data }) => (bytes += data.length) <= capabilities.maxBatchBytes);
}

function record(partition: number, value: number): SinkRecord {
  return { partition, data: filled(8, value) };
}

/** The first bytes tell the value. */
function filled(length: number, value: number): Uint8Array {
  const data = new Uint8Array(length);
  for (let at = 0; at < Math.min(length, 4); at++) data[at] = (value >>> (8 * at)) & 255;
  return data;
}

function batchOfBytes(total: number, largest: number): SinkRecord[] {
  const batch: SinkRecord[] = [];
  for (let left = total; left > 0; left -= largest)
    batch.push({ partition: 0, data: filled(Math.min(left, largest), batch.length) });
  return batch;
}
