import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type {
  ObjectBytes,
  ReadOptions,
  RowBatch,
  RowFault,
} from '../../../src/application/formats/decoder.ts';
import { parquetDecoder } from '../../../src/application/formats/parquet/decoder.ts';
import { defaultLimits, type Limits } from '../../../src/domain/limits.ts';
import type { Row } from '../../../src/domain/row.ts';

export const signal = new AbortController().signal;

/** Bytes in memory that count what is read of them. */
export class MemoryObject implements ObjectBytes {
  readonly key = 'lake/test.parquet';
  readonly reads: [start: number, end: number][] = [];
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  get bytesRead(): number {
    return this.reads.reduce((sum, [start, end]) => sum + end - start, 0);
  }

  async *read(start: number, end: number): AsyncIterable<Uint8Array> {
    if (start < 0 || end > this.size || end < start)
      throw new RangeError(`bytes ${start} to ${end} of ${this.size}`);
    this.reads.push([start, end]);
    for (let at = start; at < end; at += 64_000) yield this.#bytes.subarray(at, Math.min(end, at + 64_000));
  }
}

export function optionsWith(
  changes: Partial<Omit<ReadOptions, 'limits'>> & { limits?: Partial<Limits> } = {},
): ReadOptions {
  return {
    csv: undefined,
    columns: undefined,
    where: undefined,
    pathColumns: {},
    ...changes,
    limits: { ...defaultLimits, ...changes.limits },
  };
}

export interface ReadResult {
  readonly rows: Row[];
  readonly coordinates: number[];
  readonly faults: RowFault[];
  readonly pruned: number;
  readonly filtered: number;
  readonly ends: { section: number; last: boolean; next: number }[];
  /** Rows that have come to an end. */
  readonly accounted: number;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

export function gather(batches: readonly RowBatch[]): ReadResult {
  const rows = batches.flatMap((batch) => batch.rows);
  const faults = batches.flatMap((batch) => batch.faults);
  const pruned = batches.reduce((sum, batch) => sum + batch.pruned, 0);
  const filtered = batches.reduce((sum, batch) => sum + batch.filtered, 0);
  return {
    rows,
    coordinates: batches.flatMap((batch) => batch.coordinates),
    faults,
    pruned,
    filtered,
    ends: batches.flatMap(({ section, end }) => (end === undefined ? [] : [{ section, ...end }])),
    accounted: rows.length + pruned + filtered + faults.reduce((sum, fault) => sum + fault.rows, 0),
  };
}

export async function readAll(
  object: ObjectBytes,
  options: ReadOptions,
  from = 0,
  to: number | null = null,
): Promise<ReadResult> {
  return gather(await collect(parquetDecoder.read(object, { from, to }, null, options, signal)));
}

/** DuckDB with a folder of its own for the files that it writes. */
export class DuckFiles implements AsyncDisposable {
  readonly #folder: string;
  readonly #instance: DuckDBInstance;
  readonly connection: DuckDBConnection;

  private constructor(folder: string, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#folder = folder;
    this.#instance = instance;
    this.connection = connection;
  }

  static async create(): Promise<DuckFiles> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-parquet-'));
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    return new DuckFiles(folder, instance, await instance.connect());
  }

  /** What `COPY query TO file` writes. */
  async parquet(query: string, copyOptions = ''): Promise<Uint8Array> {
    const path = join(this.#folder, `${crypto.randomUUID()}.parquet`);
    await this.connection.run(
      `COPY (${query}) TO '${path}' (FORMAT parquet ${copyOptions && `, ${copyOptions}`})`,
    );
    return readFile(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.closeSync();
    this.#instance.closeSync();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
