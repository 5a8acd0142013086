/** DuckDB's `COPY` of the same map in SQL, on two threads: into gzipped JSON, or into Parquet with snappy. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Counts } from '../harness/contender.ts';

const SQL_TYPES: Readonly<Record<string, string>> = {
  line: 'BIGINT',
  quantity: 'INTEGER',
  unit_price: 'DOUBLE',
  weight_kg: 'DOUBLE',
  volume_m3: 'DOUBLE',
  ordered_at: 'TIMESTAMP',
  due_at: 'TIMESTAMP',
  delay_minutes: 'INTEGER',
  fragile: 'BOOLEAN',
};

/** What `toMessage` does. */
const MAP = `SELECT line AS itemLineNumber, item AS itemIdentifier, description AS itemDescription, category AS itemCategoryName, brand AS itemBrandName,
  supplier AS supplierIdentifier, supplier_name AS supplierDisplayName, warehouse AS warehouseIdentifier, lane AS transportLaneIdentifier,
  country AS supplierCountryOfOrigin, quantity AS orderedQuantity, unit_price AS unitPriceInLocalCurrency, currency AS localCurrencyIsoCode,
  weight_kg AS unitWeightInKilograms, volume_m3 AS unitVolumeInCubicMetres, epoch_ms(ordered_at) AS orderedAtMillisecondsSinceEpoch,
  epoch_ms(due_at) AS dueAtMillisecondsSinceEpoch, delay_minutes AS arrivalDelayInMinutes, fragile AS isHandledAsFragile, comment AS handlingComment,
  epoch_ms(due_at) + delay_minutes * 60000 AS arrivedAtMillisecondsSinceEpoch, quantity * unit_price AS totalPriceInLocalCurrency,
  quantity * weight_kg AS totalWeightInKilograms, quantity * volume_m3 AS totalVolumeInCubicMetres,
  (epoch_ms(due_at) - epoch_ms(ordered_at)) // 86400000 AS plannedLeadTimeInDays,
  (epoch_ms(due_at) + delay_minutes * 60000 - epoch_ms(ordered_at)) // 86400000 AS actualLeadTimeInDays,
  delay_minutes > 0 AS isDeliveredAfterDueDate, delay_minutes > 1440 AS isDeliveredMoreThanOneDayLate, delay_minutes <= 0 AS isDeliveredOnOrBeforeDueDate,
  quantity >= 500 AS isOrderedInLargeQuantity, quantity = 1 AS isOrderedInSingleQuantity, weight_kg > 30 AS isConsideredHeavyFreight,
  volume_m3 > 0.5 AS isConsideredBulkyFreight, weight_kg > 25 AND fragile AS requiresTwoPersonHandling, 0.25 AS servicePenaltyPerMinuteOfDelay,
  greatest(0, delay_minutes) * 0.25 AS servicePenaltyTotalInLocalCurrency`;

const formats = {
  json: '(FORMAT json, COMPRESSION gzip)',
  parquet: '(FORMAT parquet, COMPRESSION snappy)',
} as const;

export default async function duckDbCopy({
  csv,
  columns,
  format,
}: {
  readonly csv: string;
  readonly columns: readonly string[];
  readonly format: keyof typeof formats;
}): Promise<Counts> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-bench-'));
  const duck = await (await DuckDBInstance.create(':memory:', { threads: '2' })).connect();
  try {
    const out = path.join(folder, 'out');
    const types = columns.map((name) => `'${name}': '${SQL_TYPES[name] ?? 'VARCHAR'}'`);
    const { rowsChanged } = await duck.run(
      `COPY (${MAP} FROM read_csv('${csv}', header = true, quote = '"', escape = '"', columns = {${types.join(', ')}})) TO '${out}' ${formats[format]}`,
    );
    return { messages: rowsChanged, bytesOut: (await stat(out)).size };
  } finally {
    duck.closeSync();
    await rm(folder, { recursive: true, force: true });
  }
}
