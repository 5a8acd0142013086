import { deployedByDefault } from '../../../src/entrypoints/cli/estimate/deployment.ts';
import type { EstimateRequest } from '../../../src/entrypoints/cli/estimate/estimate.ts';
import { builtInPrices } from '../../../src/entrypoints/cli/estimate/price-list.ts';
import { pricesOf } from '../../../src/entrypoints/cli/estimate/prices.ts';
import { measuredRates } from '../../../src/entrypoints/cli/estimate/rates.ts';
import type { Workload } from '../../../src/entrypoints/cli/estimate/workload.ts';

/** The one of docs/scale.md: 60,000,000 rows a day about 8,000,000 items. */
export const everyDay: Workload = {
  per: 'day',
  objects: 2_000,
  rows: 60_000_000,
  bytes: 60_000_000 * 290,
  format: 'csv',
  arrival: 'events',
  keyedMessages: 0,
  hours: 24,
  messagesPerRow: 1,
  messageBytes: 56,
  groups: 8_000_000,
  partitions: 32,
  partitioned: true,
  sectionBytes: 16 * 1024 * 1024,
  maxFrameBytes: 960 * 1024,
  maxFrameMessages: 10_000,
  multiline: true,
};

export function requestOf(
  workload: Partial<Workload> = {},
  changes: Partial<Omit<EstimateRequest, 'workload'>> = {},
): EstimateRequest {
  return {
    workload: { ...everyDay, ...workload },
    deployment: deployedByDefault,
    rates: measuredRates,
    prices: pricesOf(builtInPrices, 'us-east-1', 'the price list'),
    peak: 3,
    functions: 250,
    accountConcurrency: 1_000,
    ...changes,
  };
}
