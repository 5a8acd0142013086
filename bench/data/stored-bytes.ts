import { open } from 'node:fs/promises';
import { parquetMetadataAsync } from 'hyparquet';

export interface StoredBytes {
  readonly groups: number;
  readonly matchingGroups: number;
  /** Of the column chunks of some columns. */
  readonly ofColumns: number;
  /** Of all column chunks of the row groups that may have rows in a stretch of the sorted column. */
  readonly ofMatchingGroups: number;
}

/** What of a Parquet file has to be read, by its footer. */
export async function storedBytes(
  file: string,
  columns: readonly string[],
  stretch: { readonly column: string; readonly from: number; readonly to: number },
): Promise<StoredBytes> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const metadata = await parquetMetadataAsync({
      byteLength: size,
      slice: async (start, end = size) => {
        const bytes = new Uint8Array(end - start);
        await handle.read(bytes, 0, bytes.length, start);
        return bytes.buffer;
      },
    });
    const sum = { groups: 0, matchingGroups: 0, ofColumns: 0, ofMatchingGroups: 0 };
    for (const group of metadata.row_groups) {
      const chunks = group.columns.flatMap(({ meta_data }) => (meta_data === undefined ? [] : [meta_data]));
      const bytes = (of: typeof chunks) =>
        of.reduce((all, one) => all + Number(one.total_compressed_size), 0);
      const nameOf = (chunk: (typeof chunks)[number]) => chunk.path_in_schema.join('.');
      sum.groups++;
      sum.ofColumns += bytes(chunks.filter((chunk) => columns.includes(nameOf(chunk))));
      const { min_value: min, max_value: max } =
        chunks.find((chunk) => nameOf(chunk) === stretch.column)?.statistics ?? {};
      if (Number(max) < stretch.from || Number(min) >= stretch.to) continue;
      sum.matchingGroups++;
      sum.ofMatchingGroups += bytes(chunks);
    }
    return sum;
  } finally {
    await handle.close();
  }
}
