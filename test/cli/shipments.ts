import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { Results } from './harness.ts';

/** A row of the lake that these tests read. */
export interface Shipment {
  readonly id: string;
  readonly lane: string;
  readonly delay: number;
  /** Multiples of 0.25: plain addition of them is exact, so that the test can compute what Sluice must. */
  readonly weight: number;
  readonly note: string;
}

const LANES = ['FRA-JFK', 'HKG-LAX', 'LEJ-CVG', 'DXB-LHR', 'ICN-ANC'];
const NOTES = ['', 'fragile', 'Zerbrechlich, "oben"', 'two\nlines', 'öäü 中 🚚'];

/** The same rows for the same arguments. */
export function shipments(count: number, salt = 0): Shipment[] {
  return Array.from({ length: count }, (_, index) => {
    const mixed = Math.imul(index + 1 + salt * 7919, 2_654_435_761) >>> 0;
    return {
      id: `s${salt}-${index}`,
      lane: LANES[mixed % LANES.length] as string,
      delay: ((mixed >>> 3) % 240) - 60,
      weight: ((mixed >>> 7) % 4_000) / 4,
      note: NOTES[(mixed >>> 11) % NOTES.length] as string,
    };
  });
}

const COLUMNS = ['id', 'lane', 'delay', 'weight', 'note'] as const;

export function asCsv(rows: readonly Shipment[], delimiter = ','): string {
  const field = (value: string | number) => {
    const text = String(value);
    return /["\n,\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const line = (values: readonly (string | number)[]) => `${values.map(field).join(delimiter)}\n`;
  return line(COLUMNS) + rows.map((row) => line(COLUMNS.map((column) => row[column]))).join('');
}

export function asJsonLines(rows: readonly Shipment[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

export function asParquet(rows: readonly Shipment[], rowGroupSize = 1_000): Uint8Array {
  const values = (column: keyof Shipment) => rows.map((row) => row[column]);
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: 'id', data: values('id'), type: 'STRING' },
        { name: 'lane', data: values('lane'), type: 'STRING' },
        { name: 'delay', data: values('delay'), type: 'INT32' },
        { name: 'weight', data: values('weight'), type: 'DOUBLE' },
        { name: 'note', data: values('note'), type: 'STRING' },
      ],
      rowGroupSize,
    }),
  );
}

/** How each kind of object is written. */
export const writers: Readonly<Record<string, (rows: readonly Shipment[]) => string | Uint8Array>> = {
  csv: asCsv,
  tsv: (rows) => asCsv(rows, '\t'),
  jsonl: asJsonLines,
  json: (rows) => JSON.stringify(rows),
  parquet: (rows) => asParquet(rows),
  'csv.gz': (rows) => gzipSync(asCsv(rows)),
  'csv.zst': (rows) => zstdCompressSync(asCsv(rows)),
  'jsonl.gz': (rows) => gzipSync(asJsonLines(rows)),
  'jsonl.zst': (rows) => zstdCompressSync(asJsonLines(rows)),
};

export async function writeObject(folder: string, key: string, content: string | Uint8Array): Promise<void> {
  const path = join(folder, key);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

/** What `pipelineSource` measures, worked out plainly. */
export function expectedResults(rows: Iterable<Shipment>): Results {
  const groups = new Map<string, Shipment[]>();
  for (const row of rows) {
    const those = groups.get(row.lane);
    if (those === undefined) groups.set(row.lane, [row]);
    else those.push(row);
  }
  return Object.fromEntries(
    [...groups.keys()].sort().map((lane) => {
      const those = groups.get(lane) as Shipment[];
      return [lane, measuresOf(those)];
    }),
  );
}

function measuresOf(rows: readonly Shipment[]): Record<string, unknown> {
  const weight = rows.reduce((sum, row) => sum + row.weight, 0);
  return {
    shipments: rows.length,
    late: rows.filter(({ delay }) => delay > 15).length,
    weight,
    meanWeight: weight / rows.length,
    earliest: rows.reduce((least, { delay }) => Math.min(least, delay), Number.POSITIVE_INFINITY),
    notes: new Set(rows.map(({ note }) => note)).size,
  };
}

export interface PipelineOptions {
  readonly name?: string;
  readonly version?: number;
  /** Fields of `source`, as JavaScript. */
  readonly source?: string;
  /** Body of `transform`, of `row`. */
  readonly transform?: string;
  /** Body of `groupBy`, of `message`. */
  readonly groupBy?: string;
  /** Further measures, as JavaScript. */
  readonly measures?: string;
  /** Further fields of `analyze`, as JavaScript. */
  readonly analyze?: string;
  /** Further fields of the pipeline, as JavaScript. */
  readonly more?: string;
  /** Before the pipeline, as JavaScript. */
  readonly head?: string;
}

/** Columns with types: text formats hold only text. */
export const COLUMNS_SOURCE =
  "columns: { id: 'string', lane: 'string', delay: 'number', weight: 'number', note: 'string' },";

/** A pipeline file over shipments. */
export function pipelineSource({
  name = 'shipments',
  version = 1,
  source = COLUMNS_SOURCE,
  transform = 'return row;',
  groupBy = 'return message.lane;',
  measures = '',
  analyze = '',
  more = '',
  head = '',
}: PipelineOptions = {}): string {
  return `import { count, countIf, definePipeline, distinct, DomainError, max, mean, min, quantiles, sum } from 'sluice';
${head}
export default definePipeline({
  name: ${JSON.stringify(name)},
  version: ${version},
  source: { ${source} },
  transform: (row: any): any => { ${transform} },
  analyze: {
    groupBy: (message: any) => { ${groupBy} },
    measures: {
      shipments: count(),
      late: countIf((message: any) => message.delay > 15),
      weight: sum((message: any) => message.weight),
      meanWeight: mean((message: any) => message.weight),
      earliest: min((message: any) => message.delay),
      notes: distinct((message: any) => message.note),
      ${measures}
    },
    ${analyze}
  },
  ${more}
});
`;
}
