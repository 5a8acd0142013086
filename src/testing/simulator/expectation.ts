import { EffectsFold } from '../../application/analyze/effects.ts';
import { generationOf } from '../../application/generation.ts';
import { InMemoryMetrics } from '../../adapters/inmemory/metrics.ts';
import type { InMemoryObjectSource } from '../../adapters/inmemory/object-source.ts';
import { createMessageEncoding } from '../../application/frames/encodings.ts';
import type { MessageEncoding } from '../../application/frames/message-encoding.ts';
import { openObject } from '../../application/reading/open-object.ts';
import { createRowTransformer } from '../../application/transform/row-transformer.ts';
import { createRowShaper } from '../../application/formats/row-shaper.ts';
import { neededOf } from '../../application/ingest/needed-columns.ts';
import { encodeValue } from '../../application/values/value-writer.ts';
import { partitionOfKey } from '../../domain/partition.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { KeyedPosition } from '../../domain/position.ts';
import type { GroupState } from '../../domain/ports/result-store.ts';
import type { Row } from '../../domain/row.ts';
import type { Subject } from './subject.ts';
import { unstopped } from './world.ts';

/** How the rows of an object, or messages from elsewhere, must end. */
export interface ExpectedTotals {
  rows: number;
  filtered: number;
  /** Rows that cannot be read or transformed. */
  failedRows: number;
  transformed: number;
  messages: number;
  /** Messages that fail in `analyze`. */
  failedMessages: number;
}

/** What must come out, whatever happens on the way. */
export interface Expectation {
  /** By group: the bytes of its measures, in hex. */
  readonly groups: ReadonlyMap<string, string>;
  /** As JSON, sorted. */
  readonly flags: readonly string[];
  /** By key of the object. */
  readonly objects: ReadonlyMap<string, ExpectedTotals>;
  readonly messages: ExpectedTotals;
}

/**
 * Works out what pipelines make of a lake with plain loops: every row is read once, transformed once by each, and every message
 * is measured once. No section, frame, store or retry has a part in it.
 *
 * @param pipelines they read the same, and do other things with it
 */
export async function expectationsOf(
  pipelines: readonly AnyPipeline[],
  subject: Pick<Subject, 'objects' | 'messages'>,
  lake: InMemoryObjectSource,
  bucket: string,
): Promise<readonly Expectation[]> {
  const tallies = pipelines.map((pipeline) => new Tally(pipeline));
  const [reading] = pipelines;
  if (reading === undefined) return [];
  for (const { key } of subject.objects) {
    const object = await lake.stat({ bucket, key }, unstopped);
    const ports = { source: lake, metrics: new InMemoryMetrics() };
    const { where } = reading.source;
    const { decoder, bytes, options } = await openObject(
      object,
      { pipeline: reading, where },
      ports,
      unstopped,
    );
    for (const tally of tallies) tally.begin(key);
    for await (const batch of decoder.read(bytes, { from: 0, to: null }, 0, options, unstopped)) {
      const failed = batch.faults.reduce((rows, fault) => rows + fault.rows, 0);
      const filtered = batch.filtered + batch.pruned;
      for (const tally of tallies) tally.take(key, { rows: batch.rows, filtered, failed });
    }
  }
  const { columns, where } = reading.source;
  const shaper = createRowShaper({ columns, where, pathColumns: {} });
  for (const { row } of subject.messages) {
    const shaped = shaper.shape(neededOf(row, shaper));
    const read = shaped === undefined ? { ...NOTHING, filtered: 1 } : { ...NOTHING, rows: [shaped] };
    for (const tally of tallies) tally.take(FROM_ELSEWHERE, read);
  }
  return tallies.map((tally) => tally.finish());
}

/** What was read together. */
interface Read {
  readonly rows: readonly Row[];
  readonly filtered: number;
  /** Rows that cannot be read. */
  readonly failed: number;
}

const NOTHING: Read = { rows: [], filtered: 0, failed: 0 };

/** No object has this key. */
const FROM_ELSEWHERE = '';

function noTotals(): ExpectedTotals {
  return { rows: 0, filtered: 0, failedRows: 0, transformed: 0, messages: 0, failedMessages: 0 };
}

/** What one pipeline makes of everything. */
class Tally {
  readonly #pipeline: AnyPipeline;
  readonly #transform: (row: Row) => readonly unknown[];
  readonly #encoding: MessageEncoding;
  readonly #fold: EffectsFold;
  readonly #totals = new Map([[FROM_ELSEWHERE, noTotals()]]);

  constructor(pipeline: AnyPipeline) {
    this.#pipeline = pipeline;
    this.#transform = createRowTransformer(pipeline);
    this.#encoding = createMessageEncoding(pipeline.frames);
    this.#fold = new EffectsFold(pipeline, generationOf(pipeline, undefined).id);
  }

  /** An object may hold nothing. */
  begin(key: string): void {
    this.#totals.set(key, noTotals());
  }

  take(source: string, { rows, filtered, failed }: Read): void {
    const totals = this.#of(source);
    totals.rows += rows.length + filtered + failed;
    totals.filtered += filtered;
    totals.failedRows += failed;
    for (const row of rows) this.#takeRow(row, source, totals);
  }

  finish(): Expectation {
    const { groups, flags, failures } = this.#fold.finish();
    for (const { position } of failures) this.#of((position as KeyedPosition).source).failedMessages++;
    const messages = this.#of(FROM_ELSEWHERE);
    this.#totals.delete(FROM_ELSEWHERE);
    return {
      groups: hexOf(groups),
      flags: flags.map(({ finding }) => JSON.stringify(finding)).sort(),
      objects: this.#totals,
      messages,
    };
  }

  #of(source: string): ExpectedTotals {
    return this.#totals.get(source) as ExpectedTotals;
  }

  #takeRow(row: Row, source: string, totals: ExpectedTotals): void {
    const messages = this.#messagesOf(row, source !== FROM_ELSEWHERE);
    if (messages === null) {
      totals.failedRows++;
      return;
    }
    totals.transformed++;
    totals.messages += messages.length;
    for (const message of messages)
      this.#fold.add(message, 0, () => ({ kind: 'key', source, key: '', output: 0 }));
  }

  /** `null`: the row fails. Messages from elsewhere go by their key, and travel with their field names. */
  #messagesOf(row: Row, isOfObject: boolean): readonly unknown[] | null {
    const { partitionBy, partitions, limits } = this.#pipeline;
    try {
      const messages = this.#transform(row);
      for (const message of messages) {
        const size = isOfObject
          ? this.#encoding.measure(this.#encoding.encode(message))
          : encodeValue(message).length;
        if (size > limits.maxMessageBytes) return null;
        if (isOfObject && partitionBy !== undefined) partitionOfKey(partitionBy(message), partitions);
      }
      return messages;
    } catch {
      return null;
    }
  }
}

export function hexOf(groups: readonly GroupState[]): ReadonlyMap<string, string> {
  return new Map(groups.map(({ group, state }) => [group, Buffer.from(state).toString('hex')]));
}
