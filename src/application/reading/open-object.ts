import { DomainError } from '../../domain/errors.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import { pathColumns } from '../../domain/path-columns.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Metrics } from '../../domain/ports/ambient.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { Where } from '../../domain/where.ts';
import type { Decoder, ObjectBytes, ReadOptions } from '../formats/decoder.ts';
import { detect } from '../formats/detect.ts';
import { decoderFor } from '../formats/index.ts';
import { cacheHead } from './head-cache.ts';

/** An object with the decoder that reads it. */
export interface OpenedObject {
  readonly decoder: Decoder;
  readonly bytes: ObjectBytes;
  readonly options: ReadOptions;
}

export interface ReadingPorts {
  readonly source: ObjectSource;
  readonly metrics: Metrics;
}

/**
 * Tells format and compression of an object, unless the pipeline declares them, and picks its decoder.
 *
 * @throws DomainError `E_OBJECT_EMPTY`, `E_FORMAT_UNKNOWN`, `E_COMPRESSION_UNSUPPORTED`, `E_OBJECT_NOT_FOUND`, `E_OBJECT_CHANGED`
 */
export async function openObject(
  object: LakeObject,
  {
    pipeline,
    where,
  }: { readonly pipeline: Pick<AnyPipeline, 'source' | 'limits'>; readonly where: Where | undefined },
  ports: ReadingPorts,
  signal: AbortSignal,
): Promise<OpenedObject> {
  if (object.size === 0)
    throw new DomainError('the object is empty: it has not a single byte', { code: 'E_OBJECT_EMPTY' });
  const bytes = bindObject(object, ports, signal);
  const { source, limits } = pipeline;
  const { format, compression } = await detect(bytes, source, signal);
  const decoder = await decoderFor(format);
  const options: ReadOptions = {
    csv: source.csv,
    columns: source.columns,
    where,
    limits,
    compression,
    pathColumns: pathColumns(object.key, source.columns),
  };
  return { decoder, bytes, options };
}

/** Binds reads to one version of an object and counts what is read. */
export function bindObject(
  object: LakeObject,
  { source, metrics }: ReadingPorts,
  signal: AbortSignal,
): ObjectBytes {
  return cacheHead({
    key: object.key,
    size: object.size,
    async *read(start, end) {
      if (end <= start) return;
      for await (const chunk of source.read(object, { start, end }, signal)) {
        metrics.add('bytesRead', chunk.length);
        yield chunk;
      }
    },
  });
}
