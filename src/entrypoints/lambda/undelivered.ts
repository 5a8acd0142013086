import { Buffer } from 'node:buffer';
import { unpackFrame } from '../../application/frames/frame-codec.ts';
import { FrameSender, type FrameSenderOptions } from '../../application/frames/frame-sender.ts';
import { DomainError, InfrastructureError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type { PackedFrame } from '../../domain/frame.ts';
import type { Log } from '../../domain/ports/ambient.ts';
import { isObject, kinesisRecordsOf, parseJson, resourceName } from './events.ts';
import { sharesOf, type Pace } from './pace.ts';
import type { KeptBundles } from './kept-bundles.ts';

/** Consecutive records of a shard. */
export interface ShardRange {
  readonly streamName: string;
  readonly shardId: string;
  /** Sequence numbers of its first and its last record. */
  readonly from: string;
  readonly to: string;
}

/** What an on-failure destination says of a batch that a mapping gave up. */
export interface Undelivered extends ShardRange {
  /** How many there were, where it says so. */
  readonly records: number | null;
  /** The records themselves: a destination on S3 keeps them, others only say where they were. */
  readonly data: readonly Uint8Array[] | null;
}

/** @returns `null` where it is no word of an on-failure destination for a stream */
export function undeliveredOf(value: unknown): Undelivered | null {
  const info = isObject(value) ? value['KinesisBatchInfo'] : undefined;
  if (!isObject(value) || !isObject(info)) return null;
  const { streamArn, shardId, startSequenceNumber: from, endSequenceNumber: to, batchSize } = info;
  if (![streamArn, shardId, from, to].every((field) => typeof field === 'string')) return null;
  if (!/^\d+$/.test(from as string) || !/^\d+$/.test(to as string)) return null;
  const range = { streamName: resourceName(streamArn as string), shardId, from, to } as ShardRange;
  const records = Number.isSafeInteger(batchSize) ? (batchSize as number) : null;
  return { ...range, records, data: dataOf(value['payload']) };
}

function dataOf(payload: unknown): readonly Uint8Array[] | null {
  const event =
    typeof payload === 'string' ? parseJson(payload, 'the payload of an on-failure destination') : payload;
  const records = kinesisRecordsOf(event);
  return records?.map(({ kinesis }) => Buffer.from(kinesis.data, 'base64')) ?? null;
}

export interface UndeliveredPorts extends Omit<FrameSenderOptions, 'retry' | 'stopAt'> {
  readonly claims: { redeem(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> };
  readonly kept: KeptBundles;
  readonly log: Log;
  readonly pace: Pace;
  readonly streamName: string;
  /** Records of a shard, in order, page by page. @throws InfrastructureError `E_TRIMMED` after those that are left */
  readShard(range: ShardRange, signal: AbortSignal): AsyncIterable<readonly { readonly data: Uint8Array }[]>;
}

export interface PutAgain {
  /** Records that are in the stream again. */
  readonly sent: number;
  /** Records that would fail again, for ever, and records that are gone: the log has each. */
  readonly lost: number;
}

/**
 * Puts into the stream again what a mapping gave up. Twice is harmless: each frame is applied once. What would only come back
 * (no frame, of a build that nobody has) stays out, or it would go round for ever.
 *
 * @param deadline milliseconds since 1970
 */
export async function putAgain(
  undelivered: Undelivered,
  build: string,
  deadline: number,
  ports: UndeliveredPorts,
): Promise<PutAgain> {
  const { streamName, shardId, from, to } = undelivered;
  const { log, signal } = ports;
  if (streamName !== ports.streamName) {
    throw new DomainError(
      `the records are of the stream ${streamName}, and this pipeline's is ${ports.streamName}`,
      {
        code: 'E_EVENT',
      },
    );
  }
  const sender = new FrameSender({ ...ports, stopAt: deadline });
  let sent = 0;
  let lost = 0;
  const put = async (records: readonly Uint8Array[]) => {
    for (const share of sharesOf(records, ports.pace.share)) {
      await ports.pace.take(share.length, signal);
      const frames: PackedFrame[] = [];
      for (const data of share) {
        const frame = await frameOf(data, build, ports);
        if (frame !== null) frames.push(frame);
      }
      await sender.send(frames);
      sent += frames.length;
      lose(share.length - frames.length);
    }
  };
  const lose = (records: number) => {
    lost += records;
    ports.metrics.add('recordsLost', records);
  };
  if (undelivered.data !== null) {
    await put(undelivered.data);
    return { sent, lost };
  }
  try {
    for await (const page of ports.readShard({ streamName, shardId, from, to }, signal))
      await put(page.map(({ data }) => data));
  } catch (thrown) {
    if (!isSluiceError(thrown) || thrown.code !== 'E_TRIMMED') throw thrown;
    // Nobody can bring them back.
    lose(Math.max(1, (undelivered.records ?? 0) - sent - lost));
    log.error(
      { code: thrown.code, shard: shardId, from, to, lost, error: thrown },
      `${thrown.message}. Dispatch again: sections that miss a frame are done again, and failures that were redriven are open still. Messages ` +
        'from elsewhere have to be sent again, once their keys are forgotten',
    );
  }
  return { sent, lost };
}

async function frameOf(
  data: Uint8Array,
  build: string,
  ports: UndeliveredPorts,
): Promise<PackedFrame | null> {
  const { claims, kept, log, signal } = ports;
  try {
    const { header } = await unpackFrame(await claims.redeem(data, signal));
    if (header.build !== build && !(await kept.has(header.build, signal))) {
      throw new InfrastructureError(`a frame belongs to build ${header.build}, which is not kept`, {
        code: 'E_OTHER_BUILD',
      });
    }
    // As it travelled: what was too large is a claim still.
    return { header, bytes: data };
  } catch (thrown) {
    if (!isSluiceError(thrown) || thrown.retryable) throw thrown;
    log.error({ code: thrown.code, error: thrown }, `a record is not put again: ${messageOf(thrown)}`);
    return null;
  }
}
