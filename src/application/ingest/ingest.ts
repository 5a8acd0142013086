import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { DomainError, isDomainError, messageOf } from '../../domain/errors.ts';
import type { KeyedEntry } from '../../domain/frame.ts';
import { murmur3 } from '../../domain/hash.ts';
import { parseIsoTime } from '../../domain/iso-time.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Clock, Log, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { Claim, DedupStore } from '../../domain/ports/dedup-store.ts';
import type { RecordSink } from '../../domain/ports/record-sink.ts';
import { andWhere } from '../../domain/predicate.ts';
import type { Position } from '../../domain/position.ts';
import type { Row } from '../../domain/row.ts';
import type { Where } from '../../domain/where.ts';
import { ignoreRejection } from '../failures/ignore-rejection.ts';
import { failureOf } from '../failures/describe-failure.ts';
import { keepingOf, type Keeping } from '../failures/kept-payload.ts';
import type { RowFault } from '../formats/decoder.ts';
import { createRowShaper, type RowShaper } from '../formats/row-shaper.ts';
import { encodeBody, packFrame, type FrameDraft } from '../frames/frame-codec.ts';
import { FrameSender, sendingOf } from '../frames/frame-sender.ts';
import { createRowTransformer } from '../transform/row-transformer.ts';
import { encodeValue } from '../values/value-writer.ts';
import { GuardedDedup } from './guarded-dedup.ts';
import { neededOf } from './needed-columns.ts';

export interface IngestPorts {
  readonly sink: RecordSink;
  readonly dedup: DedupStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface IngestContext {
  readonly pipeline: AnyPipeline;
  readonly generation: string;
  readonly build: string;
  readonly run: string;
  /** The queue, pipe or stream that the messages came by. */
  readonly source: string;
  /** The run's own predicate, beside the pipeline's: other messages are counted as filtered. */
  readonly where: Where | undefined;
  /** How long a claim keeps others away, in milliseconds. Default 60,000. */
  readonly leaseMs?: number;
  /** Milliseconds since 1970 after which nothing is put any more: `E_DEADLINE`; default: none. */
  readonly deadline?: number;
  readonly signal: AbortSignal;
}

/** A message from elsewhere: decoded with all its columns, not yet filtered, or the fault that it is. */
export type ArrivedMessage = {
  /** Names it for ever; `null`: the pipeline's `source.id` picks it. */
  readonly key: string | null;
  /** When it arrived, in milliseconds since 1970, where that is part of its key; `null`: the pipeline's `source.time` tells, or nothing does. */
  readonly time: number | null;
} & (
  { readonly row: Row; readonly fault?: undefined } | { readonly row?: undefined; readonly fault: RowFault }
);

/** What became of each message, in order. `busy`: somebody else has claimed it and is not done; hand it back. */
export type IngestOutcome = 'sent' | 'duplicate' | 'busy';

const DEFAULT_LEASE_MS = 60_000;

/**
 * Transforms messages that have no section. All outputs of one travel in one frame, under its key.
 *
 *     claim ──▶ transform ──▶ put ──▶ commit
 *                               └─ put failed ──▶ release: whoever gets the message next goes on at once
 *
 * Without the store of keys it goes on as if every key were new: see `GuardedDedup`.
 *
 * @throws InfrastructureError the messages can be given again: those that went through are duplicates then
 */
export async function ingest(
  arrived: readonly ArrivedMessage[],
  context: IngestContext,
  ports: IngestPorts,
): Promise<readonly IngestOutcome[]> {
  const { signal } = context;
  const entries = new EntryMaker(context);
  const made = arrived.map((message) => entries.make(message));
  const dedup = new GuardedDedup(ports);
  const claims = await dedup.claim(
    made.map(({ entry }) => dedupKey(entry.key, context)),
    context.leaseMs ?? DEFAULT_LEASE_MS,
    signal,
  );
  const mine: Claim[] = [];
  const toSend: SizedEntry[] = [];
  const outcomes = claims.map((claim, index): IngestOutcome => {
    if (claim.state === 'busy') return 'busy';
    if (claim.state === 'done') return 'duplicate';
    const sized = made[index] as SizedEntry;
    mine.push({ key: dedupKey(sized.entry.key, context), token: claim.token });
    toSend.push(sized);
    return 'sent';
  });
  const sender = new FrameSender(sendingOf(context, ports));
  try {
    await sender.send(await Promise.all(framesOf(toSend, context).map(packFrame)));
  } catch (thrown) {
    if (!signal.aborted) await dedup.release(mine, signal);
    throw thrown;
  }
  await dedup.commit(mine, signal);
  sender.assertIdle();
  count(toSend, outcomes, ports.metrics);
  return outcomes;
}

/** Sources and generations share a store of keys, and have the same keys for other messages. */
function dedupKey(key: string, { generation, source }: IngestContext): string {
  return JSON.stringify([generation, source, key]);
}

interface SizedEntry {
  readonly entry: KeyedEntry;
  /** About how many bytes it takes in a frame. */
  readonly bytes: number;
}

/** What a key and the fields around it take in a frame. */
const ENTRY_BYTES = 128;

class EntryMaker {
  readonly #context: IngestContext;
  readonly #transform: (row: Row) => readonly unknown[];
  readonly #shaper: RowShaper;
  readonly #keeping: Keeping;

