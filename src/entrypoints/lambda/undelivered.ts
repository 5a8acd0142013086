import { Buffer } from 'node:buffer';
import { roundOfKey } from '../../adapters/aws/record-sink.ts';
import { unpackFrame } from '../../application/frames/frame-codec.ts';
import { FrameSender, type FrameSenderOptions } from '../../application/frames/frame-sender.ts';
import { DomainError, InfrastructureError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type { PackedFrame } from '../../domain/frame.ts';
import type { Log } from '../../domain/ports/ambient.ts';
import type { KeptBundles } from './kept-bundles.ts';
import { sharesOf, type Pace } from './pace.ts';
import type { ShardRange, Undelivered } from './undelivered-words.ts';

/** What an event puts again by itself: a record that is given up so often has something wrong with it, and waits for somebody to look. */
const MAX_ROUNDS = 3;

export interface UndeliveredPorts extends Omit<FrameSenderOptions, 'retry' | 'stopAt'> {
  readonly claims: { redeem(data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> };
  readonly kept: KeptBundles;
  readonly log: Log;
  readonly pace: Pace;
  readonly streamName: string;
  /** Records of a shard, in order, page by page. @throws InfrastructureError `E_TRIMMED` after those that are left */
  readShard(
    range: ShardRange,
    signal: AbortSignal,
  ): AsyncIterable<readonly { readonly key: string; readonly data: Uint8Array }[]>;
}

/** A record as it was in the stream. */
interface GivenUp {
  readonly data: Uint8Array;
  /** How often it was put again before. */
  readonly round: number;
}

export interface PutAgain {
  /** Records that are in the stream again. */
  readonly sent: number;
  /** Records that would fail again, for ever, and records that are gone: the log has each. */
  readonly lost: number;
  /** Records that were put again too often, and wait for a direct call. */
  readonly left: number;
}

/**
 * Puts into the stream again what a mapping gave up. Twice is harmless: each frame is applied once. What would only come back
 * (no frame, of a build that nobody has) stays out, or it would go round for ever.
 *
 * @param unasked whether nobody but an event asks for it: then what was given up again and again waits
 * @param deadline milliseconds since 1970
 */
export async function putAgain(
  undelivered: Undelivered,
  {
    build,
    unasked,
    deadline,
  }: { readonly build: string; readonly unasked: boolean; readonly deadline: number },
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
  let left = 0;
  const put = async (records: readonly GivenUp[]) => {
    const wanted = unasked ? records.filter(({ round }) => round < MAX_ROUNDS) : records;
    left += records.length - wanted.length;
    for (const share of sharesOf(wanted, ports.pace.share)) {
      await ports.pace.take(share.length, signal);
      const frames: PackedFrame[] = [];
      for (const { data, round } of share) {
        const frame = await frameOf(data, build, ports);
        // Whoever asks for it has mended something: it counts anew.
        if (frame !== null) frames.push({ ...frame, round: unasked ? round + 1 : 1 });
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
  const done = (): PutAgain => {
    if (left > 0)
      log.error(
        { shard: shardId, from, to, left },
        `records were given up ${MAX_ROUNDS + 1} times: they stay where they are until a direct call puts them again`,
      );
    return { sent, lost, left };
  };
  if (undelivered.kept !== null) {
    await put(
      undelivered.kept.map(({ kinesis: { data, partitionKey } }) => ({
        data: Buffer.from(data, 'base64'),
        round: roundOfKey(partitionKey),
      })),
    );
    return done();
  }
  try {
    for await (const page of ports.readShard({ streamName, shardId, from, to }, signal))
      await put(page.map(({ data, key }) => ({ data, round: roundOfKey(key) })));
  } catch (thrown) {
    if (!isSluiceError(thrown) || thrown.code !== 'E_TRIMMED') throw thrown;
    // Nobody can bring them back.
    lose(Math.max(1, (undelivered.records ?? 0) - sent - lost - left));
    log.error(
      { code: thrown.code, shard: shardId, from, to, lost, error: thrown },
      `${thrown.message}. Dispatch again: sections that miss a frame are done again, and failures that were redriven are open still. Messages ` +
        'from elsewhere have to be sent again, once their keys are forgotten',
    );
  }
  return done();
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
