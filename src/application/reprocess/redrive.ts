import { DomainError, isDomainError } from '../../domain/errors.ts';
import type { Failure } from '../../domain/failure.ts';
import { murmur3 } from '../../domain/hash.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Clock, Log, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { RecordSink } from '../../domain/ports/record-sink.ts';
import type { FailureRecord } from '../../domain/ports/result-store.ts';
import type { RowPosition } from '../../domain/position.ts';
import type { Row } from '../../domain/row.ts';
import { failureOf, payloadOf } from '../failures/describe-failure.ts';
import { createRowShaper } from '../formats/row-shaper.ts';
import { encodeBody, packFrame, type FrameDraft } from '../frames/frame-codec.ts';
import { FrameSender } from '../frames/frame-sender.ts';
import { neededOf } from '../ingest/needed-columns.ts';
import { openObject } from '../reading/open-object.ts';
import { createRowTransformer } from '../transform/row-transformer.ts';
import { decodeValue } from '../values/value-reader.ts';
import { encodeValue } from '../values/value-writer.ts';

export interface RedrivePorts {
  readonly source: ObjectSource;
  readonly sink: RecordSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface RedriveContext {
  readonly pipeline: AnyPipeline;
  readonly build: string;
  readonly run: string;
  readonly signal: AbortSignal;
}

export interface RedriveSummary {
  sent: number;
  /** Left open, and why. */
  readonly notRedrivable: { readonly id: string; readonly reason: string }[];
}

/** Failures of one object are read together, as many at a time. */
const BATCH = 1_000;

/**
 * Runs the current build over what failed, and over nothing else: rows are read again at their positions,
 * messages are taken as they were kept. Every failure becomes one frame that settles it, or says how it failed
 * again. Twice is harmless: only an open failure can be settled.
 */
export async function redrive(
  failures: AsyncIterable<FailureRecord>,
  context: RedriveContext,
  ports: RedrivePorts,
): Promise<RedriveSummary> {
  const summary: RedriveSummary = { sent: 0, notRedrivable: [] };
  const sender = new FrameSender({ ...ports, signal: context.signal });
  for await (const batch of batchesByObject(failures)) {
    const settlements = await settle(batch, context, ports, summary);
    await sender.send(
      await Promise.all(settlements.map((settlement) => packFrame(draft(settlement, context)))),
    );
    summary.sent += settlements.length;
    ports.metrics.add(
      'messages',
      settlements.reduce((messages, settlement) => messages + settlement.messages.length, 0),
    );
  }
  sender.assertIdle();
  return summary;
}

/** What the current build makes of a failed row or message. */
interface Settlement {
  readonly record: FailureRecord;
  readonly outputs: readonly number[];
  readonly messages: readonly unknown[];
  readonly failure: Failure | null;
  /** What the failure keeps where it fails again: the message that has its output index, else its row. */
  readonly payload: Uint8Array | null;
}

async function* batchesByObject(
  failures: AsyncIterable<FailureRecord>,
): AsyncGenerator<readonly FailureRecord[]> {
  let batch: FailureRecord[] = [];
  let place = '';
  for await (const record of failures) {
    const { position } = record.failure;
    const next = JSON.stringify([
      record.generation,
      position.kind === 'row' ? position.object : position.source,
    ]);
    if (batch.length > 0 && (next !== place || batch.length >= BATCH)) {
      yield batch;
      batch = [];
    }
    place = next;
    batch.push(record);
  }
  if (batch.length > 0) yield batch;
}

async function settle(
  batch: readonly FailureRecord[],
  context: RedriveContext,
  ports: RedrivePorts,
  summary: RedriveSummary,
): Promise<readonly Settlement[]> {
  const settlements: Settlement[] = [];
  const fromSource: FailureRecord[] = [];
  const transform = createRowTransformer(context.pipeline);
  const { columns } = context.pipeline.source;
  // A message from elsewhere is kept as it came; without a predicate nothing is refused.
  const shaper = createRowShaper({ columns, where: undefined, pathColumns: {} });
  const transformArrived = (row: Row) => transform(shaper.shape(neededOf(row, shaper)) as Row);
  for (const record of batch) {
    const { failure } = record;
    const reason = whyNot(failure);
    if (reason !== null) summary.notRedrivable.push({ id: failure.id, reason });
    else if (isKeptMessage(failure))
      settlements.push(settleMessage(record, decodeValue(failure.payload as Uint8Array)));
    else if (failure.position.kind === 'row') fromSource.push(record);
    else
      settlements.push(
        settleRow(record, decodeValue(failure.payload as Uint8Array) as Row, transformArrived, context),
      );
  }
  settlements.push(...(await settleFromSource(fromSource, transform, context, ports, summary)));
  return settlements;
}

/** What is kept of a failure is its message where that has an output index, and else its row, whatever failed last. */
function isKeptMessage({ position, payload }: Failure): boolean {
  return position.output !== null && payload !== null;
}

/** Why a failure cannot be processed by itself; `null` where it can. */
function whyNot({ stage, position, rows, payload }: Failure): string | null {
  if (stage === 'open' || (position.kind === 'row' && position.coordinate === null)) {
    return 'it stands for an object, not for a row: run the pipeline again';
  }
  if (stage === 'findings') return 'it is worked out anew whenever results are read';
  if (rows > 1)
    return `${rows} rows stand in a stretch that cannot be read: replace the object under another key`;
  if (position.kind === 'key' && (payload === null || stage === 'read')) {
    return 'its message was not kept or cannot be read: send it again from where it came';
  }
  return null;
}

async function settleFromSource(
  records: readonly FailureRecord[],
  transform: (row: Row) => readonly unknown[],
  context: RedriveContext,
  ports: RedrivePorts,
  summary: RedriveSummary,
): Promise<readonly Settlement[]> {
  if (records.length === 0) return [];
  const byCoordinate = new Map<number, FailureRecord[]>();
  for (const record of records) {
    const coordinate = positionOf(record).coordinate as number;
    byCoordinate.set(coordinate, [...(byCoordinate.get(coordinate) ?? []), record]);
  }
  const { object } = positionOf(records[0] as FailureRecord);
  try {
    return await readAgain(object, byCoordinate, transform, context, ports);
  } catch (thrown) {
    if (!isDomainError(thrown)) throw thrown;
    // The object is gone or another one now. What was kept of a row is what the old object held.
    return records.flatMap((record) => {
      const { failure } = record;
      if (failure.stage !== 'read' && failure.position.output === null && failure.payload !== null) {
        return [settleRow(record, decodeValue(failure.payload) as Row, transform, context)];
      }
      summary.notRedrivable.push({ id: failure.id, reason: thrown.message });
      return [];
    });
  }
}

async function readAgain(
  object: LakeObject,
  byCoordinate: ReadonlyMap<number, readonly FailureRecord[]>,
  transform: (row: Row) => readonly unknown[],
  context: RedriveContext,
  ports: RedrivePorts,
): Promise<readonly Settlement[]> {
  const settlements: Settlement[] = [];
  const { decoder, bytes, options } = await openObject(
    object,
    { pipeline: context.pipeline, where: undefined },
    ports,
    context.signal,
  );
  const coordinates = [...byCoordinate.keys()].sort((a, b) => a - b);
  for await (const batch of decoder.readAt(bytes, coordinates, options, context.signal)) {
    for (const [index, row] of batch.rows.entries()) {
      for (const record of byCoordinate.get(batch.coordinates[index] as number) ?? []) {
        settlements.push(settleRow(record, row, transform, context));
      }
    }
    for (const fault of batch.faults) {
      for (const record of byCoordinate.get(fault.coordinate) ?? []) {
        settlements.push(
          failed(
            record,
            'read',
            new DomainError(fault.message, { code: fault.code }),
            record.failure.payload,
          ),
        );
      }
    }
  }
  return settlements;
}

/** A row gives all its messages anew; of a message that was not kept, its row gives the one with its output index. */
function settleRow(
  record: FailureRecord,
  row: Row,
  transform: (row: Row) => readonly unknown[],
  context: RedriveContext,
): Settlement {
  const { position, payload: kept } = record.failure;
  const { output } = position;
  const payload = position.kind === 'row' && output === null ? payloadOf(row) : kept;
  try {
    const messages = transform(row);
    for (const message of messages) checkSize(message, context);
    if (output === null)
      return { record, outputs: messages.map((_, index) => index), messages, failure: null, payload };
    const message = messages[output];
    if (message === undefined)
      throw new DomainError(`the row gives no message ${output} any more`, { code: 'E_NOT_REDRIVABLE' });
    return { record, outputs: [output], messages: [message], failure: null, payload };
  } catch (thrown) {
    return failed(record, 'transform', thrown, payload);
  }
}

function settleMessage(record: FailureRecord, message: unknown): Settlement {
  const { position, payload } = record.failure;
  return { record, outputs: [position.output ?? 0], messages: [message], failure: null, payload };
}

function failed(
  record: FailureRecord,
  stage: 'read' | 'transform',
  thrown: unknown,
  payload: Uint8Array | null,
): Settlement {
  const { generation, failure } = record;
  const again = failureOf(generation, failure.position, stage, thrown, 'E_TRANSFORM', payload, failure.rows);
  return { record, outputs: [], messages: [], failure: again, payload };
}

function checkSize(message: unknown, { pipeline }: RedriveContext): void {
  const { length } = encodeValue(message);
  if (length > pipeline.limits.maxMessageBytes) {
    throw new DomainError(`a message has ${length} bytes, the limit is ${pipeline.limits.maxMessageBytes}`, {
      code: 'E_MESSAGE_TOO_LARGE',
    });
  }
}

function positionOf(record: FailureRecord): RowPosition {
  return record.failure.position as RowPosition;
}

function draft(
  { record, outputs, messages, failure, payload }: Settlement,
  context: RedriveContext,
): FrameDraft {
  const { pipeline, build, run } = context;
  const { id, position } = record.failure;
  const body = encodeBody(
    { kind: 'redrive', position: { ...position, output: null }, outputs, messages, failure, payload },
    pipeline.frames,
  );
  return {
    generation: record.generation,
    build,
    run,
    origin: { kind: 'redrive', failure: id },
    partition: murmur3(id) % pipeline.partitions,
    body: 'redrive',
    codec: pipeline.frames,
    ...body,
  };
}