  constructor(context: IngestContext) {
    this.#context = context;
    this.#transform = createRowTransformer(context.pipeline);
    this.#keeping = keepingOf(context.pipeline);
    const { columns, where } = context.pipeline.source;
    this.#shaper = createRowShaper({ columns, where: andWhere(where, context.where), pathColumns: {} });
  }

  make(message: ArrivedMessage): SizedEntry {
    if (message.fault !== undefined) {
      const { coordinate, raw, code } = message.fault;
      const key = message.key ?? `${coordinate}:${digest(raw)}`;
      const error = new DomainError(message.fault.message, { code });
      return this.#failed(key, message.time, 'read', error, this.#keeping.raw(raw));
    }
    const { row } = message;
    let { key, time } = message;
    // As it came: the pipeline's code may change what it is given.
    const kept = this.#keeping.row(row);
    try {
      key ??= idOf(this.#context.pipeline, row);
      time ??= timeOf(this.#context.pipeline, row);
      const shaped = this.#shaper.shape(neededOf(row, this.#shaper));
      if (shaped === undefined) {
        return { entry: { key, time, messages: [], filtered: true, failure: null }, bytes: ENTRY_BYTES };
      }
      const messages = this.#transform(shaped);
      return {
        entry: { key, time, messages, filtered: false, failure: null },
        bytes: ENTRY_BYTES + this.#check(messages),
      };
    } catch (thrown) {
      return this.#failed(key ?? `row:${digestOfRow(row)}`, time, 'transform', thrown, kept);
    }
  }

  /** Encodes each message by itself, so that one that cannot be sent fails alone. Returns their bytes. */
  #check(messages: readonly unknown[]): number {
    const { maxMessageBytes } = this.#context.pipeline.limits;
    let bytes = 0;
    for (const message of messages) {
      const { length } = encodeValue(message);
      if (length > maxMessageBytes) {
        throw new DomainError(`a message has ${length} bytes, the limit is ${maxMessageBytes}`, {
          code: 'E_MESSAGE_TOO_LARGE',
        });
      }
      bytes += length;
    }
    return bytes;
  }

  #failed(
    key: string,
    time: number | null,
    stage: 'read' | 'transform',
    thrown: unknown,
    payload: Uint8Array | null,
  ): SizedEntry {
    const { generation, source } = this.#context;
    const position: Position = { kind: 'key', source, key, output: null };
    const failure = failureOf(generation, position, stage, thrown, 'E_TRANSFORM', payload, 1);
    return {
      entry: { key, time, messages: [], filtered: false, failure },
      bytes: ENTRY_BYTES + 4096 + (payload?.length ?? 0),
    };
  }
}

/** Stores keep keys as UTF-8: two that differ only by lone surrogates would be the same. @throws DomainError `E_KEY` */
function idOf(pipeline: AnyPipeline, row: Row): string {
  const { id } = pipeline.source;
  if (id === undefined)
    throw new DomainError('the message has no key and the pipeline no source.id', { code: 'E_KEY' });
  let key: unknown;
  try {
    key = id(row);
  } catch (thrown) {
    if (isDomainError(thrown)) throw thrown;
    throw new DomainError(`source.id threw: ${messageOf(thrown)}`, { code: 'E_KEY', cause: thrown });
  }
  if (typeof key === 'string' && key !== '') return key.isWellFormed() ? key : JSON.stringify(key);
  if (typeof key === 'bigint' || (typeof key === 'number' && Number.isFinite(key))) return String(key);
  if (ignoreRejection(key)) throw new DomainError('source.id gave a promise', { code: 'E_KEY' });
  throw new DomainError(`source.id gave ${key === '' ? 'an empty string' : typeof key}`, { code: 'E_KEY' });
}

/** When a message happened, in milliseconds since 1970; `null` where the pipeline does not say. @throws DomainError `E_KEY` */
function timeOf(pipeline: AnyPipeline, row: Row): number | null {
  const { time: pick } = pipeline.source;
  if (pick === undefined) return null;
  let time: unknown;
  try {
    time = pick(row);
  } catch (thrown) {
    if (isDomainError(thrown)) throw thrown;
    throw new DomainError(`source.time threw: ${messageOf(thrown)}`, { code: 'E_KEY', cause: thrown });
  }
  if (ignoreRejection(time)) throw new DomainError('source.time gave a promise', { code: 'E_KEY' });
  const at = time instanceof Date ? time.getTime() : typeof time === 'string' ? parseIsoTime(time) : time;
  // Later code makes a date of it.
  if (typeof at === 'number' && Math.abs(at) <= MAX_TIME_MS) return Math.trunc(at);
  throw new DomainError(`source.time gave no time`, { code: 'E_KEY' });
}

/** The last moment that a `Date` can hold, and the first one before 1970. */
const MAX_TIME_MS = 8.64e15;

/** Names a row that has no key. Of the whole row, however large: two of them must not pass for one. */
function digestOfRow(row: Row): string {
  try {
    return digest(encodeValue(row));
  } catch {
    // It came as JSON: what is nested too deep for a message still is JSON.
    return digest(Buffer.from(JSON.stringify(row), 'utf8'));
  }
}

function digest(bytes: Uint8Array | null): string {
  return createHash('sha256')
    .update(bytes ?? '')
    .digest('hex')
    .slice(0, 20);
}

/** Frames of messages from elsewhere, by the partition of their key; those of one message never part. */
function framesOf(sized: readonly SizedEntry[], context: IngestContext): FrameDraft[] {
  const { maxFrameBytes, maxFrameMessages } = context.pipeline.limits;
  const drafts: FrameDraft[] = [];
  const open = new Map<number, { entries: KeyedEntry[]; bytes: number }>();
  for (const { entry, bytes } of sized) {
    const partition = murmur3(entry.key) % context.pipeline.partitions;
    let frame = open.get(partition);
    if (
      frame !== undefined &&
      (frame.bytes + bytes > maxFrameBytes || frame.entries.length >= maxFrameMessages)
    ) {
      drafts.push(draft(frame.entries, partition, context));
      frame = undefined;
    }
    if (frame === undefined) open.set(partition, { entries: [entry], bytes });
    else {
      frame.entries.push(entry);
      frame.bytes += bytes;
    }
  }
  for (const [partition, { entries }] of open) drafts.push(draft(entries, partition, context));
  return drafts;
}

function draft(entries: readonly KeyedEntry[], partition: number, context: IngestContext): FrameDraft {
  const { pipeline, generation, build, run, source } = context;
  const { bytes, digest: bodyDigest } = encodeBody({ kind: 'keyed', entries }, pipeline.frames);
  const origin = { kind: 'keyed', source } as const;
  return {
    generation,
    build,
    run,
    origin,
    partition,
    body: 'keyed',
    codec: pipeline.frames,
    bytes,
    digest: bodyDigest,
  };
}

function count(entries: readonly SizedEntry[], outcomes: readonly IngestOutcome[], metrics: Metrics): void {
  metrics.add('rowsRead', outcomes.length);
  metrics.add('duplicates', outcomes.filter((outcome) => outcome === 'duplicate').length);
  for (const { entry } of entries) {
    metrics.add('messages', entry.messages.length);
    if (entry.filtered) metrics.add('rowsFiltered', 1);
    else if (entry.failure !== null) metrics.add('rowsFailed', 1);
    else metrics.add('rowsTransformed', 1);
  }
}
