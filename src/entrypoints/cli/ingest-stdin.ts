import { addAbortSignal, type Readable } from 'node:stream';
import { nothingDispatched, type DispatchSummary } from '../../application/dispatch/dispatch-summary.ts';
import type { Decoder, ObjectBytes, ReadOptions, RowBatch } from '../../application/formats/decoder.ts';
import { decoderFor } from '../../application/formats/index.ts';
import { digestOf } from '../../application/frames/frame-codec.ts';
import { encodeValue } from '../../application/values/value-writer.ts';
import { ingest, type ArrivedMessage, type IngestContext } from '../../application/ingest/ingest.ts';
import type { Row } from '../../domain/row.ts';
import type { PlatformContext } from './platform.ts';
import { pipeBlocks, type PipeBlock } from './pipe-blocks.ts';
import type { Runtime } from './runtime.ts';

export interface Pipe {
  readonly input: Readable;
  readonly source: string;
  /** Whether the pipeline's `source.id` names the messages; else source and line number do. */
  readonly keyed: boolean;
  /** Aborted when no more is to be read: what has arrived in whole lines is finished. */
  readonly ending: AbortSignal;
}

/**
 * Messages from a pipe, as JSON Lines. A line is a message. Where the pipeline does not name it, its number and a digest of what
 * it says do: the same input again is dropped, and other input is never taken for it.
 */
export async function ingestStdin(
  { input, source, keyed, ending }: Pipe,
  context: PlatformContext & { readonly run: string },
  runtime: Runtime,
  signal: AbortSignal,
): Promise<DispatchSummary> {
  const { pipeline, build, run } = context;
  const decoder = await decoderFor('jsonl');
  const ingestion: IngestContext = {
    pipeline,
    generation: context.generation.id,
    build,
    run,
    source,
    where: context.where,
    signal,
  };
  const ports = { ...runtime, sink: runtime.stream };
  const { maxBatchKeys } = runtime.dedup.capabilities;
  const tearing = { torn: false };
  let line = 0;
  for await (const block of pipeBlocks(
    untilEnding(input, ending, signal, tearing),
    pipeline.limits.maxRowBytes,
    () => tearing.torn,
  )) {
    for await (const arrived of arrivedMessages(block, decoder, ingestion)) {
      runtime.metrics.add('bytesRead', arrived.bytes);
      const named = arrived.messages.map((message, index) =>
        keyed ? message : { ...message, key: `${line + index + 1}-${contentDigest(message)}` },
      );
      line += named.length;
      for (let at = 0; at < named.length; at += maxBatchKeys) {
        const outcomes = await ingest(named.slice(at, at + maxBatchKeys), ingestion, ports);
        // Nobody else shares this process's claims: what is busy is the same key twice in one batch, and it is in hand.
        runtime.metrics.add('duplicates', outcomes.filter((outcome) => outcome === 'busy').length);
      }
    }
  }
  const bytes = runtime.metrics.total('bytesRead');
  return { ...nothingDispatched(), bytes, bytesToRead: bytes };
}

/** A pipe that waits for its next chunk has to be torn away from it; that is its end then, and no fault. */
async function* untilEnding(
  input: Readable,
  ending: AbortSignal,
  signal: AbortSignal,
  tearing: { torn: boolean },
): AsyncGenerator<Uint8Array> {
  try {
    yield* addAbortSignal(AbortSignal.any([ending, signal]), input);
  } catch (thrown) {
    if (!ending.aborted || signal.aborted) throw thrown;
    tearing.torn = true;
  }
}

function contentDigest({ row, fault }: ArrivedMessage): string {
  return digestOf(row === undefined ? (fault.raw ?? new Uint8Array(0)) : contentOf(row)).slice(0, 12);
}

function contentOf(row: Row): Uint8Array {
  try {
    return encodeValue(row);
  } catch {
    // Nested deeper than a message may be: it will fail by itself, and its number has to do.
    return new Uint8Array(0);
  }
}

interface Arrived {
  /** Of the pipe, up to the last of the messages. */
  readonly bytes: number;
  /** In the order in which they came; blank lines are none. */
  readonly messages: readonly ArrivedMessage[];
}

async function* arrivedMessages(
  block: PipeBlock,
  decoder: Decoder,
  { pipeline, signal }: IngestContext,
): AsyncGenerator<Arrived> {
  const { offset } = block;
  if (block.kind === 'too-large') {
    const message = `the row at byte ${offset} has ${block.length} bytes, the limit is ${pipeline.limits.maxRowBytes}`;
    const fault = { coordinate: offset, code: 'E_ROW_TOO_LARGE', message, rows: 1, raw: null };
    yield { bytes: block.length, messages: [{ key: null, time: null, fault }] };
    return;
  }
  const options: ReadOptions = {
    csv: undefined,
    columns: undefined,
    where: undefined,
    limits: pipeline.limits,
    compression: 'none',
    pathColumns: {},
  };
  let bytes = block.bytes.length;
  const from = Math.floor(offset / pipeline.limits.sectionBytes);
  for await (const batch of decoder.read(blockOfPipe(block), { from, to: null }, offset, options, signal)) {
    yield { bytes, messages: inOrder(batch) };
    bytes = 0;
  }
}

/** A block at its place in the pipe, so that faults tell where in the pipe they are. */
function blockOfPipe({
  bytes,
  offset,
}: {
  readonly bytes: Uint8Array;
  readonly offset: number;
}): ObjectBytes {
  return {
    key: 'pipe',
    size: offset + bytes.length,
    async *read(start, end) {
      const stretch = bytes.subarray(start - offset, end - offset);
      if (stretch.length > 0) yield stretch;
    },
  };
}

/** Rows and faults of a batch in the order in which they came. */
function inOrder(batch: RowBatch): ArrivedMessage[] {
  const rows = batch.rows.map((row, index) => ({
    at: batch.coordinates[index] as number,
    message: { key: null, time: null, row },
  }));
  const faults = batch.faults.map((fault) => ({
    at: fault.coordinate,
    message: { key: null, time: null, fault },
  }));
  return [...rows, ...faults].sort((a, b) => a.at - b.at).map(({ message }) => message);
}
