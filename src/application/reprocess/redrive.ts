import { murmur3 } from '../../domain/hash.ts';
import type { FailureRecord } from '../../domain/ports/result-store.ts';
import { encodeBody, packFrame, type FrameDraft } from '../frames/frame-codec.ts';
import { FrameSender, sendingOf } from '../frames/frame-sender.ts';
import { settle, type RedriveContext, type RedrivePorts, type Settlement, type Unsettled } from './settle.ts';

export type { RedriveContext, RedrivePorts };

export interface RedriveSummary {
  readonly sent: number;
  /** Left open, and why. */
  readonly notRedrivable: readonly Unsettled[];
}

/** Failures of one object are read together, as many at a time. */
const BATCH = 1_000;
/** Encoded frames that wait to be put together, in bytes; a single larger one goes by itself. */
const OUTBOX_BYTES = 4 * 1024 * 1024;

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
  const notRedrivable: Unsettled[] = [];
  const sender = new FrameSender(sendingOf(context, ports));
  let sent = 0;
  let outbox: FrameDraft[] = [];
  let outboxBytes = 0;
  const flush = async () => {
    await sender.send(await Promise.all(outbox.map(packFrame)));
    sent += outbox.length;
    outbox = [];
    outboxBytes = 0;
  };
  for await (const batch of batchesByObject(failures)) {
    for await (const settlement of settle(batch, context, ports, (unsettled) =>
      notRedrivable.push(unsettled),
    )) {
      ports.metrics.add('messages', settlement.messages.length);
      const frame = draft(settlement, context);
      outbox.push(frame);
      outboxBytes += frame.bytes.length;
      if (outboxBytes >= OUTBOX_BYTES || outbox.length >= BATCH) await flush();
    }
  }
  await flush();
  sender.assertIdle();
  return { sent, notRedrivable };
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
