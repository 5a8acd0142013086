import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InfrastructureError, isSluiceError, messageOf } from '../../domain/errors.ts';
import type { PublishedGroup } from '../../domain/ports/result-store.ts';
import { allColumns, type MeasureColumn, type ResultColumn } from './terminal/results-table.ts';
import { plainText } from './terminal/table.ts';

const ROWS_PER_GROUP = 50_000;

/**
 * Results as a Parquet file: one row per group, a column per measure (`delay.p50` for the parts of quantiles), findings as JSON.
 *
 * @throws InfrastructureError `E_OUTPUT`
 */
export async function resultsAsParquet(
  measures: readonly MeasureColumn[],
  groups: AsyncIterable<PublishedGroup> | Iterable<PublishedGroup>,
  file: string,
): Promise<void> {
  // Only this command writes Parquet: whoever does not need it does not load it.
  const { fileWriter, parquetWriteRows } = await import('hyparquet-writer');
  const columns = allColumns(measures).map((column) => ({ column, type: typeOf(column, measures) }));
  const rows = async function* () {
    for await (const group of groups) {
      yield Object.fromEntries(
        columns.map(({ column, type }) => [column.title, convert(column.value(group), type)]),
      );
    }
  };
  try {
    await mkdir(dirname(file), { recursive: true });
    await parquetWriteRows({
      writer: fileWriter(file),
      rows: rows(),
      columns: columns.map(({ column, type }) => ({ name: column.title, type })),
      rowGroupSize: ROWS_PER_GROUP,
    });
  } catch (cause) {
    if (isSluiceError(cause)) throw cause;
    throw new InfrastructureError(`${file} cannot be written: ${messageOf(cause)}`, {
      code: 'E_OUTPUT',
      cause,
    });
  }
}

type ColumnType = 'STRING' | 'DOUBLE';

/** Smallest and largest values may be numbers, texts or dates; text holds them all. */
function typeOf({ title }: ResultColumn, measures: readonly MeasureColumn[]): ColumnType {
  const measure = measures.find(({ name }) => title === name || title.startsWith(`${name}.`));
  const isText = measure === undefined || measure.kind === 'min' || measure.kind === 'max';
  return isText ? 'STRING' : 'DOUBLE';
}

function convert(value: unknown, type: ColumnType): number | string | null {
  if (value === null || value === undefined) return null;
  return type === 'DOUBLE' ? Number(value) : plainText(value);
}
