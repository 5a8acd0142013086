import { Buffer } from 'node:buffer';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type {
  Decoder,
  ObjectBytes,
  ReadOptions,
  RowBatch,
  RowFault,
} from '../../../src/application/formats/decoder.ts';
import { defaultLimits, type Limits } from '../../../src/domain/limits.ts';
import type { Row } from '../../../src/domain/row.ts';

export interface MemoryObject extends ObjectBytes {
  /** Streams that were opened and neither read to their end nor released. */
  open: number;
  bytesRead: number;
}

/** An object in memory. Chunk sizes are taken round; the buffers given out are overwritten afterwards, as adapters may. */
export function memoryObject(
  content: Uint8Array | string,
  chunkSizes: readonly number[] = [64 * 1024],
  key = 'x.csv',
): MemoryObject {
  const bytes = Buffer.from(content as string);
  const object: MemoryObject = {
    key,
    size: bytes.length,
    open: 0,
    bytesRead: 0,
    async *read(start, end) {
      object.open++;
      try {
        let turn = 0;
        for (let from = start; from < Math.min(end, bytes.length);) {
          const size = Math.min(
            chunkSizes[turn++ % chunkSizes.length] as number,
            end - from,
            bytes.length - from,
          );
          object.bytesRead += size;
          yield new Uint8Array(bytes.subarray(from, from + size));
          from += size;
        }
      } finally {
        object.open--;
      }
    },
  };
  return object;
}

export function readOptions(
  options: Partial<Omit<ReadOptions, 'limits'>> & { limits?: Partial<Limits> } = {},
): ReadOptions {
  return {
    csv: undefined,
    columns: undefined,
    where: undefined,
    pathColumns: {},
    ...options,
    limits: { ...defaultLimits, ...options.limits },
  };
}

export const never = new AbortController().signal;

export interface Reading {
  /** By coordinate. */
  readonly rows: { coordinate: number; row: Row }[];
  readonly faults: RowFault[];
  readonly sections: { section: number; rows: number[]; faults: number[]; last: boolean; next: number }[];
  filtered: number;
}

export async function collect(batches: AsyncIterable<RowBatch>): Promise<Reading> {
  const reading: Reading = { rows: [], faults: [], sections: [], filtered: 0 };
  let rows: number[] = [];
  let faults: number[] = [];
  for await (const batch of batches) {
    batch.rows.forEach((row, i) => reading.rows.push({ coordinate: batch.coordinates[i] as number, row }));
    reading.faults.push(...batch.faults);
    reading.filtered += batch.filtered;
    rows.push(...batch.coordinates);
    faults.push(...batch.faults.map((fault) => fault.coordinate));
    if (batch.end !== undefined) {
      reading.sections.push({ section: batch.section, rows, faults, ...batch.end });
      rows = [];
      faults = [];
    }
  }
  return reading;
}

export function readAll(decoder: Decoder, object: ObjectBytes, options: ReadOptions): Promise<Reading> {
  return collect(decoder.read(object, { from: 0, to: null }, null, options, never));
}

/** Rows as pairs, so that keys of any name and their order are compared. */
export function pairs(reading: Reading): [string, unknown][][] {
  return reading.rows.map(({ row }) => Object.entries(row));
}

export const compressions = {
  gzip: (bytes: Uint8Array) => gzipSync(bytes, { level: 1 }),
  zstd: (bytes: Uint8Array) => zstdCompressSync(bytes),
} as const;

export async function drain<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
