import { createHash } from 'node:crypto';
import type { ObjectBytes, ReadOptions, RowFault } from '../../application/formats/decoder.ts';
import { decoderFor } from '../../application/formats/index.ts';
import {
  ingest,
  type ArrivedMessage,
  type IngestContext,
  type IngestPorts,
} from '../../application/ingest/ingest.ts';
import { isDomainError, messageOf } from '../../domain/errors.ts';
import type { Limits } from '../../domain/limits.ts';
import type { Log } from '../../domain/ports/ambient.ts';
import type { Row } from '../../domain/row.ts';

/** A message from elsewhere as it came: a record of an event. */
export interface Arriving<R> {
  readonly record: R;
  readonly key: string | null;
  /** Milliseconds since 1970. */
  readonly time: number | null;
  /** As it came: what is kept, and what names it, where it cannot be read. */
  readonly raw: Uint8Array;
  /** One line of JSON Lines, without its end. @throws DomainError where it is none: that is the message's fault */
  line(signal: AbortSignal): Promise<Uint8Array>;
}

export interface SliceOptions {
  /** Asked before each slice but the first: whether there is no time left for it. */
  readonly isLate: () => boolean;
  /** Called at the end of each slice. */
  readonly onDone: () => void;
}

/** Messages in one slice: enough to fill frames and requests, and few enough to end soon. */
const SLICE = 500;

interface Taken<R> {
  readonly record: R;
  readonly message: ArrivedMessage;
}

/**
 * Takes in messages from elsewhere, slice by slice, as long as there is time. What cannot be read is a failure of its message and
 * not of the batch.
 *
 * @returns the records that are to come again: somebody else has their key in hand, they could not be put, or there was no time for them
 */
export async function ingestArrived<R>(
  arriving: readonly Arriving<R>[],
  { isLate, onDone }: SliceOptions,
  context: IngestContext,
  ports: IngestPorts,
): Promise<readonly R[]> {
  const step = Math.min(SLICE, ports.dedup.capabilities.maxBatchKeys);
  const again: R[] = [];
  for (let at = 0; at < arriving.length; at += step) {
    // The first is always taken: a batch that is given back untouched would come back like this.
    if (context.signal.aborted || (at > 0 && isLate())) {
      const rest = arriving.slice(at).map(({ record }) => record);
      ports.log.info({ messages: rest.length }, 'gave messages back: there is no time left for them');
      return [...again, ...rest];
    }
    again.push(...(await ingestSlice(arriving.slice(at, at + step), context, ports)));
    onDone();
  }
  return again;
}

async function ingestSlice<R>(
  arriving: readonly Arriving<R>[],
  context: IngestContext,
  ports: IngestPorts,
): Promise<readonly R[]> {
  const again: R[] = [];
  const taken = await takeIn(arriving, context, ports.log, again);
  try {
    const messages = taken.map(({ message }) => message);
    const outcomes = await ingest(messages, context, ports);
    again.push(...taken.filter((_, index) => outcomes[index] === 'busy').map(({ record }) => record));
  } catch (thrown) {
    // Those that went through are duplicates when they come again.
    again.push(...taken.map(({ record }) => record));
    ports.log.error({ messages: taken.length, error: thrown }, `messages come again: ${messageOf(thrown)}`);
  }
  return again;
}

/** Reads the messages; what was fetched from elsewhere and cannot be had just now comes again. */
async function takeIn<R>(
  arriving: readonly Arriving<R>[],
  { pipeline, signal }: IngestContext,
  log: Log,
  again: R[],
): Promise<readonly Taken<R>[]> {
  const lines: { readonly from: Arriving<R>; readonly line: Uint8Array }[] = [];
  const taken: Taken<R>[] = [];
  for (const from of arriving) {
    try {
      lines.push({ from, line: await from.line(signal) });
    } catch (thrown) {
      if (isDomainError(thrown)) {
        const { code, message } = thrown;
        taken.push(asTaken(from, { fault: { coordinate: 0, code, message, rows: 1, raw: from.raw } }));
      } else {
        again.push(from.record);
        log.error({ error: thrown }, `a message comes again: ${messageOf(thrown)}`);
      }
    }
  }
  const read = await readLines(
    lines.map(({ line }) => line),
    pipeline.limits,
    signal,
  );
  for (const [index, { from }] of lines.entries()) taken.push(asTaken(from, read[index] as ReadLine));
  return taken;
}

type ReadLine =
  { readonly row: Row; readonly fault?: undefined } | { readonly row?: undefined; readonly fault: RowFault };

/** What cannot be read has no id: all of it names it. Of a line that is too long the fault has the start alone, which others may share. */
function asTaken<R>({ record, key, time, raw }: Arriving<R>, read: ReadLine): Taken<R> {
  const name =
    key ?? (read.fault === undefined ? null : `raw:${createHash('sha256').update(raw).digest('hex')}`);
  return { record, message: { key: name, time, ...read } };
}

/** By the decoder of files, so that a value means the same wherever it comes from. */
async function readLines(
  lines: readonly Uint8Array[],
  limits: Limits,
  signal: AbortSignal,
): Promise<readonly ReadLine[]> {
  const places = new Map<number, number>();
  let length = 0;
  for (const [index, line] of lines.entries()) {
    places.set(length, index);
    length += line.length + 1;
  }
  const text = new Uint8Array(length).fill(0x0a);
  for (const [offset, index] of places) text.set(lines[index] as Uint8Array, offset);
  const options: ReadOptions = {
    csv: undefined,
    columns: undefined,
    where: undefined,
    limits,
    compression: 'none',
    pathColumns: {},
  };
  const read: ReadLine[] = [];
  const decoder = await decoderFor('jsonl');
  for await (const batch of decoder.read(inMemory(text), { from: 0, to: null }, null, options, signal)) {
    for (const [index, row] of batch.rows.entries())
      read[places.get(batch.coordinates[index] as number) as number] = { row };
    // A message has no place among the others of its batch: what names it must be the same whenever it comes.
    for (const fault of batch.faults)
      read[places.get(fault.coordinate) as number] = { fault: { ...fault, coordinate: 0 } };
  }
  return read;
}

function inMemory(bytes: Uint8Array): ObjectBytes {
  return {
    key: 'messages',
    size: bytes.length,
    async *read(start, end) {
      yield bytes.subarray(start, end);
    },
  };
}
