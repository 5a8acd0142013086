import type { DispatchSummary } from '../../application/dispatch/dispatch.ts';
import type { ReadOptions, RowBatch } from '../../application/formats/decoder.ts';
import { decoderFor } from '../../application/formats/index.ts';
import { ingest, type ArrivedMessage } from '../../application/ingest/ingest.ts';
import { InfrastructureError } from '../../domain/errors.ts';
import type { PlatformContext } from './platform.ts';
import type { Runtime } from './runtime.ts';

export interface Pipe {
  readonly input: AsyncIterable<Uint8Array>;
  readonly source: string;
  /** Whether the pipeline's `source.id` names the messages; else source and line number do. */
  readonly keyed: boolean;
}

/** Messages from a pipe, as JSON Lines. A line is a message; its number names it where the pipeline does not. */
export async function ingestStdin(
  { input, source, keyed }: Pipe,
  context: PlatformContext & { readonly run: string },
  runtime: Runtime,
  signal: AbortSignal,
): Promise<DispatchSummary> {
  const { pipeline } = context;
  const decoder = await decoderFor('jsonl');
  let bytes = 0;
  // A pipe has no size: it ends when it ends.
  const object = {
    key: source,
    size: Number.POSITIVE_INFINITY,
    async *read() {
      for await (const chunk of input) {
        bytes += chunk.length;
        runtime.metrics.add('bytesRead', chunk.length);
        yield chunk;
      }
    },
  };
  const options: ReadOptions = {
    csv: undefined,
    columns: undefined,
    where: undefined,
    limits: pipeline.limits,
    compression: 'none',
    pathColumns: {},
  };
  const ingestion = {
    pipeline,
    generation: context.generation.id,
    build: context.build,
    run: context.run,
    source,
    where: context.where,
    signal,
  };
  const ports = { ...runtime, sink: runtime.stream };
  const { maxBatchKeys } = runtime.dedup.capabilities;
  let line = 0;
  for await (const batch of decoder.read(object, { from: 0, to: null }, null, options, signal)) {
    const arrived = arrivedMessages(batch, keyed ? null : line + 1);
    for (let at = 0; at < arrived.length; at += maxBatchKeys) {
      const outcomes = await ingest(arrived.slice(at, at + maxBatchKeys), ingestion, ports);
      if (outcomes.includes('busy')) {
        // Nobody else shares this process's claims: only the same key twice in one batch can be busy, and it is in hand.
        runtime.metrics.add('duplicates', outcomes.filter((outcome) => outcome === 'busy').length);
      }
    }
    line += arrived.length;
  }
  if (signal.aborted) throw new InfrastructureError(`stopped after ${line} lines`, { code: 'E_ABORTED' });
  return {
    objects: 0,
    prunedObjects: 0,
    completeObjects: 0,
    failedObjects: 0,
    refused: [],
    tasks: 0,
    bytes,
    bytesToRead: bytes,
  };
}

/**
 * Rows and faults of a batch in the order in which they came.
 *
 * @param firstLine number of the first of them, blank lines left out; `null`: the pipeline names its messages
 */
function arrivedMessages(batch: RowBatch, firstLine: number | null): ArrivedMessage[] {
  const rows = batch.rows.map((row, index) => ({ at: batch.coordinates[index] as number, row }));
  const faults = batch.faults.map((fault) => ({ at: fault.coordinate, fault }));
  return [...rows, ...faults]
    .sort((a, b) => a.at - b.at)
    .map(({ at: _at, ...message }, index) => ({
      key: firstLine === null ? null : `${firstLine + index}`,
      ...message,
    }));
}
