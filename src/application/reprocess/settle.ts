import { DomainError, isDomainError } from '../../domain/errors.ts';
import type { Failure } from '../../domain/failure.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Clock, Log, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { RecordSink } from '../../domain/ports/record-sink.ts';
import type { FailureRecord } from '../../domain/ports/result-store.ts';
import type { RowPosition } from '../../domain/position.ts';
import type { Row } from '../../domain/row.ts';
import { failureOf } from '../failures/describe-failure.ts';
import { isWhole, keepingOf, type Keeping } from '../failures/kept-payload.ts';
import { createRowShaper } from '../formats/row-shaper.ts';
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
  /** Milliseconds since 1970 after which nothing is put any more: `E_DEADLINE`; default: none. */
  readonly deadline?: number;
  readonly signal: AbortSignal;
}

/** A failure that cannot be processed by itself, and why. */
export interface Unsettled {
  readonly id: string;
  readonly code: 'E_NOT_REDRIVABLE';
  readonly reason: string;
}

/** What the current build makes of a failed row or message. */
export interface Settlement {
  readonly record: FailureRecord;
  readonly outputs: readonly number[];
  readonly messages: readonly unknown[];
  readonly failure: Failure | null;
  /** What the failure keeps where it fails again: the message that has its output index, else its row. */
  readonly payload: Uint8Array | null;
}

interface Redoing extends RedriveContext {
  readonly transform: (row: Row) => readonly unknown[];
  readonly keeping: Keeping;
  readonly leave: (failure: Failure, reason: string) => void;
}

/**
 * What the current build makes of failures of one object, or of one source.
 *
 * @param leave told of those that cannot be processed by themselves
 */
export async function* settle(
  batch: readonly FailureRecord[],
  context: RedriveContext,
  ports: RedrivePorts,
  leave: (unsettled: Unsettled) => void,
): AsyncGenerator<Settlement> {
  const { pipeline } = context;
  const redoing: Redoing = {
    ...context,
    transform: createRowTransformer(pipeline),
    keeping: keepingOf(pipeline),
    leave: ({ id }, reason) => leave({ id, code: 'E_NOT_REDRIVABLE', reason }),
  };
  const { columns } = pipeline.source;
  // A message from elsewhere is kept as it came; without a predicate nothing is refused.
  const shaper = createRowShaper({ columns, where: undefined, pathColumns: {} });
  const arrived: Redoing = {
    ...redoing,
    transform: (row) => redoing.transform(shaper.shape(neededOf(row, shaper)) as Row),
  };
  const fromSource: FailureRecord[] = [];
  for (const record of batch) {
    const { failure } = record;
    const reason = whyNot(record, context);
    if (reason !== null) redoing.leave(failure, reason);
    else if (isKeptMessage(failure)) yield settleMessage(record, redoing);
    else if (failure.position.kind === 'row') fromSource.push(record);
    else yield settleRow(record, decodeValue(failure.payload as Uint8Array) as Row, arrived);
  }
  if (fromSource.length > 0) yield* settleFromSource(fromSource, redoing, ports);
}

/** What is kept of a failure is its message where that has an output index, and else its row, whatever failed last. */
function isKeptMessage({ position, payload }: Failure): boolean {
  return position.output !== null && isWhole(payload);
}

/** Whether a failure stands for an object as a whole: only another run settles it. */
export function isOfObject({ stage, position }: Failure): boolean {
  return stage === 'open' || (position.kind === 'row' && position.coordinate === null);
}

/** Why a failure cannot be processed by itself; `null` where it can. */
function whyNot({ failure, build }: FailureRecord, context: RedriveContext): string | null {
  const { stage, position, rows, payload, code } = failure;
  if (isOfObject(failure)) {
    return 'it stands for an object, not for a row: run the pipeline again';
  }
  if (code === 'E_KILLED' && build === context.build) {
    return 'it hung a process or ended it under this very build: another build is needed, with a `transform` that is mended';
  }
  if (stage === 'findings') return 'it is worked out anew whenever results are read';
  if (rows > 1)
    return `${rows} rows stand in a stretch that cannot be read: replace the object under another key`;
  if (position.kind === 'key' && (stage === 'read' || !isWhole(payload))) {
    const why = stage === 'read' ? 'cannot be read' : payload === null ? 'was not kept' : 'was kept masked';
    return `its message ${why}: send it again from where it came, under another id, and dismiss this failure`;
  }
  return null;
}

/** Rows at their positions in the object. Where it is gone, or another one now, what was kept of a row is what the old one held. */
async function* settleFromSource(
  records: readonly FailureRecord[],
  redoing: Redoing,
  ports: RedrivePorts,
): AsyncGenerator<Settlement> {
  const left = new Set(records);
  try {
    for await (const settlement of readAgain(records, redoing, ports)) {
      left.delete(settlement.record);
      yield settlement;
    }
    for (const { failure } of left) redoing.leave(failure, 'its object has nothing at its position');
  } catch (thrown) {
    if (!isDomainError(thrown)) throw thrown;
    for (const record of left) {
      const { stage, position, payload } = record.failure;
      if (stage !== 'read' && position.output === null && isWhole(payload))
        yield settleRow(record, decodeValue(payload) as Row, redoing);
      else redoing.leave(record.failure, thrown.message);
    }
  }
}

async function* readAgain(
  records: readonly FailureRecord[],
  redoing: Redoing,
  ports: RedrivePorts,
): AsyncGenerator<Settlement> {
  const byCoordinate = Map.groupBy(records, (record) => positionOf(record).coordinate as number);
  const { object } = positionOf(records[0] as FailureRecord);
  const { pipeline, signal } = redoing;
  const { decoder, bytes, options } = await openObject(object, { pipeline, where: undefined }, ports, signal);
  const coordinates = [...byCoordinate.keys()].sort((a, b) => a - b);
  for await (const batch of decoder.readAt(bytes, coordinates, options, signal)) {
    for (const [index, row] of batch.rows.entries()) {
      for (const record of byCoordinate.get(batch.coordinates[index] as number) ?? []) {
        yield settleRow(record, row, redoing);
      }
    }
    for (const { coordinate, code, message } of batch.faults) {
      for (const record of byCoordinate.get(coordinate) ?? []) {
        yield failed(record, 'read', new DomainError(message, { code }), keptAgain(record, redoing));
      }
    }
  }
}

/** A row gives all its messages anew; of a message that was not kept, its row gives the one with its output index. */
function settleRow(record: FailureRecord, row: Row, redoing: Redoing): Settlement {
  const { position } = record.failure;
  const { output } = position;
  const payload =
    position.kind === 'row' && output === null ? redoing.keeping.row(row) : keptAgain(record, redoing);
  try {
    const messages = messagesOf(row, redoing);
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

/** All messages of a row, none too large. Nothing else of a redrive runs the pipeline's own code. */
function messagesOf(row: Row, redoing: Redoing): readonly unknown[] {
  const messages = redoing.transform(row);
  for (const message of messages) checkSize(message, redoing);
  return messages;
}

function settleMessage(record: FailureRecord, redoing: Redoing): Settlement {
  const { position, payload } = record.failure;
  return {
    record,
    outputs: [position.output ?? 0],
    messages: [decodeValue(payload as Uint8Array)],
    failure: null,
    payload: keptAgain(record, redoing),
  };
}

function keptAgain(
  { failure: { position, payload } }: FailureRecord,
  { keeping }: Redoing,
): Uint8Array | null {
  return keeping.again(payload, position.output === null ? 'row' : 'message');
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
